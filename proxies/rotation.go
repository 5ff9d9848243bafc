package proxies

import (
	"fmt"
	"maps"
	"sync"
	"time"
)

// rotation is which backends an operator has taken out. Unlike health it outlives every instance.
type rotation struct {
	mu      sync.Mutex
	removed map[string]time.Duration // backends by name, and since when in the balancer's time
	change  chan struct{}
}

func newRotation() *rotation {
	return &rotation{removed: map[string]time.Duration{}, change: make(chan struct{})}
}

func (r *rotation) isRemoved(name string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	_, removed := r.removed[name]
	return removed
}

// since lists the backends that are removed, and since when.
func (r *rotation) since() map[string]time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	return maps.Clone(r.removed)
}

func (r *rotation) changed() <-chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.change
}

// set returns whether that was a change.
func (r *rotation) set(name string, removed bool, at time.Duration) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, was := r.removed[name]; was == removed {
		return false
	}
	if removed {
		r.removed[name] = at
	} else {
		delete(r.removed, name)
	}
	r.announceLocked()
	return true
}

// announce wakes those who wait for a change.
func (r *rotation) announce() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.announceLocked()
}

func (r *rotation) announceLocked() {
	close(r.change)
	r.change = make(chan struct{})
}

// Remove takes the backend of that name out of rotation at every frontend: it gets no new connections,
// and what becomes of those it has is for the setting drain to say.
func (b *Balancer) Remove(backend string) error { return b.rotate(backend, true) }

// Restore puts a removed backend back into rotation.
func (b *Balancer) Restore(backend string) error { return b.rotate(backend, false) }

func (b *Balancer) rotate(name string, removed bool) error {
	b.event.Lock()
	defer b.event.Unlock()
	behind, ok := b.backend(name)
	if !ok {
		return fmt.Errorf("changing the rotation: there is no backend %q", name)
	}
	if b.rotation.set(name, removed, b.clock.now()) {
		kind := KindRestoredBackend
		if removed {
			kind = KindRemoved
		}
		b.note(Event{At: time.Now(), Kind: kind, Backend: name, BackendAddr: behind.Addr})
	}
	return nil
}
