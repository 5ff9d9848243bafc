package assertions

import (
	"fmt"
)

func init() {
	register(Assertion{
		Name:    "client/stays-connected-when-quiet",
		Promise: "A client that has nothing to say stays connected.",
		Explain: "A quiet client connection carries nothing but PINGs: the client's own, one each 2 minutes by default, and the server's, one per ping_interval, " +
			"which it leaves out if it heard something of the client within the last interval. So up to two of its intervals may pass in silence where the client sends none. " +
			"A balancer whose idle timeout is shorter cuts healthy clients; each cut costs the client's reconnect wait of 2 s, and a subscriber what is published meanwhile. " +
			"Five idle subscribers, five receivers, five clients that speak just after a PING, and a queue group with its asker are left alone; their connections' ends are counted.",
		Speaks:  []string{"idle-timeout", "idle-timeout-client", "idle-timeout-server", "idle-expiry", "idle-keepalive", "max-lifetime"},
		Links:   []string{"clients", "websocket"},
		Observe: resting,
		Judge:   judgeStaysConnected,
		Hostile: []string{"idle-timeout=50s"},
	})
}

func judgeStaysConnected(h History) []Finding {
	if never := strangers(h); len(never) > 0 {
		return neverConnected(h, never)
	}
	begin, began := h.First(Lab, "watching")
	end, over := h.Last(Lab, "watched")
	cut := cuts(h)
	if len(cut) > 0 {
		who := make([]Event, len(cut))
		app := appOf(h)
		for i, e := range cut {
			who[i] = e
			if e.From == Balancer {
				who[i].App = app[e.Caller]
			}
		}
		measured := []Measure{count("cuts", len(cut), "cuts"), count("clients_cut", apps(who), "clients")}
		return []Finding{{Verdict: Unsafe, Got: fmt.Sprintf("%s cut, %s (%s)%s", plural(apps(who), "healthy quiet client"), plural(len(cut), "connection"),
			byWorkload(who), shortened(h.Terms)), Measured: measured, Advice: quietClientAdvice(h.Terms), Evidence: sample(cut), Marginal: len(cut) < 2}}
	}
	switch {
	case !began || !over:
		return unseen("the quiet clients were not watched to the end")
	case rested(h) < Spells:
		return unseen(fmt.Sprintf("%d of %s finished", rested(h), plural(Spells, "quiet spell")))
	}
	if e, found := h.First(Client, "unwell"); found {
		return []Finding{{Verdict: Unsafe, Got: fmt.Sprintf("no connection was seen to end, but %s was not served any more after it had been quiet", e.App),
			Advice: quietClientAdvice(h.Terms), Evidence: []Event{e}, Firm: true}}
	}
	if _, found := h.First(Client, "well"); !found {
		return unseen("nobody saw whether the clients were served after the quiet")
	}
	return held(fmt.Sprintf("no connection ended in %s of quiet", plural(rested(h), "spell")), count("cuts", 0, "cuts"),
		seconds("watched", h.Terms.Real(end.At-begin.At)))
}

// neverConnected is what a judge says where applications got no connection in the first place.
func neverConnected(h History, never []Event) []Finding {
	return []Finding{{Verdict: Unsafe, Got: fmt.Sprintf("%s could not connect: %s", plural(apps(never), "application"), never[0].Why),
		Advice: appAdvice(h.Terms), Evidence: sample(never), Measured: []Measure{count("unconnected", apps(never), "clients")}}}
}
