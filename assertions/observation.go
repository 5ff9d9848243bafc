package assertions

import (
	"context"
	"time"
)

// Observation is one way of watching a lab. It only writes down what happens; an error means that
// lbtest itself could not watch, never that something was found.
type Observation struct {
	Name string
	// First runs alone and before the others: what they build on.
	First bool
	// Alone wants a lab of its own: nothing else may break its quiet.
	Alone bool
	// Own wants a lab that it shares with nobody: it takes all there is of something, or nodes away.
	Own bool
	// Crowd brings as many clients as Terms.Clients says.
	Crowd bool
	// Uncontrolled is held against nothing: without a balancer it would be the same.
	Uncontrolled bool
	// Rotates takes every node out of rotation by itself, and gives it its drain time.
	Rotates bool
	// Takes estimates how long it watches, besides its event; nil is a few seconds.
	Takes func(Terms) time.Duration
	// Aside goes on beside the others, and is told to stop when they are done.
	Aside bool
	// JetStream needs servers that run it, and real time: Raft's timers are not configurable.
	JetStream bool
	// Strikes takes part in the event in the middle and calls Control.Strike exactly once.
	Strikes bool
	Watch   func(context.Context, Target, *Recorder) error
	// After looks once more when everything else is over; may be nil.
	After func(context.Context, Target, *Recorder) error
}

// Times that observations wait for, none of them part of a verdict by itself.
const (
	// back is how long NATS has for recovering after an event, and for forming at the start: the
	// contract's limit.
	back = 30 * time.Second
	// settle is how long a mesh must stay whole to count as formed: routes seen in the first moments are
	// sometimes closed at once as duplicates.
	settle = 200 * time.Millisecond
	// glance is the pause between two looks at the monitoring ports while something is expected.
	glance = 100 * time.Millisecond
)

// until asks a question again and again, glance apart, until it is answered or the context ends.
func until(ctx context.Context, answered func() bool) bool { return every(ctx, glance, answered) }

func every(ctx context.Context, pause time.Duration, answered func() bool) bool {
	tick := time.NewTicker(pause)
	defer tick.Stop()
	for {
		if answered() {
			return true
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return false
		}
	}
}

// rest waits unless the context ends first.
func rest(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}
