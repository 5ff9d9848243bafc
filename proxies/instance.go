package proxies

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"reflect"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"time"
)

// instance is one life of a balancer: what its policies remember, and the connections that are theirs.
type instance struct {
	balancer *Balancer
	seed     int64
	policies []Policy
	chooser  Chooser
	pool     *Pool

	ctx    context.Context // ends with the instance; its cause is why
	stop   context.CancelCauseFunc
	retire context.CancelFunc // ends the policies' own work

	inside  sync.WaitGroup // connections, dials under way included
	running sync.WaitGroup // the policies' own work

	mu       sync.Mutex
	ended    bool
	flows    map[*Flow]uint64 // live, with their order of arrival
	came     uint64           // flows so far
	backends []Backend
	active   map[Backend]int // connections, dials under way included
	down     map[Backend]bool
}

// newInstance makes an instance of a profile; before is the one whose memory it takes over, or nil.
func newInstance(b *Balancer, p Profile, life uint64, before *instance) *instance {
	i := &instance{
		balancer: b, seed: p.Seed, chooser: newRoundRobin(),
		flows: map[*Flow]uint64{}, active: map[Backend]int{}, down: map[Backend]bool{},
	}
	i.pool = &Pool{i}
	i.ctx, i.stop = context.WithCancelCause(b.ctx)
	for _, behaviour := range slices.SortedStableFunc(slices.Values(p.Behaviours), byRow) {
		policy := behaviour.Start()
		if c, ok := policy.(Chancer); ok {
			c.Chance(rand.New(rand.NewPCG(uint64(p.Seed), life)))
		}
		if c, ok := policy.(Chooser); ok {
			i.chooser = c
		}
		if c, ok := policy.(certified); ok {
			c.certify(b.identity)
		}
		if h, ok := policy.(Heir); ok && before != nil {
			for _, old := range before.policies {
				if reflect.TypeOf(old) == reflect.TypeOf(policy) {
					h.Inherit(old)
				}
			}
		}
		i.policies = append(i.policies, policy)
	}
	var working context.Context
	working, i.retire = context.WithCancel(i.ctx)
	for _, policy := range i.policies {
		if r, ok := policy.(Runner); ok {
			i.running.Go(func() { r.Run(working, i.pool) })
		}
	}
	return i
}

// serves adds backends to those in the pool.
func (i *instance) serves(backends []Backend) {
	defer i.balancer.rotation.announce()
	i.mu.Lock()
	defer i.mu.Unlock()
	for _, b := range backends {
		if !slices.Contains(i.backends, b) {
			i.backends = append(i.backends, b)
		}
	}
}

// out reports whether a backend is out of rotation; mu is held.
func (i *instance) out(b Backend) bool { return i.down[b] || i.balancer.rotation.isRemoved(b.Name) }

// enter counts a connection in, unless the instance has ended. Whoever entered leaves.
func (i *instance) enter() bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.ended {
		return false
	}
	i.inside.Add(1)
	return true
}

func (i *instance) leave() { i.inside.Done() }

// cross takes one connection from its acceptance to where it is forwarded, or turns it away. Whoever
// called it has entered; the connection leaves by itself.
func (i *instance) cross(d *door, near *leg) {
	b := i.balancer
	flow := newFlow(d.Name+"#"+strconv.FormatInt(b.conns.Add(1), 10), d.Front, near, b.clock, b.noteFlow)
	flow.toxics, flow.chance = &d.toxics, i.seed
	if err := i.connect(d, flow); err != nil {
		i.forget(flow)
		flow.refuse(i.ctx, err)
		i.leave()
		return
	}
	flow.carry(b, func() {
		i.forget(flow)
		flow.noteEnd()
		flow.ended(flow.closedFirst())
		i.leave()
	})
}

// dialFor is how long a backend may take to answer a connect: what Envoy's clusters and Octavia's
// HAProxy allow by default, and above the 2 s after which NATS clients give up by themselves.
const dialFor = 5 * time.Second

// connect takes a connection through the phases of Policy. On an error it is still to be refused.
func (i *instance) connect(d *door, flow *Flow) error {
	if err := phase(i, Gate.Arrive, flow); err != nil {
		return err
	}
	if err := phase(i, Unwrapper.Unwrap, flow); err != nil {
		return err
	}
	if err := phase(i, Inspector.Inspect, flow); err != nil {
		return err
	}
	if err := i.choose(d, flow); err != nil {
		return err
	}
	if err := phase(i, Router.Route, flow); err != nil {
		return err
	}
	if err := i.dial(flow); err != nil {
		return err
	}
	for _, p := range slices.Backward(i.policies) {
		if g, ok := p.(Greeter); ok {
			if err := g.Greet(i.ctx, flow); err != nil {
				return err
			}
		}
	}
	i.balancer.clock.running(i.ctx.Done()) // a stall may have begun meanwhile
	for _, p := range i.policies {
		if err := p.Admit(flow); err != nil {
			return err
		}
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.ended {
		return context.Cause(i.ctx)
	}
	if d.disabled.Load() {
		return errors.New(disabled)
	}
	i.came++
	i.flows[flow] = i.came
	return nil
}

// phase takes a connection past the policies that have that phase.
func phase[P any](i *instance, meet func(P, context.Context, *Flow) error, f *Flow) error {
	for _, p := range i.policies {
		if met, ok := p.(P); ok {
			if err := meet(met, i.ctx, f); err != nil {
				return err
			}
		}
	}
	return nil
}

// dial connects the flow to its backend, from the address that a policy wants.
func (i *instance) dial(f *Flow) error {
	if err := i.balancer.unplugged.answered(i.ctx, f.backend, dialFor); err != nil {
		return err
	}
	for {
		var from *net.TCPAddr
		if f.dialFrom != nil {
			var err error
			if from, err = f.dialFrom(); err != nil {
				return err
			}
		}
		far, err := dialLeg(i.ctx, f.backend.Addr, from)
		switch {
		case err == nil:
			f.reached(far)
			return nil
		case f.dialFrom != nil && (errors.Is(err, syscall.EADDRINUSE) || errors.Is(err, syscall.EADDRNOTAVAIL)):
			continue // somebody else has that port; there may be another
		case ranOut(err):
			i.balancer.lacks(fmt.Errorf("dialling backend %s: %w", f.backend.Name, err))
		}
		return err
	}
}

// dialNative dials with Go's own means; from is nil for any address.
func dialNative(ctx context.Context, addr string, from *net.TCPAddr) (*leg, error) {
	// As with accepted connections, no keepalives of our own.
	dialer := net.Dialer{Timeout: dialFor, KeepAlive: -1}
	if from != nil {
		dialer.LocalAddr = from
		dialer.Control = reuseAddress
	}
	conn, err := dialer.DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	far, err := newLeg(serverSide, conn.(*net.TCPConn))
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return far, nil
}

// reuseAddress lets one local port serve several backends, as one NAT address does.
func reuseAddress(_, _ string, c syscall.RawConn) error {
	var err error
	if failed := c.Control(func(fd uintptr) { err = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 1) }); failed != nil {
		return failed
	}
	return err
}

// ranOut says whether an error is this process's or this machine's want of something: descriptors, memory,
// ports to dial from.
func ranOut(err error) bool {
	return slices.ContainsFunc([]syscall.Errno{syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM, syscall.EADDRNOTAVAIL},
		func(e syscall.Errno) bool { return errors.Is(err, e) })
}

// reason puts an error of connecting into an event's words.
func reason(ctx context.Context, err error) string {
	var timeout net.Error
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx).Error()
	case errors.Is(err, syscall.ECONNREFUSED):
		return "connection refused"
	case errors.As(err, &timeout) && timeout.Timeout():
		return "no answer in " + formatDuration(dialFor)
	}
	return err.Error()
}

var errNoBackend = errors.New("no backend is in rotation")

func (i *instance) choose(d *door, f *Flow) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	c := Choice{Front: d.Name, Client: f.Client().Addr().String()}
	for _, b := range d.backends {
		if !i.out(b) {
			c.Backends = append(c.Backends, b)
			c.Active = append(c.Active, i.active[b])
		}
	}
	if len(c.Backends) == 0 {
		return errNoBackend
	}
	f.backend = c.Backends[i.chooser.Choose(c)]
	i.active[f.backend]++
	return nil
}

// forget takes a connection out of the books, however far it got.
func (i *instance) forget(f *Flow) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if f.backend.Addr != "" {
		i.active[f.backend]--
	}
	delete(i.flows, f)
}

// oldestFirst lists the live connections.
func (i *instance) oldestFirst() []*Flow {
	i.mu.Lock()
	defer i.mu.Unlock()
	var flows []*Flow
	for f := range i.flows {
		flows = append(flows, f)
	}
	slices.SortFunc(flows, func(a, b *Flow) int { return cmp.Compare(i.flows[a], i.flows[b]) })
	return flows
}

// end ends every connection by FIN, waits until they are gone, and closes the policies.
func (i *instance) end(why string) error {
	i.mu.Lock()
	i.stop(errors.New(why)) // before ended is seen: whoever sees it asks for the cause
	i.ended = true
	i.mu.Unlock()
	for _, f := range i.oldestFirst() {
		f.end(Close, why)
	}
	i.inside.Wait()
	i.running.Wait()
	var errs []error
	for _, p := range i.policies {
		if c, ok := p.(io.Closer); ok {
			errs = append(errs, c.Close())
		}
	}
	return errors.Join(errs...)
}
