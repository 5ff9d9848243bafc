package assertions

import (
	"fmt"
	"time"
)

func init() {
	register(Assertion{
		Name:    "jetstream/no-duplicates-with-ids",
		Promise: "A message that is published again under the same id is stored once.",
		Explain: "Whoever loses an ack must publish again, and cannot know whether the first time counted. The Nats-Msg-Id header has a stream drop what it has stored within its duplicate " +
			"window: two minutes by default. Every tenth message is said twice at once, every publisher whose connection is back says again what was acknowledged last on the one before, and what got lost on the way " +
			"is said again anyhow; in the end every number must be in its stream once. An application that is cut off for longer than the window stores its message twice.",
		Speaks:  ofStreams,
		Links:   []string{"clients"},
		Observe: pipelining,
		Judge:   judgeDuplicates,
		// The window is the stream's own, with or without a balancer: a reconnect that takes longer breaks the promise on both ways.
		Absolute: true,
		Hostile:  []string{"restart=crash", "nats:jetstream.limits.duplicate_window=100ms"},
	})
}

func judgeDuplicates(h History) []Finding {
	if f, ok := judgeUnready(h); !ok {
		if f[0].Verdict == Unsafe {
			return skip(f[0].Got + ", so nothing was published twice")
		}
		return f
	}
	type message struct {
		stream string
		seq    int
	}
	stored := map[message]int{}
	var twice []Event
	for _, e := range h.Kind(Client, "read") {
		m := message{e.Stream, e.Seq}
		if stored[m]++; stored[m] == 2 {
			twice = append(twice, e)
		}
	}
	repeats := map[string]int{}
	for _, kind := range []string{"repeated", "said-again"} {
		for _, e := range h.Kind(Client, kind) {
			repeats[e.Stream]++
		}
	}
	said, acked, unread := 0, h.Kind(Client, "acked"), 0
	for _, n := range repeats {
		said += n
	}
	silent := ""
	for _, e := range acked {
		if stored[message{e.Stream, e.Seq}] == 0 {
			unread++
		}
		if repeats[e.Stream] == 0 {
			silent = e.Stream
		}
	}
	measured := []Measure{count("publishes_repeated", said, "messages"), count("stored_twice", len(twice), "messages")}
	switch {
	case len(twice) > 0:
		without := costOfCut(History{Events: h.Filter(ofPipeline)})
		return []Finding{{Verdict: Unsafe, Got: fmt.Sprintf("%s stored twice, of %d that were published again under the same id (longest without a connection: %s)",
			plural(len(twice), "message"), said, spoken(without)), Measured: measured, Advice: windowAdvice(without), Evidence: sample(twice), Firm: true}}
	case len(acked) == 0:
		return skip("nothing was acknowledged, so nothing can be there twice")
	case silent != "":
		return unseen("nothing was published again to stream " + silent)
	case unread > 0:
		return skip(fmt.Sprintf("%s could not be read back, so nobody knows how often they were stored", plural(unread, "acknowledged message")))
	}
	return held(fmt.Sprintf("%s published again under the same id, each stored once", plural(said, "message")), measured...)
}

// windowAdvice is a window that outlasts the longest time without a connection several times over.
func windowAdvice(without time.Duration) []Advice {
	const usual = 2 * time.Minute // the server's own (stream.go StreamDefaultDuplicatesWindow)
	window := max(usual, (3 * without).Round(time.Minute))
	return []Advice{
		{Target: "nats-server", Text: fmt.Sprintf("jetstream { limits { duplicate_window: %s } }  # the longest window that a stream may have", trimmed(window)),
			Nats: map[string]string{"jetstream.limits.duplicate_window": window.String()}},
		{Target: "client", Text: fmt.Sprintf("the stream's Duplicates: %s, longer than any time that a publisher may be cut off", trimmed(window))},
	}
}
