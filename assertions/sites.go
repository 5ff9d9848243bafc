package assertions

import (
	"fmt"
	"slices"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// site is a cluster that streams live in, and those whose messages for it cross the balanced link.
type site struct {
	Group
	placed bool     // a stream has to be told that it belongs here
	domain string   // of its JetStream, as those beyond call it; "" where they need not say
	beyond []string // nodes: of another cluster, of its leaf nodes, or, where it is alone, its own, the next one first
}

// placement is what puts a stream here.
func (s site) placement() *jetstream.Placement {
	if !s.placed {
		return nil
	}
	return &jetstream.Placement{Cluster: s.Name}
}

// api is the JetStream of the site as a client beyond it reaches it.
func (s site) api(nc *nats.Conn) (jetstream.JetStream, error) {
	if s.domain == "" {
		return jetstream.New(nc)
	}
	js, err := jetstream.NewWithDomain(nc, s.domain)
	if err != nil {
		return nil, fmt.Errorf("reaching the domain %s: %w", s.domain, err)
	}
	return js, nil
}

// sites are the clusters that streams live in: each that is joined to others, or the one that there is. Leaf nodes have
// a JetStream of their own, and reach the one of their cluster by its domain, which has the cluster's name.
func (t Terms) sites() []site {
	var all []site
	for _, c := range t.Clusters {
		if c.LeafOf == "" {
			all = append(all, site{Group: c})
		}
	}
	if len(all) == 0 {
		all = append(all, site{Group: Group{Nodes: t.Nodes}})
	}
	for i := range all {
		s := &all[i]
		switch leaves := t.leaves(s.Name); {
		case len(all) > 1:
			s.placed, s.beyond = true, all[(i+1)%len(all)].Nodes
		case len(leaves) > 0:
			s.domain, s.beyond = s.Name, leaves
		default:
			s.beyond = slices.Concat(s.Nodes[1:], s.Nodes[:1])
		}
	}
	return all
}

// leaves are the leaf nodes of a cluster.
func (t Terms) leaves(cluster string) []string {
	var nodes []string
	for _, c := range t.Clusters {
		if c.LeafOf != "" && c.LeafOf == cluster {
			nodes = append(nodes, c.Nodes...)
		}
	}
	return nodes
}

// members is how many nodes have a copy of a stream.
func members(h History, stream string) int {
	for _, e := range h.Kind(Client, "stream") {
		if e.Stream == stream && e.Count > 0 {
			return e.Count
		}
	}
	return max(2, len(h.Terms.Nodes))
}
