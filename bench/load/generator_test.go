package main

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"
)

// A contestant that responds at once, except during one pause.
func pausing(t *testing.T, after, pause time.Duration) int {
	var gate sync.RWMutex
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		gate.RLock()
		defer gate.RUnlock()
		io.WriteString(w, `{"status":"accepted"}`)
	}))
	t.Cleanup(server.Close)
	time.AfterFunc(after, func() {
		gate.Lock()
		time.Sleep(pause)
		gate.Unlock()
	})
	return server.Listener.Addr().(*net.TCPAddr).Port
}

func TestAPauseDelaysEveryDeliveryThatIsDueInIt(t *testing.T) {
	port := pausing(t, 500*time.Millisecond, 400*time.Millisecond)
	d := newDeliveries("/", "00", "topsecret")
	// 300 deliveries per second over 2 connections: about 120 are due in the pause, only 2 of them are sent in it.
	g := newGenerator(d, plan{port: port, connections: 2, rate: 300, seconds: 2, seed: 1})
	report, err := g.run()
	if err != nil {
		t.Fatal(err)
	}
	if report.Accepted != 600 || report.Unique != 600 {
		t.Fatalf("want 600 deliveries: %+v", report)
	}
	held := 0
	for _, micros := range g.tally.latencies {
		if micros > 50_000 {
			held++
		}
	}
	if held < 60 {
		t.Errorf("%d deliveries were delayed by the pause, want about 100: %+v", held, report.LatencyMs)
	}
}

func TestRepeatsAreCountedApart(t *testing.T) {
	d := newDeliveries("/", "00", "topsecret")
	g := newGenerator(d, plan{port: pausing(t, time.Hour, 0), connections: 8, count: 4000, repeats: 0.1, seed: 1})
	report, err := g.run()
	if err != nil {
		t.Fatal(err)
	}
	if report.Unique+report.Repeated != 4000 || report.Repeated < 300 || report.Repeated > 450 {
		t.Errorf("want 4000 deliveries, about a tenth of them repeats: %+v", report)
	}
}
