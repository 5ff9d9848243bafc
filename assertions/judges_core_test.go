package assertions

import (
	"fmt"
	"testing"
	"time"
)

// spaced is how far the rounds of these histories are from each other; nobody keeps a pace to the millisecond.
const spaced = 25 * time.Millisecond

// missed is a run of rounds from a time on that one listener did not hear.
func missed(phase string, at float64, rounds int, a, from, to string) []Event {
	var all []Event
	for i := range rounds {
		all = append(all, on(at+float64(i)*spaced.Seconds(), Client, "unheard", seq(i), account(a), node(from), peer(to), why(phase)))
	}
	return all
}

// through is a run through an event from 5 to 6 s, of which lost messages were not heard.
func through(slowest float64, lost []Event) []Event {
	return line(on(1, Server, "mesh-full"), strike(5, 6), on(5.5, Client, "said", many(100), why("event")),
		on(5.5+slowest, Client, "heard", many(100-len(lost)), took(slowest), why("event")), lost, on(20, Client, "healed"))
}

func TestDeliveryBetweenAllNodes(t *testing.T) {
	// The control's one cut route cost four messages in a gap of 100 ms.
	cut := missed("event", 5, 4, "A", "n1", "n2")
	control := through(0.1, cut)
	quiet := through(0.1, nil)
	stall, crash, standing := struckBy("stall", 1), struckBy("restart=crash", 0), threeNodes()
	lostIn := func(n int, at float64) []Event { return missed("event", at, n, "A", "n1", "n2") }
	never := func(lost []Event) []Event {
		return line(on(1, Server, "mesh-partial"), without(without(through(0.1, lost), "healed"), "mesh-full"), on(9, Client, "unhealed"))
	}
	stuck := func(lost []Event) []Event {
		return line(without(through(0.1, lost), "healed"), on(36, Client, "unhealed"))
	}
	judgeAll(t, "core/delivery-between-all-nodes", []judged{
		{name: "all heard in time is safe", terms: stall, events: through(0.1, nil), control: control,
			want: Safe, got: "100 of 100 messages heard, the slowest after 100ms", measured: map[string]float64{"messages_lost": 0, "messages_sent": 100, "slowest_delivery": 0.1}},
		{name: "an event during which nobody spoke says nothing", terms: stall,
			events: line(on(1, Server, "mesh-full"), on(4, Client, "said", many(100), why("event")), on(4.1, Client, "heard", many(100), took(0.1), why("event")),
				strike(5, 6), on(20, Client, "healed")), control: control, want: Errored, got: "nobody published during the event"},
		{name: "a pure delay of exactly 2 s is safe", terms: stall, events: through(2, nil), control: control, want: Safe, got: "100 of 100 messages heard, the slowest after 2s"},
		{name: "just beyond 2 s is risky, and marginal", terms: stall, events: through(2.001, nil), control: control, marginal: true,
			want: Risky, got: "100 of 100 messages heard, but delayed up to 2s"},
		{name: "half a second beyond is not marginal", terms: stall, events: through(2.5, nil), control: control,
			want: Risky, got: "100 of 100 messages heard, but delayed up to 2.5s", measured: map[string]float64{"slowest_delivery": 2.5}},
		{name: "a stall only delays: every lost message counts, few are marginal", terms: stall, events: through(0.1, lostIn(1, 5)), control: control, marginal: true,
			want: Unsafe, got: "1 of 100 messages lost although connections could exist: 1 way affected (A n1→n2)"},
		{name: "five lost messages are not marginal", terms: stall, events: through(0.1, lostIn(5, 5)), control: control,
			want: Unsafe, got: "5 of 100 messages lost although connections could exist: 1 way affected (A n1→n2)", measured: map[string]float64{"messages_lost": 5, "longest_gap": 0.15}},
		{name: "a crash that costs as much as two cut routes is safe", terms: crash, events: through(0.1, lostIn(8, 5)), control: control,
			want: Safe, got: "92 of 100 messages heard, the slowest after 100ms"},
		{name: "one message more is risky", terms: crash, events: through(0.1, lostIn(9, 5)), control: control,
			want: Risky, got: "9 messages lost in a gap of 250ms while no connection could exist (control: 4 for one cut route)"},
		{name: "a single message beyond a control that lost none is risky", terms: crash, events: through(0.1, lostIn(1, 5)), control: quiet,
			want: Risky, got: "1 message lost in a gap of 50ms while no connection could exist (control: 0 for one cut route)"},
		{name: "delays after a crash do not hide what was lost", terms: crash, events: through(2.6, lostIn(3, 5)), control: control,
			want: Risky, got: "97 of 100 messages heard, but delayed up to 2.6s"},
		// Routes can be back two tries of 1.1 s after the event (the control's 100 ms are less) and a second.
		{name: "the last moment at which no connection can exist does not count", terms: crash, events: through(0.1, lostIn(1, 9.2)), control: control,
			want: Safe, got: "99 of 100 messages heard, the slowest after 100ms"},
		{name: "a moment later it counts", terms: crash, events: through(0.1, lostIn(1, 9.201)), control: control, marginal: true,
			want: Unsafe, got: "1 of 100 messages lost although connections could exist: 1 way affected (A n1→n2)"},
		{name: "a message of the round before the event may be under way when it comes", terms: crash, events: through(0.1, lostIn(1, 4.975)), control: control,
			want: Safe, got: "99 of 100 messages heard, the slowest after 100ms"},
		{name: "one of an earlier round counts", terms: crash, events: through(0.1, lostIn(1, 4.949)), control: control, marginal: true,
			want: Unsafe, got: "1 of 100 messages lost although connections could exist: 1 way affected (A n1→n2)"},
		{name: "without strike events a crash excuses nothing", terms: crash, events: without(without(through(0.1, lostIn(5, 5)), "strike-begin"), "strike-over"), control: control,
			want: Unsafe, got: "5 of 100 messages lost although connections could exist: 1 way affected (A n1→n2)"},
		{name: "no recovery is unsafe, whatever the cause", terms: crash, events: stuck(lostIn(5, 5)), control: control,
			want: Unsafe, got: "5 of 100 messages lost, no full recovery within 30 s of the event: 1 way affected (A n1→n2)"},
		{name: "no recovery of routes that carry no account is unsafe after an event", terms: crash, events: stuck(nil), control: control,
			want: Unsafe, got: "no message lost, but no full recovery within 30 s of the event"},
		{name: "a mesh that never formed is told as such", terms: standing, events: never(lostIn(5, 5)), control: quiet,
			want: Unsafe, got: "5 of 100 messages lost, the full mesh never formed: 1 way affected (A n1→n2)"},
		{name: "a mesh that never formed is not safe even if all is heard", terms: standing, events: never(nil), control: quiet,
			want: Risky, got: "no message lost, but the full mesh never formed"},
		{name: "a mesh that came undone without an event is not safe even if all is heard", terms: standing, events: stuck(nil), control: quiet,
			want: Risky, got: "no message lost, but no full recovery within 30 s"},
		{name: "without an event half a second beyond the control is no cost", terms: standing, events: through(0.6, nil), control: quiet,
			want: Safe, got: "100 of 100 messages heard, the slowest after 600ms"},
		{name: "more is", terms: standing, events: through(0.601, nil), control: quiet, marginal: true, want: Risky, got: "nothing lost, but a message took 601ms (control 100ms)"},
		{name: "much more is not marginal", terms: standing, events: through(1.1, nil), control: quiet, want: Risky, got: "nothing lost, but a message took 1.1s (control 100ms)"},
		{name: "a control slower than the run is no cost of the balancer", terms: standing, events: through(0.6, nil), control: through(1.9, nil),
			want: Safe, got: "100 of 100 messages heard, the slowest after 600ms"},
		{name: "what was said in quiet spells is not this promise's", terms: stall, events: line(spells(5)), control: control, want: Skipped, got: "nothing was published"},
		{name: "an empty history is skipped", terms: stall, control: control, want: Skipped, got: "nothing was published"},
		{name: "a run whose end nobody saw is not safe", terms: stall, events: without(through(0.1, nil), "healed"), control: control,
			want: Skipped, got: "nobody saw whether the routes were whole again in the end"},
		{name: "messages of which nothing is known are not heard", terms: stall, events: line(through(0.1, nil), on(7, Client, "said", many(18), why("event"))), control: control,
			want: Skipped, got: "what became of 18 of 118 messages was not written down"},
	})
}

func TestNoLossWhenQuietThenBusy(t *testing.T) {
	terms, control := idleFor(20, "fin"), line(spells(5))
	slow := func(slowest float64) []Event { return line(spells(4), spell(5, slowest)) }
	lost := func(rounds int) []Event { return missed("spell", 170, rounds, "A", "n1", "n2") }
	judgeAll(t, "core/no-loss-when-quiet-then-busy", []judged{
		{name: "five spells after which all arrives are safe", terms: terms, events: line(spells(5)), control: control,
			want: Safe, got: "all 90 messages after 5 quiet spells arrived", measured: map[string]float64{"messages_lost": 0, "messages_sent": 90, "slowest_delivery": 0.002}},
		{name: "half a second beyond the control is no cost", terms: terms, events: slow(0.502), control: control, want: Safe, got: "all 90 messages after 5 quiet spells arrived"},
		{name: "just beyond is risky, and marginal", terms: terms, events: slow(0.503), control: control, marginal: true,
			want: Risky, got: "nothing lost, but a message took 503ms (control 2ms)"},
		{name: "a second beyond is not marginal", terms: terms, events: slow(1.002), control: control, want: Risky, got: "nothing lost, but a message took 1s (control 2ms)"},
		{name: "a control that was slower is no cost of the balancer", terms: terms, events: slow(0.6), control: slow(3), want: Safe, got: "all 90 messages after 5 quiet spells arrived"},
		{name: "one lost message is unsafe, and marginal", terms: terms, events: line(spell(1, 0.002), lost(1)), control: control, marginal: true,
			want: Unsafe, got: "1 of 18 messages lost after 1 quiet spell, the longest gap 50ms"},
		{name: "four are marginal", terms: terms, events: line(spells(2), lost(4)), control: control, marginal: true,
			want: Unsafe, got: "4 of 36 messages lost after 2 quiet spells, the longest gap 125ms"},
		{name: "five are not", terms: scaledBy(terms, 10), events: line(spells(2), lost(5)), control: control,
			want: Unsafe, got: "5 of 36 messages lost after 2 quiet spells, the longest gap 150ms", measured: map[string]float64{"messages_lost": 5, "messages_sent": 36, "longest_gap": 0.15}},
		{name: "a mesh that never came back is not safe even if all is heard", terms: terms, control: control,
			events: line(without(line(spells(5)), "healed"), on(690, Client, "unhealed", seq(5)), on(691, Client, "healed"), on(692, Client, "healed"), on(693, Client, "healed"), on(694, Client, "healed")),
			want:   Risky, got: "nothing lost, but the routes were not all up again within 30 s of a quiet spell"},
		{name: "a mesh that never formed is judged by what was said all the same", terms: terms, control: control,
			events: line(on(70, Client, "said", many(18), why(unformed)), missed(unformed, 70, 6, "A", "n1", "n2"), on(72, Client, "unhealed")),
			want:   Unsafe, got: "6 of 18 messages lost, the full mesh never formed: 1 way affected (A n1→n2)", measured: map[string]float64{"messages_lost": 6, "messages_sent": 18}},
		{name: "one that never formed and carries all is risky", terms: terms, control: control,
			events: line(on(70, Client, "said", many(18), why(unformed)), on(72, Client, "unhealed")), want: Risky, got: "no message lost, but the full mesh never formed"},
		{name: "four spells are not enough to be safe", terms: terms, events: line(spells(4)), control: control, want: Skipped, got: "4 of 5 quiet spells finished"},
		{name: "a fifth that was cut short is not enough either", terms: terms, events: line(spells(4), on(570, Lab, "quiet-end", seq(5))), control: control,
			want: Skipped, got: "4 of 5 quiet spells finished"},
		{name: "an empty history is skipped", terms: terms, control: control, want: Skipped, got: "nothing was published after a quiet spell"},
		{name: "spells after which nothing is said are skipped", terms: terms, events: without(without(line(spells(5)), "said"), "heard"), control: control,
			want: Skipped, got: "nothing was published after a quiet spell"},
		{name: "messages of which nothing is known did not arrive", terms: terms, events: without(line(spells(5)), "heard"), control: control,
			want: Skipped, got: "what became of 90 of 90 messages was not written down"},
	})
}

func TestLongestGap(t *testing.T) {
	for _, c := range []struct {
		name string
		lost []Event
		want time.Duration
	}{
		{"nothing lost is no gap", nil, 0},
		{"one message is one round", missed("event", 5, 1, "A", "n1", "n2"), each},
		{"rounds in a row add up", missed("event", 5, 4, "A", "n1", "n2"), 3*spaced + each},
		{"a message that was heard ends a gap", line(on(1, Client, "unheard", seq(1)), on(1.025, Client, "unheard", seq(2)), on(1.075, Client, "unheard", seq(4))), spaced + each},
		{"each listener misses for itself", line(missed("event", 1, 2, "A", "n1", "n2"), missed("event", 1, 3, "B", "n1", "n2"), missed("event", 1, 1, "A", "n2", "n1")), 2*spaced + each},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := longestGap(c.lost); got != c.want {
				t.Errorf("%s, want %s", got, c.want)
			}
		})
	}
}

func TestDeafPairsAreToldTheSameWayEachTime(t *testing.T) {
	var lost []Event
	for _, a := range []string{"B", "A"} {
		for _, pair := range [][2]string{{"n3", "n1"}, {"n2", "n1"}, {"n1", "n3"}, {"n1", "n2"}, {"n1", "n2"}} {
			lost = append(lost, on(1, Client, "unheard", account(a), node(pair[0]), peer(pair[1])))
		}
	}
	const want = "8 ways affected (A n1→n2 n1→n3 n2→n1 …, B n1→n2 n1→n3 n2→n1 …)"
	for range 50 {
		if got := deafPairs(lost); got != want {
			t.Fatalf("%s, want %s", got, want)
		}
	}
	// Names that run into each other are still two ways.
	if got := deafPairs(line(on(1, Client, "unheard", account("A1"), node("n"), peer("m")), on(1, Client, "unheard", account("A"), node("1n"), peer("m")))); got != "2 ways affected (A 1n→m, A1 n→m)" {
		t.Error(got)
	}
}

func ExampleVerdict_Worse() {
	fmt.Println(Errored.Worse(Unsafe), Unsafe.Worse(Risky), Risky.Worse(Safe), Safe.Worse(Skipped), Skipped.Worse(Skipped))
	// Output: true true true true false
}
