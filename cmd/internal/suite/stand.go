package suite

import (
	"context"
	"errors"
	"net"
	"slices"

	"github.com/lbtest/lbtest/proxies"
	"github.com/lbtest/lbtest/topologies"
)

// balancer is what a lab needs of one, wherever it runs.
type balancer interface {
	Addr(front string) string
	Serve(backends map[string][]proxies.Backend) error
	Strike(ctx context.Context) error
	Cut(conn string) bool
	Remove(backend string) error
	Restore(backend string) error
	Unplug(backend string) error
	Plug(backend string) error
	Close() error
}

var (
	_ balancer = (*proxies.Balancer)(nil)
	_ balancer = (*remote)(nil)
)

// site is where a lab's balancers and its nodes stand: on this machine's loopback interface, or on networks of
// their own where the runtime has such.
type site struct {
	runtime topologies.Runtime
	// first is where the balancer stands that is judged, as a program that is still to be told so; nil where balancers
	// stand in this process.
	first   topologies.Running
	outside string // where this process listens for the balancers
}

// settle finds a lab's place. It is the caller's to close.
func (l lab) settle(ctx context.Context, rt topologies.Runtime) (site, error) {
	at := site{runtime: rt, outside: loopback}
	host, ok := rt.(topologies.Host)
	if !ok {
		return at, nil
	}
	_, sysctls := l.profile.SystemPorts()
	running, err := host.Run(ctx, topologies.Program{Mode: balancerMode, Networks: l.networks(), Sysctls: sysctls})
	if err != nil {
		return at, err
	}
	at.first, at.outside = running, running.Outside()
	return at, nil
}

// networks are the nodes that reach each other past the balancers.
func (l lab) networks() [][]string {
	var open []topologies.Link
	for _, n := range append(slices.Clone(l.neighbours), neighbour{link: l.link(), profile: l.profile}) {
		if n.profile.Value("bypass") == "open" {
			open = append(open, n.link)
		}
	}
	return l.topology.Neighbours(open...)
}

// close gives the place up before anything was opened there.
func (s site) close() error {
	if s.first == nil {
		return nil
	}
	return s.first.Close()
}

// loopback is where everybody listens who has no network of his own.
const loopback = "127.0.0.1"

// hosts are the addresses under which balancers are dialled, and a node besides, unless it is "".
func (s site) hosts(node string) []string {
	all := []string{loopback, "::1", "localhost"}
	if node != "" {
		all = append(all, node)
	}
	if s.first == nil {
		return all
	}
	all = append([]string{s.first.Addr()}, append(all, s.first.Name())...)
	if at := s.first.Place(node); at != "" {
		all = append(all, at)
	}
	return all
}

// open opens the balancer that is judged. If that fails the site is closed.
func (s site) open(ctx context.Context, order opening, note func(proxies.Event)) (stand, error) {
	if p, ok := s.runtime.(placer); ok {
		b, err := p.place(order, note)
		return stand{balancer: b}, err
	}
	if s.first == nil {
		b, err := proxies.Listen(order.profile.Scaled(order.factor), order.fronts, note)
		return stand{balancer: b}, err
	}
	return opened(ctx, s.first, order, note)
}

// openBeside opens a balancer beside the one that is judged.
func (s site) openBeside(ctx context.Context, name string, order opening) (stand, error) {
	unheard := func(proxies.Event) {} // what it does to its own links is judged by other labs
	if s.first == nil {
		b, err := proxies.Listen(order.profile.Scaled(order.factor), order.fronts, unheard)
		return stand{balancer: b}, err
	}
	_, sysctls := order.profile.SystemPorts()
	running, err := s.runtime.(topologies.Host).Run(ctx, topologies.Program{Mode: balancerMode, Name: name, Sysctls: sysctls, Beside: s.first})
	if err != nil {
		return stand{}, err
	}
	return opened(ctx, running, order, unheard)
}

// opened tells a program which balancer it is. If that fails the program is closed.
func opened(ctx context.Context, running topologies.Running, order opening, note func(proxies.Event)) (stand, error) {
	err := order.profile.Check()
	if err == nil {
		var r *remote
		if r, err = openRemote(ctx, running, order, note); err == nil {
			return stand{balancer: r, program: running}, nil
		}
	}
	return stand{}, errors.Join(err, running.Close())
}

// placer is a runtime that puts a balancer of its own before the nodes, in the place of the simulated one.
type placer interface {
	place(order opening, note func(proxies.Event)) (balancer, error)
}

// opening is what a balancer is opened with.
type opening struct {
	profile proxies.Profile // unscaled
	factor  float64
	fronts  []proxies.Front
	// authority is what certificates of nodes come from, as PEM, where the profile has an identity.
	authority []byte
}

// stand is a balancer in its place. Addr is a frontend as this process dials it.
type stand struct {
	balancer
	program topologies.Running // nil in this process
}

// dialled is a frontend's address as those dial it who use a link.
func (s stand) dialled(link topologies.Link, front string) string {
	addr := s.Addr(front)
	if s.program == nil || !link.Joins() {
		return addr
	}
	// Nodes are on several networks with the balancer, which has another address on each: they share the name.
	_, port, _ := net.SplitHostPort(addr)
	return net.JoinHostPort(s.program.Name(), port)
}
