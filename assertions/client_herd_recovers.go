package assertions

import "fmt"

func init() {
	register(Assertion{
		Name:    "client/herd-recovers",
		Promise: "When all clients lose their connections at once, all are back within 30 s, and spread over the nodes as before.",
		Explain: "After a crash of the balancer all clients come back in the same tenth of a second: nats.go waits 2 s and up to 100 ms of jitter. A limit on new connections, on ports or on live ones then meets all of them together, " +
			"and a client that waits in a queue for longer than its timeout leaves, tries again 2 s later and takes another turn. Behind a balancer that has room a thousand clients are back 2.5 to 3.5 s after it. " +
			"As many clients as --clients says are connected when the event happens (without an event all of them leave by themselves); whoever is not back 30 s after it counts, so does a last one that is two seconds later than a single cut connection, " +
			"and a herd that piles up on one node though it was spread before.",
		Speaks:  append([]string{"restart", "outage", "balance"}, ofRoom...),
		Links:   []string{"clients"},
		Observe: herding,
		Judge:   judgeHerdRecovers,
		Hostile: []string{"restart=crash", "source-ports=50"},
	})
}

func judgeHerdRecovers(h History) []Finding {
	t := turnoutOf(h)
	switch {
	case t.unseenReturn(h.Terms) != "":
		return unseen(t.unseenReturn(h.Terms))
	case len(t.arrived) == 0:
		return skip("no client was connected, so that no herd could come back")
	case !t.churned && len(h.Terms.Strikes) == 0:
		return skip(fmt.Sprintf("%d of %s did not connect in the first place, and the others were left alone", t.tried-len(t.arrived), plural(t.tried, "client")))
	}
	found := judgeReturn(h, t)
	f := &found[0]
	f.Measured = append(f.Measured, t.last.measures(h.Terms.Nodes)...)
	why := t.last.skewed(h.Terms.Nodes)
	if f.Verdict == Safe && len(t.left) > 0 && why != "" && t.first.skewed(h.Terms.Nodes) == "" {
		f.Verdict, f.Got = Risky, fmt.Sprintf("%s; now %s, before %s", f.Got, why, t.first)
		f.Advice = spreadAdvice(h.Terms)
	}
	return found
}

// herdAdvice is what lets a herd come back.
func herdAdvice(t Terms) []Advice {
	advice := roomAdvice(t)
	if t.given("source-ports", "port-reuse-delay") {
		advice = append(advice, Advice{Target: "load-balancer", Set: map[string]string{"port-reuse-delay": "1s"},
			Text: "ports that are used again sooner: net.ipv4.tcp_tw_reuse=1 on a Linux proxy (after a second instead of sixty), a shorter TIME_WAIT or recycling timer on others"})
	}
	if t.Struck("restart=crash") {
		advice = append(advice, Advice{Target: "load-balancer", Text: "reload instead of restarting: connections of the old instance live on, and no herd comes back",
			Set: map[string]string{"restart": "reload"}})
	}
	if t.Struck("outage") {
		advice = append(advice, takenOver)
	}
	return advice
}
