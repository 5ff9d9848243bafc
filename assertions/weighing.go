package assertions

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
)

const (
	// weighed is how many R3 streams are published to while the links are weighed.
	weighed = 6
	// weight is the payload of each message. Half of what crosses for such a one is not payload, replicas counted; with a
	// kilobyte, connections that were made again every second hardly showed. It is random: leaf nodes compress where a round trip
	// took 10 ms or more when they connected (s2_auto, the default), which a busy machine makes of some.
	weight = 256
)

// weighing publishes at one rate to streams for some time, through the event, and writes what of it was acknowledged, so
// that it can be held against what crossed the balancer. It has a lab of its own: nothing else may cross.
var weighing = &Observation{Name: "weighing", Own: true, JetStream: true, Strikes: true,
	Takes: func(t Terms) time.Duration { return weighingTime(t) + 10*time.Second },
	Watch: func(ctx context.Context, t Target, rec *Recorder) error {
		r, err := replicate(t, rec, "B", weighed)
		if err != nil {
			return err
		}
		defer r.close()
		if !r.create(ctx) {
			return t.Control.Strike(ctx)
		}
		w := &scales{replicated: r}
		for i := range r.names {
			if err := w.listen(i); err != nil {
				return err
			}
		}
		watched, enough := context.WithCancel(ctx)
		var wg sync.WaitGroup
		defer wg.Wait()
		defer enough()
		wg.Go(func() { w.publish(watched) })
		wg.Go(func() { sampleAccounts(watched, t, rec) })
		half := weighingTime(t.Terms) / 2
		rest(ctx, half)
		if err := t.Control.Strike(ctx); err != nil {
			return err
		}
		rest(ctx, half)
		enough()
		wg.Wait()
		rest(ctx, settle) // acks under way
		w.report()
		return ctx.Err()
	}}

// weighingTime is how long is published, beside the event: long enough for several generations of connections.
func weighingTime(t Terms) time.Duration {
	return max(10*time.Second, min(3*max(t.Idle, t.Lifetime), time.Minute))
}

type scales struct {
	*replicated

	mu    sync.Mutex
	said  int
	acked int
}

// listen counts the acks of stream i.
func (w *scales) listen(i int) error {
	nc := w.at[w.neighbour(i)]
	if _, err := nc.Subscribe("weighed."+w.names[i], func(m *nats.Msg) {
		if m.Header.Get("Status") == "" && bytes.Contains(m.Data, []byte(`"seq"`)) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.acked++
		}
	}); err != nil {
		return fmt.Errorf("listening for acks of %s: %w", w.names[i], err)
	}
	return nc.Flush()
}

func (w *scales) publish(ctx context.Context) {
	payload := make([]byte, weight)
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		for i, name := range w.names {
			w.mu.Lock()
			w.said++
			w.mu.Unlock()
			_, _ = rand.Read(payload) // never fails
			// What is not heard is not acknowledged.
			_ = w.at[w.neighbour(i)].PublishRequest("to."+name, "weighed."+name, payload)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

func (w *scales) report() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.rec.Add(Event{From: Client, Kind: "weighed", Seq: w.said, Count: w.acked, Bytes: int64(w.acked) * weight})
}

// sampleAccounts writes, once a second, which connections between servers carry one account alone: those of the system
// account carry what Raft says, which is all that streams replicate. Of gateways and leaf nodes nobody can tell.
func sampleAccounts(ctx context.Context, t Target, rec *Recorder) {
	known := map[string]bool{}
	_ = every(ctx, time.Second, func() bool {
		for _, n := range t.Nodes {
			var r routez
			if ask(ctx, n, "/routez", &r) != nil {
				continue
			}
			for _, c := range r.Routes {
				addr := hostPort(c.IP, c.Port)
				if !known[n.Name+addr+c.Account] {
					known[n.Name+addr+c.Account] = true
					rec.Add(Event{From: Server, Kind: "carries", Node: n.Name, Peer: c.Peer, Account: c.Account, Addr: addr})
				}
			}
		}
		return false
	})
}
