package assertions

import "fmt"

func init() {
	register(Assertion{
		Name:    "client/spread-over-nodes",
		Promise: "Clients are spread over the nodes, when they arrive and when they have come back.",
		Explain: "round-robin and least-connections give every node the same number of clients, chance about the same. A hash of the client's address gives all clients behind one NAT to one node, " +
			"which carries the whole load then, and whose end disconnects all of them. " +
			"As many clients as --clients says connect from one address, and come back after the event, or after they have left by themselves. It is a cost if one node has half as many again as its share, or less than half of it, and " +
			"more than chance explains. No client moves by itself to a node that has become free: it stays until its connection ends.",
		Speaks:  []string{"balance", "frontends", "restart"},
		Links:   []string{"clients"},
		Observe: herding,
		Judge:   judgeSpread,
		Hostile: []string{"balance=source-hash"},
	})
}

func judgeSpread(h History) []Finding {
	t := turnoutOf(h)
	nodes := h.Terms.Nodes
	switch {
	case t.unseen() != "":
		return unseen(t.unseen())
	case len(t.arrived) == 0:
		return skip("no client was connected, so that there was nothing to spread")
	}
	found := func(when, why string, p places) []Finding {
		return []Finding{{Verdict: Risky, Got: fmt.Sprintf("%s%s; %d nodes could share them", why, when, len(nodes)), Measured: p.measures(nodes),
			Advice: spreadAdvice(h.Terms), Evidence: sample(t.arrived)}}
	}
	if why := t.first.skewed(nodes); why != "" {
		return found("", why, t.first)
	}
	if why := t.last.skewed(nodes); why != "" {
		return found(" after they came back", why, t.last)
	}
	return held(fmt.Sprintf("%s: %s", plural(len(t.arrived), "client"), t.first), t.last.measures(nodes)...)
}

// spreadAdvice is what spreads clients.
func spreadAdvice(t Terms) []Advice {
	advice := []Advice{{Target: "load-balancer", Text: "least-connections for NATS's long-lived connections, and no affinity by client address: a NATS client needs none",
		Set: map[string]string{"balance": "least-connections"}}}
	if t.Settings["balance"] == "least-connections" {
		return nil
	}
	return advice
}
