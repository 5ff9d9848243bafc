package assertions

import (
	"fmt"
	"slices"
)

func init() {
	register(Assertion{
		Name:    "jetstream/no-acked-loss",
		Promise: "Every message that a stream acknowledged can be read back, and its replicas agree.",
		Explain: "An ack of an R3 stream says that a majority has the message. In the end every stream is read from its beginning and compared " +
			"with the acks, and every node's own copy must have the same number of messages and the same last sequence. A write that " +
			"was not acknowledged may or may not be there.",
		Speaks: speaks(ofConnecting, ofCarrying, "idle-timeout", "idle-timeout-client", "idle-timeout-server", "idle-expiry", "max-lifetime",
			"stall", "outage", "restart", "drain", "node-fault"),
		Links:     []string{"routes", "clients"},
		Observe:   streaming,
		Elsewhere: map[string]*Observation{"clients": pipelining},
		Judge:     judgeAckedLoss,
		Unbroken:  "a majority of the nodes has what was acknowledged, and a balancer cannot reach it there",
	})
}

func judgeAckedLoss(h History) []Finding {
	type message struct {
		stream string
		seq    int
	}
	read := map[message]bool{}
	for _, e := range h.Kind(Client, "read") {
		read[message{e.Stream, e.Seq}] = true
	}
	unreadable := h.Kind(Client, "unreadable")
	acked := h.Kind(Client, "acked")
	if len(acked) == 0 {
		return skip("nothing was acknowledged, so nothing can be lost")
	}
	var lost []Event
	for _, e := range acked {
		if !read[message{e.Stream, e.Seq}] {
			lost = append(lost, e)
		}
	}
	differ := disagreeing(h)
	measured := []Measure{count("acked", len(acked), "messages"), count("acked_lost", len(lost), "messages"),
		count("streams_unreadable", len(unreadable), "streams"), count("streams_disagreeing", len(differ), "streams")}
	switch {
	case len(unreadable) > 0:
		return []Finding{{Verdict: Unsafe, Got: fmt.Sprintf("%s could not be read back within 30 s, %s not found: %s",
			plural(len(unreadable), "stream"), plural(len(lost), "acknowledged message"), unreadable[0].Why), Measured: measured, Advice: lossAdvice(h.Terms), Evidence: sample(unreadable)}}
	case len(lost) > 0:
		return []Finding{{Verdict: Unsafe, Got: fmt.Sprintf("%d of %d acknowledged messages could not be read back", len(lost), len(acked)),
			Measured: measured, Advice: lossAdvice(h.Terms), Evidence: sample(lost), Firm: true}}
	case len(differ) > 0:
		return []Finding{{Verdict: Unsafe, Got: fmt.Sprintf("the replicas of %s do not agree 10 s after the end", plural(len(differ), "stream")),
			Measured: measured, Advice: lossAdvice(h.Terms), Evidence: sample(differ)}}
	}
	if stream, ok := uncompared(h, acked); ok {
		return unseen("nobody saw what each node's copy of " + stream + " holds")
	}
	return held(fmt.Sprintf("%s read back, and replicas agree", plural(len(acked), "acknowledged message")), measured...)
}

// lossAdvice depends on who meets the balancer: those who replicate, or those who publish.
func lossAdvice(t Terms) []Advice {
	if slices.Contains(t.Links, "routes") || len(t.Links) == 0 {
		return eventAdvice(t)
	}
	return publishAdvice(t)
}

// uncompared returns a stream with acknowledged messages whose copies were not all seen, or of which no
// node had anything to say.
func uncompared(h History, acked []Event) (stream string, ok bool) {
	copies, holds := map[string]map[string]bool{}, map[string]bool{}
	for _, e := range h.Kind(Server, "replica") {
		if copies[e.Stream] == nil {
			copies[e.Stream] = map[string]bool{}
		}
		copies[e.Stream][e.Node] = true
		holds[e.Stream] = holds[e.Stream] || e.Count > 0
	}
	for _, e := range acked {
		if len(copies[e.Stream]) < max(2, len(h.Terms.Nodes)) || !holds[e.Stream] {
			return e.Stream, true
		}
	}
	return "", false
}

// disagreeing returns one replica of each stream whose copies differ.
func disagreeing(h History) []Event {
	first := map[string]Event{}
	var differ []Event
	told := map[string]bool{}
	for _, e := range h.Kind(Server, "replica") {
		was, ok := first[e.Stream]
		if !ok {
			first[e.Stream] = e
			continue
		}
		if (was.Count != e.Count || was.Seq != e.Seq) && !told[e.Stream] {
			told[e.Stream] = true
			differ = append(differ, e)
		}
	}
	return differ
}
