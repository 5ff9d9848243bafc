package proxies

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

// Front is one address at which a balancer accepts connections.
type Front struct {
	Name   string
	Listen string // host:port; "" for 127.0.0.1 and a free port

	// Shared lets other processes listen at the same address, if they share it too; Linux spreads the
	// connections over them. One process alone is bounded by its file descriptors, two a connection.
	Shared bool

	// Keepalive is how often the links that dial this frontend send TCP keepalive probes, as
	// modelled; 0 for links that send none, such as nats-server's own.
	Keepalive time.Duration

	// Owner names the backend that a connection comes from, by its client's address; "" if none is known
	// to. Whoever runs all nodes on one machine knows, where their addresses do not tell. May be nil.
	Owner func(client netip.AddrPort) string `json:"-"`
}

// Backend is one address that a balancer forwards to.
type Backend struct {
	Name, Addr string
	Monitor    string // host:port of its HTTP monitoring, for health checks that ask there; "" for none
}

// Balancer is a load balancer that runs. Its methods may be called from any goroutine.
type Balancer struct {
	profile  Profile
	note     func(Event)
	noteFlow func(Event) // of one connection; nil if nobody wants to know
	clock    *clock
	watches  *watches
	loops    *loops
	doors    []*door
	conns    atomic.Int64 // connections so far: their names

	rotation  *rotation
	unplugged *unplugged

	ctx  context.Context // ends at Close
	stop context.CancelCauseFunc

	event sync.Mutex // held by an event under way, and by Close

	mu        sync.Mutex
	closed    bool
	live      *instance   // takes new connections; nil while there is none
	last      *instance   // the one before the next
	instances []*instance // live and those that a reload left with their connections
	born      uint64      // instances so far
	identity  *Identity   // what the next instance shows in TLS handshakes; nil where it ends none
	throwAway *throwAway  // made when first needed
	lack      error       // the first that this process ran out of something
}

// Listen opens a balancer's frontends: their addresses are known and connections wait in the backlog,
// but nothing is forwarded before Serve. note is called for each event from the goroutine in which it
// happens, so it must be quick and must not call the balancer; nil if nobody wants to know.
func Listen(p Profile, fronts []Front, note func(Event)) (*Balancer, error) {
	if err := p.Check(); err != nil {
		return nil, err
	}
	b := &Balancer{profile: p, note: note, noteFlow: note, clock: newClock(), rotation: newRotation(), unplugged: &unplugged{back: map[string]chan struct{}{}}}
	if note == nil {
		b.note = func(Event) {}
	}
	b.ctx, b.stop = context.WithCancelCause(context.Background())
	b.watches = newWatches(b.ctx, b.clock)
	b.loops = newLoops(b.clock)
	for _, f := range fronts {
		if b.door(f.Name) != nil {
			return nil, errors.Join(fmt.Errorf("listening: two frontends are called %q", f.Name), b.Close())
		}
		d, err := openDoor(f)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("listening for frontend %s: %w", f.Name, err), b.Close())
		}
		b.doors = append(b.doors, d)
	}
	if err := b.identify(p); err != nil {
		return nil, errors.Join(fmt.Errorf("listening: %w", err), b.Close())
	}
	return b, nil
}

func (b *Balancer) door(front string) *door {
	for _, d := range b.doors {
		if d.Name == front {
			return d
		}
	}
	return nil
}

// Addr is a frontend's host:port, the same for the balancer's whole life; "" for one it does not have.
func (b *Balancer) Addr(front string) string {
	if d := b.door(front); d != nil {
		return d.addr
	}
	return ""
}

// Serve begins to forward at the frontends it names, each to its own backends. It may be called again
// for frontends that do not forward yet, so that those who wait at them are let in one after another.
func (b *Balancer) Serve(backends map[string][]Backend) error {
	b.event.Lock()
	defer b.event.Unlock()
	for name, behind := range backends {
		switch d := b.door(name); {
		case d == nil:
			return fmt.Errorf("serving: there is no frontend %q", name)
		case len(behind) == 0:
			return fmt.Errorf("serving: frontend %s has no backend", name)
		case len(d.backends) > 0:
			return fmt.Errorf("serving: frontend %s forwards already", name)
		}
	}
	b.mu.Lock()
	closed, first := b.closed, b.live == nil
	b.mu.Unlock()
	if closed {
		return errors.New("serving: the balancer is closed")
	}
	if first {
		b.renew()
	}
	for _, d := range b.doors {
		if behind, ok := backends[d.Name]; ok {
			d.backends = behind
			b.live.serves(behind)
			if !d.disabled.Load() {
				d.admit(b)
			}
		}
	}
	return nil
}

// Reload puts another profile into force: new connections are its, live ones stay with the profile they
// began under. Its errors are the user's, and leave everything as it was.
func (b *Balancer) Reload(p Profile) error {
	b.event.Lock()
	defer b.event.Unlock()
	if err := p.Check(); err != nil {
		return err
	}
	if err := b.identify(p); err != nil {
		return fmt.Errorf("reloading: %w", err)
	}
	b.mu.Lock()
	b.profile = p
	serves := b.live != nil
	b.mu.Unlock()
	if serves {
		b.renew()
	}
	b.tell(KindReload)
	return nil
}

// Strike performs the profile's events, each once and in the order of the settings, and returns when
// they are over: at once where there is none. Cancelling the context ends an event early, with the
// balancer as it is after the event. It needs Serve.
func (b *Balancer) Strike(ctx context.Context) error {
	b.event.Lock()
	defer b.event.Unlock()
	b.mu.Lock()
	live := b.live
	b.mu.Unlock()
	if live == nil {
		return errors.New("striking: the balancer does not serve")
	}
	for _, p := range live.policies {
		if s, ok := p.(Striker); ok {
			if err := s.Strike(ctx, b); err != nil {
				return err
			}
		}
	}
	return nil
}

// Cut ends the connection that has that name in events, by RST at both ends, and reports whether there
// was such a connection.
func (b *Balancer) Cut(conn string) bool {
	b.mu.Lock()
	instances := b.instances
	b.mu.Unlock()
	for _, i := range instances {
		for _, f := range i.oldestFirst() {
			if f.id == conn {
				return f.cut()
			}
		}
	}
	return false
}

// Close ends everything and waits for it: no connection, port or goroutine is left. Its error also says
// if this process ran out of descriptors or ports meanwhile: what happened then was no balancer's doing.
// Closing again does nothing.
func (b *Balancer) Close() error {
	b.stop(errors.New("close")) // an event under way ends early
	b.event.Lock()
	defer b.event.Unlock()
	b.mu.Lock()
	again := b.closed
	b.closed = true
	b.mu.Unlock()
	if again {
		return nil
	}
	errs := []error{b.fall("close")}
	b.watches.running.Wait()
	errs = append(errs, b.loops.close())
	b.mu.Lock()
	errs = append(errs, b.lack)
	b.mu.Unlock()
	for _, d := range b.doors {
		d.toxics.adapting.Wait()
		errs = append(errs, d.hold.Close())
	}
	return errors.Join(errs...)
}

// lacks remembers that this process could not do what the balancer would have done.
func (b *Balancer) lacks(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.lack == nil {
		b.lack = err
	}
}

// receive carries one accepted connection, from the goroutine that is its own.
func (b *Balancer) receive(d *door, near *leg) {
	b.mu.Lock()
	live := b.live
	entered := live != nil && live.enter()
	b.mu.Unlock()
	if !entered { // it was accepted just before the balancer fell
		near.reset()
		return
	}
	live.cross(d, near)
}

// renew makes a new instance, with policies that remember nothing, take the new connections.
func (b *Balancer) renew() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.live != nil {
		b.live.retire()
	}
	b.born++
	b.live = newInstance(b, b.profile, b.born, b.last)
	b.last = b.live
	for _, d := range b.doors {
		b.live.serves(d.backends)
	}
	b.instances = append(b.instances, b.live)
}

// fall closes the frontends, so that connecting is refused by RST, and ends every connection by FIN.
func (b *Balancer) fall(why string) error {
	errs := make([]error, 0, len(b.doors))
	for _, d := range b.doors {
		errs = append(errs, d.shut())
	}
	b.mu.Lock()
	old := b.instances
	b.live, b.instances = nil, nil
	b.mu.Unlock()
	for _, i := range old {
		errs = append(errs, i.end(why))
	}
	for _, d := range b.doors {
		d.crossing.Wait()
	}
	return errors.Join(errs...)
}

// rise opens the frontends at their old addresses, with nothing remembered.
func (b *Balancer) rise() error {
	b.renew()
	for _, d := range b.doors {
		if d.disabled.Load() {
			continue
		}
		if err := d.reopenSoon(); err != nil {
			return fmt.Errorf("opening frontend %s again: %w", d.Name, err)
		}
		if len(d.backends) > 0 {
			d.admit(b)
		}
	}
	return nil
}

// stall holds everything until resume is called.
func (b *Balancer) stall()  { b.clock.stop(); b.tell(KindStall) }
func (b *Balancer) resume() { b.tell(KindResume); b.clock.resume(); b.loops.ring() }

// tell notes an event of the whole balancer.
func (b *Balancer) tell(kind string) { b.note(Event{At: time.Now(), Kind: kind}) }

// pause waits for d; it returns early, with the reason, when the context or the balancer ends.
func (b *Balancer) pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-b.ctx.Done():
		return fmt.Errorf("the balancer ended: %w", context.Cause(b.ctx))
	}
}
