//go:build linux

package kernel

import (
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/lbtest/lbtest/proxies"
)

// Remove takes the backend of that name out of rotation at every frontend: it gets no new connections, and keeps those
// it has.
func (b *Balancer) Remove(name string) error { return b.rotate(name, true) }

// Restore puts a removed backend back into rotation.
func (b *Balancer) Restore(name string) error { return b.rotate(name, false) }

func (b *Balancer) rotate(name string, removed bool) error {
	b.event.Lock()
	defer b.event.Unlock()
	b.mu.Lock()
	defer b.mu.Unlock()
	behind := b.knownLocked(name)
	if behind == nil {
		return fmt.Errorf("changing the rotation: there is no backend %q", name)
	}
	if b.out[name] == removed {
		return nil
	}
	b.out[name] = removed
	if err := b.programLocked(); err != nil {
		return fmt.Errorf("changing the rotation: %w", err)
	}
	kind := proxies.KindRestoredBackend
	if removed {
		kind = proxies.KindRemoved
	}
	b.note(proxies.Event{At: time.Now(), Kind: kind, Backend: name, BackendAddr: behind.at.String()})
	return nil
}

func (b *Balancer) knownLocked(name string) *backend {
	for _, behind := range b.served {
		for i := range behind {
			if behind[i].name == name {
				return &behind[i]
			}
		}
	}
	return nil
}

// Unplug lets no packet reach the backend of that name, or leave it.
func (b *Balancer) Unplug(name string) error { return b.plug(name, false) }

// Plug gives an unplugged backend its network back.
func (b *Balancer) Plug(name string) error { return b.plug(name, true) }

func (b *Balancer) plug(name string, in bool) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	behind := b.knownLocked(name)
	if behind == nil {
		return fmt.Errorf("unplugging: there is no backend %q", name)
	}
	addr := behind.at.Addr()
	switch out := slices.Contains(b.plan.unplugged, addr); {
	case out == !in:
		return fmt.Errorf("backend %s: its network is so already (plugged in: %v)", name, in)
	case in:
		b.plan.unplugged = slices.DeleteFunc(slices.Clone(b.plan.unplugged), func(a netip.Addr) bool { return a == addr })
	default:
		b.plan.unplugged = append(slices.Clone(b.plan.unplugged), addr)
	}
	return b.programLocked()
}
