package assertions

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// originStream is the stream that is mirrored and sourced.
const originStream = "ORIGIN"

// mirroring publishes to a stream on one side of the balanced link, which a mirror and a sourcing stream on the other
// side follow, through the event, and sees how far they are behind.
var mirroring = &Observation{Name: "mirroring", JetStream: true, Strikes: true, Watch: func(ctx context.Context, t Target, rec *Recorder) error {
	p, err := openPlacer(t, rec)
	if err != nil {
		return err
	}
	defer p.close()
	m := &mirrors{placer: p, copies: t.Terms.copies()}
	limit := back
	if !rec.Saw(Server, "mesh-full") {
		limit = 10 * time.Second // as for the streams
	}
	if len(m.copies) == 0 || !m.begin(ctx, limit) {
		return t.Control.Strike(ctx)
	}
	publishing, stop := context.WithCancel(ctx)
	watching, enough := context.WithCancel(ctx)
	var wg, looking sync.WaitGroup
	defer wg.Wait()
	defer stop()
	defer looking.Wait()
	defer enough()
	wg.Go(func() { m.publish(ctx, publishing) })
	for i := range m.copies {
		looking.Go(func() { m.follow(watching, i) })
	}
	rest(ctx, 2*time.Second) // what is usual
	if t.Terms.Idle > 0 {
		stop()
		wg.Wait()
		rest(ctx, t.Terms.Lull())
		publishing, stop = context.WithCancel(ctx)
		defer stop()
		wg.Go(func() { m.publish(ctx, publishing) })
	}
	if err := t.Control.Strike(ctx); err != nil {
		return err
	}
	rest(ctx, 3*time.Second)
	stop()
	wg.Wait()
	m.finish(ctx)
	enough()
	looking.Wait()
	m.report()
	return ctx.Err()
}}

// replica is a stream that follows another one from beyond the balanced link.
type replica struct {
	name, node string // where its JetStream is
	how        string // mirror or source
	replicas   int
	placement  *jetstream.Placement
	prefix     string // of the API of the domain that its origin is in; "" for its own
}

// copies are a mirror and a sourcing stream beyond the link: in the next cluster, or in the JetStream of a leaf node,
// which knows the origin by its domain.
func (t Terms) copies() []replica {
	sites := t.sites()
	from := sites[0]
	var all []replica
	for i, how := range []string{"mirror", "source"} {
		r := replica{name: "COPY-" + how, how: how, replicas: 1}
		switch {
		case len(sites) > 1:
			to := sites[1]
			r.node, r.replicas, r.placement = to.Nodes[i%len(to.Nodes)], len(to.Nodes), to.placement()
		case from.domain != "":
			r.node, r.prefix = from.beyond[i%len(from.beyond)], "$JS."+from.domain+".API"
		default:
			return nil // nothing is beyond
		}
		all = append(all, r)
	}
	return all
}

func (r replica) config() jetstream.StreamConfig {
	from := &jetstream.StreamSource{Name: originStream}
	if r.prefix != "" {
		from.External = &jetstream.ExternalStream{APIPrefix: r.prefix}
	}
	c := jetstream.StreamConfig{Name: r.name, Replicas: r.replicas, Placement: r.placement}
	if r.how == "mirror" {
		c.Mirror = from
	} else {
		c.Sources = []*jetstream.StreamSource{from}
	}
	return c
}

type mirrors struct {
	*placer
	copies []replica

	mu     sync.Mutex
	acked  []time.Duration // when each message was acknowledged, by its place in the stream
	last   int             // the newest number that was said
	behind [2]time.Duration
	count  [2]int
}

// begin makes the origin and those that follow it.
func (m *mirrors) begin(ctx context.Context, limit time.Duration) bool {
	limited, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	s := m.t.Terms.sites()[0]
	make := func(node string, c jetstream.StreamConfig) bool {
		var err error
		if !until(limited, func() bool {
			asked, cancel := context.WithTimeout(limited, 2*time.Second)
			defer cancel()
			var js jetstream.JetStream
			if js, err = jetstream.New(m.at[node]); err == nil {
				_, err = js.CreateOrUpdateStream(asked, c)
			}
			return err == nil
		}) {
			m.rec.Add(Event{From: Client, Kind: "no-copy-stream", Stream: c.Name, Node: node, Why: err.Error()})
			return false
		}
		return true
	}
	if !make(s.Nodes[0], jetstream.StreamConfig{Name: originStream, Subjects: []string{"to." + originStream}, Replicas: len(s.Nodes), Placement: s.placement()}) {
		return false
	}
	for _, r := range m.copies {
		if !make(r.node, r.config()) {
			return false
		}
	}
	return true
}

// publish says a number ten times a second where the origin is, each until it is acknowledged, until it is told to stop: what
// nobody waited for would arrive while the copies are compared.
func (m *mirrors) publish(ctx, stop context.Context) {
	js, err := jetstream.New(m.at[m.t.Terms.sites()[0].Nodes[0]])
	if err != nil {
		return
	}
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for stop.Err() == nil {
		m.last++
		m.publishOne(ctx, js)
		select {
		case <-tick.C:
		case <-stop.Done():
		}
	}
}

// publishOne publishes the latest number again and again, under one id, for as long as NATS has for being back.
func (m *mirrors) publishOne(ctx context.Context, js jetstream.JetStream) {
	limited, cancel := context.WithTimeout(ctx, m.t.Terms.Event+back)
	defer cancel()
	number := strconv.Itoa(m.last)
	for limited.Err() == nil {
		asked, cancel := context.WithTimeout(limited, publishWait)
		ack, err := js.Publish(asked, "to."+originStream, []byte(number), jetstream.WithMsgID(number))
		cancel()
		if err == nil {
			m.mu.Lock()
			for len(m.acked) < int(ack.Sequence) {
				m.acked = append(m.acked, m.rec.Now())
			}
			m.mu.Unlock()
			return
		}
		rest(limited, 250*time.Millisecond)
	}
}

// follow sees how far a copy is behind what was acknowledged.
func (m *mirrors) follow(ctx context.Context, i int) {
	for ctx.Err() == nil {
		if n, err := m.held(ctx, i); err == nil {
			m.mu.Lock()
			m.count[i] = n
			m.mu.Unlock()
		}
		m.mu.Lock()
		if n := m.count[i]; n < len(m.acked) {
			m.behind[i] = max(m.behind[i], m.rec.Now()-m.acked[n])
		}
		m.mu.Unlock()
		rest(ctx, glance)
	}
}

// held is how many messages a copy has.
func (m *mirrors) held(ctx context.Context, i int) (int, error) {
	r := m.copies[i]
	asked, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	js, err := jetstream.New(m.at[r.node])
	if err != nil {
		return 0, err
	}
	stream, err := js.Stream(asked, r.name)
	if err != nil {
		return 0, err
	}
	return int(stream.CachedInfo().State.Msgs), nil
}

// catchingUp is how long a copy has for catching up. A mirror or source whose request for a consumer was lost waits 30 s for
// the answer (srcConsumerWaitTime in nats-server's stream.go) and 10 s more before it asks again (calculateRetryBackoff).
const catchingUp = 45 * time.Second

// finish gives the copies the rest of their time.
func (m *mirrors) finish(ctx context.Context) {
	limited, cancel := context.WithTimeout(ctx, catchingUp)
	defer cancel()
	until(limited, func() bool {
		m.mu.Lock()
		defer m.mu.Unlock()
		for i := range m.copies {
			if m.count[i] < len(m.acked) {
				return false
			}
		}
		return true
	})
	m.digest(ctx, originStream, m.t.Terms.sites()[0].Nodes[0], "origin")
	for _, r := range m.copies {
		m.digest(ctx, r.name, r.node, r.how)
	}
}

// digest reads a stream and writes what numbers it holds, in their order, as one number.
func (m *mirrors) digest(ctx context.Context, name, node, how string) {
	limited, cancel := context.WithTimeout(ctx, back)
	defer cancel()
	r := &replicated{at: m.at}
	var all []stored
	err := errors.New("not tried")
	if !until(limited, func() bool { all, err = r.readOne(limited, node, name); return err == nil }) {
		m.rec.Add(Event{From: Client, Kind: "copy-unreadable", Stream: name, Node: node, How: how, Why: err.Error()})
		return
	}
	h := sha256.New()
	for _, s := range all {
		fmt.Fprintln(h, s.seq)
	}
	m.rec.Add(Event{From: Client, Kind: "copied", Stream: name, Node: node, How: how, Count: len(all), What: fmt.Sprintf("%x", h.Sum(nil))})
}

func (m *mirrors) report() {
	for i, r := range m.copies {
		m.rec.Add(Event{From: Client, Kind: "followed", Stream: r.name, Node: r.node, How: r.how, Count: len(m.acked), Took: m.behind[i]})
	}
}
