package assertions

import "fmt"

func init() {
	register(Assertion{
		Name:    "ports/all-connect",
		Promise: "As many clients as are expected all connect, within their own timeout and about as quickly as without a balancer.",
		Explain: "A balancer that forwards from an address of its own needs one source port towards a node for each client there, and has a limit of connections besides. " +
			"As many clients as --clients says connect through it, 500 a second, each of them once. Whoever gets no connection within its own timeout (nats.go: 2 s) or is turned away counts as failed; " +
			"a connect that takes half a second longer than the slowest one without a balancer is a cost. Ports are counted towards each node: 60 clients over three nodes need 20.",
		Speaks:  ofRoom,
		Links:   []string{"clients"},
		Observe: herding,
		Judge:   judgeAllConnect,
		Hostile: []string{"source-ports=20"},
	})
}

func judgeAllConnect(h History) []Finding {
	t, usual := turnoutOf(h), turnoutOf(h.control())
	all, said := t.tried, roomless(h)
	measured := []Measure{count("clients", all, "clients"), count("clients_unconnected", len(t.failed), "clients"), seconds("slowest_connect", t.slowest)}
	switch {
	case t.unseen() != "":
		return unseen(t.unseen())
	case len(t.failed) > 0:
		return []Finding{{Verdict: Unsafe, Got: fmt.Sprintf("%d of %s did not connect: %s%s", len(t.failed), plural(all, "client"), mostly(t.failed), because(said, t.failed)),
			Measured: measured, Advice: roomAdvice(h.Terms), Evidence: append(sample(t.failed), sample(said)...), Firm: len(said) >= len(t.failed)}}
	case t.slowest > usual.slowest+tolerance:
		return []Finding{{Verdict: Risky, Got: fmt.Sprintf("all %s connected, the slowest in %s (control %s)", plural(all, "client"), spoken(t.slowest), spoken(usual.slowest)),
			Measured: measured, Advice: roomAdvice(h.Terms), Evidence: sample(said), Firm: len(said) > 0, Beyond: t.slowest - usual.slowest - tolerance}}
	}
	return held(fmt.Sprintf("all %s connected, the slowest in %s", plural(all, "client"), spoken(t.slowest)), measured...)
}
