package assertions

import (
	"testing"
	"time"
)

func TestWhatAMachineThatIsLateExplains(t *testing.T) {
	for _, c := range []struct {
		name string
		f    Finding
		by   float64
		want bool
	}{
		{"a loss", Finding{}, 0.3, true},
		{"a loss on a machine that was hardly late", Finding{}, 0.2, false},
		{"a firm verdict", Finding{Firm: true}, 0.3, false},
		{"nothing came in a second", Finding{Beyond: secs(1), Once: true}, 0.3, true},
		{"nothing came in two", Finding{Beyond: secs(2), Once: true}, 0.3, false},
		{"links came two seconds late, which a retry may have made", Finding{Beyond: secs(2)}, 0.3, true},
		{"links came two seconds late on a machine that was hardly late", Finding{Beyond: secs(2)}, 0.2, false},
		{"a little too late", Finding{Beyond: secs(0.2)}, 0.11, true},
		{"a little too late on a machine that was as late as any", Finding{Beyond: secs(0.2)}, 0.09, false},
		{"later than four turns", Finding{Beyond: secs(0.5)}, 0.11, false},
	} {
		h := History{Events: []Event{on(30, Lab, "late", took(c.by/2)), on(30, Lab, "late", took(c.by))}}
		if by, may := c.f.Late(h); may != c.want || by != secs(c.by) {
			t.Errorf("%s: explained by %v: %v; want %v", c.name, by, may, c.want)
		}
	}
}

func TestLatenessCountsWhereTheEvidenceIs(t *testing.T) {
	of := func(evidence ...Event) Finding { return Finding{Verdict: Unsafe, Evidence: evidence} }
	lost := on(20, Client, "unheard")
	for _, c := range []struct {
		name string
		f    Finding
		at   float64 // when the machine had been late
		want bool
	}{
		{"just before", of(lost), 19, true},
		{"when it should have been heard", of(lost), 21.2, true},
		{"long before", of(lost), 14.9, false},
		{"long after", of(lost), 21.5, false},
		{"beside any of it", of(on(10, Client, "unheard"), lost), 19, true},
		{"while it was waited for", of(on(20, Client, "reconnected", took(10))), 8, true},
		{"in the life of a connection that a balancer ended", of(on(20, Balancer, "expired", took(10))), 8, false},
		{"nothing is quoted", of(), 1, true},
	} {
		const late = 0.3
		if by, may := c.f.Late(History{Events: []Event{on(c.at, Lab, "late", took(late))}}); may != c.want || may != (by == secs(late)) {
			t.Errorf("%s: explained by %v: %v; want %v", c.name, by, may, c.want)
		}
	}
}

func TestVerdictsThatNoLatenessExplains(t *testing.T) {
	const by = 0.3
	stall := hit(threeNodes(), "stall")
	unanswered := line(led(1, "_meta_", 1), strike(5, 6), on(37, Client, "published", stream("S1"), many(700)))
	for _, c := range []struct {
		name, by string
		events   []Event
		want     bool
	}{
		{"no ack, and publishing did not work for 30 s", "jetstream/quorum-holds", line(unanswered, on(36, Client, "not-flowing")), false},
		{"no ack", "jetstream/quorum-holds", unanswered, true},
		{"all connects failed", "client/connects", line(on(2, Client, "ungreeted", why("timeout")), on(2, Client, "ungreeted", why("timeout"))), false},
		{"one connect failed", "client/connects", line(on(2, Client, "greeted", took(0.01)), on(2, Client, "ungreeted", why("timeout"))), true},
	} {
		terms := stall
		terms.ClientTimeout = 2 * time.Second
		h := History{Terms: terms, Events: line(c.events, on(3, Lab, "late", took(by))), Control: &History{Terms: terms}}
		f := registry[c.by].Judge(h)[0]
		if _, may := f.Late(h); f.Verdict != Unsafe || may != c.want {
			t.Errorf("%s: %s (%s), explained by a machine that is %v s late: %v", c.name, f.Verdict, f.Got, by, may)
		}
	}
}

func TestWhatIsCloseToItsBoundary(t *testing.T) {
	for _, c := range []struct {
		name string
		f    Finding
		want bool
	}{
		{"no time at all", Finding{}, false},
		{"close in something else", Finding{Marginal: true}, true},
		{"a moment too late", Finding{Beyond: time.Millisecond}, true},
		{"as late again as it may be", Finding{Beyond: tolerance}, false},
	} {
		if got := c.f.Close(); got != c.want {
			t.Errorf("%s: close %v", c.name, got)
		}
	}
}
