package assertions

import (
	"context"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
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
	return filling(ctx, t, rec)
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
	gate := new(gate)
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
	_, err = reader.ChanSubscribe("burst", heard)
	if err == nil {
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
	outcome := outcomeOf(ctx, t, rec, n, inBurst, !taken, !taken)
	gate.open()
	if outcome == lives && taken {
		if outcome = drained(ctx, rec, n, heard, closed, began, sent); outcome == dropped {
			outcome = outcomeOf(ctx, t, rec, n, inBurst, true, false) // it was killed for what waited, or had had enough of it
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
const patient = 5 * time.Second

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
// the engine to tell of it: where something is amiss they are waited for. A node that does nothing any more stands still if it
// has all the memory that it may have.
func outcomeOf(ctx context.Context, t Target, rec *Recorder, n Node, when string, amiss, nothing bool) outcome {
	wait := 300 * time.Millisecond
	if amiss {
		wait = 2 * time.Second
	}
	limited, enough := context.WithTimeout(ctx, wait)
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
	if all := t.Terms.Limits.Memory; nothing && all > 0 && used.Memory >= all-all/20 { // the rest is what the kernel is just taking away
		rec.Add(Event{From: Lab, Kind: "exhausted", Node: n.Name, Why: when, How: "stuck", Bytes: used.Memory, Count: used.Faults})
		return stuck
	}
	return lives
}

// gate is a dialer whose connections stop reading while it is closed.
type gate struct {
	mu   sync.Mutex
	shut chan struct{} // nil while it is open; ends when it opens again
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
}

// open may be called when it is open.
func (g *gate) open() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.shut != nil {
		close(g.shut)
		g.shut = nil
	}
}

type gated struct {
	net.Conn
	gate *gate
}

func (c gated) Read(b []byte) (int, error) {
	c.gate.mu.Lock()
	shut := c.gate.shut
	c.gate.mu.Unlock()
	if shut != nil {
		<-shut
	}
	return c.Conn.Read(b)
}
