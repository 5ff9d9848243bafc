package assertions

import (
	"fmt"
	"time"
)

func init() {
	register(Assertion{
		Name:    "core/no-loss-when-quiet-then-busy",
		Promise: "The first messages after a quiet spell reach every node.",
		Explain: "Core NATS has no resend: what is published into a connection between servers that a balancer has just ended, or while it is being made again, is " +
			"lost without an error. After each of five quiet spells (two, if both lost something), and at once when a connection is ended, one client an account " +
			"and node publishes every 50 ms and all others listen; what never arrives is counted.",
		Speaks:  []string{"idle-timeout", "idle-timeout-client", "idle-timeout-server", "idle-expiry", "max-lifetime"},
		Links:   []string{routeLinks, gatewayLinks, leafLinks},
		Observe: quietly,
		Judge:   judgeQuietThenBusy,
		Hostile: []string{"idle-timeout=5s", "idle-expiry=rst"},
	})
}

func judgeQuietThenBusy(h History) []Finding {
	spells := len(h.Kind(Lab, "quiet-end"))
	lost := lostInSpells(h)
	said, heard := 0, 0
	var slowest time.Duration
	for _, e := range h.Events {
		switch {
		case e.From != Client || e.Why != "spell":
		case e.Kind == "said":
			said += e.Count
		case e.Kind == "heard":
			heard += e.Count
			slowest = max(slowest, e.Took)
		}
	}
	finished := min(spells, len(talks(h)))
	switch {
	case said == 0 && len(saidWhen(h, unformed)) > 0:
		return judgeUnformed(h)
	case said == 0:
		return unseen("nothing was published after a quiet spell")
	case len(lost) == 0 && finished < Spells:
		return unseen(fmt.Sprintf("%d of %s finished", finished, plural(Spells, "quiet spell")))
	case len(lost) == 0 && heard < said:
		return unseen(fmt.Sprintf("what became of %d of %d messages was not written down", said-heard, said))
	}
	measured := []Measure{count("messages_lost", len(lost), "messages"), count("messages_sent", said, "messages"),
		seconds("longest_gap", longestGap(lost)), seconds("slowest_delivery", slowest)}
	if len(lost) > 0 {
		return []Finding{{Verdict: Unsafe, Got: fmt.Sprintf("%d of %d messages lost after %s, the longest gap %s%s",
			len(lost), said, plural(spells, "quiet spell"), spoken(longestGap(lost)), asShortened(h.Terms)),
			Measured: measured, Advice: quietAdvice(h.Terms), Evidence: sample(lost), Marginal: len(lost) < 5}}
	}
	if e, found := h.First(Client, "unhealed"); found {
		// Every account was served; what is missing carries none of them, the system route for one.
		return []Finding{{Verdict: Risky, Got: fmt.Sprintf("nothing lost, but the %s were not all up again within %s of a quiet spell", h.Terms.kind().all, healingTime(h, e)),
			Measured: measured, Advice: quietAdvice(h.Terms), Evidence: []Event{e}}}
	}
	usual := slowestDelivery(h.control(), "spell")
	if later := slowest - usual; later > tolerance {
		return []Finding{{Verdict: Risky, Got: fmt.Sprintf("nothing lost, but a message took %s (control %s)", spoken(slowest), spoken(usual)),
			Measured: measured, Advice: quietAdvice(h.Terms), Beyond: later - tolerance}}
	}
	return held(fmt.Sprintf("all %d messages after %s arrived", said, plural(spells, "quiet spell")), measured...)
}

// judgeUnformed judges what was said though the links had never been whole.
func judgeUnformed(h History) []Finding {
	said := 0
	for _, e := range saidWhen(h, unformed) {
		said += e.Count
	}
	lost := h.Filter(func(e Event) bool { return e.From == Client && e.Kind == "unheard" && e.Why == unformed })
	measured := []Measure{count("messages_lost", len(lost), "messages"), count("messages_sent", said, "messages")}
	if len(lost) == 0 {
		return []Finding{{Verdict: Risky, Got: "no message lost, but " + h.Terms.kind().never, Measured: measured, Advice: unformedAdvice(h), Firm: true}}
	}
	return []Finding{{Verdict: Unsafe, Got: fmt.Sprintf("%d of %d messages lost, %s: %s", len(lost), said, h.Terms.kind().never, deafPairs(lost)),
		Measured: measured, Advice: unformedAdvice(h), Evidence: sample(lost), Firm: true}}
}

func saidWhen(h History, phase string) []Event {
	return h.Filter(func(e Event) bool { return e.From == Client && e.Kind == "said" && e.Why == phase })
}

// talks are the ends of what was said after each quiet spell: whether the links were whole again.
func talks(h History) []Event {
	return h.Filter(func(e Event) bool { return e.From == Client && (e.Kind == "healed" || e.Kind == "unhealed") })
}

// asShortened marks a time that is neither scaled nor real, since some of what it is made of is scaled: it
// is told as it was, never extrapolated.
func asShortened(t Terms) string {
	if t.Factor > 1 && t.Expiry == "silent" {
		return fmt.Sprintf(" in time shortened %g times", t.Factor)
	}
	return ""
}

func slowestDelivery(h History, phase string) time.Duration {
	var slowest time.Duration
	for _, e := range h.Events {
		if e.From == Client && e.Kind == "heard" && e.Why == phase {
			slowest = max(slowest, e.Took)
		}
	}
	return slowest
}

// longestGap is the longest time for which one listener missed one speaker.
func longestGap(lost []Event) time.Duration {
	type ear struct{ account, from, to string }
	began, last := map[ear]Event{}, map[ear]Event{}
	var longest time.Duration
	for _, e := range lost {
		key := ear{e.Account, e.Node, e.Peer}
		if was, ok := last[key]; !ok || e.Seq != was.Seq+1 {
			began[key] = e
		}
		last[key] = e
		longest = max(longest, e.At-began[key].At+each)
	}
	return longest
}
