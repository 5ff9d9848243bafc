package proxies

import (
	"context"
	"errors"
	"time"
)

// Outage takes the balancer away once.
type Outage struct{ For time.Duration } // 0 for never

const outage = "outage"

func init() { register(36, Outage{}) }

// Settings implements Behaviour.
func (Outage) Settings() []Setting {
	return []Setting{{
		Name: outage, Default: none, Values: "none, DURATION",
		About: "once, in the middle: all connections end and new ones are refused",
		Explain: "A balancer whose machine was lost until a standby took over its address, or a proxy that was stopped and started again by hand. " +
			"Here all connections get a FIN at both sides, connecting is refused by RST, and after the time the same address serves again, with nothing remembered. " +
			"A machine that drops off the network without a FIN looks different to NATS: see idle-expiry=silent.",
	}}
}

// Value implements Behaviour.
func (o Outage) Value(string) string { return formatDuration(o.For) }

// With implements Behaviour.
func (o Outage) With(setting, value string) (Behaviour, error) {
	d, err := parseDuration(setting, value)
	return Outage{d}, err
}

// Scaled implements Behaviour.
func (o Outage) Scaled(float64) Behaviour { return o }

// Start implements Behaviour.
func (o Outage) Start() Policy {
	if o.For == 0 {
		return admitsAll{}
	}
	return breaker{d: o.For}
}

type breaker struct {
	admitsAll
	d time.Duration
}

// Strike implements Striker.
func (s breaker) Strike(ctx context.Context, b *Balancer) error {
	b.tell(KindOutage)
	fell := b.fall(outage)
	paused := b.pause(ctx, s.d)
	rose := b.rise()
	if rose == nil {
		b.tell(KindRestored)
	}
	return errors.Join(fell, paused, rose)
}
