package assertions

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// The times at which streams are made.
const (
	placedBefore = "before"
	placedDuring = "during"
	placedAfter  = "after"
)

// placing makes a stream of one replica and one of three in each cluster, and a consumer of each, before the event, as it
// begins, and when it is over. Whoever asks sits beyond the balanced link.
var placing = &Observation{Name: "placing", JetStream: true, Strikes: true, Watch: func(ctx context.Context, t Target, rec *Recorder) error {
	p, err := openPlacer(t, rec)
	if err != nil {
		return err
	}
	defer p.close()
	limit := back
	if !rec.Saw(Server, "mesh-full") {
		limit = 10 * time.Second // as for the streams: thirty seconds were not enough for the links
	}
	if !p.round(ctx, placedBefore, limit) {
		// Never ready is an observation: the judge says what it means.
		return t.Control.Strike(ctx)
	}
	if t.Terms.Idle > 0 {
		rest(ctx, t.Terms.Lull()) // what an idle timeout does shows after a spell in which nobody asks
	}
	var during sync.WaitGroup
	begun, cancel := context.WithCancel(ctx)
	defer during.Wait()
	defer cancel()
	if len(t.Terms.Strikes) > 0 {
		place := rec.Len()
		during.Go(func() {
			if _, ok := rec.Await(begun, place, func(e Event) bool { return e.From == Lab && e.Kind == "strike-begin" }); ok {
				p.round(ctx, placedDuring, t.Terms.Event+back)
			}
		})
	}
	if err := t.Control.Strike(ctx); err != nil {
		return err
	}
	p.round(ctx, placedAfter, back)
	return ctx.Err()
}}

// placer is a client of the tester's at every node that asks for streams.
type placer struct {
	t   Target
	rec *Recorder
	at  map[string]*nats.Conn
}

func openPlacer(t Target, rec *Recorder) (*placer, error) {
	account, ok := t.jetStream()
	if !ok {
		return nil, errors.New("placing streams: the target has no account with JetStream")
	}
	p := &placer{t: t, rec: rec, at: map[string]*nats.Conn{}}
	for _, n := range t.Nodes {
		nc, err := t.connect(n, account)
		if err != nil {
			p.close()
			return nil, err
		}
		p.at[n.Name] = nc
	}
	return p, nil
}

func (p *placer) close() {
	for _, nc := range p.at {
		nc.Close()
	}
}

// round makes one stream of each kind in each cluster, and reports whether all were made.
func (p *placer) round(ctx context.Context, when string, limit time.Duration) bool {
	limited, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	var wg sync.WaitGroup
	sites := p.t.Terms.sites()
	made := make([]bool, 2*len(sites))
	for i, s := range sites {
		for j, replicas := range []int{1, len(s.Nodes)} {
			wg.Go(func() { made[2*i+j] = p.place(limited, when, s, replicas, s.beyond[j%len(s.beyond)]) })
		}
	}
	wg.Wait()
	for _, ok := range made {
		if !ok {
			return false
		}
	}
	return true
}

// place makes a stream and its consumer, asked for at a node, until it is there or the context ends.
func (p *placer) place(ctx context.Context, when string, s site, replicas int, by string) bool {
	name := fmt.Sprintf("W-%s-%sR%d", when, s.Name, replicas)
	began := p.rec.Now()
	var err error
	ok := until(ctx, func() bool { err = p.placeOne(ctx, s, name, replicas, by); return err == nil })
	e := Event{From: Client, Kind: "placed", Stream: name, Node: by, How: when, Count: replicas, Took: p.rec.Now() - began}
	if !ok {
		e.Kind, e.Why = "unplaced", err.Error()
	}
	p.rec.Add(e)
	return ok
}

func (p *placer) placeOne(ctx context.Context, s site, name string, replicas int, by string) error {
	asked, cancel := context.WithTimeout(ctx, 2*time.Second) // one that finds no leader is better asked again
	defer cancel()
	js, err := s.api(p.at[by])
	if err != nil {
		return err
	}
	if _, err := js.CreateOrUpdateStream(asked, jetstream.StreamConfig{Name: name, Subjects: []string{"placed." + name}, Replicas: replicas, Placement: s.placement()}); err != nil {
		return fmt.Errorf("making stream %s: %w", name, err)
	}
	if _, err := js.CreateOrUpdateConsumer(asked, name, jetstream.ConsumerConfig{Durable: "C1", AckPolicy: jetstream.AckExplicitPolicy}); err != nil {
		return fmt.Errorf("making a consumer of %s: %w", name, err)
	}
	return nil
}
