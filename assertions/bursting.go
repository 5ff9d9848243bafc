package assertions

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Limits is what every node may use of its machine. Zero is no limit.
type Limits struct {
	Memory, GoMemLimit int64 // bytes
	CPUs               float64
}

// Use is what a node uses of its limits, as the kernel has it.
type Use struct {
	Memory    int64 // bytes
	Limit     int64 // bytes that the kernel keeps it to
	Throttled int   // times that it had to wait for the next 100 ms
	Faults    int   // pages that it had to read from a disk
}

// bursting lets a node's memory be asked for: first by a burst for a subscriber that stands still, then by messages for a
// stream in memory. It goes past the balancer, since what a node can hold is the node's own. A node that was
// killed is started again, so that the second does not depend on the first.
var bursting = &Observation{
	Name: "bursting", Own: true, JetStream: true, Uncontrolled: true, Watch: watchBurst,
	Takes: func(Terms) time.Duration { return 15 * time.Second },
}

const (
	inBurst = "burst"
	inFill  = "fill"
	// wholeBurst is the burst where memory is not limited: what a server lets wait for one client (max_pending).
	wholeBurst = 64 << 20
	// greatestBurst is the burst on nodes with much memory. What waits for one client is never more than a quarter of it.
	greatestBurst = 256 << 20
	// burstMessage is one message of a burst, and of what fills a stream: large enough that a message's own cost does not
	// matter, small enough that it is none by itself.
	burstMessage = 16 << 10
	// fullest is the largest memory that a stream is filled up to: beyond it a lab would need the machine for itself.
	fullest = 512 << 20
	// windowed is how many messages wait for their acks at once while a stream is filled. They are in the node's memory as well.
	windowed = 64
)

// burst is how many bytes the burst has: as many as a node has memory.
func (t Terms) burst() int64 {
	if t.Limits.Memory == 0 {
		return wholeBurst
	}
	return min(t.Limits.Memory, greatestBurst)
}

func watchBurst(ctx context.Context, t Target, rec *Recorder) error {
	for _, n := range t.Nodes {
		lookAtLimits(ctx, t, rec, n)
	}
	if err := burst(ctx, t, rec, t.Nodes[0]); err != nil {
		return err
	}
	if t.Terms.Limits.Memory == 0 || t.Terms.Limits.Memory > fullest {
		return ctx.Err()
	}
	return fillMemory(ctx, t, rec)
}

// lookAtLimits notes what the kernel keeps a node to, and what its JetStream believes that it may use.
func lookAtLimits(ctx context.Context, t Target, rec *Recorder, n Node) {
	if used, ok := t.Control.Used(ctx, n.Name); ok {
		rec.Add(Event{From: Server, Kind: "limited", Node: n.Name, Bytes: used.Limit})
	}
	var js struct {
		Config struct {
			Memory int64 `json:"max_memory"`
		} `json:"config"`
	}
	if err := ask(ctx, n, "/jsz", &js); err == nil {
		rec.Add(Event{From: Server, Kind: "jetstream-may-use", Node: n.Name, Bytes: js.Config.Memory})
	}
}

// burst publishes to a subscriber that does not read meanwhile, and then lets it read.
func burst(ctx context.Context, t Target, rec *Recorder, n Node) error {
	gate := &gate{shut: make(chan struct{})}
	closed := make(chan error, 1)
	account := t.plain()[0]
	reader, err := t.connect(n, account, nats.SetCustomDialer(gate), nats.NoReconnect(),
		nats.ClosedHandler(func(nc *nats.Conn) { closed <- nc.LastError() }))
	if err != nil {
		return fmt.Errorf("bursting: %w", err)
	}
	defer reader.Close()
	defer gate.open()
	heard := make(chan *nats.Msg, t.Terms.burst()/burstMessage+1)
	if _, err := reader.ChanSubscribe("burst", heard); err == nil {
		err = reader.FlushTimeout(back)
	}
	if err != nil {
		return fmt.Errorf("bursting: subscribing at %s: %w", n.Name, err)
	}
	publisher, err := t.connect(n, account, nats.NoReconnect())
	if err != nil {
		return fmt.Errorf("bursting: %w", err)
	}
	defer publisher.Close()
	gate.close()
	rec.Add(Event{From: Lab, Kind: "burst-begin", Node: n.Name})
	began := time.Now()
	given(rec, n)
	sent, taken := publish(ctx, publisher, t.Terms.burst())
	rec.Add(Event{From: Client, Kind: "burst", Node: n.Name, Bytes: sent, Took: time.Since(began)})
	outcome := outcomeOf(ctx, t, rec, n, inBurst, !taken)
	gate.open()
	if outcome == lives && taken {
		if outcome = drained(ctx, rec, n, heard, closed, began, sent); outcome == dropped {
			outcome = outcomeOf(ctx, t, rec, n, inBurst, true) // it was killed for what waited, or had had enough of it
		}
	}
	if outcome == lives && !taken {
		rec.Add(Event{From: Client, Kind: "untaken", Node: n.Name, Bytes: sent})
	}
	return restored(ctx, t, rec, n, outcome)
}

// outcome is what became of a node.
type outcome int

const (
	lives   outcome = iota
	killed          // by the kernel, for want of memory
	stuck           // it has all the memory that it may have, and does nothing
	dropped         // of a connection: nobody knows yet
)

// given says that a node is given over to what follows, so that nobody takes its being late for a want of CPU.
func given(rec *Recorder, n Node) {
	rec.Add(Event{From: Lab, Kind: "node-lost", Node: n.Name, How: "resources"})
}

// restored brings a node back, as whatever watches over containers would: one that stands still fails its probe.
func restored(ctx context.Context, t Target, rec *Recorder, n Node, f outcome) error {
	if f == stuck {
		if err := t.Control.Kill(n.Name); err != nil {
			return fmt.Errorf("bursting: ending %s: %w", n.Name, err)
		}
	}
	if f == stuck || f == killed {
		if err := t.Control.Start(ctx, n.Name); err != nil {
			return fmt.Errorf("bursting: starting %s again: %w", n.Name, err)
		}
		return nil
	}
	rec.Add(Event{From: Lab, Kind: "node-back", Node: n.Name})
	return ctx.Err()
}

// drained lets a subscriber hear what has waited for it.
func drained(ctx context.Context, rec *Recorder, n Node, heard <-chan *nats.Msg, closed <-chan error, began time.Time, sent int64) outcome {
	timer := time.NewTimer(back)
	defer timer.Stop()
	for arrived := int64(0); arrived < sent; {
		select {
		case <-heard:
			arrived += burstMessage
		case <-closed:
			rec.Add(Event{From: Client, Kind: "slow", Node: n.Name, Bytes: arrived})
			return dropped
		case <-timer.C:
			rec.Add(Event{From: Client, Kind: "unarrived", Node: n.Name, Bytes: arrived})
			return lives
		case <-ctx.Done():
			return lives
		}
	}
	rec.Add(Event{From: Client, Kind: "arrived", Node: n.Name, Bytes: sent, Took: time.Since(began)})
	return lives
}

// patient is how long a node may take for a mebibyte that takes it milliseconds. One that is at its memory limit reads
// its own program from the disk again and again, since that is all that the kernel can take away from it, before the
// kernel kills it; that can last for minutes.
const patient = 8 * time.Second

// publish sends that many bytes, says how many went out, and whether the node took all of them.
func publish(ctx context.Context, nc *nats.Conn, all int64) (sent int64, taken bool) {
	payload := make([]byte, burstMessage)
	flush := func() bool {
		limited, cancel := context.WithTimeout(ctx, patient)
		defer cancel()
		return nc.FlushWithContext(limited) == nil
	}
	for sent < all {
		if nc.Publish("burst", payload) != nil {
			return sent, false
		}
		if sent += burstMessage; sent%mebibyte == 0 && !flush() {
			return sent, false
		}
	}
	return sent, flush()
}

// outcomeOf finds out what became of a node, and notes it with what it used. The kernel needs a moment to kill, and so does
// the engine to tell of it: where something is amiss they are waited for.
func outcomeOf(ctx context.Context, t Target, rec *Recorder, n Node, when string, amiss bool) outcome {
	limit := 300 * time.Millisecond
	if amiss {
		limit = 3 * time.Second
	}
	limited, enough := context.WithTimeout(ctx, limit)
	defer enough()
	var used Use
	if until(limited, func() bool {
		if now, ok := t.Control.Used(limited, n.Name); ok && now.Memory > 0 {
			used = now
		}
		return t.Control.Exhausted(n.Name)
	}) {
		rec.Add(Event{From: Lab, Kind: "exhausted", Node: n.Name, Why: when, How: "killed"})
		return killed
	}
	rec.Add(Event{From: Server, Kind: "used", Node: n.Name, Why: when, Bytes: used.Memory, Count: used.Throttled})
	if limit := t.Terms.Limits.Memory; amiss && limit > 0 && used.Memory >= limit-limit/20 {
		rec.Add(Event{From: Lab, Kind: "exhausted", Node: n.Name, Why: when, How: "stuck", Bytes: used.Memory, Count: used.Faults})
		return stuck
	}
	return lives
}

// gate is a dialer whose connections stop reading while it is closed.
type gate struct {
	mu   sync.Mutex
	shut chan struct{} // closed while reading is free; nil before the first close is the same
	wide bool
}

// Dial implements nats.CustomDialer.
func (g *gate) Dial(network, addr string) (net.Conn, error) {
	c, err := net.DialTimeout(network, addr, back)
	if err != nil {
		return nil, err
	}
	if tcp, ok := c.(*net.TCPConn); ok {
		// What waits is to wait in the server, not in this machine's kernel.
		_ = tcp.SetReadBuffer(64 << 10)
	}
	return gated{c, g}, nil
}

func (g *gate) close() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.shut = make(chan struct{})
	g.wide = true
}

func (g *gate) open() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.wide {
		close(g.shut)
		g.wide = false
	}
}

type gated struct {
	net.Conn
	gate *gate
}

func (c gated) Read(b []byte) (int, error) {
	c.gate.mu.Lock()
	shut, closed := c.gate.shut, c.gate.wide
	c.gate.mu.Unlock()
	if closed {
		<-shut
	}
	return c.Conn.Read(b)
}

// fill publishes to a stream in memory until that is refused, its node is killed, or it holds as much as the node has.
func fillMemory(ctx context.Context, t Target, rec *Recorder) error {
	account, ok := t.jetStream()
	if !ok {
		return errors.New("filling a stream: the target has no account with JetStream")
	}
	nc, err := t.connect(t.Nodes[len(t.Nodes)-1], account)
	if err != nil {
		return fmt.Errorf("filling a stream: %w", err)
	}
	defer nc.Close()
	home, err := inMemory(ctx, t, nc)
	if err != nil {
		rec.Add(Event{From: Client, Kind: "no-stream", Why: err.Error()})
		return ctx.Err()
	}
	direct, err := t.connect(home, account, nats.NoReconnect())
	if err != nil {
		return fmt.Errorf("filling a stream: %w", err)
	}
	defer direct.Close()
	rec.Add(Event{From: Lab, Kind: "fill-begin", Node: home.Name})
	given(rec, home)
	stored, err := store(ctx, direct, t.Terms.Limits.Memory)
	var refusal *jetstream.APIError
	refused := errors.As(err, &refusal)
	e := Event{From: Client, Kind: "filled", Node: home.Name, Bytes: stored}
	switch {
	case refused:
		e.Why = refusal.Description
	case err != nil:
		e.Why = err.Error()
	}
	outcome := outcomeOf(ctx, t, rec, home, inFill, err != nil && !refused)
	if outcome == lives && refused {
		e.Kind = "refused"
	}
	rec.Add(e)
	return restored(ctx, t, rec, home, outcome)
}

// inMemory makes a stream that a node keeps in memory, and says which.
func inMemory(ctx context.Context, t Target, nc *nats.Conn) (Node, error) {
	js, err := jetstream.New(nc)
	if err != nil {
		return Node{}, err
	}
	limited, cancel := context.WithTimeout(ctx, back)
	defer cancel()
	var home Node
	made := errors.New("not tried")
	until(limited, func() bool {
		asked, cancel := context.WithTimeout(limited, 2*time.Second) // as long as a create that is heard may take
		defer cancel()
		var s jetstream.Stream
		if s, made = js.CreateOrUpdateStream(asked, jetstream.StreamConfig{Name: "BURST", Subjects: []string{"burst"}, Storage: jetstream.MemoryStorage}); made != nil {
			return false
		}
		home = t.Nodes[len(t.Nodes)-1] // a server without a cluster has it itself
		if c := s.CachedInfo().Cluster; c != nil && c.Leader != "" {
			for _, n := range t.Nodes {
				if n.Name == c.Leader {
					home = n
				}
			}
		}
		return true
	})
	return home, made
}

// store publishes up to that many bytes to the stream, and says how many were acknowledged and why no more.
func store(ctx context.Context, nc *nats.Conn, all int64) (stored int64, err error) {
	js, err := jetstream.New(nc, jetstream.WithPublishAsyncMaxPending(2*windowed))
	if err != nil {
		return 0, err
	}
	payload := make([]byte, burstMessage)
	var waiting []jetstream.PubAckFuture
	for sent := int64(0); sent < all || len(waiting) > 0; {
		if sent < all && len(waiting) < windowed {
			f, err := js.PublishAsync("burst", payload)
			if err != nil {
				return stored, err
			}
			waiting, sent = append(waiting, f), sent+burstMessage
			continue
		}
		if err := acknowledged(ctx, waiting[0]); err != nil {
			return stored, err
		}
		waiting, stored = waiting[1:], stored+burstMessage
	}
	return stored, nil
}

// acknowledged waits for an ack.
func acknowledged(ctx context.Context, f jetstream.PubAckFuture) error {
	timer := time.NewTimer(patient)
	defer timer.Stop()
	select {
	case <-f.Ok():
		return nil
	case err := <-f.Err():
		return err
	case <-timer.C:
		return errors.New("no ack within " + spoken(patient))
	case <-ctx.Done():
		return ctx.Err()
	}
}
