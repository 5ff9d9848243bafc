package assertions

import (
	"fmt"
	"time"
)

func init() {
	register(Assertion{
		Name:    "drain/rolling-restart",
		Promise: "A rolling restart of all nodes costs every client one reconnect a step and no acknowledged message.",
		Explain: "Each node in turn is taken out of rotation, given the drain time, stopped in order, started, waited for until it is healthy, and put back, while a publisher to an R3 stream and a " +
			"subscriber live behind the balancer. Whose node is stopped is back on another one after nats.go's ReconnectWait of 2 s; with three nodes and 2 s each, nobody is away for longer than in the " +
			"control. Messages that are published meanwhile wait in the client and are acknowledged later. Whatever was acknowledged is read back in the end.",
		Speaks:  []string{"drain", "bypass"},
		Links:   []string{"clients"},
		Observe: rolling,
		Judge:   judgeRolling,
		// Nothing is known that loses what was acknowledged; addresses past the balancer that nobody answers cost 6 s a step.
		Hostile: []string{"bypass=closed"},
	})
}

func judgeRolling(h History) []Finding {
	steps := len(h.Kind(Lab, "step-over"))
	gap := unacknowledged(h)
	usual := unacknowledged(h.control())
	read := map[int]bool{}
	for _, e := range h.Kind(Client, "read") {
		read[e.Seq] = true
	}
	acked := h.Kind(Client, "acked")
	var lost []Event
	for _, e := range acked {
		if !read[e.Seq] {
			lost = append(lost, e)
		}
	}
	// The slower of the two applications counts.
	away := func(h History) (longest time.Duration) {
		for _, e := range h.Kind(Client, "reconnected") {
			longest = max(longest, e.Took)
		}
		return longest
	}
	gap, usual = max(gap, away(h)), max(usual, away(h.control()))
	measured := []Measure{count("steps", steps, "restarts"), seconds("longest_gap", gap), count("acked", len(acked), "messages"), count("acked_lost", len(lost), "messages")}
	sent, told := h.First(Client, "published")
	if told {
		measured = append(measured, count("publishes_unacknowledged", max(0, sent.Count-len(acked)), "messages"))
	}
	finding := func(v Verdict, got string, evidence ...Event) []Finding {
		return []Finding{{Verdict: v, Got: got, Measured: measured, Advice: rollingAdvice(h.Terms), Evidence: sample(evidence)}}
	}
	unserved := h.Kind(Client, "unserved")
	if e, ok := h.First(Client, "unconnected"); ok {
		return finding(Unsafe, fmt.Sprintf("the %s could not connect: %s", e.App, e.Why), e)
	}
	if e, ok := h.First(Client, "no-stream"); ok {
		return finding(Unsafe, fmt.Sprintf("no stream could be made in %s: %s", spoken(back), e.Why), e)
	}
	unreadable, cannotRead := h.First(Client, "unreadable")
	calm := len(h.Kind(Client, "served"))
	switch {
	case len(unserved) > 0:
		f := finding(Unsafe, fmt.Sprintf("a client was not served again %s after a step", spoken(back)), unserved...)
		f[0].Firm = true
		return f
	case steps < len(h.Terms.Nodes) || calm < steps || !told:
		return unseen("not every node was restarted")
	case cannotRead:
		return finding(Unsafe, "the stream cannot be read back: "+unreadable.Why, unreadable)
	case len(acked) == 0:
		return finding(Unsafe, fmt.Sprintf("none of %s was acknowledged", plural(sent.Count, "message")), sent)
	case len(lost) > 0:
		return finding(Unsafe, fmt.Sprintf("%d of %s acknowledged, and gone", len(lost), plural(len(acked), "message")), lost...)
	case gap > usual+tolerance:
		f := finding(Risky, fmt.Sprintf("a step cost up to %s (control %s); %s acknowledged, none lost", spoken(gap), spoken(usual), plural(len(acked), "message")), h.Kind(Client, "reconnected")...)
		f[0].Beyond = gap - usual - tolerance
		return f
	}
	return held(fmt.Sprintf("%s, each at most %s without service; %s acknowledged, none lost", plural(steps, "restart"), spoken(gap), plural(len(acked), "message")), measured...)
}

// unacknowledged is the longest time between two acks.
func unacknowledged(h History) (gap time.Duration) {
	var last time.Duration
	for _, e := range h.Kind(Client, "acked") {
		if last > 0 {
			gap = max(gap, e.At-last)
		}
		last = e.At
	}
	return gap
}

func rollingAdvice(t Terms) []Advice {
	if v := t.Settings["bypass"]; v != "" && v != "off" {
		return pastAdvice
	}
	return []Advice{{Target: "nats-server", Text: "stop nodes in lame duck mode (nats-server --signal ldm), which sends clients away one by one before it ends"}}
}
