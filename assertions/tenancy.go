package assertions

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
)

// tenants is how many clients are watched through the loss of a node: two a node, so that some are its and most are not.
const tenants = 6

// telling is how often a tenant is told something: its time without service is known to that precision.
const telling = 50 * time.Millisecond

// tenancy keeps clients served through the event: every node says the same thing, so that whichever node a client is
// connected to can deliver it. It writes each client's longest time without a message (served), the messages that it
// missed while it was connected (missed), and who is without service at the end (unserved).
var tenancy = &Observation{Name: "tenancy", Strikes: true, Watch: func(ctx context.Context, t Target, rec *Recorder) error {
	var all []*tenant
	defer func() {
		for _, one := range all {
			one.Close()
		}
	}()
	for i := range tenants {
		one, err := t.tenant(rec, "tenant "+strconv.Itoa(i+1))
		if err != nil {
			rec.Add(Event{From: Client, Kind: "unconnected", App: "tenant " + strconv.Itoa(i+1), Why: err.Error()})
			return t.Control.Strike(ctx)
		}
		all = append(all, one)
	}
	audible, enough := context.WithCancel(ctx)
	var tellers sync.WaitGroup
	defer tellers.Wait()
	defer enough()
	said := &sayings{}
	for _, n := range t.Nodes {
		nc, err := t.connect(n, t.plain()[0])
		if err != nil {
			return err
		}
		defer nc.Close()
		tellers.Go(func() { said.tell(audible, nc) })
	}
	tellers.Go(func() { said.count(audible, rec) })
	rest(ctx, time.Second) // what is usual
	if err := t.Control.Strike(ctx); err != nil {
		return err
	}
	over := rec.Now()
	limited, cancel := context.WithTimeout(ctx, back)
	defer cancel()
	// Three seconds: whoever is cut at the end of the event is away for two.
	served := until(limited, func() bool {
		for _, one := range all {
			if !one.isServed(rec) {
				return false
			}
		}
		return rec.Now()-over > 3*time.Second
	})
	if ctx.Err() != nil {
		return ctx.Err()
	}
	enough()
	tellers.Wait()
	rest(ctx, settle) // what is under way
	for _, one := range all {
		one.report(rec, said)
		if !served && !one.isServed(rec) {
			rec.Add(Event{From: Client, Kind: "unserved", App: one.name})
		}
	}
	return ctx.Err()
}}

// sayings are what is told to all, by number from 1.
type sayings struct {
	mu   sync.Mutex
	last int
	at   []time.Duration
}

// count takes the next number every 50 ms.
func (s *sayings) count(ctx context.Context, rec *Recorder) {
	every(ctx, telling, func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.last++
		s.at = append(s.at, rec.Now())
		return false
	})
}

// tell publishes each number from one node. One that is away cannot, and others can.
func (s *sayings) tell(ctx context.Context, nc *nats.Conn) {
	told := 0
	every(ctx, telling/5, func() bool {
		s.mu.Lock()
		last := s.last
		s.mu.Unlock()
		for ; told < last; told++ {
			if nc.IsConnected() {
				_ = nc.Publish("tenancy", []byte(strconv.Itoa(told+1)))
			}
		}
		_ = nc.FlushTimeout(telling) // one that is away or stands still is not waited for
		return false
	})
}

type tenant struct {
	*app
	began time.Duration

	mu      sync.Mutex
	heard   map[int]time.Duration
	latest  time.Duration
	longest time.Duration
	since   time.Duration // when the longest gap began
}

func (t Target) tenant(rec *Recorder, name string) (*tenant, error) {
	p, err := t.open(rec, t.plain()[0], name)
	if err != nil {
		return nil, err
	}
	one := &tenant{app: p, heard: map[int]time.Duration{}}
	_, err = p.Subscribe("tenancy", func(m *nats.Msg) {
		n, err := strconv.Atoi(string(m.Data))
		if err != nil {
			return
		}
		now := rec.Now()
		one.mu.Lock()
		defer one.mu.Unlock()
		if _, again := one.heard[n]; again {
			return
		}
		one.heard[n] = now
		if gap := now - one.latest; one.latest > 0 && gap > one.longest {
			one.longest, one.since = gap, one.latest
		}
		one.latest = now
	})
	if err == nil {
		err = p.FlushTimeout(back)
	}
	if err != nil {
		p.Close()
		return nil, fmt.Errorf("subscribing %s: %w", name, err)
	}
	one.began = rec.Now()
	return one, nil
}

// isServed reports whether something was heard just now.
func (t *tenant) isServed(rec *Recorder) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.latest > 0 && rec.Now()-t.latest < 10*telling
}

// report writes what was heard, and what was not although the client was connected well before and after: half a
// second around the end of a connection belongs to that end.
func (t *tenant) report(rec *Recorder, s *sayings) {
	const around = 500 * time.Millisecond
	up := []time.Duration{t.began}
	var down []time.Duration
	for _, e := range rec.Events() {
		switch {
		case e.App != t.name:
		case e.Kind == "disconnected":
			down = append(down, e.At)
		case e.Kind == "reconnected":
			up = append(up, e.At)
		}
	}
	connected := func(at time.Duration) bool {
		for i, from := range up {
			to := rec.Now()
			if i < len(down) {
				to = down[i]
			}
			if at > from+around && at < to-around {
				return true
			}
		}
		return false
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	if open := rec.Now() - t.latest; open > max(t.longest, back) {
		t.longest, t.since = open, t.latest // it has not ended
	}
	missed := 0
	for i, at := range s.at {
		if _, ok := t.heard[i+1]; !ok && connected(at) {
			missed++
		}
	}
	rec.Add(Event{From: Client, Kind: "served", App: t.name, Count: len(t.heard), Took: t.longest})
	if missed > 0 {
		rec.Add(Event{At: t.since, From: Client, Kind: "missed", App: t.name, Count: missed})
	}
}
