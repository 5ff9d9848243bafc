package suite

import (
	"context"
	"errors"
	"net"

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

// stand is a lab's balancer in its place: in this process, or on the nodes' own networks where the
// runtime has such. Addr is a frontend as this process dials it.
type stand struct {
	balancer
	behind  topologies.Running // nil in this process
	outside string             // where this process listens for the balancer
}

// opened opens a lab's balancer where its runtime has a place for it.
func opened(ctx context.Context, rt topologies.Runtime, nodes []string, order opening, note func(proxies.Event)) (stand, error) {
	if p, ok := rt.(placer); ok {
		b, err := p.place(order, note)
		return stand{balancer: b, outside: "127.0.0.1"}, err
	}
	host, ok := rt.(topologies.Host)
	if !ok {
		b, err := proxies.Listen(order.profile.Scaled(order.factor), order.fronts, note)
		return stand{balancer: b, outside: "127.0.0.1"}, err
	}
	if err := order.profile.Check(); err != nil {
		return stand{}, err
	}
	running, err := host.Run(ctx, topologies.Program{Mode: balancerMode, Nodes: nodes})
	if err != nil {
		return stand{}, err
	}
	r, err := openRemote(ctx, running, order, note)
	if err != nil {
		return stand{}, errors.Join(err, running.Close())
	}
	return stand{balancer: r, behind: running, outside: running.Outside()}, nil
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
}

// dialled is a frontend's address as nodes dial it.
func (s stand) dialled(front string) string {
	addr := s.Addr(front)
	if s.behind == nil {
		return addr
	}
	// Every node has a network of its own with the balancer, which has another address on each: they share the name.
	_, port, _ := net.SplitHostPort(addr)
	return net.JoinHostPort(s.behind.Name(), port)
}
