package main

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"golang.org/x/sys/unix"
)

type plan struct {
	port, connections int
	rate, seconds     float64
	count             int
	repeats           float64
	seed              uint64
}

// A response that takes longer than this ends the run: Customer.io gives up much earlier.
const stalledAfter = 10 * time.Second

// Minimum distance to the repeated id, as with a sender's retries.
const repeatDistance = 200

const timerSlot = -1

type connection struct {
	fd      int
	in      []byte
	busy    bool
	due     time.Time
	free    time.Time
	repeats bool
}

type generator struct {
	plan
	deliveries *deliveries
	random     *rand.Rand
	epoll      int
	timer      int
	all        []*connection
	idle       []*connection // the one that has been idle longest comes first
	out        []byte
	unique     int
	started    time.Time
	nextDue    time.Time
	sent       int
	tally      tally
}

func newGenerator(d *deliveries, p plan) *generator {
	return &generator{plan: p, deliveries: d, random: rand.New(rand.NewPCG(p.seed, 7)), tally: newTally()}
}

func (g *generator) run() (report, error) {
	if err := g.open(); err != nil {
		return report{}, err
	}
	events := make([]unix.EpollEvent, g.connections+1)
	g.started = time.Now()
	g.nextDue = g.started
	progress := g.started
	for {
		if err := g.sendDue(time.Now()); err != nil {
			return report{}, err
		}
		if g.allSent(time.Now()) && len(g.idle) == len(g.all) {
			return g.tally.report(g, time.Since(g.started)), nil
		}
		count, err := unix.EpollWait(g.epoll, events, 1000)
		if err != nil && !errors.Is(err, unix.EINTR) {
			return report{}, err
		}
		now := time.Now()
		for _, event := range events[:max(count, 0)] {
			progress = now
			if event.Fd != timerSlot {
				if err := g.receive(g.all[event.Fd], now); err != nil {
					return report{}, err
				}
			}
		}
		if now.Sub(progress) > stalledAfter && g.nextDue.Before(now) {
			return report{}, fmt.Errorf("no response for %s", stalledAfter)
		}
	}
}

func (g *generator) allSent(now time.Time) bool {
	if g.rate > 0 {
		return float64(g.sent) >= g.rate*g.seconds
	}
	if g.count > 0 {
		return g.sent >= g.count
	}
	return now.Sub(g.started).Seconds() >= g.seconds
}

// sendDue sends due deliveries while connections are free, and sets the timer for the next one.
func (g *generator) sendDue(now time.Time) error {
	for len(g.idle) > 0 && !g.allSent(now) {
		due := now
		if g.rate > 0 {
			if g.nextDue.After(now) {
				return g.wakeAt(g.nextDue.Sub(now))
			}
			due = g.nextDue
			gap := g.random.ExpFloat64() / g.rate
			g.nextDue = g.nextDue.Add(time.Duration(gap * float64(time.Second)))
		}
		free := g.idle[0]
		g.idle = g.idle[1:]
		if err := g.send(free, due, now); err != nil {
			return err
		}
		now = time.Now()
	}
	return nil
}

func (g *generator) send(c *connection, due, now time.Time) error {
	index := g.unique
	c.repeats = g.repeats > 0 && g.unique > repeatDistance && g.random.Float64() < g.repeats
	if c.repeats {
		index = g.random.IntN(g.unique - repeatDistance)
	} else {
		g.unique++
	}
	g.out = g.deliveries.appendRequest(g.out[:0], index, now)
	g.sent++
	c.busy, c.due, c.in = true, due, c.in[:0]
	couldSend := due
	if c.free.After(due) {
		couldSend = c.free
	}
	g.tally.sent(c.repeats, len(g.deliveries.body), now.Sub(couldSend))
	written, err := unix.Write(c.fd, g.out)
	if err != nil || written != len(g.out) {
		return fmt.Errorf("cannot send: %d of %d bytes, %w", written, len(g.out), err)
	}
	return nil
}

func (g *generator) receive(c *connection, now time.Time) error {
	if cap(c.in)-len(c.in) < 1024 {
		c.in = append(make([]byte, 0, 2*cap(c.in)+4096), c.in...)
	}
	count, err := unix.Read(c.fd, c.in[len(c.in):cap(c.in)])
	if errors.Is(err, unix.EAGAIN) {
		return nil
	}
	if err != nil || count == 0 {
		return fmt.Errorf("the contestant closed the connection after %d deliveries (%v)", g.sent, err)
	}
	c.in = c.in[:len(c.in)+count]
	result, status := readAnswer(c.in)
	if result == incomplete {
		return nil
	}
	if !c.busy || result == malformed {
		return fmt.Errorf("not an HTTP response: %q", c.in)
	}
	g.tally.answered(result, status, now.Sub(c.due))
	c.busy, c.free = false, now
	g.idle = append(g.idle, c)
	return nil
}

func (g *generator) wakeAt(after time.Duration) error {
	spec := unix.ItimerSpec{Value: unix.NsecToTimespec(after.Nanoseconds())}
	return unix.TimerfdSettime(g.timer, 0, &spec, nil)
}

func (g *generator) open() error {
	var err error
	if g.epoll, err = unix.EpollCreate1(0); err != nil {
		return err
	}
	if g.timer, err = unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_NONBLOCK); err != nil {
		return err
	}
	// Edge-triggered: the timer is set again without being read.
	watch := unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLET, Fd: timerSlot}
	if err = unix.EpollCtl(g.epoll, unix.EPOLL_CTL_ADD, g.timer, &watch); err != nil {
		return err
	}
	// Otherwise timers are up to 50 µs late.
	if err = unix.Prctl(unix.PR_SET_TIMERSLACK, 1, 0, 0, 0); err != nil {
		return err
	}
	for slot := range g.connections {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0)
		if err != nil {
			return err
		}
		if err := unix.Connect(fd, &unix.SockaddrInet4{Port: g.port, Addr: [4]byte{127, 0, 0, 1}}); err != nil {
			return fmt.Errorf("port %d: %w", g.port, err)
		}
		unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
		unix.SetNonblock(fd, true)
		watch := unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(slot)}
		if err := unix.EpollCtl(g.epoll, unix.EPOLL_CTL_ADD, fd, &watch); err != nil {
			return err
		}
		c := &connection{fd: fd}
		g.all = append(g.all, c)
		g.idle = append(g.idle, c)
	}
	return nil
}
