//go:build linux

package kernel

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/google/nftables"
	"github.com/mdlayher/netlink"

	"github.com/lbtest/lbtest/proxies"
)

// Balancer is the kernel of this process's network namespace as a load balancer. Its methods may be called from any
// goroutine.
type Balancer struct {
	profile proxies.Profile
	idle    time.Duration // 0 for no timeout
	note    func(proxies.Event)
	filter  *nftables.Conn
	table   *table
	logs    map[uint16]*netlink.Conn
	prober  *prober

	ctx    context.Context // ends at Close
	stop   context.CancelCauseFunc
	heard  chan struct{}  // closed when nothing more is heard of the table
	asking chan struct{}  // there is something new to ask about
	within sync.WaitGroup // the goroutines

	event sync.Mutex // held by an event under way, and by Close

	mu     sync.Mutex
	closed bool
	plan   plan
	served map[string][]backend // by frontend, those out of rotation among them
	out    map[string]bool      // backends that are out of rotation, by name
	flows  *flows
	due    map[ends]time.Time // when to ask about a connection
	shown  bool               // that it is the kernel that balances
	lack   error              // the first that this process missed something
}

// Listen takes the network namespace of this process, in which nothing else may balance. The frontends' addresses are
// known then: their ports refuse connections until Serve. note is called for each event, so it must be quick and must not
// call the balancer. What the profile asks for must have no Refusal.
func Listen(p proxies.Profile, fronts []proxies.Front, note func(proxies.Event)) (_ *Balancer, err error) {
	if err := p.Check(); err != nil {
		return nil, err
	}
	if note == nil {
		note = func(proxies.Event) {}
	}
	b := &Balancer{
		profile: p, idle: p.Duration("idle-timeout"), logs: map[uint16]*netlink.Conn{}, heard: make(chan struct{}), asking: make(chan struct{}, 1),
		served: map[string][]backend{}, out: map[string]bool{}, due: map[ends]time.Time{},
	}
	b.note = b.showing(note)
	b.ctx, b.stop = context.WithCancelCause(context.Background())
	var ours []front
	for i, f := range fronts {
		ours = append(ours, front{name: f.Name, port: uint16(firstPort + i)})
	}
	b.plan = planned(p, ours)
	b.plan.own = ownTowards
	manner := proxies.ResetOnNext
	if b.plan.silent {
		manner = proxies.Vanish
	}
	b.flows = newFlows(ours, manner, b.idle, b.note)
	if err := setSysctls(Sysctls(p)); err != nil {
		return nil, fmt.Errorf("preparing this network namespace: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, b.release())
		}
	}()
	if b.filter, err = nftables.New(nftables.AsLasting()); err != nil {
		return nil, fmt.Errorf("opening the packet filter: %w", err)
	}
	if b.table, err = openTable(); err != nil {
		return nil, err
	}
	for _, group := range []uint16{logArriving, logInvalid} {
		if b.logs[group], err = openLog(group); err != nil {
			return nil, err
		}
	}
	b.prober = openProber()
	if err := program(b.filter, b.plan); err != nil {
		return nil, err
	}
	b.within.Go(b.listen)
	b.within.Go(b.ask)
	for group, heard := range map[uint16]func(time.Time, packet){logArriving: b.arrives, logInvalid: b.stray} {
		b.within.Go(func() { b.lacks(readLog(b.logs[group], func(p packet) { heard(time.Now(), p) })) })
	}
	return b, nil
}

// showing notes with the first connection that it is the kernel that balances.
func (b *Balancer) showing(note func(proxies.Event)) func(proxies.Event) {
	return func(e proxies.Event) {
		note(e)
		if e.Kind == proxies.KindBegin && !b.shown {
			b.shown = true
			e.Kind, e.Why, e.What = proxies.KindApplied, "engine", "the kernel's connection table has an entry for it"
			note(e)
		}
	}
}

// Addr is a frontend's host:port. Its host is any of this network namespace's own addresses; "" for a frontend that it does
// not have.
func (b *Balancer) Addr(front string) string {
	for _, f := range b.plan.fronts { // which stay
		if f.name == front {
			return netip.AddrPortFrom(netip.IPv4Unspecified(), f.port).String()
		}
	}
	return ""
}

// Serve begins to forward at the frontends it names, each to its own backends.
func (b *Balancer) Serve(backends map[string][]proxies.Backend) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	for name, behind := range backends {
		switch {
		case b.closed:
			return errors.New("serving: the balancer is closed")
		case b.Addr(name) == "":
			return fmt.Errorf("serving: there is no frontend %q", name)
		case len(behind) == 0:
			return fmt.Errorf("serving: frontend %s has no backend", name)
		case len(b.served[name]) > 0:
			return fmt.Errorf("serving: frontend %s forwards already", name)
		}
		var all []backend
		for _, given := range behind {
			at, err := netip.ParseAddrPort(given.Addr)
			if err != nil || !at.Addr().Unmap().Is4() {
				return fmt.Errorf("serving: backend %s of frontend %s is at %q; the packet filter takes IPv4 addresses", given.Name, name, given.Addr)
			}
			all = append(all, backend{given.Name, netip.AddrPortFrom(at.Addr().Unmap(), at.Port())})
		}
		b.served[name] = all
	}
	return b.programLocked()
}

// programLocked puts into force what is served and in rotation.
func (b *Balancer) programLocked() error {
	fronts := slices.Clone(b.plan.fronts)
	for i, f := range fronts {
		fronts[i].backends = slices.DeleteFunc(slices.Clone(b.served[f.name]), func(be backend) bool { return b.out[be.name] })
	}
	b.plan.fronts = fronts
	known := slices.Clone(fronts)
	for i, f := range known {
		known[i].backends = b.served[f.name] // connections of those out of rotation live on
	}
	b.flows.fronts = known
	return program(b.filter, b.plan)
}

// Cut ends the connection that has that name in events, by RST at both ends, and reports whether there was such a
// connection. It is the tester's: the kernel by itself ends none.
func (b *Balancer) Cut(conn string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	known := b.flows.named(conn)
	if known == nil || b.table.forget(known.entry) != nil {
		return false
	}
	b.flows.forget(time.Now(), known, "cut")
	// Each end answers what cannot be true, and to that answer the filter has its RST.
	b.prober.provoke(ends{known.orig.to, known.orig.from})
	b.prober.provoke(ends{known.reply.to, known.reply.from})
	return true
}

// Close takes the rules out. Its error also says if this process missed something of what happened. Closing again does
// nothing.
func (b *Balancer) Close() error {
	b.stop(errors.New("close")) // an event under way ends early
	b.event.Lock()
	defer b.event.Unlock()
	b.mu.Lock()
	again := b.closed
	b.closed = true
	if !again {
		b.flows.end(time.Now())
	}
	b.mu.Unlock()
	if again {
		return nil
	}
	err := b.release()
	close(b.heard)
	b.within.Wait()
	return errors.Join(err, b.lack)
}

// release gives back what Listen took.
func (b *Balancer) release() error {
	var errs []error
	if b.filter != nil {
		table := &nftables.Table{Family: nftables.TableFamilyIPv4, Name: tableName}
		b.filter.AddTable(table) // so that there is one to delete
		b.filter.DelTable(table)
		errs = append(errs, b.filter.Flush(), b.filter.CloseLasting())
	}
	if b.table != nil {
		errs = append(errs, b.table.close())
	}
	for _, l := range b.logs {
		if l != nil {
			errs = append(errs, l.Close())
		}
	}
	if b.prober != nil {
		errs = append(errs, b.prober.close())
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("taking the rules out: %w", err)
	}
	return nil
}

// ownTowards is the address from which this network namespace reaches another one; that one itself where it reaches
// none, which nobody can be reached from either.
func ownTowards(a netip.Addr) netip.Addr {
	c, err := net.Dial("udp4", netip.AddrPortFrom(a, 9).String()) // finds a route and sends nothing
	if err != nil {
		return a
	}
	defer c.Close()
	return c.LocalAddr().(*net.UDPAddr).AddrPort().Addr().Unmap()
}
