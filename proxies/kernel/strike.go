//go:build linux

package kernel

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/lbtest/lbtest/proxies"
)

// Strike performs the profile's events, each once and in the order of the settings, and returns when they are over.
// Cancelling the context ends an event early, with the balancer as it is after the event.
func (b *Balancer) Strike(ctx context.Context) error {
	b.event.Lock()
	defer b.event.Unlock()
	if d := b.profile.Duration("outage"); d > 0 {
		if err := b.outage(ctx, d); err != nil {
			return err
		}
	}
	switch b.profile.Value("restart") {
	case "crash":
		return b.crash()
	case "reload":
		return b.reload()
	}
	return nil
}

// outage takes the rules away and empties the table: nothing listens at the frontends' ports, and whoever speaks on a
// connection is reset.
func (b *Balancer) outage(ctx context.Context, d time.Duration) error {
	b.tell(proxies.KindOutage)
	fell := b.fall("outage", true)
	timer := time.NewTimer(d)
	defer timer.Stop()
	var paused error
	select {
	case <-timer.C:
	case <-ctx.Done():
		paused = context.Cause(ctx)
	case <-b.ctx.Done():
		paused = fmt.Errorf("the balancer ended: %w", context.Cause(b.ctx))
	}
	rose := b.rise()
	if rose == nil {
		b.tell(proxies.KindRestored)
	}
	return errors.Join(fell, paused, rose)
}

// crash empties the table and programs the rules afresh. What becomes of connections that it had is for the rules to
// say, once somebody speaks on them.
func (b *Balancer) crash() error {
	b.tell(proxies.KindCrash)
	fell := b.fall("restart", false)
	rose := b.rise()
	if rose == nil {
		b.tell(proxies.KindRestarted)
	}
	return errors.Join(fell, rose)
}

// reload programs the rules afresh and leaves the table, and with it every connection, as it is.
func (b *Balancer) reload() error {
	if err := b.rise(); err != nil {
		return err
	}
	b.tell(proxies.KindReload)
	return nil
}

// fall takes the translation away and empties the table.
func (b *Balancer) fall(why string, out bool) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.plan.out = true
	errs := []error{program(b.filter, b.plan)}
	b.flows.forgetAll(time.Now(), why)
	errs = append(errs, b.table.empty())
	if out {
		// Whatever the manner of an idle timeout, somebody whose connection is gone is told so meanwhile.
		for _, known := range b.flows.all {
			known.how = proxies.ResetOnNext
		}
	}
	return errors.Join(errs...)
}

// rise puts the rules back.
func (b *Balancer) rise() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.plan.out = false
	return b.programLocked()
}

// tell notes an event of the whole balancer.
func (b *Balancer) tell(kind string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.note(proxies.Event{At: time.Now(), Kind: kind})
}
