package assertions

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestRecorderGivesEachEventItsOwnIDFromManyGoroutines(t *testing.T) {
	rec := NewRecorder()
	const writers, each = 8, 200
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for i := range each {
				rec.Add(Event{From: Lab, Kind: "x", Count: w, Seq: i})
				rec.Len()
				rec.Saw(Lab, "y")
			}
		})
	}
	waited, ok := rec.Await(t.Context(), 0, func(e Event) bool { return e.Count == writers-1 && e.Seq == each-1 })
	wg.Wait()
	if !ok || waited.ID == "" {
		t.Errorf("waited for %+v, %v", waited, ok)
	}
	ids := map[string]bool{}
	for _, e := range rec.Events() {
		ids[e.ID] = true
	}
	if len(ids) != writers*each || rec.Len() != writers*each {
		t.Errorf("%d ids of %d events, want %d", len(ids), rec.Len(), writers*each)
	}
}

func TestRecorderTellsTheTimelineInItsOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rec := NewRecorder()
		began := time.Now()
		rest(t.Context(), 3*time.Second)
		rec.Add(Event{Kind: "now"})
		rec.Add(Event{Kind: "late news", At: time.Second})
		rec.Add(Event{Kind: "as late", At: time.Second})
		var got []string
		for _, e := range rec.History(Terms{}).Events {
			got = append(got, fmt.Sprint(e.At, " ", e.Kind, " ", e.ID))
		}
		if diff := cmp.Diff([]string{"1s late news e2", "1s as late e3", "3s now e1"}, got); diff != "" {
			t.Errorf("-want +got:\n%s", diff)
		}
		if rec.Now() != 3*time.Second || rec.Since(began.Add(time.Minute)) != time.Minute {
			t.Errorf("now %s", rec.Now())
		}
	})
}

func TestAwaitLooksOnFromAPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rec := NewRecorder()
		cut := func(e Event) bool { return e.Kind == "cut" }
		rec.Add(Event{Kind: "cut", Conn: "old"})
		place := rec.Len()
		go func() {
			rest(t.Context(), time.Minute)
			rec.Add(Event{Kind: "other"})
			rec.Add(Event{Kind: "cut", Conn: "new"})
		}()
		if e, ok := rec.Await(t.Context(), 0, cut); !ok || e.Conn != "old" {
			t.Errorf("from the beginning: %+v", e)
		}
		if e, ok := rec.Await(t.Context(), place, cut); !ok || e.Conn != "new" || e.At != time.Minute {
			t.Errorf("from the place: %+v", e)
		}
		limited, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if e, ok := rec.Await(limited, rec.Len(), cut); ok || rec.Now() != time.Minute+time.Second {
			t.Errorf("nothing more comes: %+v after %s", e, rec.Now())
		}
	})
}

func TestHistoryFindsEvents(t *testing.T) {
	h := History{Events: line(on(1, Client, "healed"), on(2, Server, "healed"), on(3, Client, "healed"))}
	first, _ := h.First(Client, "healed")
	last, _ := h.Last(Client, "healed")
	_, none := h.First(Lab, "healed")
	_, noneLast := h.Last(Lab, "healed")
	if first.ID != "e1" || last.ID != "e3" || none || noneLast || len(h.Kind(Client, "healed")) != 2 {
		t.Errorf("%+v %+v %v %v", first, last, none, noneLast)
	}
}

func TestTermsSayHowLongToWait(t *testing.T) {
	for _, c := range []struct {
		name                 string
		terms                Terms
		quiet, watch, notice time.Duration
	}{
		{"without an idle timeout two pings fit in", threeNodes(), secs(66), secs(66), secs(90)},
		{"an idle timeout below the ping passes several times", idleFor(5, "fin"), secs(66), secs(18), secs(90)},
		{"one that does not is waited for", idleFor(60, "fin"), secs(99), secs(99), secs(90)},
		{"as does one that equals the ping", idleFor(30, "fin"), secs(66), secs(66), secs(90)},
		{"a scaled lab has time for the servers' second", scaledBy(threeNodes(), 100), secs(0.66), secs(3), secs(0.9)},
		{"and to make a route again", scaledBy(idleFor(20, "fin"), 10), secs(6.6), secs(9), secs(9)},
	} {
		t.Run(c.name, func(t *testing.T) {
			if q, w, n := c.terms.Quiet(), c.terms.Watch(), c.terms.Notice(); q != c.quiet || w != c.watch || n != c.notice {
				t.Errorf("quiet %s watch %s notice %s, want %s %s %s", q, w, n, c.quiet, c.watch, c.notice)
			}
		})
	}
	for factor, want := range map[float64]time.Duration{0: time.Second, 1: time.Second, 2.5: 2500 * time.Millisecond, 100: 100 * time.Second} {
		if got := (Terms{Factor: factor}).Real(time.Second); got != want {
			t.Errorf("a second at factor %g stands for %s, want %s", factor, got, want)
		}
	}
	// What a division leaves over is not spoken.
	if got := scaledBy(idleFor(20, "fin"), 66.6); got.Real(got.Idle) != 20*time.Second {
		t.Errorf("20 s there and back are %s", got.Real(got.Idle))
	}
	terms := struckBy("stall", 1)
	terms.Settings = map[string]string{"stall": "1s"}
	if !terms.Struck("outage", "stall") || terms.Struck("outage") || terms.Struck() {
		t.Errorf("%+v", terms)
	}
}

func TestUntilAsksUntilItIsAnswered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		asked, began := 0, time.Now()
		if !until(t.Context(), func() bool { asked++; return asked == 4 }) || time.Since(began) != 3*glance {
			t.Errorf("asked %d times in %s", asked, time.Since(began))
		}
		limited, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		began = time.Now()
		if until(limited, func() bool { return false }) || time.Since(began) != time.Minute {
			t.Errorf("gave up after %s", time.Since(began))
		}
		rest(limited, time.Hour) // its time is up already
		rest(t.Context(), time.Second)
		if time.Since(began) != time.Minute+time.Second {
			t.Errorf("rested until %s", time.Since(began))
		}
	})
}

func TestDurationsAreSpokenAsPeopleWriteThem(t *testing.T) {
	for d, want := range map[time.Duration]string{0: "0s", 350 * time.Millisecond: "350ms", 999600 * time.Microsecond: "1s", 1140 * time.Millisecond: "1.1s",
		9960 * time.Millisecond: "10s", 66400 * time.Millisecond: "66s", 2 * time.Minute: "120s", 150 * time.Second: "150s", 5 * time.Minute: "5m"} {
		if got := spoken(d); got != want {
			t.Errorf("%s is spoken %q, want %q", d, got, want)
		}
	}
	if got := []string{plural(0, "route"), plural(1, "route"), plural(2, "route"), plural(1, "address"), plural(2, "address"), join("a", "", "b")}; !slices.Equal(got, []string{"0 routes", "1 route", "2 routes", "1 address", "2 addresses", "a; b"}) {
		t.Error(got)
	}
}
