package assertions

import (
	"context"
	"sync"
	"time"
)

// Forming watches the routes from the first moment until the mesh is whole, or until the peers' time is
// up, and again when all is over. What else is watched builds on it.
var Forming = &Observation{Name: "forming", First: true,
	Watch: func(ctx context.Context, t Target, rec *Recorder) error {
		awaitMesh(ctx, t, rec, back)
		return ctx.Err()
	},
	After: func(ctx context.Context, t Target, rec *Recorder) error {
		limit := back
		if !rec.Saw(Server, "mesh-full") {
			limit = 5 * settle // it had its time
		}
		awaitMesh(ctx, t, rec, limit)
		return ctx.Err()
	},
}

// awaitMesh looks until every pair of nodes has its whole pool and its system route and nothing has
// changed for settle. It writes mesh-full or mesh-partial, and every route's ends.
func awaitMesh(ctx context.Context, t Target, rec *Recorder, limit time.Duration) bool {
	limited, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	var whole time.Duration // since when, 0 for not
	full := until(limited, func() bool {
		m := lookAtMesh(limited, t)
		now := rec.Now()
		if !m.full(t.Terms) {
			whole = 0
			return false
		}
		if whole == 0 {
			whole = now
		}
		return now-whole >= settle
	})
	m := lookAtMesh(ctx, t)
	m.record(t, rec)
	if full {
		rec.Add(Event{At: whole, From: Server, Kind: "mesh-full"})
	} else if ctx.Err() == nil {
		rec.Add(Event{From: Server, Kind: "mesh-partial"})
	}
	return full
}

// mesh is the routes of every node as its monitoring port lists them.
type mesh map[string]routez

func lookAtMesh(ctx context.Context, t Target) mesh {
	var mu sync.Mutex
	var wg sync.WaitGroup
	seen := mesh{}
	for _, n := range t.Nodes {
		wg.Go(func() {
			var r routez
			if ask(ctx, n, "/routez", &r) == nil {
				mu.Lock()
				defer mu.Unlock()
				seen[n.Name] = r
			}
		})
	}
	wg.Wait()
	return seen
}

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

func (m mesh) full(terms Terms) bool {
	for _, node := range terms.Nodes {
		if !m.fullAt(terms, node) {
			return false
		}
	}
	return true
}

func (m mesh) fullAt(terms Terms, node string) bool {
	for _, peer := range terms.Nodes {
		if pool, system := m.between(node, peer); node != peer && (pool < terms.PoolSize || system < terms.Dedicated) {
			return false
		}
	}
	return true
}

// AwaitRoutes waits until one node has all its routes, and reports whether it has.
func AwaitRoutes(ctx context.Context, t Target, n Node) bool {
	// A pool fills within tens of milliseconds.
	return every(ctx, 10*time.Millisecond, func() bool { return lookAtMesh(ctx, t).fullAt(t.Terms, n.Name) })
}

// record writes what each node has of each peer, and the ends of every connection.
func (m mesh) record(t Target, rec *Recorder) {
	for _, n := range t.Nodes {
		for _, p := range t.Nodes {
			if n.Name == p.Name {
				continue
			}
			pool, system := m.between(n.Name, p.Name)
			e := Event{From: Server, Kind: "pool", Node: n.Name, Peer: p.Name, Count: pool}
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

// PoolRoute returns the balancer's name of one connection that carries accounts of users to a node.
func PoolRoute(ctx context.Context, t Target, rec *Recorder, n Node) (conn string, ok bool) {
	for _, r := range lookAtMesh(ctx, t)[n.Name].Routes {
		for _, e := range rec.Events() {
			if r.Account == "" && e.From == Balancer && e.Kind == "begin" && e.Addr == hostPort(r.IP, r.Port) {
				return e.Conn, true
			}
		}
	}
	return "", false
}

// systemRoutes are the addresses, as nodes see them, of the routes that belong to one account alone: the
// system account's are never quiet in a cluster with JetStream, and carry no messages of users.
func (m mesh) systemRoutes() map[string]bool {
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
