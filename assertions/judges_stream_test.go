package assertions

import (
	"testing"
	"time"
)

func ofApp(name string) func(*Event)  { return func(e *Event) { e.App = name } }
func ofWhat(name string) func(*Event) { return func(e *Event) { e.What = name } }

// reaches lets a consumer hear n messages of a stream, each delay seconds after those of acks(name, at, n, apart).
func reaches(kind, name string, at float64, n int, apart, delay float64) []Event {
	var all []Event
	for i := range n {
		all = append(all, on(at+float64(i)*apart+delay, Client, "consumed", ofApp(kind), stream(name), seq(i+1), many(i+1)))
	}
	return all
}

func consuming(kind, name string) Event {
	return on(0.9, Client, "consuming", ofApp(kind), stream(name))
}
func caughtUp(kind, name string) Event {
	return on(45, Client, "caught-up", ofApp(kind), stream(name))
}

// repeats says the newest of n messages again.
func repeats(name string, n int) Event {
	return on(12, Client, "repeated", stream(name), seq(n), how("dropped"))
}

// eared is a run in which four consumers hear all of ten messages of P1 and one key, each a hundredth of a second after
// its ack; the ordered one has what ordered gives it.
func eared(ordered []Event, more ...any) []Event {
	return line(append([]any{acks("P1", 1, 10, 0.5), consuming("pull", "P1"), consuming("push", "P1"), consuming("ordered", "P1"), consuming("watcher", "lbtest"),
		reaches("pull", "P1", 1, 10, 0.5, 0.01), reaches("push", "P1", 1, 10, 0.5, 0.01), ordered,
		on(2, Client, "consumed", ofApp("watcher"), stream("lbtest"), ofWhat("k1"), seq(1), many(1)),
		on(2.5, Client, "consumed", ofApp("watcher"), stream("lbtest"), ofWhat("k1"), seq(6), many(3)),
		on(40, Client, "kept", stream("lbtest"), ofWhat("k1"), seq(6)),
		caughtUp("pull", "P1"), caughtUp("push", "P1"), caughtUp("ordered", "P1"), caughtUp("watcher", "lbtest")}, more...)...)
}

func inOrder() []Event { return reaches("ordered", "P1", 1, 10, 0.5, 0.01) }

// acking is ten acks, one of which lets wait, and what was published.
func acking(gap float64, published int, more ...any) []Event {
	return line(append([]any{acks("P1", 1, 5, 0.1), shifted(acks("P1", 1.4+gap, 5, 0.1), 5), strike(1.4, 1.4+gap),
		on(30, Client, "flowing"), on(31, Client, "published", stream("P1"), many(published))}, more...)...)
}

// shifted gives messages later numbers.
func shifted(events []Event, by int) []Event {
	for i := range events {
		events[i].Seq += by
	}
	return events
}

func TestPublishAcked(t *testing.T) {
	crash, outage, standing := struckBy("restart=crash", 0), struckBy("outage", 5), threeNodes()
	control := acking(0.1, 10, on(4, Client, "reconnected", ofApp("pull"), took(2.1)))
	refused := on(3, Client, "publish-failed", stream("P1"), seq(6), why("context deadline exceeded"))
	patient := crash
	patient.Reconnect = 3 * time.Second
	judgeAll(t, "jetstream/publish-acked", []judged{
		{name: "the client's own pause is random, and may be longer than that of the control", terms: patient, control: control, events: acking(3.5, 10), want: Safe,
			got: "all 10 messages acknowledged; longest gap between acks 3.5s (stream P1; control 2.1s)"},
		{name: "a little beyond it is marginal", terms: patient, control: control, events: acking(3.6, 10), want: Risky, marginal: true,
			got: "longest gap between acks 3.6s (stream P1; control 2.1s)"},
		{name: "what one cut connection costs is safe", terms: crash, control: control, events: acking(2.3, 10), want: Safe,
			got:      "all 10 messages acknowledged; longest gap between acks 2.3s (stream P1; control 2.1s)",
			measured: map[string]float64{"published": 10, "publishes_unacknowledged": 0, "publishes_failed": 0, "longest_ack_gap": 2.3}},
		{name: "a gap beyond that is risky", terms: outage, control: control, events: acking(6, 10), want: Risky,
			got: "longest gap between acks 6s (stream P1; control 2.1s)"},
		{name: "a little beyond is marginal", terms: outage, control: control, events: acking(2.7, 10), want: Risky, marginal: true,
			got: "longest gap between acks 2.7s (stream P1; control 2.1s)"},
		{name: "a delay of up to 2 s ends with its event", terms: struckBy("stall", 1), control: acking(0.1, 10), events: acking(1.1, 10), want: Safe,
			got: "all 10 messages acknowledged; longest gap between acks 1.1s (stream P1; control 100ms)"},
		{name: "and is risky where nothing happened", terms: standing, control: acking(0.1, 10), events: acking(1.2, 10), want: Risky,
			got: "longest gap between acks 1.2s (stream P1; control 100ms)"},
		{name: "a publish that failed is risky", terms: crash, control: control, events: acking(2.1, 10, refused), want: Risky,
			got:      "all acknowledged in the end, but 1 attempt failed first (control 0): context deadline exceeded; longest gap between acks 2.1s (stream P1; control 2.1s)",
			measured: map[string]float64{"publishes_failed": 1}},
		{name: "one that was never acknowledged is unsafe", terms: crash, control: control, events: acking(2.1, 11, refused), want: Unsafe,
			got: "1 of 11 messages never acknowledged within 30 s of the end: context deadline exceeded", measured: map[string]float64{"publishes_unacknowledged": 1}},
		{name: "none acknowledged at all is unsafe", terms: standing, control: control,
			events: line(on(31, Client, "published", stream("P1"), many(1)), on(30, Client, "not-flowing")), want: Unsafe,
			got: "1 of 1 message never acknowledged within 30 s of the end"},
		{name: "an application that never connects is unsafe", terms: standing, control: control, events: line(on(10, Client, "unconnected", ofApp("pull"), why("nats: timeout"))),
			want: Unsafe, got: "1 application could not connect within 10s: nats: timeout"},
		{name: "and so is one that cannot consume", terms: standing, control: control,
			events: line(on(10, Client, "unconsumed", ofApp("pull"), why("nats: timeout")), on(10, Client, "unconsumed", ofApp("push"))),
			want:   Unsafe, got: "2 applications could not begin to consume within 10s: nats: timeout"},
		{name: "streams that the balancer has no part in", terms: standing, events: line(on(30, Client, "no-stream", stream("P2"), why("no leader"))),
			want: Skipped, got: "stream P2, which is made past the balancer, could not be used: no leader"},
		{name: "an empty history is no answer", terms: crash, want: Skipped, got: "nothing was published to a stream, or not to the end"},
		{name: "one of two streams that was not seen to the end is none either", terms: crash, events: acking(0.1, 10, acks("P2", 1, 3, 0.1)),
			want: Skipped, got: "nothing was published to a stream, or not to the end"},
		{name: "nor is an end that nobody saw", terms: crash, events: without(acking(0.1, 10), "flowing"), want: Skipped, got: "nobody saw whether publishing worked in the end"},
	})
}

func TestNoDuplicatesWithIDs(t *testing.T) {
	outage := struckBy("outage", 5)
	kept := func(more ...any) []Event {
		return line(append([]any{acks("P1", 1, 20, 0.1), repeats("P1", 10), readBackOf("P1", 20)}, more...)...)
	}
	judgeAll(t, "jetstream/no-duplicates-with-ids", []judged{
		{name: "what is there once is safe", terms: outage, events: kept(on(5, Client, "said-again", stream("P1"), seq(12))), want: Safe,
			got: "2 messages published again under the same id, each stored once", measured: map[string]float64{"publishes_repeated": 2, "stored_twice": 0}},
		{name: "what is there twice is unsafe, and once more is the same message", terms: outage,
			events: kept(on(9, Client, "reconnected", ofApp("stream-publisher-1"), took(7)), readBackOf("P1", 2), readBackOf("P1", 1)), want: Unsafe,
			got: "2 messages stored twice, of 1 that were published again under the same id (longest without a connection: 7s)", measured: map[string]float64{"stored_twice": 2}},
		{name: "the same number in another stream is another message", terms: outage,
			events: kept(acks("P2", 1, 2, 0.1), repeats("P2", 1), readBackOf("P2", 2)), want: Safe, got: "2 messages published again under the same id, each stored once"},
		{name: "nothing published again is no answer", terms: outage, events: without(kept(), "repeated"), want: Skipped, got: "nothing was published again to stream P1"},
		{name: "nothing acknowledged is skipped", terms: outage, want: Skipped, got: "nothing was acknowledged, so nothing can be there twice"},
		{name: "applications that never connect are others' subject", terms: outage, events: line(on(10, Client, "unconnected", ofApp("pull"), why("nats: timeout"))), want: Skipped,
			got: "1 application could not connect within 10s: nats: timeout, so nothing was published twice"},
		{name: "what cannot be read is skipped", terms: outage, events: line(acks("P1", 1, 2, 0.1), repeats("P1", 1), readBackOf("P1", 1)), want: Skipped,
			got: "1 acknowledged message could not be read back, so nobody knows how often they were stored"},
	})
}

func TestConsumerResumes(t *testing.T) {
	crash, outage := struckBy("restart=crash", 0), struckBy("outage", 5)
	control := eared(inOrder(), on(4, Client, "reconnected", ofApp("pull"), took(2.1)))
	swapped := inOrder()
	swapped[3], swapped[4] = swapped[4], swapped[3]
	swapped[3].At, swapped[4].At = swapped[4].At, swapped[3].At
	twice := append(inOrder(), on(6, Client, "consumed", ofApp("ordered"), stream("P1"), seq(10), many(10)))
	slow := inOrder()
	slow[2].At += secs(0.3)
	dropped := func(events []Event, kind string, n int) []Event {
		var left []Event
		for _, e := range events {
			if e.Kind != "consumed" || e.App != kind || e.Seq != n {
				left = append(left, e)
			}
		}
		return left
	}
	again := append(dropped(eared(inOrder()), "pull", 3), on(9, Client, "consumed", ofApp("pull"), stream("P1"), seq(3), many(3), how("again")))
	const unready = "2 applications could not connect within 10s: nats: timeout"
	judgeAll(t, "jetstream/consumer-resumes", []judged{
		{name: "what all hear at once is safe", terms: crash, control: control, events: eared(inOrder()), want: Safe,
			got:      "4 consumers missed nothing; what was acknowledged arrived within 10ms (the pull consumer of P1; control 2.1s)",
			measured: map[string]float64{"consumers": 4, "undelivered": 0, "out_of_order": 0, "keys_outdated": 0, "redelivered": 0, "longest_delivery_gap": 0.01}},
		{name: "a redelivery is the consumer's own affair", terms: crash, control: control, events: line(again), want: Safe,
			got: "4 consumers missed nothing; what was acknowledged arrived within 10ms (the pull consumer of P1; control 2.1s)", measured: map[string]float64{"redelivered": 1}},
		{name: "a consumer that returns late is risky", terms: outage, control: control, events: eared(reaches("ordered", "P1", 1, 10, 0.5, 4)), want: Risky,
			got: "nothing lost, but what was acknowledged arrived within 4s (the ordered consumer of P1; control 2.1s)"},
		{name: "later than the control where nothing happens too", terms: threeNodes(), control: eared(inOrder()), events: eared(reaches("ordered", "P1", 1, 10, 0.5, 0.7)), want: Risky, marginal: true,
			got: "nothing lost, but what was acknowledged arrived within 700ms (the ordered consumer of P1; control 10ms)"},
		{name: "a message that one of them never heard is unsafe", terms: crash, control: control, events: dropped(eared(inOrder()), "push", 10), want: Unsafe,
			got: "1 acknowledged message never reached their consumer within 30 s of the end (the push consumer of P1)", measured: map[string]float64{"undelivered": 1}},
		{name: "an ordered consumer out of order is unsafe", terms: crash, control: control, events: eared(swapped), want: Unsafe,
			got: "3 messages of an ordered consumer missing, twice or out of order (the ordered consumer of P1)", measured: map[string]float64{"out_of_order": 3}},
		{name: "and so is one that hears something twice", terms: crash, control: control, events: eared(twice), want: Unsafe,
			got: "1 message of an ordered consumer missing, twice or out of order (the ordered consumer of P1)"},
		{name: "a key that is not what its watcher thinks is unsafe", terms: crash, control: control, events: eared(inOrder(), on(41, Client, "kept", stream("lbtest"), ofWhat("k2"), seq(7))), want: Unsafe,
			got: "1 key whose last value its watcher never saw (the watcher of bucket lbtest)", measured: map[string]float64{"keys_outdated": 1}},
		{name: "a healthy connection that was cut for being quiet is unsafe", terms: idleFor(3, "fin"), control: control,
			events: eared(inOrder(), on(4, Client, "disconnected", ofApp("pull"), why("EOF")), on(4, Client, "disconnected", ofApp("stream-publisher-1"), why("EOF")),
				on(50, Client, "disconnected", ofApp("pull"))), want: Unsafe,
			got: "consumers' healthy connections were cut once, first that of the pull application"},
		{name: "one that something happened to is not", terms: crash, control: control, events: eared(slow, on(4, Client, "disconnected", ofApp("pull"))), want: Safe,
			got: "4 consumers missed nothing; what was acknowledged arrived within 310ms (the ordered consumer of P1; control 2.1s)"},
		{name: "applications that never connect are unsafe", terms: crash, control: control, want: Unsafe, got: unready,
			events: line(on(10, Client, "unconnected", ofApp("pull"), why("nats: timeout")), on(10, Client, "unconnected", ofApp("push"), why("nats: timeout")))},
		{name: "nothing to consume is skipped", terms: crash, control: control, events: without(eared(inOrder()), "acked"), want: Skipped,
			got: "nothing was acknowledged that could reach the pull consumer of P1"},
		{name: "an empty history is no answer", terms: crash, want: Skipped, got: "no pull consumer was watched"},
		{name: "an end that nobody saw is none", terms: crash, events: without(eared(inOrder()), "caught-up"), want: Skipped, got: "nobody saw what became of the pull consumer of P1"},
	})
}

func TestAdviceForStreamsIsAboutWhatWasAsked(t *testing.T) {
	idle := streamAdvice(idleFor(60, "fin"))
	if got := idle[0].Nats["ping_interval"]; got != "24s" {
		t.Errorf("pings every %q for an idle timeout of 60 s", got)
	}
	if got := windowAdvice(secs(100))[0].Nats["jetstream.limits.duplicate_window"]; got != "5m0s" {
		t.Errorf("a window of %s for publishers who are cut off for 100 s", got)
	}
	if got := windowAdvice(secs(2))[0].Nats["jetstream.limits.duplicate_window"]; got != "2m0s" {
		t.Errorf("a window of %s for publishers who are cut off for 2 s", got)
	}
}
