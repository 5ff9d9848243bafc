package proxies

import (
	"fmt"
	"sync"
	"time"
)

// rotation is which backends an operator has taken out. Unlike health it outlives every instance.
type rotation struct {
	mu      sync.Mutex
	removed map[string]bool // by backend name
	change  chan struct{}
}

func newRotation() *rotation {
	return &rotation{removed: map[string]bool{}, change: make(chan struct{})}
}

func (r *rotation) isRemoved(name string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.removed[name]
}

func (r *rotation) changed() <-chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.change
}

// set returns whether that was a change.
func (r *rotation) set(name string, removed bool) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.removed[name] == removed {
		return false
	}
	r.removed[name] = removed
	close(r.change)
	r.change = make(chan struct{})
	return true
}

// Remove takes the backend of that name out of rotation at every frontend: it gets no new connections,
// and what becomes of those it has is for the setting drain to say.
func (b *Balancer) Remove(backend string) error { return b.rotate(backend, true) }

// Restore puts a removed backend back into rotation.
func (b *Balancer) Restore(backend string) error { return b.rotate(backend, false) }

func (b *Balancer) rotate(name string, removed bool) error {
	b.event.Lock()
	defer b.event.Unlock()
	for _, d := range b.doors {
		for _, behind := range d.backends {
			if behind.Name != name {
				continue
			}
			if b.rotation.set(name, removed) {
				kind := KindRestoredBackend
				if removed {
					kind = KindRemoved
				}
				b.note(Event{At: time.Now(), Kind: kind, Backend: name, BackendAddr: behind.Addr})
			}
			return nil
		}
	}
	return fmt.Errorf("changing the rotation: there is no backend %q", name)
}
