package proxies

import (
	"context"
	"fmt"
	"os"
	"sync"
	"time"
)

// unplugged is the backends that nothing reaches. Like rotation it outlives every instance.
type unplugged struct {
	mu   sync.Mutex
	back map[string]chan struct{} // by name; closed when the backend can be reached again
}

// since gives what is closed when a backend can be reached again, nil for one that can be.
func (u *unplugged) since(backend string) <-chan struct{} {
	u.mu.Lock()
	defer u.mu.Unlock()
	if back, out := u.back[backend]; out {
		return back
	}
	return nil
}

// Unplug takes the network of the backend of that name away: dials and health checks go unanswered. Its connections
// stay as they are; whoever does this keeps the backend from saying anything on them.
func (b *Balancer) Unplug(backend string) error {
	b.event.Lock()
	defer b.event.Unlock()
	if _, ok := b.backend(backend); !ok {
		return fmt.Errorf("unplugging: there is no backend %q", backend)
	}
	b.unplugged.mu.Lock()
	defer b.unplugged.mu.Unlock()
	if _, out := b.unplugged.back[backend]; out {
		return fmt.Errorf("unplugging backend %s: it is unplugged", backend)
	}
	b.unplugged.back[backend] = make(chan struct{})
	return nil
}

// Plug gives an unplugged backend its network back, as a machine that was started again: it knows nothing of the
// connections that it had. They are silent, and the next byte that a client says on one draws an RST.
func (b *Balancer) Plug(backend string) error {
	b.event.Lock()
	defer b.event.Unlock()
	b.unplugged.mu.Lock()
	back, out := b.unplugged.back[backend]
	delete(b.unplugged.back, backend)
	b.unplugged.mu.Unlock()
	if !out {
		return fmt.Errorf("plugging backend %q in: it is not unplugged", backend)
	}
	b.mu.Lock()
	instances := b.instances
	b.mu.Unlock()
	for _, i := range instances {
		for _, f := range i.oldestFirst() {
			if f.Backend().Name == backend {
				f.End(ResetOnNext, nodeFault)
			}
		}
	}
	close(back)
	return nil
}

// backend finds a backend by its name; event is held.
func (b *Balancer) backend(name string) (Backend, bool) {
	for _, d := range b.doors {
		for _, behind := range d.backends {
			if behind.Name == name {
				return behind, true
			}
		}
	}
	return Backend{}, false
}

// answered waits while a backend is unplugged, as long as the system would wait for its SYN-ACK.
func (u *unplugged) answered(ctx context.Context, b Backend, limit time.Duration) error {
	back := u.since(b.Name)
	if back == nil {
		return nil
	}
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-back:
		return nil
	case <-timer.C:
		return os.ErrDeadlineExceeded
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
