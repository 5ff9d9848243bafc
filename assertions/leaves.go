package assertions

import (
	"context"
	"fmt"
	"slices"
	"time"
)

func init() {
	linkKinds[leafLinks] = linkKind{
		name:   leafLinks,
		look:   func(ctx context.Context, t Target) linkage { return lookAtLeaves(ctx, t) },
		called: true,
		one:    "leafnode connection",
		all:    "leafnode connections",
		whole:  "all leaf nodes connected", unwhole: "leaf nodes not all connected", absent: "there were no connected leaf nodes", never: "the leaf nodes were never all connected",
		connection: "leafnode connection",
		wholeAfter: Measure{Name: "all_connected_after", Unit: "s"},
		silent:     Measure{Name: "connections_ended_silently", Unit: "connections"},
		gap:        Measure{Name: "connections_missing", Unit: "connections"},
		gaps:       leavesApart,
		cut:        Unsafe,
		// A second after a connection was lost, and one to two between attempts (leafnode.go).
		retry: 2 * time.Second,
		// The hub's end leaves a PING out where it heard something.
		slack: 1,
		pinging: func(interval string) Advice {
			return Advice{Target: "nats-server", Text: fmt.Sprintf("ping_interval: %q  # on the leaf nodes: the end that dials pings whatever the traffic", interval),
				Nats: map[string]string{"leaf:ping_interval": interval}}
		},
		standing: towards("leafnodes", "every leaf node takes a connection"),
	}
}

// leafz is what lbtest reads of /leafz.
type leafz struct {
	Leafs []struct {
		Peer  string `json:"name"`
		Spoke bool   `json:"is_spoke"` // whether this node is the leaf node
		// The other end as this node sees it: what it dialled, or the balancer's own address.
		IP   string `json:"ip"`
		Port int    `json:"port"`
	} `json:"leafs"`
}

// leaves is the leafnode connections of every node as its monitoring port lists them.
type leaves map[string]leafz

func lookAtLeaves(ctx context.Context, t Target) leaves { return askAll[leafz](ctx, t, "/leafz") }

// hub returns the node that a leaf node is connected to, as the leaf node has it, the address that it dialled, and whether
// that node knows it.
func (l leaves) hub(leaf string) (node, addr string, known bool) {
	for _, c := range l[leaf].Leafs {
		if !c.Spoke {
			continue
		}
		node, addr = c.Peer, hostPort(c.IP, c.Port)
		for _, other := range l[node].Leafs {
			if !other.Spoke && other.Peer == leaf {
				return node, addr, true
			}
		}
	}
	return node, addr, false
}

// leafNodes are the nodes that dial a hub.
func (t Terms) leafNodes() []string {
	var found []string
	for _, g := range t.Clusters {
		if g.LeafOf != "" {
			found = append(found, g.Nodes...)
		}
	}
	return found
}

func (l leaves) whole(terms Terms) bool {
	for _, leaf := range terms.leafNodes() {
		if _, _, known := l.hub(leaf); !known {
			return false
		}
	}
	return len(terms.leafNodes()) > 0
}

// record writes joined (what a leaf node is connected to, and whether both ends know) and a link for each connection's end.
func (l leaves) record(_ context.Context, t Target, rec *Recorder) {
	leafNodes := t.Terms.leafNodes()
	for _, leaf := range leafNodes {
		node, _, known := l.hub(leaf)
		e := Event{From: Server, Kind: "joined", Node: leaf, Peer: node}
		if known {
			e.Count = 1
		}
		rec.Add(e)
	}
	for _, n := range t.Nodes {
		for _, c := range l[n.Name].Leafs {
			// What the tester's own probes left behind has no name.
			if c.Spoke || slices.Contains(leafNodes, c.Peer) {
				rec.Add(Event{From: Server, Kind: "link", Node: n.Name, Peer: c.Peer, Addr: hostPort(c.IP, c.Port)})
			}
		}
	}
}

// Every connection carries its account's messages.
func (l leaves) apart() map[string]bool { return nil }

func (l leaves) carrying(node string) []string {
	var found []string
	for _, c := range l[node].Leafs {
		if !c.Spoke {
			found = append(found, hostPort(c.IP, c.Port))
		}
	}
	return found
}

// leavesApart names the leaf nodes without a connection, and those whose connection the hub does not know.
func leavesApart(h History, look Event) (gaps []string, evidence []Event) {
	latest := map[string]Event{}
	for _, e := range h.Kind(Server, "joined") {
		if e.At <= look.At {
			latest[e.Node] = e
		}
	}
	for _, leaf := range h.Terms.leafNodes() {
		e := latest[leaf]
		switch {
		case e.Count > 0:
			continue
		case e.Peer == "":
			gaps = append(gaps, leaf+" no connection")
		default:
			gaps = append(gaps, leaf+" a connection that "+e.Peer+" does not know")
		}
		if e.Kind != "" { // nobody need have been asked
			evidence = append(evidence, e)
		}
	}
	return gaps, evidence
}
