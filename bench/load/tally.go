package main

import (
	"slices"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// report is read by bench/load.ts. Times in seconds or milliseconds, as named.
type report struct {
	Unique     int            `json:"unique"`
	Repeated   int            `json:"repeated"`
	Accepted   int            `json:"accepted"`
	Duplicate  int            `json:"duplicate"`
	OtherOk    int            `json:"otherOk"`
	Refused    map[string]int `json:"refused"`
	BodyBytes  float64        `json:"bodyBytes"`
	Seconds    float64        `json:"seconds"`
	Throughput float64        `json:"throughput"`
	LatencyMs  quantiles      `json:"latencyMs"`
	// How late the generator itself sent although a connection was free: the possible error of the latencies.
	LateMs     quantiles `json:"lateMs"`
	CpuSeconds float64   `json:"cpuSeconds"`
}

type quantiles struct {
	P50  float64 `json:"p50"`
	P99  float64 `json:"p99"`
	P999 float64 `json:"p999"`
	Max  float64 `json:"max"`
}

// tally keeps every latency, in microseconds: exact quantiles cost four bytes per delivery.
type tally struct {
	latencies, lates []uint32
	repeated         int
	accepted         int
	duplicate        int
	otherOk          int
	refused          map[string]int
	bodyBytes        int
}

func newTally() tally {
	return tally{
		latencies: make([]uint32, 0, 1<<20),
		lates:     make([]uint32, 0, 1<<20),
		refused:   map[string]int{},
	}
}

func (t *tally) sent(repeat bool, bodyBytes int, late time.Duration) {
	if repeat {
		t.repeated++
	}
	t.bodyBytes += bodyBytes
	t.lates = append(t.lates, uint32(late.Microseconds()))
}

func (t *tally) answered(result verdict, status int, latency time.Duration) {
	t.latencies = append(t.latencies, uint32(latency.Microseconds()))
	switch result {
	case accepted:
		t.accepted++
	case duplicate:
		t.duplicate++
	case otherSuccess:
		t.otherOk++
	default:
		t.refused[strconv.Itoa(status)]++
	}
}

func (t *tally) report(g *generator, elapsed time.Duration) report {
	answers := len(t.latencies)
	return report{
		Unique:     g.unique,
		Repeated:   t.repeated,
		Accepted:   t.accepted,
		Duplicate:  t.duplicate,
		OtherOk:    t.otherOk,
		Refused:    t.refused,
		BodyBytes:  float64(t.bodyBytes) / float64(max(answers, 1)),
		Seconds:    elapsed.Seconds(),
		Throughput: float64(answers) / elapsed.Seconds(),
		LatencyMs:  quantilesOf(t.latencies),
		LateMs:     quantilesOf(t.lates),
		CpuSeconds: ownCpuSeconds(),
	}
}

func quantilesOf(micros []uint32) quantiles {
	if len(micros) == 0 {
		return quantiles{}
	}
	slices.Sort(micros)
	at := func(share float64) float64 {
		return float64(micros[min(int(share*float64(len(micros))), len(micros)-1)]) / 1000
	}
	return quantiles{P50: at(0.5), P99: at(0.99), P999: at(0.999), Max: at(1)}
}

func ownCpuSeconds() float64 {
	var usage unix.Rusage
	if unix.Getrusage(unix.RUSAGE_SELF, &usage) != nil {
		return 0
	}
	return float64(usage.Utime.Nano()+usage.Stime.Nano()) / 1e9
}
