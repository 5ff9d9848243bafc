package assertions

import (
	"context"
	"fmt"
	"time"
)

func init() {
	linkKinds[gatewayLinks] = linkKind{
		name:   gatewayLinks,
		look:   func(ctx context.Context, t Target) linkage { return lookAtSupercluster(ctx, t) },
		called: true,
		one:    "gateway connection",
		all:    "gateways",
		whole:  "all gateways connected", unwhole: "gateways not all connected", absent: "there were no connected gateways", never: "the gateways were never all connected",
		connection: "gateway connection",
		wholeAfter: Measure{Name: "all_connected_after", Unit: "s"},
		silent:     Measure{Name: "connections_ended_silently", Unit: "connections"},
		gap:        Measure{Name: "connections_missing", Unit: "connections"},
		gaps:       clustersApart,
		cut:        Risky,
		// A second and up to 100 ms before the first attempt, a second between attempts (gateway.go).
		retry: 1100 * time.Millisecond,
		pinging: func(interval string) Advice {
			return Advice{Target: "nats-server", Text: fmt.Sprintf("ping_interval: %q  # gateways have no setting of their own: below 15s it speeds them up, and every other connection with them", interval),
				Nats: map[string]string{"ping_interval": interval}}
		},
		standing: towards("gateways", "every node takes a connection to each other cluster"),
	}
}

// gatewayz is what lbtest reads of /gatewayz: the connections by the other cluster's name. A node has one outbound to each
// cluster, over which it sends; those it accepted may be none, or several.
type gatewayz struct {
	Outbound map[string]gatewayEnd   `json:"outbound_gateways"`
	Inbound  map[string][]gatewayEnd `json:"inbound_gateways"`
}

type gatewayEnd struct {
	// The other end as this node sees it: what it dialled, or the balancer's own address.
	Connection *struct {
		IP   string `json:"ip"`
		Port int    `json:"port"`
	} `json:"connection"`
}

func (e gatewayEnd) addr() (string, bool) {
	if e.Connection == nil {
		return "", false
	}
	return hostPort(e.Connection.IP, e.Connection.Port), true
}

// supercluster is the gateways of every node as its monitoring port lists them.
type supercluster map[string]gatewayz

func lookAtSupercluster(ctx context.Context, t Target) supercluster {
	return askAll[gatewayz](ctx, t, "/gatewayz")
}

// joined are the clusters that gateways join.
func (t Terms) joined() []Group {
	var found []Group
	for _, c := range t.Clusters {
		if c.LeafOf == "" {
			found = append(found, c)
		}
	}
	return found
}

// between counts the nodes of one cluster that can send to another, and the connections from there that this other
// cluster's nodes know of: one that only its own end believes in carries nothing.
func (s supercluster) between(from, to Group) (sending, known int) {
	for _, node := range from.Nodes {
		if _, ok := s[node].Outbound[to.Name].addr(); ok {
			sending++
		}
	}
	for _, node := range to.Nodes {
		known += len(s[node].Inbound[from.Name])
	}
	return sending, known
}

func (s supercluster) whole(terms Terms) bool {
	clusters := terms.joined()
	for _, from := range clusters {
		for _, to := range clusters {
			if sending, known := s.between(from, to); from.Name != to.Name && (sending < len(from.Nodes) || known < len(from.Nodes)) {
				return false
			}
		}
	}
	return len(clusters) > 1
}

// record writes outbound (whether a node can send to a cluster), inbound (how many connections it has accepted from
// there), a link for each connection's end, and what each node has learnt to dial.
func (s supercluster) record(ctx context.Context, t Target, rec *Recorder) {
	for _, own := range t.Terms.joined() {
		for _, node := range own.Nodes {
			for _, other := range t.Terms.joined() {
				if own.Name == other.Name {
					continue
				}
				out := Event{From: Server, Kind: "outbound", Node: node, Peer: other.Name}
				if addr, ok := s[node].Outbound[other.Name].addr(); ok {
					out.Count = 1
					rec.Add(Event{From: Server, Kind: "link", Node: node, Peer: other.Name, Addr: addr})
				}
				rec.Add(out)
				rec.Add(Event{From: Server, Kind: "inbound", Node: node, Peer: other.Name, Count: len(s[node].Inbound[other.Name])})
				for _, in := range s[node].Inbound[other.Name] {
					if addr, ok := in.addr(); ok {
						rec.Add(Event{From: Server, Kind: "link", Node: node, Peer: other.Name, Addr: addr})
					}
				}
			}
		}
	}
	for _, node := range t.Nodes {
		var v gatewayVarz
		if ask(ctx, node, "/varz", &v) != nil {
			continue
		}
		for _, remote := range v.Gateway.Gateways {
			for _, url := range remote.URLs {
				rec.Add(t.learnt(node.Name, remote.Name, url))
			}
		}
	}
}

// gatewayVarz is what lbtest reads of /varz: the addresses of the other clusters' gateways, those from the configuration and
// those that were learnt.
type gatewayVarz struct {
	Gateway struct {
		Gateways []struct {
			Name string   `json:"name"`
			URLs []string `json:"urls"`
		} `json:"gateways"`
	} `json:"gateway"`
}

// Every connection carries all accounts.
func (s supercluster) apart() map[string]bool { return nil }

// carrying are the connections that a node accepted: each is one way of another node's.
func (s supercluster) carrying(node string) []string {
	var found []string
	for _, accepted := range s[node].Inbound {
		for _, in := range accepted {
			if addr, ok := in.addr(); ok {
				found = append(found, addr)
			}
		}
	}
	return found
}

// clustersApart names the nodes that cannot send to another cluster, and the connections that only one end knows.
func clustersApart(h History, look Event) (gaps []string, evidence []Event) {
	type end struct{ kind, node, cluster string }
	latest := map[end]Event{}
	for _, e := range h.Events {
		if e.From == Server && (e.Kind == "outbound" || e.Kind == "inbound") && e.At <= look.At {
			latest[end{e.Kind, e.Node, e.Peer}] = e
		}
	}
	note := func(e Event) {
		if e.Kind != "" { // no node need have been asked
			evidence = append(evidence, e)
		}
	}
	for _, from := range h.Terms.joined() {
		for _, to := range h.Terms.joined() {
			if from.Name == to.Name {
				continue
			}
			sending, known := 0, 0
			for _, node := range from.Nodes {
				e := latest[end{"outbound", node, to.Name}]
				if sending += e.Count; e.Count == 0 {
					gaps = append(gaps, node+"→"+to.Name+" no connection")
					note(e)
				}
			}
			for _, node := range to.Nodes {
				known += latest[end{"inbound", node, from.Name}].Count
			}
			if known < sending {
				gaps = append(gaps, fmt.Sprintf("%s→%s %d of %d known at one end only", from.Name, to.Name, sending-known, sending))
				for _, node := range to.Nodes {
					note(latest[end{"inbound", node, from.Name}])
				}
			}
		}
	}
	return gaps, evidence
}
