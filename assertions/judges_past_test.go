package assertions

import "testing"

// What an application's connection was, and from where it was dialled.
func seenBy(app, caller string) func(*Event) {
	return func(e *Event) { e.App, e.Caller = app, caller }
}

func bypassed(kind string) Terms {
	t := threeNodes()
	t.Topology, t.Links, t.Fronts = "clients-behind-lb", []string{"clients"}, "shared"
	t.Settings = map[string]string{"bypass": kind}
	return t
}

// bereft is an application that loses n1 after a second and comes back after took seconds.
func bereft(took0 float64, node string, through bool) []Event {
	all := line(on(0.1, Client, "connected", seenBy("bereaved", "c1"), func(e *Event) { e.Node = "n1" }), on(0.1, Balancer, "begin", seenBy("", "c1"), front("vip")),
		on(1, Client, "disconnected", seenBy("bereaved", "")),
		on(1+took0, Client, "reconnected", seenBy("bereaved", "c2"), func(e *Event) { e.Node = node }, dial("127.0.0.1:4222"), took(took0)),
		on(1+took0, Client, "answered", seenBy("bereaved", "")))
	if through {
		all = line(all, on(1+took0, Balancer, "begin", seenBy("", "c2"), front("vip")))
	}
	return all
}

func toldOf(n int) []Event {
	var all []Event
	for range n {
		all = append(all, on(0.5, Client, "discovered", dial("127.0.0.1:4223")))
	}
	return all
}

func TestJudgingWhereAClientComesBack(t *testing.T) {
	control := bereft(2.1, "n2", true)
	judgeAll(t, "client/stays-behind-lb", []judged{
		{name: "refusing addresses cost nothing", terms: bypassed("refused"), control: control, events: line(toldOf(3), bereft(2.3, "n2", true)), want: Safe,
			got: "back through the balancer after 2.3s", measured: map[string]float64{"back_after": 2.3, "connections_past_the_balancer": 0, "addresses_learnt": 3}},
		{name: "directly at a node", terms: bypassed("open"), control: control, events: line(toldOf(3), bereft(0.1, "n2", false)), want: Risky,
			got: "back after 100ms, past the balancer: directly at n2 (127.0.0.1:4222)", measured: map[string]float64{"connections_past_the_balancer": 1}},
		{name: "unanswered addresses", terms: bypassed("closed"), control: control, events: line(toldOf(3), bereft(8.1, "n2", true)), want: Risky,
			got: "back through the balancer after 8.1s (control 2.1s): 3 addresses past it had to fail first"},
		{name: "one unanswered address", terms: bypassed("closed"), control: control, events: line(toldOf(1), bereft(3, "n2", true)), want: Risky, marginal: true,
			got: "back through the balancer after 3s (control 2.1s): 1 address past it had to fail first"},
		{name: "not back", terms: bypassed("closed"), control: control, events: line(toldOf(3), bereft(2, "n2", true)[:3]), want: Unsafe,
			got: "not back 30s after the loss of its node; 3 addresses learnt from the servers"},
		{name: "back where nobody answers", terms: bypassed("closed"), control: control, events: without(bereft(2.1, "n2", true), "answered"), want: Unsafe,
			got: "connected again after 2.1s, and nothing is answered there"},
		{name: "nobody connected", terms: bypassed("open"), control: control, events: line(on(1, Client, "unconnected")), want: Skipped, got: "nobody connected"},
		{name: "it did not begin behind the balancer", terms: bypassed("open"), control: control, events: without(bereft(2, "n2", true), "begin"), want: Skipped,
			got: "the client's first connection was not seen to cross the balancer"},
		{name: "it lost nothing", terms: bypassed("open"), control: control, events: without(bereft(2, "n2", true), "disconnected"), want: Skipped,
			got: "the client did not lose its node"},
	})
}
