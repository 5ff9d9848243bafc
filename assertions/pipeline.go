package assertions

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

const (
	// pipes is how many R3 streams the applications use: two for each kind of consumer, and with the bucket's own more
	// than the five that the contract asks for.
	pipes = 6
	// publishers is how many applications publish to them, two streams each.
	publishers = 3
	// entering is how long applications have for their first connection: five times nats.go's own timeout.
	entering = 10 * time.Second
)

// pipelining is JetStream as applications use it, every connection through the balancer: publishers that wait for their
// acks and say a message again under its id, pull, push and ordered consumers, and a watcher of a bucket. In the end
// the tester reads everything back past the balancer.
//
//	publish 2 s │ (pause, if the balancer ends quiet connections) │ strike │ publish until all flows │ catch up │ read back
var pipelining = &Observation{Name: "pipeline", JetStream: true, Strikes: true,
	Takes: func(t Terms) time.Duration { return silence(t) + 3*t.Lifetime + 10*time.Second },
	Watch: func(ctx context.Context, t Target, rec *Recorder) error {
		p, err := openPipeline(ctx, t, rec)
		if err != nil {
			return err
		}
		defer p.close()
		if p.bucket == nil || !p.begin(ctx) {
			// Never ready and never connected are observations: the judges say what they mean.
			return t.Control.Strike(ctx)
		}
		stop := p.publishing(ctx)
		defer func() { stop(0) }()
		// Two seconds before the event show what is usual.
		rest(ctx, 2*time.Second)
		if t.Terms.Idle > 0 {
			stop(2 * publishWait)
			p.pause(ctx)
			stop = p.publishing(ctx)
		}
		if err := t.Control.Strike(ctx); err != nil {
			return err
		}
		if p.recover(ctx) {
			stop(2 * publishWait)
		} else {
			stop(0) // it had its 30 s
		}
		p.finish(ctx)
		return ctx.Err()
	}}

// silence is how long nobody publishes: whatever timer of the balancer's can pass passes within twice its time, since a
// ping or heartbeat that puts it off comes again no sooner than after the whole of it.
func silence(t Terms) time.Duration { return 2*t.Idle + t.Idle/4 }

// pipeline is the streams, the bucket and the applications that use them.
type pipeline struct {
	*replicated
	bucket  jetstream.KeyValue // past the balancer; nil if the streams or it never were ready
	writers []*pipeWriter
	keeper  *bucketKeeper
	apps    []*app

	mu      sync.Mutex
	acks    map[string]map[int]bool  // stream → the numbers that were acknowledged
	lastAck map[string]time.Duration // stream → when the newest ack came
	ears    []*ear
}

// openPipeline makes the streams and the bucket, past the balancer.
func openPipeline(ctx context.Context, t Target, rec *Recorder) (*pipeline, error) {
	r, err := replicate(t, rec, "P", pipes)
	if err != nil {
		return nil, err
	}
	p := &pipeline{replicated: r, acks: map[string]map[int]bool{}, lastAck: map[string]time.Duration{}}
	for _, name := range p.names {
		p.acks[name] = map[int]bool{}
	}
	if !p.create(ctx) {
		return p, nil
	}
	limited, cancel := context.WithTimeout(ctx, back)
	defer cancel()
	until(limited, func() bool {
		p.bucket, err = p.createBucket(limited)
		return err == nil
	})
	if err != nil {
		rec.Add(Event{From: Client, Kind: "no-stream", Stream: bucketName, Why: err.Error()})
	}
	return p, nil
}

// bucketName is the bucket's, and what its consumer is said to consume.
const bucketName = "lbtest"

// createBucket makes the stream of a bucket as nats.go does, with two exceptions. It asks for no duplicate window: nats.go asks
// for two minutes, which servers refuse that allow less. And it allows no direct reading: any replica answers that, one that
// is a moment behind as well, and what the bucket holds in the end is what watchers are held against.
func (p *pipeline) createBucket(ctx context.Context) (jetstream.KeyValue, error) {
	js, err := jetstream.New(p.at[p.home(0)])
	if err != nil {
		return nil, err
	}
	asked, cancel := context.WithTimeout(ctx, 2*time.Second) // as for a stream: better asked again
	defer cancel()
	at, _ := p.site(0)
	if _, err := js.CreateOrUpdateStream(asked, jetstream.StreamConfig{Name: "KV_" + bucketName, Subjects: []string{"$KV." + bucketName + ".>"},
		MaxMsgsPerSubject: 1, Discard: jetstream.DiscardNew, AllowRollup: true, DenyDelete: true,
		Replicas: len(at.Nodes), Placement: at.placement()}); err != nil {
		return nil, err
	}
	return js.KeyValue(asked, bucketName)
}

func (p *pipeline) close() {
	for _, a := range p.apps {
		a.leave()
	}
	p.replicated.close()
}

// begin connects the applications and starts the consumers; false if one of them cannot.
func (p *pipeline) begin(ctx context.Context) bool {
	var names []string
	for i := range publishers {
		names = append(names, streamPublisher+strconv.Itoa(i+1))
	}
	names = append(names, streamKeeper, pullKind, pushKind, orderedKind, watcherKind)
	p.apps = make([]*app, len(names))
	limited, cancel := context.WithTimeout(ctx, entering)
	defer cancel()
	var wg sync.WaitGroup
	for i, name := range names {
		wg.Go(func() { p.apps[i] = p.enter(limited, name) })
	}
	wg.Wait()
	missing := slices.Contains(p.apps, nil)
	p.apps = slices.DeleteFunc(p.apps, func(a *app) bool { return a == nil })
	if missing {
		return false
	}
	for i, stream := range p.names {
		w, err := newPipeWriter(p.apps[i%publishers], stream)
		if err != nil {
			p.rec.Add(Event{From: Client, Kind: "unconnected", App: p.apps[i%publishers].name, Why: err.Error()})
			return false
		}
		p.writers = append(p.writers, w)
	}
	keeper := p.apps[publishers]
	var err error
	if !until(limited, func() bool { p.keeper, err = newBucketKeeper(limited, keeper); return err == nil }) {
		p.rec.Add(Event{From: Client, Kind: "unconnected", App: keeper.name, Why: err.Error()})
		return false
	}
	return p.listen(ctx, p.apps[publishers+1:])
}

func (p *pipeline) enter(ctx context.Context, name string) *app {
	account, _ := p.t.jetStream()
	var entered *app
	var err error
	if !until(ctx, func() bool { entered, err = p.t.open(p.rec, account, name); return err == nil }) {
		p.rec.Add(Event{From: Client, Kind: "unconnected", App: name, Why: err.Error()})
		return nil
	}
	return entered
}

// publishing lets everybody publish until stop is called, which returns when the last message is acknowledged, or
// given up because nobody is that patient.
func (p *pipeline) publishing(ctx context.Context) (stop func(patience time.Duration)) {
	ctx, giveUp := context.WithCancel(ctx)
	enough := make(chan struct{})
	var wg sync.WaitGroup
	for _, w := range p.writers {
		wg.Go(func() { w.write(ctx, enough, p) })
	}
	wg.Go(func() { p.keeper.keep(ctx, enough) })
	var once sync.Once
	return func(patience time.Duration) {
		once.Do(func() {
			close(enough)
			defer time.AfterFunc(patience, giveUp).Stop()
			wg.Wait()
			giveUp()
		})
	}
}

// acknowledged writes down an ack.
func (p *pipeline) acknowledged(w *pipeWriter, seq int, took time.Duration) {
	now := p.rec.Now()
	p.mu.Lock()
	p.acks[w.stream][seq] = true
	p.lastAck[w.stream] = now
	p.mu.Unlock()
	p.rec.Add(Event{At: now, From: Client, Kind: "acked", App: w.app.name, Stream: w.stream, Seq: seq, Took: took})
}

// pause leaves all connections quiet but for what NATS itself says, until the balancer ends one: what is published
// then meets a connection that is being made again.
func (p *pipeline) pause(ctx context.Context) {
	ours := map[string]bool{}
	for _, a := range p.apps {
		ours[a.LocalAddr()] = true
	}
	delete(ours, "") // of one that has no connection at the moment
	place := p.rec.Len()
	p.rec.Add(Event{From: Lab, Kind: "pause-begin"})
	quiet, cancel := context.WithTimeout(ctx, silence(p.t.Terms))
	defer cancel()
	if _, cut := p.rec.Await(quiet, place, func(e Event) bool { return idled(e) && ours[e.Caller] }); cut {
		rest(ctx, settle) // the others have been quiet since nearly the same moment
	}
	p.rec.Add(Event{From: Lab, Kind: "pause-end"})
}

// recover waits until everything is acknowledged as before; false if NATS has had its time.
func (p *pipeline) recover(ctx context.Context) bool {
	least := 3 * time.Second // a client that was cut waits for 2 s before it connects again
	if life := p.t.Terms.Lifetime; life > 0 {
		least += 3 * life // several generations of connections
	}
	over := p.rec.Now()
	limited, cancel := context.WithTimeout(ctx, least+back)
	defer cancel()
	recovered := until(limited, func() bool { return p.rec.Now()-over > least && p.flowing() })
	kind := "flowing"
	if !recovered {
		kind = "not-flowing"
	}
	p.rec.Add(Event{From: Client, Kind: kind})
	return recovered
}

// flowing reports whether every stream acknowledged something within the last moment.
func (p *pipeline) flowing() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.rec.Now()
	return !slices.ContainsFunc(p.names, func(name string) bool { return now-p.lastAck[name] > 2*settle })
}

// finish lets what is under way arrive, and then reads everything back.
func (p *pipeline) finish(ctx context.Context) {
	for _, w := range p.writers {
		p.rec.Add(Event{From: Client, Kind: "published", App: w.app.name, Stream: w.stream, Count: w.last})
	}
	p.catchUp(ctx)
	p.recordSync(ctx)
	readable := p.readBack(ctx)
	p.compare(ctx)
	p.verify(ctx, readable)
}

// catchUp gives consumers what is left of their time, then says which of them heard everything.
func (p *pipeline) catchUp(ctx context.Context) {
	limited, cancel := context.WithTimeout(ctx, back)
	defer cancel()
	kept := p.kept(limited)
	until(limited, func() bool {
		p.mu.Lock()
		defer p.mu.Unlock()
		return !slices.ContainsFunc(p.ears, func(e *ear) bool { return !p.caughtUp(e, kept) })
	})
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, e := range p.ears {
		kind := "caught-up"
		if !p.caughtUp(e, kept) {
			kind = "behind"
		}
		p.rec.Add(Event{From: Client, Kind: kind, App: e.app, Stream: e.stream})
	}
}

// caughtUp reports whether a consumer heard all there is. The lock is held.
func (p *pipeline) caughtUp(e *ear, kept map[string]int) bool {
	if e.app == watcherKind {
		for key, seq := range kept {
			if e.keys[key] != seq {
				return false
			}
		}
		return len(kept) > 0
	}
	for seq := range p.acks[e.stream] {
		if !e.heard[seq] {
			return false
		}
	}
	return true
}

// kept is what the bucket holds in the end, read past the balancer.
func (p *pipeline) kept(ctx context.Context) map[string]int {
	kept := map[string]int{}
	var err error
	for i := range bucketKeys {
		key := keyOf(i)
		until(ctx, func() bool {
			asked, cancel := context.WithTimeout(ctx, 2*time.Second) // as for a stream: better asked again
			defer cancel()
			var entry jetstream.KeyValueEntry
			if entry, err = p.bucket.Get(asked, key); err == nil {
				kept[key], err = strconv.Atoi(string(entry.Value()))
			}
			return err == nil
		})
		if err != nil {
			p.rec.Add(Event{From: Client, Kind: "unreadable", Stream: bucketName, What: key, Why: fmt.Sprint(err)})
			continue
		}
		p.rec.Add(Event{From: Client, Kind: "kept", Stream: bucketName, What: key, Seq: kept[key]})
	}
	return kept
}
