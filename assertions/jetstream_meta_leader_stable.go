package assertions

import "fmt"

func init() {
	register(Assertion{
		Name:    "jetstream/meta-leader-stable",
		Promise: "JetStream's meta group keeps its leader while every node lives.",
		Explain: "The meta group, all servers of a domain together, places streams and consumers: while it has no leader none can be made, and every election of it is one that a " +
			"healthy cluster does without. In a supercluster it spans the clusters, so that its heartbeats cross the gateways. Its term and leader are read from every node's /raftz four times " +
			"a second, and the system account's DOMAIN.LEADER_ELECTED advisories are put beside them; there is none for its quorum, which is lost if its leader gives up or nobody leads for 10 s.",
		Speaks: speaks(ofConnecting, ofCarrying, "idle-timeout", "idle-timeout-client", "idle-timeout-server", "idle-expiry", "max-lifetime",
			"stall", "outage", "restart", "drain"),
		SpeaksOn: betweenClusters,
		Links:    []string{"routes", "gateways"},
		Observe:  streaming,
		Judge:    judgeMeta,
		Hostile:  []string{"stall=12s"},
	})
}

// serverLinks are the links that servers have with each other.
var serverLinks = []string{"routes", "gateways", "leafnodes"}

func judgeMeta(h History) []Finding {
	begin := fromHere(h)
	isMeta := func(c *chronicle) bool { return c.name == nameOfMeta }
	if missing := h.Kind(Client, "no-stream"); len(missing) > 0 {
		ever := recordQuorum(h, window{missing[0].At, missing[0].At}, isMeta)
		if len(ever.fates) > 0 && ever.fates[0].after.leader != "" {
			return skip("no stream could be used, though the meta group has a leader: " + missing[0].Why)
		}
		return []Finding{{Verdict: Unsafe, Got: fmt.Sprintf("the meta group had no leader within %s of the start", spoken(missing[0].At)), Advice: eventAdvice(h.Terms), Evidence: sample(missing), Firm: true}}
	}
	over, flowing := h.First(Client, "flowing")
	if !flowing {
		over, flowing = h.First(Client, "not-flowing")
	}
	record := recordQuorum(h, window{begin, over.At}, isMeta)
	switch {
	case !flowing:
		return unseen("nobody watched the meta group to the end")
	case len(record.fates) == 0 || record.fates[0].before.leader == "":
		return unseen("the meta group was not seen to have a leader before the event, so no election can be told")
	case len(record.elected()) == 0 && len(record.lost()) == 0:
		f := record.fates[0]
		return held(fmt.Sprintf("%s led in term %d from the beginning to the end", f.before.leader, f.before.term), record.measured()...)
	}
	called := ""
	if n := record.terms(); n > 0 {
		called = plural(n, "election") + " called though no node failed"
	}
	return []Finding{{Verdict: Unsafe, Got: join(record.what(), called), Measured: record.measured(), Advice: eventAdvice(h.Terms), Timeline: record.timeline(h),
		Evidence: sample(h.Filter(func(e Event) bool { return e.Kind == "raft" && e.Stream == metaGroup && e.At > begin })),
		Marginal: record.terms() == 1 && len(record.lost()) == 0 && len(record.fates[0].without) == 0}}
}
