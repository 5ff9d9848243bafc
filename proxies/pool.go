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
		i.balancer.rotation.announce()
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

// isDown reports whether a backend was taken out by Down; removed ones are another matter.
func (p *Pool) isDown(b Backend) bool {
	p.in.mu.Lock()
	defer p.in.mu.Unlock()
	return p.in.down[b]
}

// allFlows lists the live connections of a backend, those that a reload left with an instance before included.
func (p *Pool) allFlows(b Backend) []*Flow {
	p.in.balancer.mu.Lock()
	instances := slices.Clone(p.in.balancer.instances)
	p.in.balancer.mu.Unlock()
	var flows []*Flow
	for _, i := range instances {
		flows = append(flows, i.pool.Flows(b)...)
	}
	return flows
}

// Changed is closed when a backend is added, removed or restored, goes down or comes up; ask again for the next
// change.
func (p *Pool) Changed() <-chan struct{} { return p.in.balancer.rotation.changed() }
