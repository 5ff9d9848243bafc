package assertions

import (
	"context"
	"io"
	"net"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// What the canaries do so that faults show which nothing else has provoked by the end: limits are reached, a backend dies, an
// inspection sees what it acts on, a backend dials itself.

// knockAtOneself dials the frontend that takes the tester for its own backend, and waits to be let in or
// swallowed; the balancer notes which.
func knockAtOneself(ctx context.Context, t Target) {
	// Two seconds: what NATS clients and routes give a connect.
	limited, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	c, err := (&net.Dialer{}).DialContext(limited, "tcp", t.Canary.Self)
	if err != nil {
		return
	}
	defer c.Close()
	deadline, _ := limited.Deadline()
	_ = c.SetReadDeadline(deadline)
	manner(c)
}

// Fillable is the largest limit that the tester reaches by connections of its own: two descriptors each here
// and two in the balancer, of which a process has 20,000 or fewer.
const Fillable = 2000

// fill reaches the limits that nothing has reached so far, and lets a health check find a dead backend. It comes
// last: nobody else would get a connection meanwhile.
func fill(ctx context.Context, t Target, rec *Recorder) {
	for _, f := range families {
		size, err := strconv.Atoi(t.Terms.Settings[f.settings[0]])
		if !f.fills || err != nil || size > Fillable || rec.SawAny(f.acted) {
			continue
		}
		fillUp(ctx, t, rec, f, size)
	}
	for _, f := range families {
		value := t.Terms.Settings[f.settings[0]]
		if !f.down || value == "" || value == f.off || rec.SawAny(f.acted) && t.Terms.Settings["on-down"] == "" {
			continue
		}
		bereave(ctx, t, rec, f)
	}
}

// orphan is the canary whose backend is found dead.
const orphan = "orphan"

// bereave lets a health check find the tester's own backend dead, and looks what becomes of a connection to it.
func bereave(ctx context.Context, t Target, rec *Recorder, f family) {
	nest := build(ctx, t.Canary)
	near, far, err := nest.pair(ctx, t.Canary.Addr)
	nest.leave()
	if err != nil {
		rec.Add(Event{From: Probe, Kind: "unopened", Conn: orphan, Why: err.Error()})
	} else {
		defer near.Close()
		defer far.Close()
	}
	place := rec.Len()
	t.Canary.Backend.Close()
	t.Canary.Health.Close()
	limited, cancel := context.WithTimeout(ctx, t.Terms.Found+late)
	defer cancel()
	if _, down := rec.Await(limited, place, f.acted); !down || err != nil {
		return
	}
	began := time.Now()
	_ = near.SetReadDeadline(began.Add(late))
	if how := manner(near); how != "" {
		rec.Add(Event{From: Probe, Kind: "ended", Conn: orphan, How: how, Took: time.Since(began)})
	} else {
		rec.Add(Event{From: Probe, Kind: "kept", Conn: orphan})
	}
}

// provoke says what an inspection is to act on, where nodes have not said it.
func provoke(ctx context.Context, t Target, rec *Recorder) {
	f := *familyOf("inspection")
	if len(t.Canary.Provoke) == 0 || rec.SawAny(f.acted) {
		return
	}
	nest := build(ctx, t.Canary)
	defer nest.leave()
	near, far, err := nest.pair(ctx, t.Canary.Addr)
	if err != nil {
		rec.Add(Event{From: Probe, Kind: "unopened", Conn: "provoking", Why: err.Error()})
		return
	}
	var reading sync.WaitGroup
	defer reading.Wait()
	defer near.Close()
	defer far.Close()
	reading.Go(func() { _, _ = io.Copy(io.Discard, far) })
	limited, cancel := context.WithTimeout(ctx, 5*time.Second) // far more than some megabytes take on one machine
	defer cancel()
	deadline, _ := limited.Deadline()
	_ = near.SetWriteDeadline(deadline)
	_, _ = near.Write(t.Canary.Provoke) // an end in the middle of it is what it is for
	rec.Await(limited, 0, f.acted)
}

// fillers is how many dial side by side to reach a limit: a thousand one after the other take seconds on a busy machine.
const fillers = 16

// fillUp opens connections until the limit shows, and keeps them from being idle: a timeout shortened to a second would end
// the first before the last of a thousand is open.
func fillUp(ctx context.Context, t Target, rec *Recorder, f family, size int) {
	nest := build(ctx, t.Canary)
	defer nest.leave()
	limited, cancel := context.WithTimeout(ctx, 10*time.Second) // 2,000 connections take well below one
	defer cancel()
	var mu sync.Mutex
	var near []net.Conn
	defer func() {
		for _, c := range near {
			c.Close()
		}
	}()
	var held sync.WaitGroup
	defer held.Wait()
	defer cancel()
	held.Go(func() {
		var far []net.Conn
		defer func() {
			for _, c := range far {
				c.Close()
			}
		}()
		var often <-chan time.Time                   // four times within the timeout, so that a late one does no harm
		if t.Terms.Idle > 0 && t.Canary.TLS == nil { // a byte in the clear would end what is to be TLS
			ticker := time.NewTicker(t.Terms.Idle / 4)
			defer ticker.Stop()
			often = ticker.C
		}
		for {
			select {
			case c := <-nest.accepted:
				far = append(far, c)
			case <-often:
				mu.Lock()
				all := append(slices.Clone(near), far...)
				mu.Unlock()
				for _, c := range all {
					_, _ = c.Write([]byte{0}) // one that has ended meanwhile is not kept
				}
			case <-limited.Done():
				return
			}
		}
	})
	place := rec.Len()
	var left atomic.Int64
	left.Store(int64(2*size + 1)) // a rate shows only beyond what it lets through meanwhile
	var dialling sync.WaitGroup
	for range fillers {
		dialling.Go(func() {
			for left.Add(-1) >= 0 && !rec.SawAny(f.acted) {
				c, err := (&net.Dialer{}).DialContext(limited, "tcp", t.Canary.Addr)
				if err != nil {
					return
				}
				mu.Lock()
				near = append(near, c)
				mu.Unlock()
				if len(t.Canary.Knock) > 0 {
					_, _ = c.Write(t.Canary.Knock)
				}
			}
		})
	}
	dialling.Wait()
	if rec.SawAny(f.acted) {
		return
	}
	waited, enough := context.WithTimeout(limited, 2*time.Second)
	defer enough()
	rec.Await(waited, place, f.acted)
}
