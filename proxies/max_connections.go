package proxies

import (
	"context"
	"fmt"
	"math"
	"slices"
	"sync"
	"time"
)

// MaxConnections caps how many connections a balancer has at the same time.
type MaxConnections struct {
	Most int    // over all frontends; 0 for no cap
	Then string // what happens to further ones: queue, close or reset; "" is queue

	given string // the connection-limit that With was given
}

const (
	maxConnections  = "max-connections"
	connectionLimit = "connection-limit"

	toQueue = "queue"
	toClose = "close"
	toReset = "reset"
)

func init() { register(20, MaxConnections{}) }

// Settings implements Behaviour.
func (MaxConnections) Settings() []Setting {
	return []Setting{{
		Name: maxConnections, Default: none, Values: "none, COUNT",
		About: "live connections of the whole balancer",
		Explain: "Envoy's circuit breaker allows 1024 connections to a cluster by default; nginx has 512 worker_connections, which count both legs and so carry 256; " +
			"a node of DigitalOcean's balancer carries 10000, Octavia's HAProxy 50000, and HAProxy by itself what its file descriptors allow. " +
			"Here a connection counts over all frontends from its acceptance until it is gone at both sides, so that dials and inspections under way count, and so does a client that is left in silence. " +
			"As in HAProxy and nginx, where a reload starts a new process, connections that a reload leaves behind do not count for the new instance; those that wait are handed on to it.",
	}, {
		Name: connectionLimit, Default: toQueue, Values: "queue, close, reset",
		About: "what happens to connections beyond max-connections: they wait, or end",
		Explain: "queue: HAProxy's maxconn leaves them in the listen queue, so that the TCP connect succeeds and nothing comes; NATS clients give up after 2s without an INFO. " +
			"close: nginx and Envoy close what is beyond their limit at once. reset: a firewall that rejects. " +
			"Here those who wait are accepted, nothing of theirs is read, and they go on in the order in which they came when others end. One that hangs up leaves the queue at once, " +
			"where HAProxy finds that out when its turn has come; one that half-closes has hung up as well.",
	}}
}

// Value implements Behaviour.
func (m MaxConnections) Value(setting string) string {
	if setting == connectionLimit {
		return m.then()
	}
	return formatCount(m.Most, none)
}

// With implements Behaviour.
func (m MaxConnections) With(setting, value string) (Behaviour, error) {
	var err error
	switch setting {
	case maxConnections:
		m.Most, err = parseCount(setting, value, none, math.MaxInt32)
	case connectionLimit:
		m.given = setting + "=" + value
		m.Then, err = parseWord(setting, value, toQueue, toClose, toReset)
	}
	return m, err
}

// check refuses what would silently do nothing.
func (m MaxConnections) check() error {
	if m.given == "" || m.Most > 0 {
		return nil
	}
	return fmt.Errorf("%s has no effect without a limit: add one, such as %s=100", m.given, maxConnections)
}

// Scaled implements Behaviour.
func (m MaxConnections) Scaled(float64) Behaviour { return m }

// Start implements Behaviour.
func (m MaxConnections) Start() Policy {
	if m.Most == 0 {
		return admitsAll{}
	}
	return &limit{mu: new(sync.Mutex), then: m.then(), places: places{most: m.Most}}
}

func (m MaxConnections) then() string {
	if m.Then == "" {
		return toQueue
	}
	return m.Then
}

// limit has connections pass as places allows. Instances that take over from one another share a mutex.
type limit struct {
	admitsAll
	then string

	mu *sync.Mutex
	places
	heir *limit // the next instance's, which has taken over those who waited here
}

// Arrive implements Gate.
func (l *limit) Arrive(ctx context.Context, f *Flow) error {
	t := &ticket{ready: make(chan struct{})}
	l.mu.Lock()
	for l.heir != nil { // a connection that was accepted just before the reload
		l = l.heir
	}
	live, before := l.live, len(l.waiting)
	in := l.arrive(t, l.then == toQueue)
	l.mu.Unlock()

	state := fmt.Sprintf("%d connections are live", live)
	switch {
	case !in && l.then == toClose:
		return &Refusal{Close, maxConnections, state}
	case !in && l.then == toReset:
		return &Refusal{Reset, maxConnections, state}
	}
	f.OnEnd(func(bool) {
		l.mu.Lock()
		defer l.mu.Unlock()
		t.at.leave(t)
	})
	if in {
		return nil
	}
	f.Applied(maxConnections, fmt.Sprintf("waits: %s, %d wait before it", state, before))
	began := f.clock.now()
	gone, err := f.await(ctx, t.ready)
	if gone != "" {
		return &Refusal{gone, maxConnections, fmt.Sprintf("the client left after waiting for %s", formatDuration((f.clock.now() - began).Round(time.Millisecond)))}
	}
	return err
}

// Inherit implements Heir.
func (l *limit) Inherit(before Policy) {
	old := before.(*limit)
	l.mu = old.mu
	l.mu.Lock()
	defer l.mu.Unlock()
	old.heir = l
	for _, t := range old.waiting {
		l.arrive(t, true)
	}
	old.waiting = nil
}

// places is how many connections there may be, how many there are, and who waits.
type places struct {
	most    int
	live    int
	waiting []*ticket // in order of arrival
}

// ticket is one connection's.
type ticket struct {
	at    *places
	in    bool
	ready chan struct{} // closed when it is let in
}

// arrive lets a connection in if there is a place and nobody waits; otherwise it waits if it may.
func (p *places) arrive(t *ticket, wait bool) (in bool) {
	t.at = p
	switch {
	case p.live < p.most && len(p.waiting) == 0:
		p.enter(t)
	case wait:
		p.waiting = append(p.waiting, t)
	}
	return t.in
}

// leave gives a connection's place to whoever has waited longest, or takes it out of the queue.
func (p *places) leave(t *ticket) {
	if !t.in {
		p.waiting = slices.DeleteFunc(p.waiting, func(w *ticket) bool { return w == t })
		return
	}
	t.in = false
	p.live--
	for p.live < p.most && len(p.waiting) > 0 {
		next := p.waiting[0]
		p.waiting = slices.Delete(p.waiting, 0, 1)
		p.enter(next)
	}
}

func (p *places) enter(t *ticket) {
	t.in = true
	p.live++
	close(t.ready)
}
