//go:build linux

package kernel

import (
	"fmt"
	"time"
)

// wake has the questions looked through again.
func (b *Balancer) wake() {
	select {
	case b.asking <- struct{}{}:
	default:
	}
}

// ask looks, when a connection's time may be up, whether it is: the kernel itself finds that out when it next has to look
// at the entry, which may be a minute later.
func (b *Balancer) ask() {
	for {
		wait := b.askDue(time.Now())
		var over <-chan time.Time
		if wait > 0 {
			over = time.After(wait)
		}
		select {
		case <-over:
		case <-b.asking:
		case <-b.ctx.Done():
			return
		}
	}
}

// glance is how soon it is asked again about an entry that has less than a second left, which is all that is told.
const glance = 20 * time.Millisecond

// askDue asks what is to be asked by now, and says how long until there is more; 0 for nothing.
func (b *Balancer) askDue(now time.Time) (wait time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	wait = b.flows.swallowed(now, func() string {
		return fmt.Sprintf("no port of %d is free: %d connections are live", int(b.plan.ports.to)-int(b.plan.ports.from)+1, b.flows.live())
	})
	if b.idle == 0 {
		return wait
	}
	due := map[ends]time.Time{}
	for _, orig := range b.flows.waiting() {
		at, asked := b.due[orig]
		switch {
		case !asked:
			at = now.Add(b.idle)
		case !at.After(now):
			_, left, ok, err := b.table.ask(orig)
			switch {
			case err != nil:
				b.lacksLocked(err)
			case !ok:
				b.flows.destroyed(now, b.flows.all[orig].entry)
				continue
			}
			at = now.Add(max(left, glance))
		}
		due[orig] = at
		if left := max(at.Sub(now), time.Millisecond); wait == 0 || left < wait {
			wait = left
		}
	}
	b.due = due
	return wait
}
