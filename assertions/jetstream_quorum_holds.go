package assertions

import (
	"fmt"
	"time"
)

func init() {
	register(Assertion{
		Name:    "jetstream/quorum-holds",
		Promise: "No Raft group loses its leader or its quorum while every node lives, and publishing goes on.",
		Explain: "JetStream's Raft groups talk over the system route of each pair. A leader says something every second; a follower that hears " +
			"nothing for 4 to 9 s (at random) calls an election, and a leader without a majority steps down after 10 to 20 s. Twelve R3 " +
			"streams (six, where routes are direct) with spread leaders, three of them with a consumer, are published to 5 times a second each; the groups' terms and leaders are read from /raftz " +
			"four times a second, and advisories and acks are put beside them: one timeline for each group. Quorum is lost if a group's leader hears from no majority for 10 s, as servers themselves have it, or " +
			"gives up, if servers say so, or if no majority of its members agrees on a leader for 10 s; a shorter while without one is an election's, and so is the word of a leader that is voted out, which says that quorum is lost whenever it happens (2.15.2). A group is available while a majority " +
			"agrees on its leader and, of a stream, while publishes are acknowledged within half a second.",
		Speaks: speaks(ofConnecting, ofCarrying, "idle-timeout", "idle-timeout-client", "idle-timeout-server", "idle-expiry", "max-lifetime",
			"stall", "outage", "restart", "drain"),
		SpeaksOn: betweenClusters,
		Links:    serverLinks,
		Observe:  streaming,
		Judge:    judgeQuorum,
		Hostile:  []string{"stall=12s"},
	})
}

func judgeQuorum(h History) []Finding {
	if missing := h.Kind(Client, "no-stream"); len(missing) > 0 {
		when, whole := "within 30 s", formed(h, missing[0].At)
		if !whole {
			when = "as the full mesh never formed"
		}
		return []Finding{{Verdict: Unsafe, Got: fmt.Sprintf("%d of %d R3 streams could not be used %s: %s", len(missing), h.Terms.streamCount(), when, missing[0].Why),
			Measured: []Measure{count("streams_unusable", len(missing), "streams")}, Advice: eventAdvice(h.Terms), Evidence: sample(missing), Firm: !whole}}
	}
	begin := fromHere(h)
	published, answered := 0, 0
	for _, e := range h.Events {
		switch {
		case e.From != Client:
		case e.Kind == "published":
			published += e.Count
		case e.Kind == "acked":
			answered++
		}
	}
	last, ok := h.Last(Client, "acked")
	_, stuck := h.First(Client, "not-flowing") // for 30 s
	switch {
	case published == 0:
		return unseen("nothing was published to a stream, or not to the end")
	case !ok:
		return []Finding{{Verdict: Unsafe, Got: fmt.Sprintf("none of %d publishes was acknowledged", published),
			Measured: []Measure{count("publishes_unacknowledged", published, "messages")}, Advice: eventAdvice(h.Terms), Firm: stuck}}
	}
	record := recordQuorum(h, window{begin, last.At}, func(*chronicle) bool { return true })
	lostQuorum := advisories(h, "quorum-lost", begin)
	stream, gap := ackGap(h)
	_, usualGap := ackGap(h.control())
	failed, usualFailed := published-answered, unacked(h.control())
	measured := append(record.measured(), seconds("longest_ack_gap", gap), count("quorum_lost_advisories", len(lostQuorum), "advisories"),
		count("publishes_unacknowledged", failed, "messages"))
	acks := fmt.Sprintf("longest wait for an ack %s (stream %s; control %s)", spoken(gap), stream, spoken(usualGap))
	finding := Finding{Verdict: Risky, Measured: measured, Advice: eventAdvice(h.Terms), Timeline: record.timeline(h)}

	if unsettled := record.elected(); stuck || len(unsettled) > 0 || len(record.lost()) > 0 {
		var called, forever string
		if n := record.terms(); n > 0 {
			called = plural(n, "election") + " called though no node failed"
		}
		if stuck {
			forever = "publishing did not work again within 30 s"
		}
		finding.Verdict, finding.Got = Unsafe, join(record.what(), called, forever, acks)
		finding.Evidence = sample(h.Filter(func(e Event) bool { return e.Kind == "raft" && e.At > begin }))
		finding.Marginal = record.terms() == 1 && len(record.lost()) == 0 && !stuck && len(record.which(func(f fate) bool { return len(f.without) > 0 })) == 0
		return []Finding{finding}
	}
	if _, found := h.First(Client, "flowing"); !found {
		return unseen("nobody saw whether publishing worked in the end")
	}
	if len(highest(h.Events, begin)) == 0 {
		return unseen("no Raft group was seen before the event, so no election can be told")
	}
	switch kept := record.what(); {
	case failed > usualFailed:
		finding.Got, finding.Marginal = join(fmt.Sprintf("%d of %d publishes never acknowledged (control %d)", failed, published, usualFailed), kept, acks), failed < usualFailed+3
		return []Finding{finding}
	case gap > latest(h, usualGap):
		finding.Got, finding.Beyond = join(kept, acks), gap-latest(h, usualGap)
		return []Finding{finding}
	default:
		return held(join(kept, acks), measured...)
	}
}

// fromHere is when something can begin to happen to JetStream: with the event, or with the pause in which an idle
// timeout strikes.
func fromHere(h History) time.Duration {
	begin, _ := struck(h)
	if e, ok := h.First(Lab, "pause-begin"); ok {
		begin = min(begin, e.At)
	}
	return begin
}

// advisories counts those of a kind after a moment once: every node's client hears the same one.
func advisories(h History, kind string, begin time.Duration) []Event {
	var once []Event
	last := map[string]time.Duration{}
	for _, e := range h.Kind(Client, kind) {
		// The server repeats one for the same stream only after ten seconds (raft.go lostQuorumAdvInterval).
		if was, ok := last[e.Stream+e.What]; e.At < begin || ok && e.At-was < time.Second {
			continue
		}
		last[e.Stream+e.What] = e.At
		once = append(once, e)
	}
	return once
}

// ackGap is the longest time for which a stream that was published to acknowledged nothing.
func ackGap(h History) (stream string, gap time.Duration) {
	begin, _ := h.First(Lab, "pause-begin")
	end, _ := h.First(Lab, "pause-end")
	last := map[string]time.Duration{}
	for _, e := range h.Kind(Client, "acked") {
		was, ok := last[e.Stream]
		last[e.Stream] = e.At
		if !ok {
			continue
		}
		// Nothing was published in the pause; acks under way when it began still come in it.
		waited := e.At - was - max(0, min(e.At, end.At)-max(was, begin.At))
		if waited > gap {
			stream, gap = e.Stream, waited
		}
	}
	return stream, gap
}

// unacked counts the publishes that were never acknowledged.
func unacked(h History) int {
	n := 0
	for _, e := range h.Events {
		switch {
		case e.From != Client:
		case e.Kind == "published":
			n += e.Count
		case e.Kind == "acked":
			n--
		}
	}
	return n
}
