package proxies

import (
	"slices"
	"time"
)

// Pool is the backends of one instance, and which of them are in rotation.
type Pool struct{ in *instance }

// Backends lists the backends of all frontends, each once. Frontends may begin to serve later than the
// instance, so it is asked each time.
func (p *Pool) Backends() []Backend {
	p.in.mu.Lock()
	defer p.in.mu.Unlock()
	return slices.Clone(p.in.backends)
}

// Down takes a backend out of rotation, or puts it back. Its live connections are not touched. It
// reports whether that was a change, which is noted as down or up; why is a phrase.
func (p *Pool) Down(b Backend, down bool, why string) (changed bool) {
	i := p.in
	i.mu.Lock()
	changed = i.down[b] != down
	i.down[b] = down
	i.mu.Unlock()
	if changed {
		kind := KindUp
		if down {
			kind = KindDown
		}
		i.balancer.note(Event{At: time.Now(), Kind: kind, Backend: b.Name, BackendAddr: b.Addr, What: why})
	}
	return changed
}

// IsDown reports whether a backend is out of rotation, by Down or because it was removed.
func (p *Pool) IsDown(b Backend) bool {
	p.in.mu.Lock()
	defer p.in.mu.Unlock()
	return p.in.out(b)
}

// Flows lists the live connections of a backend, oldest first.
func (p *Pool) Flows(b Backend) []*Flow {
	return slices.DeleteFunc(p.in.oldestFirst(), func(f *Flow) bool { return f.backend != b })
}

// Changed is closed when a backend is removed or restored; ask again for the next change.
func (p *Pool) Changed() <-chan struct{} { return p.in.balancer.rotation.changed() }
