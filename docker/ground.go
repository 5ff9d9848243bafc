package docker

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"
)

// ground is the networks that programs and nodes share.
type ground struct {
	front  *link                 // of the programs and this process
	shared []*link               // of the programs and some of the nodes each
	on     map[string]*link      // that of each node
	at     map[string]netip.Addr // the address of each node

	mu    sync.Mutex
	seats int // taken by programs on the front network
}

// newGround makes a network for each group of nodes, and one for this process.
func (r *runtime) newGround(ctx context.Context, groups [][]string) (*ground, error) {
	links, err := r.newLinks(ctx, 1+len(groups))
	if err != nil {
		return nil, errors.Join(err, removeLinks(links))
	}
	g := &ground{front: links[0], shared: links[1:], on: map[string]*link{}, at: map[string]netip.Addr{}}
	for i, group := range groups {
		for j, node := range group {
			at, err := g.shared[i].container(j)
			if err != nil {
				return nil, errors.Join(fmt.Errorf("placing node %s: %w", node, err), g.close())
			}
			g.on[node], g.at[node] = g.shared[i], at
		}
	}
	return g, nil
}

// seat gives a program its address on the front network.
func (g *ground) seat() (netip.Addr, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	at, err := g.front.container(g.seats)
	g.seats++
	return at, err
}

// close removes the networks, which nothing is on any more.
func (g *ground) close() error { return removeLinks(append([]*link{g.front}, g.shared...)) }
