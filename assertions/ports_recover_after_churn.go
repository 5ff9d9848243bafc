package assertions

import "fmt"

func init() {
	register(Assertion{
		Name:    "ports/recover-after-churn",
		Promise: "After a restart of the balancer, or of all clients, every client is back within 30 s.",
		Explain: "Who closes a connection first keeps its port for a while (TIME_WAIT, 60 s on Linux): a proxy that passes a client's end on, or that dies, has closed first towards the node. " +
			"After a restart of everything, ports that rest and ports that are needed add up to twice the clients, and resting ports outlive the balancer's process. " +
			"As many clients as --clients says connect. With restart or outage the balancer ends them all; otherwise each of them closes its connection and makes another, as an update of all applications does. " +
			"They try as nats.go does, each 2 s. Whoever is not back after 30 s counts; so does one that takes half a second longer than without a balancer, or, after an event, two seconds longer than a single connection that is cut.",
		Speaks:  append([]string{"restart", "outage"}, ofRoom...),
		Links:   []string{"clients"},
		Observe: herding,
		Judge:   judgeRecoverAfterChurn,
		Hostile: []string{"source-ports=50"},
	})
}

func judgeRecoverAfterChurn(h History) []Finding {
	t := turnoutOf(h)
	if why := t.unseenReturn(h.Terms); why != "" {
		return unseen(why)
	}
	if n := t.tried - len(t.arrived); n > 0 {
		return []Finding{{Verdict: Unsafe, Got: fmt.Sprintf("%d of %s did not connect in the first place: %s%s", n, plural(t.tried, "client"), mostly(t.failed), because(roomless(h), t.failed)),
			Measured: t.returns(), Advice: roomAdvice(h.Terms), Evidence: append(sample(t.failed), sample(roomless(h))...), Firm: len(roomless(h)) >= n}}
	}
	return judgeReturn(h, t)
}

func (t turnout) returns() []Measure {
	return []Measure{count("clients", len(t.arrived), "clients"), count("connections_lost", len(t.left), "connections"),
		count("clients_missing", len(t.missing), "clients"), seconds("last_back_after", t.back)}
}

// unaware is how many clients never lost their connection.
func (t turnout) unaware() int {
	aware := map[string]bool{}
	for _, e := range t.left {
		aware[e.App] = true
	}
	return len(t.arrived) - len(aware)
}

// judgeReturn says whether all who lost their connections came back, and when.
func judgeReturn(h History, t turnout) []Finding {
	usual, said := turnoutOf(h.control()), roomless(h)
	since, allowed := "after they left", usual.back+tolerance
	if !t.churned {
		// Events may delay for two seconds, as the contract has it, beyond what one cut connection takes: the client's own pause
		// at the most, whichever connection it was that the control cut.
		since, allowed = "after the event", max(usual.back, h.Terms.Reconnect)+pureDelay
	}
	switch {
	case len(t.missing) > 0:
		return []Finding{{Verdict: Unsafe, Got: fmt.Sprintf("%d of %s not back within 30 s %s: %s%s", len(t.missing), plural(len(t.arrived), "client"), since, mostly(t.missing), because(said, t.missing)),
			Measured: t.returns(), Advice: herdAdvice(h.Terms), Evidence: append(sample(t.missing), sample(said)...), Firm: true}}
	case t.back > allowed:
		return []Finding{{Verdict: Risky, Got: fmt.Sprintf("all %s came back, the last one %s %s (control %s)", plural(len(t.arrived), "client"), spoken(t.back), since, spoken(usual.back)),
			Measured: t.returns(), Advice: herdAdvice(h.Terms), Evidence: sample(said), Firm: len(said) > 0, Beyond: t.back - allowed}}
	case h.Control != nil && h.Terms.Struck("outage", "restart=crash") && t.unaware() > 0:
		// Whoever forwards by a connection table forgets all of it, and tells nobody who does not speak.
		return skip(fmt.Sprintf("%d of %s did not learn that the balancer has lost their connections, and so nobody came back whose return could be timed: quiet clients learn it at their PINGs",
			t.unaware(), plural(len(t.arrived), "client")))
	case len(t.left) == 0:
		return held(fmt.Sprintf("no connection of %s ended", plural(len(t.arrived), "client")), t.returns()...)
	}
	return held(fmt.Sprintf("%s ended, the last client was back %s %s", plural(len(t.left), "connection"), spoken(t.back), since), t.returns()...)
}
