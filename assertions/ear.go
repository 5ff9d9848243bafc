package assertions

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// The kinds of consumers, which the applications that have them are called by.
const (
	pullKind    = "pull"
	pushKind    = "push"
	orderedKind = "ordered"
	watcherKind = "watcher"
)

const (
	// redelivery is how long a consumer has for its ack. The default is 30 s: all the time that a lab has for recovering.
	redelivery = 5 * time.Second
	// pushBeat is how often a push consumer is told that nothing is new: nats.go's choice for ordered ones.
	pushBeat = 5 * time.Second
)

// streamPublisher begins the names of the applications that publish to streams, streamKeeper is that of the one that writes
// to the bucket.
const (
	streamPublisher = "stream-publisher-"
	streamKeeper    = "stream-keeper"
)

// ofPipeline tells the events of applications that use streams from those of others in the same lab.
func ofPipeline(e Event) bool {
	return strings.HasPrefix(e.App, streamPublisher) || slices.Contains([]string{streamKeeper, pullKind, pushKind, orderedKind, watcherKind}, e.App)
}

// ear is one consumer, and what reached it.
type ear struct {
	app, stream string
	heard       map[int]bool   // numbers
	keys        map[string]int // of a watcher: the latest number of each key
}

// listen starts two consumers of each kind, and the watcher.
func (p *pipeline) listen(ctx context.Context, apps []*app) bool {
	limited, cancel := context.WithTimeout(ctx, entering)
	defer cancel()
	var wg sync.WaitGroup
	started := make([]error, len(p.names)+1)
	for i := range started {
		app, stream := apps[len(apps)-1], bucketName
		if i < len(p.names) {
			app, stream = apps[i%(len(apps)-1)], p.names[i]
		}
		e := &ear{app: app.name, stream: stream, heard: map[int]bool{}, keys: map[string]int{}}
		p.ears = append(p.ears, e)
		wg.Go(func() {
			started[i] = errors.New("not tried")
			until(limited, func() bool { started[i] = p.consume(ctx, limited, app, e); return started[i] == nil })
			if started[i] != nil {
				p.rec.Add(Event{From: Client, Kind: "unconsumed", App: e.app, Stream: e.stream, Why: started[i].Error()})
				return
			}
			p.rec.Add(Event{From: Client, Kind: "consuming", App: e.app, Stream: e.stream})
		})
	}
	wg.Wait()
	return errors.Join(started...) == nil
}

// consume starts a consumer, which ends with its connection, or with ctx.
func (p *pipeline) consume(ctx, asking context.Context, a *app, e *ear) error {
	js, err := jetstream.New(a.Conn)
	if err != nil {
		return err
	}
	asked, cancel := context.WithTimeout(asking, 2*time.Second) // as for a stream: better asked again
	defer cancel()
	durable := jetstream.ConsumerConfig{Durable: "lbtest-" + e.app, AckPolicy: jetstream.AckExplicitPolicy, AckWait: redelivery}
	switch e.app {
	case pullKind:
		c, err := js.CreateOrUpdateConsumer(asked, e.stream, durable)
		if err != nil {
			return fmt.Errorf("making a pull consumer: %w", err)
		}
		if err := reachable(asked, a, e.stream, durable.Durable); err != nil {
			return fmt.Errorf("asking a pull consumer for nothing: %w", err)
		}
		_, err = c.Consume(func(m jetstream.Msg) { p.heard(e, m); _ = m.Ack() }) // an ack that is lost has its message come again
		return err
	case pushKind:
		durable.DeliverSubject, durable.IdleHeartbeat = "lbtest.push."+e.stream, pushBeat
		c, err := js.CreateOrUpdatePushConsumer(asked, e.stream, durable)
		if err != nil {
			return fmt.Errorf("making a push consumer: %w", err)
		}
		_, err = c.Consume(func(m jetstream.Msg) { p.heard(e, m); _ = m.Ack() })
		return err
	case orderedKind:
		c, err := js.OrderedConsumer(asked, e.stream, jetstream.OrderedConsumerConfig{})
		if err != nil {
			return fmt.Errorf("making an ordered consumer: %w", err)
		}
		_, err = c.Consume(func(m jetstream.Msg) { p.heard(e, m) })
		return err
	}
	bucket, err := js.KeyValue(asked, e.stream)
	if err != nil {
		return fmt.Errorf("finding the bucket: %w", err)
	}
	w, err := bucket.WatchAll(ctx)
	if err != nil {
		return fmt.Errorf("watching the bucket: %w", err)
	}
	go p.watch(e, w)
	return nil
}

// reachable asks a pull consumer, which has nothing yet, for a message until it answers. That a consumer is made is told over
// the system account's route, that its leader listens for pulls over the account's: who pulls before the latter came is told
// that nobody listens, which nats.go's Consume leaves at that (jetstream/pull.go handleStatusMsg) until it misses two
// heartbeats: 30 s, a stall that no balancer has a part in.
func reachable(ctx context.Context, a *app, stream, consumer string) error {
	var err error
	if !every(ctx, 50*time.Millisecond, func() bool {
		asked, cancel := context.WithTimeout(ctx, 250*time.Millisecond) // an answer takes a few milliseconds
		defer cancel()
		_, err = a.RequestWithContext(asked, "$JS.API.CONSUMER.MSG.NEXT."+stream+"."+consumer, []byte(`{"batch":1,"no_wait":true}`))
		return err == nil
	}) {
		return err
	}
	return nil
}

// heard writes down a message that reached a consumer: its number, its place in the stream, and whether it came again.
func (p *pipeline) heard(e *ear, m jetstream.Msg) {
	meta, err := m.Metadata()
	seq, wrong := strconv.Atoi(string(m.Data()))
	if err != nil || wrong != nil {
		p.rec.Add(Event{From: Client, Kind: "unintelligible", App: e.app, Stream: e.stream, Why: errors.Join(err, wrong).Error()})
		return
	}
	how := ""
	if meta.NumDelivered > 1 {
		how = "again"
	}
	p.rec.Add(Event{From: Client, Kind: "consumed", App: e.app, Stream: e.stream, Seq: seq, Count: int(meta.Sequence.Stream), How: how})
	p.mu.Lock()
	defer p.mu.Unlock()
	e.heard[seq] = true
}

// watch writes down what reaches a watcher until it ends.
func (p *pipeline) watch(e *ear, w jetstream.KeyWatcher) {
	for entry := range w.Updates() {
		if entry == nil {
			continue // all that was there before has been seen
		}
		seq, err := strconv.Atoi(string(entry.Value()))
		if err != nil {
			p.rec.Add(Event{From: Client, Kind: "unintelligible", App: e.app, Stream: e.stream, Why: err.Error()})
			continue
		}
		p.rec.Add(Event{From: Client, Kind: "consumed", App: e.app, Stream: e.stream, What: entry.Key(), Seq: seq, Count: int(entry.Revision())})
		p.mu.Lock()
		e.keys[entry.Key()] = seq
		p.mu.Unlock()
	}
}
