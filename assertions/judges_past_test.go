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
		{name: "directly at a node, from the address of a canary", terms: bypassed("open"), control: control, want: Risky,
			events: line(toldOf(3), bereft(0.1, "n2", false), on(0.2, Balancer, "begin", seenBy("", "c2"), front(CanaryFront))),
			got:    "back after 100ms, past the balancer: directly at n2 (127.0.0.1:4222)"},
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

func removedFor(drain string) Terms {
	t := bypassed("off")
	t.Settings = map[string]string{"drain": drain, "node-fault": "remove"}
	t.Strikes = []string{"node-fault=remove", "drain"}
	return t
}

func failing(fault string, settings ...string) Terms {
	t := bypassed("off")
	t.Settings = map[string]string{"node-fault": fault}
	for i := 0; i < len(settings); i += 2 {
		t.Settings[settings[i]] = settings[i+1]
	}
	t.Strikes = []string{"node-fault=" + fault}
	return t
}

// tenanted is n clients that were served through an event, at most gap seconds apart.
func tenanted(n int, gap float64) []Event {
	all := strike(2, 8)
	for range n {
		all = line(all, on(12, Client, "served", seenBy("tenant 1", ""), many(200), took(gap)))
	}
	return all
}

func TestJudgingClientsOfANodeThatIsTakenAway(t *testing.T) {
	control := line(tenanted(5, 0.06), on(12, Client, "served", seenBy("tenant 6", ""), many(180), took(2.1)))
	left := on(5, Client, "disconnected", seenBy("tenant 1", ""))
	judgeAll(t, "drain/moves-clients", []judged{
		{name: "kept", terms: removedFor("keep"), control: control, events: tenanted(6, 0.06), want: Safe, got: "6 clients kept, the longest time without service 60ms",
			measured: map[string]float64{"connections_ended": 0, "longest_without_service": 0.06}},
		{name: "ended and back", terms: removedFor("3s"), control: control, events: line(tenanted(6, 2.2), left), want: Safe, got: "1 connection ended, every client served again within 2.2s"},
		{name: "the reference is another observation's client", terms: removedFor("3s"), control: line(tenanted(6, 0.06), on(4, Client, "reconnected", seenBy("somebody", "c"), took(2.1))),
			events: line(tenanted(6, 2.2), left), want: Safe, got: "1 connection ended, every client served again within 2.2s"},
		{name: "what ends when all is over is not counted", terms: removedFor("keep"), control: control, events: line(tenanted(6, 0.06), on(13, Client, "disconnected", seenBy("tenant 1", ""))),
			want: Safe, got: "6 clients kept, the longest time without service 60ms"},
		{name: "found late", terms: failing("vanish", "health-check", "http", "on-down", "close"), control: control, events: line(tenanted(6, 9.8), left), want: Risky,
			got: "a client was without service for 9.8s (control 2.1s); 1 connection ended"},
		{name: "a little late", terms: failing("kill"), control: control, events: line(tenanted(6, 2.8), left), want: Risky, marginal: true,
			got: "a client was without service for 2.8s (control 2.1s); 1 connection ended"},
		{name: "silent for good", terms: failing("vanish"), control: control, events: line(tenanted(6, 35), on(40, Client, "unserved", seenBy("tenant 1", ""))), want: Unsafe,
			got: "1 client of 6 without service 30s after the event's end, and it does not know: its connection is silent"},
		{name: "gone for good", terms: failing("kill"), control: control, events: line(tenanted(6, 35), left, on(40, Client, "unserved", seenBy("tenant 1", ""))), want: Unsafe,
			got: "1 client of 6 without service 30s after the event's end, and trying"},
		{name: "missed while connected", terms: removedFor("keep"), control: control, events: line(tenanted(6, 0.3), on(12, Client, "missed", many(3))), want: Unsafe,
			got: "3 messages missed by clients that were connected"},
		{name: "nobody connected", terms: removedFor("keep"), control: control, events: line(on(1, Client, "unconnected", why("nats: timeout"))), want: Skipped,
			got: "no client could be watched: nats: timeout"},
		{name: "no end of the event", terms: removedFor("keep"), control: control, events: without(tenanted(6, 0.06), "strike-over"), want: Skipped, got: "6 of 6 clients were watched to the event's end"},
	})
}

// rolled is n restarts, and acks gap seconds apart from the first to the last.
func rolled(n int, gap float64) []Event {
	all := line(on(90, Client, "published", many(4*n)))
	for i := range 4 * n {
		at := 1 + gap*float64(i)
		all = line(all, on(at, Client, "acked", seq(i+1)), on(100, Client, "read", seq(i+1)))
		if i%4 == 3 {
			all = line(all, on(at, Client, "served"), on(at, Lab, "step-over", seq(i/4+1)))
		}
	}
	return all
}

func TestJudgingARollingRestart(t *testing.T) {
	control := rolled(3, 2.1)
	lost := rolled(3, 2.1)
	for i, e := range lost {
		if e.Kind == "read" && e.Seq == 5 {
			lost = line(lost[:i], lost[i+1:])
			break
		}
	}
	judgeAll(t, "drain/rolling-restart", []judged{
		{name: "a reconnect a step", terms: bypassed("off"), control: control, events: rolled(3, 2.2), want: Safe, got: "3 restarts, each at most 2.2s without service; 12 messages acknowledged, none lost",
			measured: map[string]float64{"steps": 3, "longest_gap": 2.2, "acked": 12, "acked_lost": 0, "publishes_unacknowledged": 0}},
		{name: "addresses that do not answer", terms: bypassed("closed"), control: control, events: rolled(3, 8.1), want: Risky,
			got: "a step cost up to 8.1s (control 2.1s); 12 messages acknowledged, none lost"},
		{name: "the subscriber is away for longer", terms: bypassed("closed"), control: control, events: line(rolled(3, 2.1), on(9, Client, "reconnected", took(3))), want: Risky, marginal: true,
			got: "a step cost up to 3s (control 2.1s); 12 messages acknowledged, none lost"},
		{name: "acknowledged and gone", terms: bypassed("off"), control: control, events: lost, want: Unsafe, got: "1 of 12 messages acknowledged, and gone"},
		{name: "not served again", terms: bypassed("off"), control: control, events: line(rolled(3, 2.1), on(50, Client, "unserved")), want: Unsafe, got: "a client was not served again 30s after a step"},
		{name: "nothing acknowledged", terms: bypassed("off"), control: control, events: without(rolled(3, 2.1), "acked"), want: Unsafe, got: "none of 12 messages was acknowledged"},
		{name: "no stream", terms: bypassed("off"), control: control, events: line(on(1, Client, "no-stream", why("nats: timeout"))), want: Unsafe, got: "no stream could be made in 30s: nats: timeout"},
		{name: "not connected", terms: bypassed("off"), control: control, events: line(on(1, Client, "unconnected", seenBy("publisher", ""), why("nats: timeout"))), want: Unsafe,
			got: "the publisher could not connect: nats: timeout"},
		{name: "cannot be read", terms: bypassed("off"), control: control, events: line(rolled(3, 2.1), on(99, Client, "unreadable", why("nats: timeout"))), want: Unsafe,
			got: "the stream cannot be read back: nats: timeout"},
		{name: "two of three", terms: bypassed("off"), control: control, events: rolled(2, 2.1), want: Skipped, got: "not every node was restarted"},
	})
}
