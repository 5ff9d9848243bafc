package assertions

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

func init() {
	register(Assertion{
		Name:    "gateways/stay-behind-lb",
		Promise: "Every gateway connection crosses the balancer, and so will the next.",
		Explain: "Every node of a cluster tells the others its gateway's address: gateway.advertise if it is set, otherwise its own. These join the configured ones, and each dial takes one at random, the first " +
			"included: without advertise half of the first connections already go past the balancer. Gateways have neither no_advertise nor a way to ignore what they learn. Both ends of every " +
			"connection in /gatewayz, and the addresses that /varz lists for each other cluster, are compared with the balancer's own.",
		Speaks:  speaks(ofConnecting, nil, "idle-timeout", "idle-timeout-client", "idle-timeout-server", "max-lifetime", "outage", "restart", "bypass"),
		Links:   []string{gatewayLinks},
		Observe: Forming,
		Judge:   judgeGatewaysBehind,
		// Whether servers know addresses past the balancer is a matter of their configuration.
		Absolute: true,
		// The contract calls a bypass risky, never unsafe.
		Hostile: []string{"bypass=open"},
	})
}

func judgeGatewaysBehind(h History) []Finding {
	ours := ourAddresses(h)
	links := h.Kind(Server, "link")
	if len(links) == 0 {
		return skip("no gateway connection was ever seen")
	}
	past, between, learnt := map[string]bool{}, map[string]bool{}, map[string]bool{}
	var evidence []Event
	for _, e := range links {
		if ours[e.Addr] {
			continue
		}
		between[e.Node+"–"+e.Peer] = true
		if !past[e.Addr] {
			past[e.Addr] = true
			evidence = append(evidence, e)
		}
	}
	told := h.Kind(Server, "learnt")
	for _, e := range told {
		if e.How == "front" || ours[e.Dial] {
			continue
		}
		if !learnt[e.Dial] {
			learnt[e.Dial] = true
			evidence = append(evidence, e)
		}
	}
	measured := []Measure{count("connections_past_the_balancer", len(past), "connections"), count("addresses_learnt", len(learnt), "addresses")}
	switch {
	case len(past) > 0:
		return []Finding{{Verdict: Risky, Got: fmt.Sprintf("gateways go past the balancer (%s)", strings.Join(few(slices.Sorted(maps.Keys(between))), ", ")), Measured: measured,
			Advice: keepBehind(h.Terms), Evidence: sample(evidence)}}
	case len(learnt) > 0:
		return []Finding{{Verdict: Risky, Got: fmt.Sprintf("gateways cross the balancer, but have learnt %s past it (%s) and will dial them", plural(len(learnt), "address"),
			strings.Join(few(slices.Sorted(maps.Keys(learnt))), ", ")), Measured: measured, Advice: keepBehind(h.Terms), Evidence: sample(evidence)}}
	case len(h.Kind(Server, "mesh-full"))+len(h.Kind(Server, "mesh-partial")) < 2:
		return unseen("the gateways were not looked at again when all was over")
	case len(told) == 0:
		return unseen("nobody saw which addresses the gateways know")
	}
	return held("every gateway connection crosses the balancer, and nodes know no other address", measured...)
}

// ourAddresses are the balancer's: its frontends that were dialled, and those from which it dials.
func ourAddresses(h History) map[string]bool {
	ours := map[string]bool{}
	for _, e := range h.Filter(letIn) {
		ours[e.Addr], ours[e.Dial] = true, true
	}
	return ours
}

// few keeps the first names of many.
func few(names []string) []string {
	if len(names) > 3 {
		return append(names[:3:3], "…")
	}
	return names
}
