package assertions

import (
	"fmt"
	"slices"
)

func init() {
	register(Assertion{
		Name:    "core/no-silent-loss",
		Promise: "What applications publish and subscribe to arrives, once and in order, while they can be connected.",
		Explain: "Core NATS sends nothing twice: a subscriber that a balancer has cut misses everything until it is back, a publisher whose connection is dead loses what it wrote " +
			"into it, and nobody gets an error. Idle and busy subscribers, publishers and a client that speaks now and then number their messages; the other side of each sits past the " +
			"balancer, at every node. What cannot be delivered while an event leaves no connection is reported but not held against the balancer; a stall or a reload only delays, so there " +
			"every message counts, and so does each after a quiet spell.",
		Speaks:  speaks(ofIdling, ofCarrying, ofStanding...),
		Links:   []string{"clients", "websocket"},
		Observe: working,
		Idle:    resting,
		Judge:   func(h History) []Finding { return judgeCarried(h, ofMessages, "message", "heard") },
		Hostile: []string{"idle-timeout=50s", "idle-expiry=rst"},
	})
}

// What may keep from arriving what applications say, or ask.
var (
	ofIdling   = []string{"idle-timeout", "idle-timeout-client", "idle-timeout-server", "idle-expiry", "max-lifetime"}
	ofStanding = []string{"frontends", "balance", "inspection", "inspection-delay", "inspection-verdict", "inspection-pattern", "inspection-limit",
		"stall", "outage", "restart", "drain"}
)

// judgeCarried judges what became of messages, or of requests: one is called that, and has that done to it.
func judgeCarried(h History, w wording, one, done string) []Finding {
	if never := strangers(h); len(never) > 0 {
		return neverConnected(h, never)
	}
	t := tallied(h, w)
	if t.said == 0 {
		return unseen("no " + one + " was sent")
	}
	counted := t.lost
	if severed(h.Terms) {
		away, beside := absences(h), besides(h)
		counted = nil
		for _, e := range t.lost {
			if !excused(e, away) && !within(e.At, beside) {
				counted = append(counted, e)
			}
		}
	}
	longest := outage(t.lost)
	measured := []Measure{count(one+"s_lost", len(t.lost), one+"s"), count(one+"s_sent", t.said, one+"s"), count(one+"s_refused", unmanned(t.lost), one+"s"),
		seconds("longest_gap", longest), seconds("slowest_delivery", t.slowest)}
	finding := func(v Verdict, evidence []Event, format string, args ...any) []Finding {
		return []Finding{{Verdict: v, Got: fmt.Sprintf(format, args...), Measured: measured, Advice: appAdvice(h.Terms), Evidence: sample(evidence)}}
	}
	unwell := h.Kind(Client, "unwell")
	switch {
	case len(unwell) > 0:
		whose := ""
		if len(t.lost) > 0 {
			whose = " (" + byWorkload(t.lost) + ")"
		}
		f := finding(Unsafe, append(unwell, t.lost...), "%s not served any more within 30 s; %d of %s not %s%s", plural(apps(unwell), "application"),
			len(t.lost), plural(t.said, one), done, whose)
		f[0].Firm = true
		return f
	case len(counted) > 0:
		f := finding(Unsafe, counted, "%d of %s not %s although connections could exist, the longest gap %s (%s)%s", len(counted), plural(t.said, one), done,
			spoken(longest), byWorkload(counted), shortened(h.Terms))
		f[0].Marginal = len(counted) < 5
		return f
	case t.twice+t.outOfTurn > 0:
		return finding(Unsafe, nil, "%s came twice and %d out of order", plural(t.twice, one), t.outOfTurn)
	case t.heard+len(t.lost) < t.said:
		return unseen(fmt.Sprintf("what became of %d of %s was not written down", t.said-t.heard-len(t.lost), plural(t.said, one)))
	}
	how, watched := watchedTo(h)
	_, well := h.First(Client, "well")
	if !watched || !well || how == "resting" && rested(h) < Spells {
		return unseen("the applications were not watched to the end")
	}
	control := tallied(h.control(), w)
	longer := max(pureDelay, control.slowest+tolerance)
	if severed(h.Terms) {
		longer = max(longer, h.Terms.Reconnect+tolerance) // what a client says while it waits to dial again
	}
	switch {
	case len(t.lost) > max(2*len(control.lost), underWay(t.lost, absences(h))), deprived(t.lost) > max(1, deprived(control.lost)):
		return finding(Risky, t.lost, "%s not %s in a gap of %s while no connection could exist (%s; control: %d for one cut connection)", plural(len(t.lost), one), done,
			spoken(longest), byWorkload(t.lost), len(control.lost))
	case len(h.Terms.Strikes) > 0 && t.slowest > longer:
		f := finding(Risky, nil, "%d of %s %s, but delayed up to %s", t.heard, plural(t.said, one), done, spoken(t.slowest))
		f[0].Beyond = t.slowest - longer
		return f
	case len(h.Terms.Strikes) == 0 && t.slowest > control.slowest+tolerance:
		f := finding(Risky, nil, "nothing lost, but a %s took %s (control %s)", one, spoken(t.slowest), spoken(control.slowest))
		f[0].Beyond = t.slowest - control.slowest - tolerance
		return f
	}
	return held(fmt.Sprintf("%d of %s %s, the slowest after %s", t.heard, plural(t.said, one), done, spoken(t.slowest)), measured...)
}

// underWay counts those of whom one may have been lost with a connection, since it was under way when that ended. Whether
// one was is luck, here as in the control: a client that asks has something under way every other moment.
func underWay(lost []Event, away []absence) int {
	n := 0
	for _, a := range away {
		if slices.ContainsFunc(lost, func(e Event) bool { return e.At <= a.lost.At && excused(e, []absence{a}) }) {
			n++
		}
	}
	return n
}

// deprived counts the applications that missed more than what was under way: a control's is one, whose connection was cut.
func deprived(lost []Event) int {
	missed := map[string]int{}
	for _, e := range lost {
		missed[e.App]++
	}
	n := 0
	for _, some := range missed {
		if some > 1 {
			n++
		}
	}
	return n
}

// unmanned counts what the server itself refused, since nobody was there.
func unmanned(lost []Event) int {
	n := 0
	for _, e := range lost {
		if e.How == "refused" {
			n++
		}
	}
	return n
}
