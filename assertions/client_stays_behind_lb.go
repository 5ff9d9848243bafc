package assertions

import (
	"fmt"
	"slices"
	"time"
)

func init() {
	register(Assertion{
		Name:    "client/stays-behind-lb",
		Promise: "A client that loses its node comes back through the balancer, as soon as its reconnect wait allows.",
		Explain: "Every server tells its clients the addresses of all nodes: client_advertise if it is set, otherwise what each node has itself. A client that loses its connection " +
			"tries each of them before it waits (nats.go: 2 s) and dials the balancer again. One that can be reached takes it past the balancer for good; one whose SYNs nobody answers costs the " +
			"client's whole connect timeout (2 s), three of them 6 s; one that refuses costs next to nothing. The node of one client is killed and taken out of rotation in the same moment, and the " +
			"client's next connection is looked for among the balancer's own.",
		Speaks:  []string{"bypass"},
		Links:   []string{"clients"},
		Observe: bereaved,
		Judge:   judgeClientStays,
		// The contract calls a bypass risky, never unsafe.
		Hostile: []string{"bypass=open"},
	})
}

// crossed reports whether an application's connection is one of the balancer's.
func crossed(h History, e Event) bool {
	return e.Caller != "" && slices.ContainsFunc(h.Events, func(b Event) bool { return letIn(b) && b.Caller == e.Caller })
}

func judgeClientStays(h History) []Finding {
	began, connected := h.First(Client, "connected")
	lost, ended := h.First(Client, "disconnected")
	again, returned := h.First(Client, "reconnected")
	_, answered := h.Last(Client, "answered")
	told := len(h.Kind(Client, "discovered"))
	past := 0
	if returned && !crossed(h, again) {
		past = 1
	}
	usual := time.Duration(0)
	if e, ok := h.control().First(Client, "reconnected"); ok {
		usual = e.Took
	}
	measured := []Measure{count("addresses_learnt", told, "addresses"), seconds("back_after", again.Took), count("connections_past_the_balancer", past, "connections")}
	risky := func(got string) []Finding {
		return []Finding{{Verdict: Risky, Got: got, Measured: measured, Advice: pastAdvice, Evidence: []Event{lost, again}}}
	}
	switch {
	case !connected:
		return unseen("nobody connected")
	case !crossed(h, began):
		return unseen("the client's first connection was not seen to cross the balancer")
	case !ended:
		return unseen("the client did not lose its node")
	case !returned:
		return []Finding{{Verdict: Unsafe, Firm: true, Got: fmt.Sprintf("not back %s after the loss of its node; %s learnt from the servers", spoken(back), plural(told, "address")),
			Measured: measured, Advice: pastAdvice, Evidence: []Event{lost}}}
	case past > 0:
		return risky(fmt.Sprintf("back after %s, past the balancer: directly at %s (%s)", spoken(again.Took), again.Node, again.Dial))
	case !answered:
		return []Finding{{Verdict: Unsafe, Got: fmt.Sprintf("connected again after %s, and nothing is answered there", spoken(again.Took)), Measured: measured, Evidence: []Event{lost, again}}}
	case again.Took > usual+tolerance:
		f := risky(fmt.Sprintf("back through the balancer after %s (control %s): %s past it had to fail first", spoken(again.Took), spoken(usual), plural(told, "address")))
		f[0].Beyond = again.Took - usual - tolerance
		return f
	}
	return held(fmt.Sprintf("back through the balancer after %s", spoken(again.Took)), measured...)
}

// pastAdvice is what keeps clients behind their balancer, the smallest change first.
var pastAdvice = []Advice{
	{Target: "nats-server", Text: `client_advertise: "<the balancer's host:port>" on every node`, Set: map[string]string{"bypass": "off"}},
	{Target: "nats-server", Text: "cluster { no_advertise: true } on every node", Nats: map[string]string{"cluster.no_advertise": "true"}},
	{Target: "client", Text: "nats.IgnoreDiscoveredServers()  # nats.go 1.49 or later", Client: map[string]string{"ignore-discovered": "true"}},
}
