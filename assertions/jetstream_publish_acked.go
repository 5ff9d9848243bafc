package assertions

import (
	"fmt"
	"time"
)

func init() {
	register(Assertion{
		Name:    "jetstream/publish-acked",
		Promise: "Every publish to a stream is acknowledged in the end, and about as soon as one that loses its connection on the direct way.",
		Explain: "Three applications publish ten times a second to two R3 streams each, through the balancer, and wait for every ack as nats.go does (5 s). A publish that " +
			"fails, or whose connection was lost under it and is back, is said again under the same id. One that is not acknowledged 30 s after the event is one that an " +
			"application gives up; publishes that failed on the way, and gaps in the acks longer than one cut connection costs, are what it must be written for.",
		Speaks:  ofStreams,
		Links:   []string{"clients"},
		Observe: pipelining,
		Judge:   judgePublishAcked,
		// The id is in every message's header, so that none gets through.
		Hostile: []string{"inspection=signature", "inspection-pattern=Nats-Msg-Id"},
	})
}

// ofStreams act on applications that use streams: what ends or holds up connections that live. What keeps them from being
// made is client/connects' subject.
var ofStreams = speaks([]string{"inspection", "inspection-pattern", "inspection-limit", "on-down"}, ofCarrying,
	"idle-timeout", "idle-timeout-client", "idle-timeout-server", "idle-expiry", "max-lifetime", "stall", "outage", "restart", "drain", "node-fault")

func judgePublishAcked(h History) []Finding {
	if f, ok := judgeUnready(h); !ok {
		return f
	}
	sent, missing := unackedByStream(h)
	failed, usualFailed := h.Kind(Client, "publish-failed"), len(h.control().Kind(Client, "publish-failed"))
	stream, gap := ackGap(h)
	usual := usualGap(h.control())
	measured := []Measure{count("published", sent, "messages"), count("publishes_unacknowledged", missing, "messages"),
		count("publishes_failed", len(failed), "messages"), seconds("longest_ack_gap", gap)}
	acks := fmt.Sprintf("longest gap between acks %s (stream %s; control %s)", spoken(gap), stream, spoken(usual))
	risky := Finding{Verdict: Risky, Measured: measured, Advice: publishAdvice(h.Terms), Evidence: sample(failed)}
	switch {
	case sent == 0:
		return unseen("nothing was published to a stream, or not to the end")
	case missing > 0:
		return []Finding{{Verdict: Unsafe, Got: fmt.Sprintf("%d of %s never acknowledged within 30 s of the end%s", missing, plural(sent, "message"), firstFailure(failed)),
			Measured: measured, Advice: publishAdvice(h.Terms), Evidence: sample(failed), Firm: true}}
	case len(h.Kind(Client, "flowing")) == 0:
		return unseen("nobody saw whether publishing worked in the end")
	case len(failed) > usualFailed:
		risky.Got = join(fmt.Sprintf("all acknowledged in the end, but %s failed first (control %d)%s", plural(len(failed), "attempt"), usualFailed, firstFailure(failed)), acks)
		return []Finding{risky}
	case gap > latest(h, orPause(h, usual)):
		risky.Got, risky.Beyond = acks, gap-latest(h, orPause(h, usual))
		return []Finding{risky}
	}
	return held(fmt.Sprintf("all %d messages acknowledged; %s", sent, acks), measured...)
}

// judgeUnready says what it means that the applications could not begin; true if they could.
func judgeUnready(h History) ([]Finding, bool) {
	if e, found := h.First(Client, "no-stream"); found {
		return unseen("stream " + e.Stream + ", which is made past the balancer, could not be used: " + e.Why), false
	}
	for _, kind := range []string{"unconnected", "unconsumed"} {
		if missing := h.Filter(func(e Event) bool { return e.From == Client && e.Kind == kind && ofPipeline(e) }); len(missing) > 0 {
			what := map[string]string{"unconnected": "could not connect", "unconsumed": "could not begin to consume"}[kind]
			return []Finding{{Verdict: Unsafe, Got: fmt.Sprintf("%s %s within %s: %s", plural(len(missing), "application"), what, spoken(entering), missing[0].Why),
				Advice: streamAdvice(h.Terms), Evidence: sample(missing), Firm: true}}, false
		}
	}
	return nil, true
}

// unackedByStream counts what was published, and what of it was never acknowledged. A stream of which only one of both
// is known counts as not published at all.
func unackedByStream(h History) (sent, missing int) {
	acked := map[string]map[int]bool{}
	for _, e := range h.Kind(Client, "acked") {
		if acked[e.Stream] == nil {
			acked[e.Stream] = map[int]bool{}
		}
		acked[e.Stream][e.Seq] = true
	}
	published := h.Kind(Client, "published")
	for _, e := range published {
		sent += e.Count
		missing += e.Count - len(acked[e.Stream])
	}
	if len(published) < len(acked) {
		return 0, 0
	}
	return sent, missing
}

// usualGap is what the control saw: its longest gap, or what its one cut connection cost, whoever had it.
func usualGap(control History) time.Duration {
	_, gap := ackGap(control)
	return max(gap, costOfCut(control))
}

// costOfCut is how long an application of the control was without a connection.
func costOfCut(control History) time.Duration {
	var longest time.Duration
	for _, e := range control.Kind(Client, "reconnected") {
		longest = max(longest, e.Took)
	}
	return longest
}

// orPause is what is usual, or an application's own pause where connections ended: that is no cost of the balancer's, and it is
// random, of which the control saw one.
func orPause(h History, usual time.Duration) time.Duration {
	if severed(h.Terms) {
		return max(usual, h.Terms.Reconnect)
	}
	return usual
}

// latest is the longest delay that is not worth telling: that of the control, and in an event what is a pure delay.
func latest(h History, usual time.Duration) time.Duration {
	if len(h.Terms.Strikes) == 0 {
		return usual + tolerance
	}
	return max(usual+tolerance, pureDelay)
}

func firstFailure(failed []Event) string {
	if len(failed) == 0 {
		return ""
	}
	return ": " + failed[0].Why
}

// streamAdvice is what helps applications that use streams through a balancer.
func streamAdvice(t Terms) []Advice {
	var advice []Advice
	if t.Idle > 0 {
		// Two pings and a bit fit into one idle timeout, so that a late or lost one does not matter.
		ping := trimmed((t.Real(t.Idle) * 2 / 5).Truncate(100 * time.Millisecond))
		advice = append(advice, Advice{Target: "nats-server", Text: fmt.Sprintf("ping_interval: %q  # below half the balancer's idle timeout", ping), Nats: map[string]string{"ping_interval": ping}},
			Advice{Target: "client", Text: fmt.Sprintf("pings every %s (nats.PingInterval), or heartbeats of consumers as often (jetstream.PullHeartbeat, IdleHeartbeat)", ping),
				Client: map[string]string{"ping-interval": ping}})
	}
	if t.Lifetime > 0 {
		advice = append(advice, Advice{Target: "load-balancer", Text: "no maximum connection lifetime towards clients", Set: map[string]string{"max-lifetime": "none"}})
	}
	if t.Settings["inspection"] != "" && t.Settings["inspection"] != "none" {
		advice = append(advice, Advice{Target: "load-balancer", Text: "no inspection of what NATS clients say, or TLS from end to end, which it cannot look into", Set: map[string]string{"inspection": "none"}})
	}
	if t.Struck("restart=crash") {
		advice = append(advice, reloaded)
	}
	if len(t.Strikes) > 0 {
		advice = append(advice, Advice{Target: "client", Text: "nats.MaxReconnects(-1) and nats.RetryOnFailedConnect(true): an application outlasts what the balancer goes through",
			Client: map[string]string{"max-reconnects": "-1"}})
	}
	return advice
}

// publishAdvice is what helps those who publish to streams through a balancer.
func publishAdvice(t Terms) []Advice {
	return append(streamAdvice(t), Advice{Target: "client",
		Text: "jetstream.WithMsgID, and publish again under the same id what was not acknowledged: an error does not say that nothing was stored"})
}
