package proxies

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"slices"
	"sync"
	"syscall"
	"time"
)

// instance is one life of a balancer: what its policies remember, and the connections that are theirs.
type instance struct {
	balancer *Balancer
	policies []Policy
	chooser  Chooser

	ctx  context.Context // ends with the instance; its cause is why
	stop context.CancelCauseFunc

	inside sync.WaitGroup // connections, dials under way included

	mu     sync.Mutex
	ended  bool
	flows  map[*Flow]uint64 // live, with their order of arrival
	came   uint64           // flows so far
	active map[Backend]int  // connections, dials under way included
}

func newInstance(b *Balancer, life uint64) *instance {
	i := &instance{
		balancer: b, chooser: newRoundRobin(),
		flows: map[*Flow]uint64{}, active: map[Backend]int{},
	}
	i.ctx, i.stop = context.WithCancelCause(b.ctx)
	for _, behaviour := range b.profile.Behaviours {
		p := behaviour.Start()
		if c, ok := p.(Chancer); ok {
			c.Chance(rand.New(rand.NewPCG(uint64(b.profile.Seed), life)))
		}
		if c, ok := p.(Chooser); ok {
			i.chooser = c
		}
		i.policies = append(i.policies, p)
	}
	return i
}

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

// cross carries one connection from its choice of a backend to its end.
func (i *instance) cross(d *door, client *net.TCPConn) {
	b := i.balancer
	backend := i.choose(d, client)

	refusal := Event{
		Kind: KindRefused, Front: d.Name, Backend: backend.Name, Conn: fmt.Sprintf("%s#%d", d.Name, b.conns.Add(1)),
		ClientAddr: client.RemoteAddr().String(), FrontAddr: client.LocalAddr().String(), BackendAddr: backend.Addr,
		How: string(Close),
	}
	flow, err := i.connect(d, client, backend, refusal.Conn)
	if err != nil {
		i.forget(backend, nil)
		refusal.At, refusal.Why = time.Now(), reason(i.ctx, err)
		b.note(refusal)
		return
	}
	flow.carry()
	i.forget(backend, flow)
	flow.noteEnd()
}

// dialFor is how long a backend may take to answer a connect: what Envoy's clusters and Octavia's
// HAProxy allow by default, and above the 2 s after which NATS clients give up by themselves.
const dialFor = 5 * time.Second

// connect dials the backend and has the connection admitted. On an error both ends are closed.
func (i *instance) connect(d *door, client *net.TCPConn, backend Backend, id string) (_ *Flow, err error) {
	b := i.balancer
	near, err := newLeg(clientSide, client)
	if err != nil {
		return nil, errors.Join(err, client.Close())
	}
	defer func() {
		if err != nil {
			near.finish()
		}
	}()
	// As with accepted connections, no keepalives of our own.
	dialer := net.Dialer{Timeout: dialFor, KeepAlive: -1}
	conn, err := dialer.DialContext(i.ctx, "tcp", backend.Addr)
	if err != nil {
		if ranOut(err) {
			b.lacks(fmt.Errorf("dialling backend %s: %w", backend.Name, err))
		}
		return nil, err
	}
	far, err := newLeg(serverSide, conn.(*net.TCPConn))
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	defer func() {
		if err != nil {
			far.finish()
		}
	}()
	b.clock.running(i.ctx.Done()) // a stall may have begun during the dial
	flow := newFlow(id, d.Front, backend, near, far, b.clock, b.note)
	for _, p := range i.policies {
		if err := p.Admit(flow); err != nil {
			return nil, err
		}
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.ended {
		return nil, context.Cause(i.ctx)
	}
	i.came++
	i.flows[flow] = i.came
	return flow, nil
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

func (i *instance) choose(d *door, client *net.TCPConn) Backend {
	i.mu.Lock()
	defer i.mu.Unlock()
	active := make([]int, len(d.backends))
	for n, b := range d.backends {
		active[n] = i.active[b]
	}
	chosen := d.backends[i.chooser.Choose(Choice{
		Front: d.Name, Client: client.RemoteAddr().(*net.TCPAddr).IP.String(), Backends: d.backends, Active: active,
	})]
	i.active[chosen]++
	return chosen
}

// forget takes a connection out of the books, whether it got as far as a flow or not.
func (i *instance) forget(b Backend, f *Flow) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.active[b]--
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
	var errs []error
	for _, p := range i.policies {
		if c, ok := p.(io.Closer); ok {
			errs = append(errs, c.Close())
		}
	}
	return errors.Join(errs...)
}
