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
			"streams with spread leaders are published to 10 times a second each; their groups' terms and leaders are read from /raftz " +
			"four times a second. Quorum is lost while no majority of a group's members agrees on its leader.",
		Speaks: speaks(ofConnecting, ofCarrying, "idle-timeout", "idle-timeout-client", "idle-timeout-server", "idle-expiry", "max-lifetime",
			"stall", "outage", "restart", "drain"),
		Links:   []string{"routes"},
		Observe: streaming,
		Judge:   judgeQuorum,
		Hostile: []string{"stall=12s"},
	})
}

func judgeQuorum(h History) []Finding {
	if missing := h.Kind(Client, "no-stream"); len(missing) > 0 {
		when := "within 30 s"
		if !formed(h, missing[0].At) {
			when = "as the full mesh never formed"
		}
		return []Finding{{Verdict: Unsafe, Got: fmt.Sprintf("%d of %d R3 streams could not be used %s: %s", len(missing), streamCount, when, missing[0].Why),
			Measured: []Measure{count("streams_unusable", len(missing), "streams")}, Advice: eventAdvice(h.Terms), Evidence: sample(missing), Firm: true}}
	}
	begin, _ := struck(h)
	if e, ok := h.First(Lab, "pause-begin"); ok {
		begin = min(begin, e.At) // an idle timeout strikes while nobody publishes
	}
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
	switch {
	case published == 0:
		return unseen("nothing was published to a stream, or not to the end")
	case !ok:
		return []Finding{{Verdict: Unsafe, Got: fmt.Sprintf("none of %d publishes was acknowledged", published),
			Measured: []Measure{count("publishes_unacknowledged", published, "messages")}, Advice: eventAdvice(h.Terms)}}
	}
	groups, elections := risen(h, begin, last.At)
	group, without := longest(leaderless(h.Kind(Server, "raft"), begin, last.At))
	lostQuorum := advisories(h, "quorum-lost", begin)
	stream, gap := ackGap(h)
	_, usualGap := ackGap(h.control())
	failed, usualFailed := published-answered, unacked(h.control())
	measured := []Measure{seconds("longest_ack_gap", gap), count("elections", elections, "terms"),
		seconds("longest_without_leader", without.length()), count("quorum_lost_advisories", len(lostQuorum), "advisories"),
		count("publishes_unacknowledged", failed, "messages")}
	acks := fmt.Sprintf("longest wait for an ack %s (stream %s; control %s)", spoken(gap), stream, spoken(usualGap))

	_, stuck := h.First(Client, "not-flowing")
	if stuck || elections > 0 || without.length() > 0 || len(lostQuorum) > 0 {
		var lost, called, advised, forever string
		if without.length() > 0 {
			lost = fmt.Sprintf("quorum lost: no majority agreed on a leader of %s for %s", group, spoken(without.length()))
		}
		if elections > 0 {
			called = fmt.Sprintf("%s called in %s though no node failed", plural(elections, "election"), plural(groups, "Raft group"))
		}
		if len(lostQuorum) > 0 {
			advised = plural(len(lostQuorum), "quorum-lost advisory")
			if len(lostQuorum) > 1 {
				advised = fmt.Sprintf("%d quorum-lost advisories", len(lostQuorum))
			}
		}
		if stuck {
			forever = "publishing did not work again within 30 s"
		}
		return []Finding{{Verdict: Unsafe, Got: join(lost, called, advised, forever, acks), Measured: measured, Advice: eventAdvice(h.Terms),
			Evidence: sample(h.Filter(func(e Event) bool { return e.Kind == "raft" && e.At > begin })), Marginal: elections == 1 && without.length() == 0 && len(lostQuorum) == 0 && !stuck}}
	}
	if _, found := h.First(Client, "flowing"); !found {
		return unseen("nobody saw whether publishing worked in the end")
	}
	if len(highest(h.Events, begin)) == 0 {
		return unseen("no Raft group was seen before the event, so no election can be told")
	}
	switch {
	case failed > usualFailed:
		return []Finding{{Verdict: Risky, Got: join(fmt.Sprintf("%d of %d publishes never acknowledged (control %d)", failed, published, usualFailed), acks),
			Measured: measured, Advice: eventAdvice(h.Terms), Marginal: failed < usualFailed+3}}
	case gap > pureDelay && gap > usualGap+tolerance:
		return []Finding{{Verdict: Risky, Got: acks, Measured: measured, Advice: eventAdvice(h.Terms), Marginal: gap < pureDelay+tolerance}}
	case len(h.Terms.Strikes) == 0 && gap > usualGap+tolerance:
		return []Finding{{Verdict: Risky, Got: acks, Measured: measured, Advice: eventAdvice(h.Terms), Marginal: gap < usualGap+2*tolerance}}
	}
	return held("every group kept its leader; "+acks, measured...)
}

// risen counts the terms by which groups rose after a moment, and the groups that did.
func risen(h History, begin, end time.Duration) (groups, terms int) {
	before, after := highest(h.Events, begin), highest(h.Events, end)
	for group, term := range after {
		if was, ok := before[group]; ok && term > was {
			groups++
			terms += int(term - was)
		}
	}
	return groups, terms
}

// advisories counts those of a kind after a moment once: every node's client hears the same one.
func advisories(h History, kind string, begin time.Duration) []Event {
	var once []Event
	last := map[string]time.Duration{}
	for _, e := range h.Kind(Client, kind) {
		// The server repeats one for the same stream only after ten seconds (raft.go lostQuorumAdvInterval).
		if was, ok := last[e.Stream]; e.At < begin || ok && e.At-was < time.Second {
			continue
		}
		last[e.Stream] = e.At
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
