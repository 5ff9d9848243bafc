package assertions

import (
	"context"
	"fmt"
	"time"
)

func init() {
	linkKinds[routeLinks] = linkKind{
		name:  routeLinks,
		look:  func(ctx context.Context, t Target) linkage { return lookAtMesh(ctx, t) },
		one:   "route",
		all:   "routes",
		whole: "full mesh", unwhole: "no full mesh", absent: "there was no full mesh", never: "the full mesh never formed",
		connection: "route connection",
		wholeAfter: Measure{Name: "mesh_full_after", Unit: "s"},
		silent:     Measure{Name: "silent_ends", Unit: "routes"},
		gap:        Measure{Name: "incomplete_pairs", Unit: "pairs"},
		gaps:       gapsBefore,
		cut:        Risky,
		retry:      routeRetry,
		pinging: func(interval string) Advice {
			return Advice{Target: "nats-server", Text: fmt.Sprintf("cluster { ping_interval: %q }", interval), Nats: map[string]string{"cluster.ping_interval": interval}}
		},
		standing: towardsRoutes,
		alone:    []Advice{directRoutes},
	}
}

// routeRetry is nats-server's own pause before it dials a route again: 1 s and up to 100 ms (route.go).
const routeRetry = 1100 * time.Millisecond

// mesh is the routes of every node as its monitoring port lists them.
type mesh map[string]routez

func lookAtMesh(ctx context.Context, t Target) mesh { return askAll[routez](ctx, t, "/routez") }

// between counts the pool's and the system account's connections that a node has to a peer.
func (m mesh) between(node, peer string) (pool, system int) {
	for _, r := range m[node].Routes {
		switch {
		case r.Peer != peer:
		case r.Account == "":
			pool++
		default:
			system++
		}
	}
	return pool, system
}

// meshed returns the peers with which routes join a node: the others of its cluster.
func (t Terms) meshed(node string) []string {
	together := [][]string{t.Nodes}
	if len(t.Clusters) > 0 {
		together = nil
		for _, c := range t.Clusters {
			if c.LeafOf == "" {
				together = append(together, c.Nodes)
			}
		}
	}
	var peers []string
	for _, nodes := range together {
		for _, n := range nodes {
			if n == node {
				peers = nodes
			}
		}
	}
	return peers
}

func (m mesh) whole(terms Terms) bool {
	for _, node := range terms.Nodes {
		if !m.fullAt(terms, node) {
			return false
		}
	}
	return true
}

func (m mesh) fullAt(terms Terms, node string) bool {
	for _, peer := range terms.meshed(node) {
		if pool, system := m.between(node, peer); node != peer && (pool < terms.PoolSize || system < terms.Dedicated) {
			return false
		}
	}
	return true
}

// AwaitRoutes waits until one node has all its routes, and reports whether it has.
func AwaitRoutes(ctx context.Context, t Target, node string) bool {
	// A pool fills within tens of milliseconds.
	return every(ctx, 10*time.Millisecond, func() bool { return lookAtMesh(ctx, t).fullAt(t.Terms, node) })
}

// record writes what each node has of each peer, and the ends of every connection.
func (m mesh) record(_ context.Context, t Target, rec *Recorder) {
	for _, n := range t.Nodes {
		for _, p := range t.Terms.meshed(n.Name) {
			if n.Name == p {
				continue
			}
			pool, system := m.between(n.Name, p)
			e := Event{From: Server, Kind: "pool", Node: n.Name, Peer: p, Count: pool}
			if system >= t.Terms.Dedicated {
				e.How = "system"
			}
			rec.Add(e)
		}
		for _, r := range m[n.Name].Routes {
			rec.Add(Event{From: Server, Kind: "route", Node: n.Name, Peer: r.Peer, Account: r.Account, Addr: hostPort(r.IP, r.Port)})
		}
	}
}

// apart are the routes that belong to one account alone: the system account's are never quiet in a cluster with JetStream,
// and carry no messages of users.
func (m mesh) apart() map[string]bool {
	found := map[string]bool{}
	for _, r := range m {
		for _, c := range r.Routes {
			if c.Account != "" {
				found[hostPort(c.IP, c.Port)] = true
			}
		}
	}
	return found
}

func (m mesh) carrying(node string) []string {
	var found []string
	for _, r := range m[node].Routes {
		if r.Account == "" {
			found = append(found, hostPort(r.IP, r.Port))
		}
	}
	return found
}
