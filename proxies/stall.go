package proxies

import (
	"context"
	"time"
)

// Stall freezes the balancer once.
type Stall struct{ For time.Duration } // 0 for never

const stall = "stall"

func init() { register(35, Stall{}) }

// Settings implements Behaviour.
func (Stall) Settings() []Setting {
	return []Setting{{
		Name: stall, Default: none, Values: "none, DURATION",
		About: "once, in the middle: bytes are held and delivered afterwards, new connections wait in the backlog",
		Explain: "A paused virtual machine, a live migration, a failover that keeps its connections, CPU credits that ran out, a bandwidth allowance exceeded: " +
			"nothing is lost and nothing is told, it all just comes later. " +
			"Here the balancer stops reading and writing until the stall is over: bytes wait in order in the sockets' buffers and in the balancer. " +
			"Nobody is accepted meanwhile, though TCP connects succeed, and the balancer's own timers stand still.",
	}}
}

// Value implements Behaviour.
func (s Stall) Value(string) string { return formatDuration(s.For) }

// With implements Behaviour.
func (s Stall) With(setting, value string) (Behaviour, error) {
	d, err := parseDuration(setting, value)
	return Stall{d}, err
}

// Scaled implements Behaviour.
func (s Stall) Scaled(float64) Behaviour { return s }

// Start implements Behaviour.
func (s Stall) Start() Policy {
	if s.For == 0 {
		return admitsAll{}
	}
	return staller{d: s.For}
}

// Hold stalls the balancer for whoever stops its whole process, whose time passes meanwhile: its own timers stand still
// until Release.
func (b *Balancer) Hold() { b.event.Lock(); b.stall() }

// Release ends what Hold began.
func (b *Balancer) Release() { b.resume(); b.event.Unlock() }

type staller struct {
	admitsAll
	d time.Duration
}

// Strike implements Striker.
func (s staller) Strike(ctx context.Context, b *Balancer) error {
	b.stall()
	defer b.resume()
	return b.pause(ctx, s.d)
}
