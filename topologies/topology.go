// Package topologies says what a NATS deployment behind load balancers looks like, and what it takes
// to start one. A topology is data; Render turns a Build of it into the configuration text of each
// node, the same text whatever starts the nodes; a Runtime starts them.
//
// To add a topology, add a file named after it that registers it. Nothing else changes.
package topologies

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
)

// Link is a kind of connection between NATS parties, as a load balancer may carry it.
type Link string

// The link kinds.
const (
	Clients   Link = "clients"   // nats clients to servers
	Websocket Link = "websocket" // the same over HTTP
	Routes    Link = "routes"    // servers of one cluster to each other
	Gateways  Link = "gateways"  // servers of one cluster to those of another
	Leafnodes Link = "leafnodes" // servers by themselves to those of a cluster, their hub
)

// Joins reports whether a link joins servers, rather than clients with servers.
func (l Link) Joins() bool { return l == Routes || l == Gateways || l == Leafnodes }

// Topology is one arrangement of clusters and balancers. It is data: nothing happens when it exists.
type Topology struct {
	Name     string    // as typed on the command line
	About    string    // one sentence for `lbtest list`
	Clusters []Cluster // in the order they are named in reports
	Balanced []Link    // the links that cross a balancer, each its own; all others are direct. Time is scaled on the first
}

// Cluster is servers that know each other by routes, or the leafnodes of such a cluster.
type Cluster struct {
	Name  string
	Nodes []string // names, unique in the whole topology
	// LeafOf names the cluster that these servers are leafnodes of: they have no routes, each stands by itself with a
	// JetStream domain of its own name. "" is servers joined by routes, and by gateways to other such clusters.
	LeafOf string
}

// Frontend is one frontend of a balancer and the nodes behind it.
type Frontend struct {
	Name  string // see Front
	Nodes []string
}

// Nodes gives the names of all nodes, cluster by cluster.
func (t Topology) Nodes() []string {
	var names []string
	for _, c := range t.Clusters {
		names = append(names, c.Nodes...)
	}
	return names
}

// Listens gives the links that a node listens for, in a fixed order.
func (t Topology) Listens(node string) []Link {
	c, ok := t.clusterOf(node)
	if !ok {
		return nil
	}
	all := []Link{Clients}
	if c.LeafOf == "" {
		all = append(all, Routes)
	}
	if slices.Contains(t.Balanced, Websocket) {
		all = append(all, Websocket)
	}
	if c.LeafOf == "" && t.joined() {
		all = append(all, Gateways)
	}
	if slices.ContainsFunc(t.Clusters, func(o Cluster) bool { return o.LeafOf == c.Name }) {
		all = append(all, Leafnodes)
	}
	return all
}

// joined reports whether there are gateways: clusters to be joined by them.
func (t Topology) joined() bool {
	clusters := 0
	for _, c := range t.Clusters {
		if c.LeafOf == "" {
			clusters++
		}
	}
	return clusters > 1
}

// leaves reports whether there are leafnodes.
func (t Topology) leaves() bool {
	return slices.ContainsFunc(t.Clusters, func(c Cluster) bool { return c.LeafOf != "" })
}

// Frontends gives the frontends that a balancer of a link has: one a node that listens for it, or one over the nodes
// of each cluster that does. That of the only such cluster is called VIP.
func (t Topology) Frontends(link Link, perNode bool) []Frontend {
	var all []Frontend
	for _, c := range t.Clusters {
		var nodes []string
		for _, n := range c.Nodes {
			if slices.Contains(t.Listens(n), link) {
				nodes = append(nodes, n)
			}
		}
		switch {
		case len(nodes) == 0:
		case perNode:
			for _, n := range nodes {
				all = append(all, Frontend{n, []string{n}})
			}
		default:
			all = append(all, Frontend{c.Name, nodes})
		}
	}
	if !perNode && len(all) == 1 {
		all[0].Name = VIP
	}
	return all
}

// cluster gives the cluster of that name.
func (t Topology) cluster(name string) (Cluster, bool) {
	i := slices.IndexFunc(t.Clusters, func(c Cluster) bool { return c.Name == name })
	if i < 0 {
		return Cluster{}, false
	}
	return t.Clusters[i], true
}

// clusterOf gives the cluster that a node belongs to.
func (t Topology) clusterOf(node string) (Cluster, bool) {
	for _, c := range t.Clusters {
		if slices.Contains(c.Nodes, node) {
			return c, true
		}
	}
	return Cluster{}, false
}

// registered is filled by the init functions of the topologies' own files and only read afterwards.
var registered []Topology

// register adds a topology to the catalogue. A duplicate or an incomplete one is a mistake in the
// program and panics at start-up.
func register(t Topology) {
	if err := check(t); err != nil {
		panic("topologies: " + err.Error())
	}
	registered = append(registered, t)
}

// name is what a topology, a cluster or a node may be called: nats-server refuses blanks in names,
// and a colon or a dot would be read as part of a --nats key.
var name = regexp.MustCompile(`^[a-z][a-z0-9-]*$`)

func check(t Topology) error {
	switch {
	case !name.MatchString(t.Name):
		return fmt.Errorf("topology %q: the name must be lower case letters, digits and dashes", t.Name)
	case slices.ContainsFunc(registered, func(o Topology) bool { return o.Name == t.Name }):
		return fmt.Errorf("topology %q is registered twice", t.Name)
	case t.About == "":
		return fmt.Errorf("topology %q says nothing about itself", t.Name)
	case len(t.Clusters) == 0:
		return fmt.Errorf("topology %q has no cluster", t.Name)
	case len(t.Balanced) == 0:
		return fmt.Errorf("topology %q puts nothing behind a balancer", t.Name)
	}
	seen := map[string]string{VIP: "the name of the one frontend over all nodes"}
	for _, c := range t.Clusters {
		if len(c.Nodes) == 0 {
			return fmt.Errorf("topology %q: cluster %q has no nodes", t.Name, c.Name)
		}
		for i, n := range append([]string{c.Name}, c.Nodes...) {
			what := "a cluster"
			if i > 0 {
				what = "a node"
			}
			if !name.MatchString(n) {
				return fmt.Errorf("topology %q: %s is called %q: lower case letters, digits and dashes only", t.Name, what, n)
			}
			if other, ok := seen[n]; ok {
				return fmt.Errorf("topology %q: %s is called %q, which is %s", t.Name, what, n, other)
			}
			seen[n] = what + " already"
		}
		if c.LeafOf == "" {
			continue
		}
		if hub, ok := t.cluster(c.LeafOf); !ok || hub.LeafOf != "" {
			return fmt.Errorf("topology %q: %q are leafnodes of %q, which is no cluster of it", t.Name, c.Name, c.LeafOf)
		}
	}
	for _, link := range t.Balanced {
		if len(t.Frontends(link, false)) == 0 {
			return fmt.Errorf("topology %q puts %s behind a balancer, which no node listens for", t.Name, link)
		}
	}
	return nil
}

// All gives every topology, sorted by name.
func All() []Topology {
	return slices.SortedFunc(slices.Values(registered), func(a, b Topology) int { return cmp.Compare(a.Name, b.Name) })
}

// Find gives the topology of that name.
func Find(name string) (Topology, bool) {
	for _, t := range registered {
		if t.Name == name {
			return t, true
		}
	}
	return Topology{}, false
}
