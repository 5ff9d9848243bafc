package assertions

import (
	"strings"
	"testing"
)

func mib(n int64) func(*Event) { return func(e *Event) { e.Bytes = n * mebibyte } }

// limitedTo is nodes that may use so many MiB.
func limitedTo(n int64) Terms {
	t := threeNodes()
	t.Limits = Limits{Memory: n * mebibyte}
	return t
}

// kept is what the kernel says that it keeps nodes to.
func kept(n int64) []Event {
	return line(on(1, Server, "limited", node("n1"), mib(n)), on(1, Server, "limited", node("n2"), mib(n)))
}

// bursts is a burst on n1 that was wholly sent, and what came of it.
func bursts(n int64, then ...Event) []Event {
	return line(kept(64), on(2, Lab, "burst-begin", node("n1")), on(3, Client, "burst", node("n1"), mib(n), took(1)), then)
}

// fills is a stream on n2 that is filled, and what came of it.
func fills(n int64, then ...Event) []Event {
	return line(kept(64), on(5, Server, "jetstream-may-use", node("n1"), mib(1)), on(5, Server, "jetstream-may-use", node("n2"), mib(18079)),
		on(6, Lab, "fill-begin", node("n2")), then)
}

func TestJudgingWhatABurstDoes(t *testing.T) {
	told := limitedTo(64)
	told.Limits.GoMemLimit = 48 * mebibyte
	slowly := threeNodes()
	slowly.Limits.CPUs = 0.1
	killed := on(4, Lab, "exhausted", node("n1"), why(inBurst), how("killed"))
	judgeAll(t, "resources/survives-burst", []judged{
		{name: "all arrived", terms: limitedTo(64), want: Safe, got: "n1 lives after a burst of 64 MiB, all of which arrived within 2s",
			events:   bursts(64, on(3, Server, "used", node("n1"), why(inBurst), mib(50)), on(4, Client, "arrived", node("n1"), mib(64), took(2))),
			measured: map[string]float64{"burst": 64, "burst_took": 1, "memory_used": 50}},
		{name: "the subscriber was closed", terms: limitedTo(64), want: Safe,
			got:    "n1 lives after a burst of 64 MiB; it closed the subscriber that stood still as a slow consumer, 2 MiB of it delivered",
			events: bursts(64, on(4, Client, "slow", node("n1"), mib(2)))},
		{name: "killed", terms: limitedTo(64), want: Unsafe, events: bursts(41, killed),
			got: "the kernel killed n1 for want of memory: 64 MiB without GOMEMLIMIT were not enough for a burst of up to 41 MiB for a subscriber that stood still"},
		{name: "killed with GOMEMLIMIT", terms: told, want: Unsafe, events: bursts(64, killed),
			got: "the kernel killed n1 for want of memory: 64 MiB with GOMEMLIMIT=48MiB were not enough for a burst of up to 64 MiB for a subscriber that stood still"},
		{name: "killed while it was read", terms: limitedTo(64), want: Unsafe, events: bursts(64, on(3.5, Client, "slow", node("n1"), mib(1)), killed),
			got: "the kernel killed n1 for want of memory: 64 MiB without GOMEMLIMIT were not enough for a burst of up to 64 MiB for a subscriber that stood still"},
		{name: "stood still", terms: limitedTo(64), want: Unsafe, events: bursts(50, on(4, Lab, "exhausted", node("n1"), why(inBurst), how("stuck"), mib(64), many(30000))),
			got: "n1 stood still at its memory limit, where it read its own program from the disk again and again (30000 pages), until it was ended: 64 MiB without GOMEMLIMIT were not enough for a burst of up to 50 MiB for a subscriber that stood still"},
		{name: "never arrived", terms: slowly, want: Unsafe, events: bursts(64, on(40, Client, "unarrived", node("n1"), mib(3))),
			got: "3 MiB of a burst of 64 MiB had arrived 30 s after it, and the rest neither had nor was given up"},
		{name: "throttled", terms: slowly, want: Safe, got: "n1 lives after a burst of 64 MiB, all of which arrived within 9s",
			events:   bursts(64, on(3, Server, "used", node("n1"), why(inBurst), mib(90), many(70)), on(10, Client, "arrived", node("n1"), mib(64), took(9))),
			measured: map[string]float64{"throttled": 70}},
		{name: "not taken, and nobody knows why", terms: limitedTo(64), want: Skipped, events: bursts(3, on(4, Client, "untaken", node("n1"), mib(3))),
			got: "n1 did not take the burst, though it has not all the memory that it may have: 3 MiB in 1s"},
		{name: "killed by what follows only", terms: limitedTo(64), want: Safe, got: "n1 lives after a burst of 64 MiB, all of which arrived within 2s",
			events: bursts(64, on(4, Client, "arrived", node("n1"), mib(64), took(2)), on(9, Lab, "exhausted", node("n2"), why(inFill), how("killed")))},
		{name: "not kept to the limit", terms: limitedTo(32), want: Skipped, events: bursts(32, on(4, Client, "arrived", node("n1"), mib(32), took(2))),
			got: "the kernel keeps n1 to 64 MiB, not to 32 MiB"},
	})
}

func TestJudgingWhetherJetStreamFits(t *testing.T) {
	killed := on(9, Lab, "exhausted", node("n2"), why(inFill), how("killed"))
	judgeAll(t, "resources/jetstream-fits-limit", []judged{
		{name: "refused", terms: limitedTo(64), want: Safe, events: fills(36, on(8, Server, "used", node("n2"), why(inFill), mib(60)), on(9, Client, "refused", node("n2"), mib(36), why("insufficient resources"))),
			got:      "n2 stored 36 MiB, refused more (insufficient resources) and lives; JetStream there may use 18079 MiB by its own account, of a container's 64 MiB",
			measured: map[string]float64{"memory_limit": 64, "jetstream_may_use": 18079, "stored": 36, "memory_used": 60}},
		{name: "killed", terms: limitedTo(64), want: Unsafe, events: fills(40, killed, on(9, Client, "filled", node("n2"), mib(40))),
			got:      "the kernel killed n2 for want of memory, with 40 MiB in a stream in memory, all of which is lost: JetStream there may use 18079 MiB by its own account, of a container's 64 MiB (without GOMEMLIMIT)",
			measured: map[string]float64{"stored": 40, "jetstream_may_use": 18079}},
		{name: "killed by the burst before only", terms: limitedTo(64), want: Safe, events: fills(36, on(2, Lab, "exhausted", node("n1"), why(inBurst), how("killed")), on(9, Client, "refused", node("n2"), mib(36), why("insufficient resources"))),
			got: "n2 stored 36 MiB, refused more (insufficient resources) and lives; JetStream there may use 18079 MiB by its own account, of a container's 64 MiB"},
		{name: "no ack, and nobody knows why", terms: limitedTo(64), want: Skipped, events: fills(3, on(9, Client, "filled", node("n2"), mib(3), why("no ack within 5s"))),
			got: "the stream was neither filled until it was refused nor until its node was killed"},
		{name: "no stream", terms: limitedTo(64), want: Skipped, events: line(kept(64), on(9, Client, "no-stream", why("timeout"))),
			got: "no stream could be made within 30 s, which is what other assertions judge: timeout"},
		{name: "not kept to the limit", terms: limitedTo(32), want: Skipped, events: fills(36, killed), got: "the kernel keeps n1 to 64 MiB, not to 32 MiB"},
	})
}

func TestNothingIsPromisedWithoutALimit(t *testing.T) {
	slowly := threeNodes()
	slowly.Limits.CPUs = 0.5
	for _, c := range []struct {
		name                    string
		terms                   Terms
		burstIsMoot, fitsIsMoot bool
	}{
		{"no limit", threeNodes(), true, true}, {"64 MiB", limitedTo(64), false, false}, {"half a processor", slowly, false, true}, {"more than a lab fills", limitedTo(1024), false, true},
	} {
		for assertion, moot := range map[string]bool{"resources/survives-burst": c.burstIsMoot, "resources/jetstream-fits-limit": c.fitsIsMoot} {
			if why := registry[assertion].MootUnder(c.terms); (why != "") != moot {
				t.Errorf("%s with %s: %q", assertion, c.name, why)
			}
		}
	}
}

// What is advised is less than the container has, and one thing to try for both promises.
func TestWhatIsAdvisedAboutMemoryFits(t *testing.T) {
	burst, fits := burstAdvice(limitedTo(64))[0], fittingAdvice(limitedTo(64))[0]
	if burst.Text != fits.Text {
		t.Errorf("two pieces of advice:\n%s\n%s", burst.Text, fits.Text)
	}
	for key, want := range map[string]string{"max_pending": "7MiB", "jetstream.max_memory_store": "16MiB"} {
		if got := burst.Nats[key]; got != want || !strings.Contains(burst.Text, want) {
			t.Errorf("%s: %s=%s, want %s", burst.Text, key, got, want)
		}
	}
	if got := burst.Node["gomemlimit"]; got != "48MiB" || !strings.Contains(burst.Text, "GOMEMLIMIT=48MiB") {
		t.Errorf("%s: gomemlimit=%s", burst.Text, got)
	}
	slowly := threeNodes()
	slowly.Limits.CPUs = 0.1
	if a := burstAdvice(slowly); len(a) != 1 || !strings.Contains(a[0].Text, "CPU") {
		t.Errorf("got %+v", a)
	}
}
