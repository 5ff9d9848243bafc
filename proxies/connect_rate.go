package proxies

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// ConnectRate spaces new connections out.
type ConnectRate struct{ PerSecond int } // over all frontends; 0 for as they come

const (
	connectRate = "connect-rate"

	// fastest is the highest rate that can be given: the most that a listener of Alibaba's NLB can be limited to.
	fastest = 1_000_000
)

func init() { register(22, ConnectRate{}) }

// Settings implements Behaviour.
func (ConnectRate) Settings() []Setting {
	return []Setting{{
		Name: connectRate, Default: none, Values: "none, COUNT",
		About: "new connections a second; those beyond it wait",
		Explain: "HAProxy's rate-limit sessions leaves connections beyond its rate in the listen queue; Alibaba's NLB takes a limit of new connections for each listener; " +
			"a node of DigitalOcean's balancer makes 250 TLS handshakes a second, 50 with RSA-4096. It matters when all clients come back at once. " +
			"Here connections of all frontends go on one after another, evenly spaced and in the order in which they came: at a rate of 100 the thousandth of a crowd waits for 10s, though its TCP connect has succeeded. " +
			"There is no burst to begin with, as HAProxy would allow for its first second. A client that hangs up is gone at once, and its turn stays unused. " +
			"The waiting stands still while the balancer is stalled.",
	}}
}

// Value implements Behaviour.
func (c ConnectRate) Value(string) string { return formatCount(c.PerSecond, none) }

// With implements Behaviour.
func (c ConnectRate) With(setting, value string) (Behaviour, error) {
	n, err := parseCount(setting, value, none, fastest)
	return ConnectRate{n}, err
}

// Scaled implements Behaviour.
func (c ConnectRate) Scaled(float64) Behaviour { return c }

// Start implements Behaviour.
func (c ConnectRate) Start() Policy {
	if c.PerSecond == 0 {
		return admitsAll{}
	}
	return &pacer{pace: pace{every: time.Second / time.Duration(c.PerSecond)}}
}

type pacer struct {
	admitsAll

	mu sync.Mutex
	pace
}

// Arrive implements Gate.
func (p *pacer) Arrive(ctx context.Context, f *Flow) error {
	now := f.clock.now()
	p.mu.Lock()
	due := p.turn(now)
	p.mu.Unlock()
	if due <= now {
		return nil
	}
	f.Applied(connectRate, fmt.Sprintf("waits %s for its turn", formatDuration((due-now).Round(time.Microsecond))))
	for due > f.clock.now() { // again after a stall
		ready := make(chan struct{})
		timer := time.AfterFunc(due-f.clock.now(), func() { close(ready) })
		gone, err := f.await(ctx, ready)
		timer.Stop()
		switch {
		case gone != "":
			return &Refusal{gone, connectRate, fmt.Sprintf("the client left after waiting for %s", formatDuration((f.clock.now() - now).Round(time.Millisecond)))}
		case err != nil:
			return err
		}
		f.clock.running(ctx.Done())
	}
	return nil
}

// pace gives connections their turns, all the same time apart.
type pace struct {
	every time.Duration
	next  time.Duration // when the next turn may be
}

// turn says when a connection that arrives at a time may go on.
func (p *pace) turn(at time.Duration) (due time.Duration) {
	due = max(at, p.next)
	p.next = due + p.every
	return due
}
