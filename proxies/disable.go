package proxies

import (
	"errors"
	"fmt"
	"time"
)

// disabled is why the connections of a disabled frontend end.
const disabled = "disabled"

// ErrBusy says that an event of the balancer's, such as a stall or an outage, is under way.
var ErrBusy = errors.New("an event of the balancer is under way; try again when it is over")

// Disable ends the connections of a frontend by FIN and has new ones refused by RST, until Enable. It does
// not wait for an event to end: see ErrBusy. Disabling what is disabled does nothing.
func (b *Balancer) Disable(front string) error {
	return b.toggle(front, "disabling", true, func(d *door) error {
		d.disabled.Store(true)
		b.note(Event{At: time.Now(), Kind: KindDisabled, Front: front})
		err := d.shut()
		for _, f := range b.flows(front) {
			f.end(Close, disabled)
		}
		return err
	})
}

// Enable has a disabled frontend serve again at the same address. It does not wait for an event to end.
func (b *Balancer) Enable(front string) error {
	return b.toggle(front, "enabling", false, func(d *door) error {
		if err := d.reopen(); err != nil {
			return err
		}
		d.disabled.Store(false)
		b.note(Event{At: time.Now(), Kind: KindEnabled, Front: front})
		if len(d.backends) > 0 {
			d.admit(b)
		}
		return nil
	})
}

// toggle does something to a frontend between two events, if that is not disabled, or enabled, already.
func (b *Balancer) toggle(front, doing string, disabled bool, do func(*door) error) error {
	d := b.door(front)
	if d == nil {
		return fmt.Errorf("%s a frontend: there is no %q", doing, front)
	}
	if d.disabled.Load() == disabled {
		return nil
	}
	if !b.event.TryLock() {
		return fmt.Errorf("%s frontend %s: %w", doing, front, ErrBusy)
	}
	defer b.event.Unlock()
	b.mu.Lock()
	closed := b.closed
	b.mu.Unlock()
	if closed {
		return fmt.Errorf("%s frontend %s: the balancer is closed", doing, front)
	}
	if d.disabled.Load() == disabled {
		return nil // somebody else was quicker
	}
	if err := do(d); err != nil {
		return fmt.Errorf("%s frontend %s: %w", doing, front, err)
	}
	return nil
}

// flows lists the live connections of a frontend.
func (b *Balancer) flows(front string) (all []*Flow) {
	b.mu.Lock()
	instances := b.instances
	b.mu.Unlock()
	for _, i := range instances {
		for _, f := range i.oldestFirst() {
			if f.front.Name == front {
				all = append(all, f)
			}
		}
	}
	return all
}
