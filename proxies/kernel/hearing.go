//go:build linux

package kernel

import (
	"fmt"
	"time"

	"github.com/ti-mo/conntrack"
)

// listen takes what changes in the table, until that is closed.
func (b *Balancer) listen() {
	for {
		select {
		case e := <-b.table.events:
			if e.Flow != nil && e.Flow.TupleOrig.IP.SourceAddress.Is4() {
				b.changed(time.Now(), e)
			}
		case err := <-b.table.failed:
			b.lacks(fmt.Errorf("hearing what changes in the connection table: %w", err))
			return
		case <-b.heard:
			return
		}
	}
}

func (b *Balancer) changed(at time.Time, told conntrack.Event) {
	b.mu.Lock()
	defer b.mu.Unlock()
	e := entryOf(told.Flow)
	if told.Type == conntrack.EventDestroy {
		b.flows.destroyed(at, e)
		return
	}
	b.flows.changed(at, e)
	if b.flows.ending(e.orig) {
		if last, _, ok, err := b.table.ask(e.orig); err == nil && ok {
			e.sent = last.sent
		}
		b.flows.ended(at, e.orig, e.sent)
	}
	if e.state == established {
		b.wake()
	}
}

func (b *Balancer) arrives(at time.Time, p packet) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.flows.arrives(at, p)
	b.wake()
}

func (b *Balancer) stray(at time.Time, p packet) {
	b.mu.Lock()
	defer b.mu.Unlock()
	known, _ := b.flows.find(p.ends)
	if known != nil && known.forgotten.IsZero() {
		if _, _, still, err := b.table.ask(known.orig); still || err != nil {
			return // the table has it, and took this one packet for something else
		}
	}
	b.flows.stray(at, p)
}

func (b *Balancer) lacks(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.lacksLocked(err)
}

// lacksLocked remembers that this process missed what happened.
func (b *Balancer) lacksLocked(err error) {
	if b.lack == nil {
		b.lack = err
	}
}
