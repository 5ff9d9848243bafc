package assertions

import "fmt"

func init() {
	register(Assertion{
		Name:    "jetstream/mirror-catches-up",
		Promise: "A mirror and a sourcing stream beyond the link have everything in the end, in its order, and about as soon as on the direct way.",
		Explain: "A stream is published to ten times a second. Beyond the balanced link, in the other cluster or in the JetStream of a leaf node (by the domain: External.APIPrefix " +
			"$JS.hub.API), one stream mirrors it and one sources it; each follows by a consumer, which it makes again when it hears nothing. Ten times a second it is seen how long the oldest " +
			"acknowledged message has been missing there. A copy whose request for a consumer was lost in the event asks again after 40 s; what is not there 45 s after the end never comes, and in the end all three are read and compared.",
		Speaks: speaks(ofConnecting, ofCarrying, "idle-timeout", "idle-timeout-client", "idle-timeout-server", "idle-expiry", "max-lifetime",
			"stall", "outage", "restart", "drain"),
		SpeaksOn: betweenClusters,
		Links:    []string{"gateways", "leafnodes"},
		Observe:  mirroring,
		Judge:    judgeMirror,
		Hostile:  []string{"proxy-protocol=v1"},
	})
}

func judgeMirror(h History) []Finding {
	if e, missing := h.First(Client, "no-copy-stream"); missing {
		return []Finding{{Verdict: Unsafe, Got: fmt.Sprintf("stream %s could not be made at %s within 30 s: %s", e.Stream, e.Node, e.Why), Advice: mirrorAdvice(h.Terms), Evidence: []Event{e}, Firm: !formed(h, e.At)}}
	}
	if e, unread := h.First(Client, "copy-unreadable"); unread {
		return []Finding{{Verdict: Unsafe, Got: fmt.Sprintf("stream %s could not be read back within 30 s: %s", e.Stream, e.Why), Advice: mirrorAdvice(h.Terms), Evidence: []Event{e}}}
	}
	followed := h.Kind(Client, "followed")
	copied := map[string]Event{}
	for _, e := range h.Kind(Client, "copied") {
		copied[e.How] = e
	}
	origin, seen := copied["origin"]
	if !seen || len(followed) < 2 {
		return unseen("nobody saw the streams to the end")
	}
	slowest, usual := longestTook(followed), longestTook(h.control().Kind(Client, "followed"))
	measured := []Measure{count("acked", followed[0].Count, "messages"), seconds("longest_behind", slowest.Took)}
	switch {
	case followed[0].Count == 0:
		return unseen("nothing was acknowledged, so nothing could follow")
	case origin.Count < followed[0].Count:
		return skip(fmt.Sprintf("the origin itself holds %d of %d acknowledged messages", origin.Count, followed[0].Count))
	}
	for _, how := range []string{"mirror", "source"} {
		switch e, ok := copied[how]; {
		case !ok:
			return unseen("nobody read the " + how)
		case e.Count != origin.Count:
			return []Finding{{Verdict: Unsafe, Got: fmt.Sprintf("the %s at %s has %d of %d messages %s after the end", how, e.Node, e.Count, origin.Count, spoken(catchingUp)), Measured: measured,
				Advice: mirrorAdvice(h.Terms), Evidence: []Event{origin, e}, Firm: true}}
		case e.What != origin.What:
			return []Finding{{Verdict: Unsafe, Got: fmt.Sprintf("the %s at %s has as many messages as its origin, but not the same, or in another order", how, e.Node), Measured: measured,
				Advice: mirrorAdvice(h.Terms), Evidence: []Event{origin, e}, Firm: true}}
		}
	}
	got := fmt.Sprintf("never further behind than %s (%s; control %s)", spoken(slowest.Took), slowest.How, spoken(usual.Took))
	if beyond := slowest.Took - latest(h, usual.Took); beyond > 0 {
		return []Finding{{Verdict: Risky, Got: "everything there in the end, but behind for " + spoken(slowest.Took) + fmt.Sprintf(" (%s; control %s)", slowest.How, spoken(usual.Took)),
			Measured: measured, Advice: mirrorAdvice(h.Terms), Evidence: followed, Beyond: beyond}}
	}
	return held(fmt.Sprintf("mirror and source have all %d messages; %s", origin.Count, got), measured...)
}

// mirrorAdvice is that for what happens to the balancer; the mesh of routes is no part of it.
func mirrorAdvice(t Terms) []Advice {
	t.Fronts = ""
	var advice []Advice
	for _, a := range eventAdvice(t) {
		if a.Text != directRoutes.Text {
			advice = append(advice, a)
		}
	}
	return advice
}
