package proxies

import (
	"context"
	"slices"
	"time"
)

// Drain is what happens to the connections of a backend that is taken out of rotation.
type Drain struct{ After time.Duration } // until they are ended; 0 for never

const (
	drain = "drain"

	keep = "keep"
)

func init() { register(27, Drain{}) }

// Settings implements Behaviour.
func (Drain) Settings() []Setting {
	return []Setting{{
		Name: drain, Default: keep, Values: "keep, DURATION",
		About: "how long the connections of a backend that is taken out of rotation may live on",
		Explain: "AWS NLB waits 300s and then leaves existing connections alone unless connection termination is enabled; AWS CLB cuts them after 300s; DigitalOcean 60s after scaling down; " +
			"Azure's Application Gateway drains for 30s, its Load Balancer for ever; HAProxy in state drain keeps them until they end by themselves. " +
			"Here a backend that is removed gets no new connections at once, and with a duration those it has get a FIN at both sides that long after its removal, " +
			"those that a reload left with the instance before included. One that is put back in time keeps them. The time stands still while the balancer is stalled.",
	}}
}

// Value implements Behaviour.
func (d Drain) Value(string) string {
	if d.After == 0 {
		return keep
	}
	return formatDuration(d.After)
}

// With implements Behaviour.
func (d Drain) With(setting, value string) (Behaviour, error) {
	after, err := parseDurationOr(setting, value, keep)
	return Drain{after}, err
}

// Scaled implements Behaviour.
func (d Drain) Scaled(float64) Behaviour { return d }

// Start implements Behaviour.
func (d Drain) Start() Policy {
	if d.After == 0 {
		return admitsAll{}
	}
	return drainer{after: d.After}
}

type drainer struct {
	admitsAll
	after time.Duration
}

// latecomers is how often connections are looked for that were being made when their backend was taken out, and
// came into being after the others had been ended: a dial takes milliseconds as a rule, dialFor at most.
const latecomers = time.Second

// Run implements Runner.
func (d drainer) Run(ctx context.Context, p *Pool) {
	clock := p.in.balancer.clock
	for clock.running(ctx.Done()) && ctx.Err() == nil {
		changed := p.Changed()
		due, wait := drainDue(clock.now(), d.after, p.in.balancer.rotation.since())
		for _, b := range p.Backends() {
			if slices.Contains(due, b.Name) {
				for _, f := range p.allFlows(b) {
					f.End(Close, drain)
				}
			}
		}
		if len(due) > 0 && (wait == 0 || wait > latecomers) {
			wait = latecomers
		}
		pause(ctx, wait, changed)
	}
}

// drainDue says whose connections are to end, of backends that were removed at some times, and how long to wait for
// the next; 0 for nobody.
func drainDue(at, after time.Duration, removed map[string]time.Duration) (due []string, wait time.Duration) {
	for name, since := range removed {
		left := since + after - at
		switch {
		case left <= 0:
			due = append(due, name)
		case wait == 0 || left < wait:
			wait = left
		}
	}
	slices.Sort(due)
	return due, wait
}

// pause waits for a time (0 for ever) or a change.
func pause(ctx context.Context, d time.Duration, changed <-chan struct{}) {
	var over <-chan time.Time
	if d > 0 {
		timer := time.NewTimer(d)
		defer timer.Stop()
		over = timer.C
	}
	select {
	case <-over:
	case <-changed:
	case <-ctx.Done():
	}
}
