package assertions

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// rollingStream is what the publisher writes to while the nodes are restarted.
const rollingStream = "ROLLING"

// rolling restarts all nodes as an operator does who is careful, one after the other: out of rotation, the drain time, an orderly
// stop, a start, healthy, back into rotation. A publisher to an R3 stream and a subscriber, both through the balancer,
// live through it.
var rolling = &Observation{Name: "rolling", Own: true, Rotates: true, JetStream: true,
	Takes: func(t Terms) time.Duration { return time.Duration(len(t.Nodes)) * (t.Drain + 10*time.Second) },
	Watch: func(ctx context.Context, t Target, rec *Recorder) error {
		account, ok := t.jetStream()
		if !ok {
			return errors.New("restarting the nodes: the target has no account with JetStream")
		}
		var apps [2]*app
		for i, name := range []string{"publisher", "subscriber"} {
			p, err := t.open(rec, account, name)
			if err != nil {
				rec.Add(Event{From: Client, Kind: "unconnected", App: name, Why: err.Error()})
				return ctx.Err()
			}
			defer p.Close()
			apps[i] = p
		}
		if err := makeRollingStream(ctx, apps[0].Conn, t.Terms.sites()[0]); err != nil {
			rec.Add(Event{From: Client, Kind: "no-stream", Stream: rollingStream, Why: err.Error()})
			return ctx.Err()
		}
		r := &roll{t: t, rec: rec, publisher: apps[0], subscriber: apps[1]}
		if err := r.listen(); err != nil {
			return err
		}
		publish, end := context.WithCancel(ctx)
		var publishing sync.WaitGroup
		publishing.Go(func() { r.publish(publish) })
		defer publishing.Wait()
		defer end()
		rest(ctx, time.Second) // what is usual
		for i, n := range t.Nodes {
			rec.Add(Event{From: Lab, Kind: "step-begin", Node: n.Name, Seq: i + 1})
			if err := r.step(ctx, n); err != nil {
				return fmt.Errorf("restarting %s: %w", n.Name, err)
			}
			rec.Add(Event{From: Lab, Kind: "step-over", Node: n.Name, Seq: i + 1})
		}
		end()
		publishing.Wait()
		return r.readBack(ctx, account)
	}}

// makeRollingStream makes the stream, in one cluster, within the time that NATS has for becoming ready.
func makeRollingStream(ctx context.Context, nc *nats.Conn, at site) error {
	js, err := jetstream.New(nc)
	if err != nil {
		return err
	}
	limited, cancel := context.WithTimeout(ctx, back)
	defer cancel()
	until(limited, func() bool {
		// Two seconds: a create that is heard takes tens of milliseconds.
		asked, cancel := context.WithTimeout(limited, 2*time.Second)
		defer cancel()
		_, err = js.CreateOrUpdateStream(asked, jetstream.StreamConfig{Name: rollingStream, Subjects: []string{"rolling"}, Replicas: len(at.Nodes), Placement: at.placement(), Storage: jetstream.FileStorage})
		return err == nil
	})
	return err
}

type roll struct {
	t                     Target
	rec                   *Recorder
	publisher, subscriber *app
	sent                  int // by publish alone, until it has ended

	mu           sync.Mutex
	acked, heard time.Duration // when the latest was
}

func (r *roll) listen() error {
	_, err := r.publisher.Subscribe("rolled.*", func(m *nats.Msg) {
		seq, err := strconv.Atoi(strings.TrimPrefix(m.Subject, "rolled."))
		if err != nil {
			return
		}
		e := Event{At: r.rec.Now(), From: Client, Kind: "acked", App: r.publisher.name, Stream: rollingStream, Seq: seq}
		if !strings.Contains(string(m.Data), `"seq"`) || strings.Contains(string(m.Data), `"error"`) {
			e.Kind, e.Why = "refused", string(m.Data)
		} else {
			r.mu.Lock()
			r.acked = e.At
			r.mu.Unlock()
		}
		r.rec.Add(e)
	})
	if err == nil {
		_, err = r.subscriber.Subscribe("rolling", func(*nats.Msg) {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.heard = r.rec.Now()
		})
	}
	if err == nil {
		err = errors.Join(r.publisher.FlushTimeout(back), r.subscriber.FlushTimeout(back))
	}
	if err != nil {
		return fmt.Errorf("listening through the balancer: %w", err)
	}
	return nil
}

// publish sends a message each 50 ms without waiting for acks, so that one that is late does not hide those after it.
func (r *roll) publish(ctx context.Context) {
	every(ctx, telling, func() bool {
		r.sent++
		// While it is disconnected, nats.go keeps messages and sends them later.
		_ = r.publisher.PublishRequest("rolling", "rolled."+strconv.Itoa(r.sent), []byte(strconv.Itoa(r.sent)))
		return false
	})
}

// step restarts one node and waits until nobody notices it any more.
func (r *roll) step(ctx context.Context, n Node) error {
	control := r.t.Control
	if err := control.Remove(n.Name); err != nil {
		return err
	}
	if r.t.Terms.Drain > 0 {
		rest(ctx, r.t.Terms.Drain+time.Second) // an operator waits until nothing is left
		r.calm(ctx)
	}
	if err := control.Stop(n.Name); err != nil {
		return err
	}
	if err := control.Start(ctx, n.Name); err != nil {
		return err
	}
	limited, cancel := context.WithTimeout(ctx, back)
	defer cancel()
	if !until(limited, func() bool { return ask(limited, n, "/healthz", &struct{}{}) == nil }) {
		return fmt.Errorf("not healthy %s after its start", spoken(back))
	}
	if err := control.Restore(n.Name); err != nil {
		return err
	}
	r.calm(ctx)
	return ctx.Err()
}

// calm waits until both applications are served, and then a second, so that each step's gap is its own.
func (r *roll) calm(ctx context.Context) {
	limited, cancel := context.WithTimeout(ctx, back)
	defer cancel()
	kind := "served"
	if !until(limited, func() bool {
		r.mu.Lock()
		defer r.mu.Unlock()
		soon := r.rec.Now() - 10*telling
		return r.publisher.IsConnected() && r.subscriber.IsConnected() && r.acked > soon && r.heard > soon
	}) {
		kind = "unserved"
	}
	r.rec.Add(Event{From: Client, Kind: kind})
	rest(ctx, time.Second)
}

// readBack reads the stream from its beginning, past the balancer.
func (r *roll) readBack(ctx context.Context, a Account) error {
	rest(ctx, time.Second) // acks under way
	r.rec.Add(Event{From: Client, Kind: "published", Stream: rollingStream, Count: r.sent})
	nc, err := r.t.connect(r.t.Nodes[0], a)
	if err != nil {
		return err
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		return err
	}
	limited, cancel := context.WithTimeout(ctx, back)
	defer cancel()
	stream, err := js.Stream(limited, rollingStream)
	if err == nil {
		var info *jetstream.StreamInfo
		if info, err = stream.Info(limited); err == nil {
			for at := info.State.FirstSeq; at <= info.State.LastSeq && at > 0 && err == nil; at++ {
				var m *jetstream.RawStreamMsg
				if m, err = stream.GetMsg(limited, at); errors.Is(err, jetstream.ErrMsgNotFound) {
					err = nil // the judge misses it, if it was acknowledged
					continue
				}
				if err == nil {
					seq, _ := strconv.Atoi(string(m.Data))
					r.rec.Add(Event{From: Client, Kind: "read", Stream: rollingStream, Seq: seq})
				}
			}
		}
	}
	if err != nil && ctx.Err() == nil {
		r.rec.Add(Event{From: Client, Kind: "unreadable", Stream: rollingStream, Why: err.Error()})
	}
	return ctx.Err()
}
