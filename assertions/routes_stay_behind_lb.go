package assertions

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

func init() {
	register(Assertion{
		Name:    "routes/stay-behind-lb",
		Promise: "Every route crosses the balancer.",
		Explain: "Servers tell each other the addresses of their peers and dial them: cluster.advertise if it is set, otherwise the address from " +
			"which a connection came with the cluster port. A route made that way goes past the balancer, and what was proved about the " +
			"balancer says nothing about it. Both ends of every route in /routez are compared with the balancer's own addresses.",
		Speaks:  speaks(ofConnecting, nil, "idle-timeout", "idle-timeout-client", "idle-timeout-server", "max-lifetime", "outage", "restart", "bypass"),
		Links:   []string{"routes"},
		Observe: Forming,
		Judge:   judgeStayBehind,
		// Whether servers know addresses past the balancer is a matter of their configuration.
		Absolute: true,
		// The contract calls a bypass risky, never unsafe. Gossip fills the mesh that one shared frontend
		// leaves incomplete.
		Hostile: []string{"frontends=shared", "bypass=open"},
	})
}

func judgeStayBehind(h History) []Finding {
	ours := ourAddresses(h)
	routes := h.Kind(Server, "route")
	if len(routes) == 0 {
		return skip("no route was ever seen")
	}
	past, between := map[string]bool{}, map[string]bool{}
	var evidence []Event
	for _, e := range routes {
		if ours[e.Addr] {
			continue
		}
		between[min(e.Node, e.Peer)+"–"+max(e.Node, e.Peer)] = true
		if !past[e.Addr] {
			past[e.Addr] = true
			evidence = append(evidence, e)
		}
	}
	measured := []Measure{count("routes_past_the_balancer", len(past), "routes")}
	if len(past) == 0 {
		looks := len(h.Kind(Server, "mesh-full")) + len(h.Kind(Server, "mesh-partial"))
		if looks < 2 {
			return unseen("the routes were not looked at again when all was over")
		}
		return held("every route crosses the balancer", measured...)
	}
	advice := Advice{Target: "nats-server", Text: `cluster { advertise: "<the node's own frontend>" } on every node`}
	if h.Terms.Settings["bypass"] != "" {
		advice.Set = map[string]string{"bypass": "off"}
	}
	return []Finding{{Verdict: Risky, Got: fmt.Sprintf("routes go past the balancer between %s of nodes (%s)", plural(len(between), "pair"),
		strings.Join(slices.Sorted(maps.Keys(between)), ", ")), Measured: measured,
		Advice:   []Advice{advice},
		Evidence: sample(evidence)}}
}
