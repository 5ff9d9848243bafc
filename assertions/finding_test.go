package assertions

import (
	"testing"
	"time"
)

func TestWhatAMachineThatIsLateExplains(t *testing.T) {
	const by = 300 * time.Millisecond
	for _, c := range []struct {
		name string
		f    Finding
		want bool
	}{
		{"a message that came late", Finding{}, true},
		{"a firm verdict", Finding{Firm: true}, false},
		{"nothing came in a second", Finding{Waited: time.Second}, true},
		{"nothing came in two", Finding{Waited: 2 * time.Second}, false},
	} {
		if got := c.f.Late(by); got != c.want {
			t.Errorf("%s: explained by %v: %v", c.name, by, got)
		}
	}
}

func TestVerdictsThatNoLatenessExplains(t *testing.T) {
	const by = 300 * time.Millisecond
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
		f := registry[c.by].Judge(History{Terms: terms, Events: c.events, Control: &History{Terms: terms}})[0]
		if f.Verdict != Unsafe || f.Late(by) != c.want {
			t.Errorf("%s: %s (%s), explained by a machine that is %v late: %v", c.name, f.Verdict, f.Got, by, f.Late(by))
		}
	}
}
