package proxies

import (
	"slices"
	"testing"
	"time"
)

func TestDrainDue(t *testing.T) {
	const s = time.Second
	removed := map[string]time.Duration{"n1": 10 * s, "n2": 15 * s}
	for _, c := range []struct {
		at   time.Duration
		due  []string
		wait time.Duration
	}{
		{10 * s, nil, 30 * s},
		{40*s - 1, nil, 1},
		{40 * s, []string{"n1"}, 5 * s},
		{45 * s, []string{"n1", "n2"}, 0},
	} {
		due, wait := drainDue(c.at, 30*s, removed)
		if !slices.Equal(due, c.due) || wait != c.wait {
			t.Errorf("at %s: got %v and %s, want %v and %s", c.at, due, wait, c.due, c.wait)
		}
	}
	if due, wait := drainDue(99*s, s, nil); due != nil || wait != 0 {
		t.Errorf("nobody is removed: got %v and %s", due, wait)
	}
}

var bothBehindOne = front{Front{Name: "vip"}, []string{"b1", "b2"}}

func TestConnectionsOfARemovedBackendAreKeptOrEnded(t *testing.T) {
	const drained = time.Second
	for value, ends := range map[string]bool{"keep": false, drained.String(): true} {
		t.Run(value, func(t *testing.T) {
			l := start(t, with(t, "drain="+value), bothBehindOne)
			client, server := l.dial("vip"), l.reached("b1")
			other, behind := l.dial("vip"), l.reached("b2")
			if err := l.Remove("b1"); err != nil {
				t.Fatal(err)
			}
			say(t, client, server, "for now")
			l.dial("vip")
			l.reached("b2")
			if ends {
				expired := l.find(KindExpired, "vip#1")
				if took := expired.At.Sub(l.event(KindRemoved).At); took < drained {
					t.Errorf("ended %s after the removal, want %s or more", took, drained)
				}
				expect(t, "client", client, eof)
				expect(t, "server", server, eof)
				l.tells("vip#1", "begin", "expired fin drain", "end fin drain")
			} else {
				expect(t, "client", client, silence)
			}
			say(t, other, behind, "not concerned")
		})
	}
}

func TestABackendThatIsPutBackInTimeKeepsItsConnections(t *testing.T) {
	l := start(t, with(t, "drain=1h"), bothBehindOne)
	client, server := l.dial("vip"), l.reached("b1")
	for _, err := range []error{l.Remove("b1"), l.Restore("b1")} {
		if err != nil {
			t.Fatal(err)
		}
	}
	say(t, client, server, "still here")
	if removed := l.rotation.since(); len(removed) > 0 {
		t.Errorf("%v are removed", removed)
	}
}

func TestADrainEndsConnectionsThatAReloadLeftBehind(t *testing.T) {
	l := start(t, with(t, "drain=100ms", "restart=reload"), bothBehindOne)
	client, server := l.dial("vip"), l.reached("b1")
	if err := l.Strike(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := l.Remove("b1"); err != nil {
		t.Fatal(err)
	}
	expect(t, "client", client, eof)
	expect(t, "server", server, eof)
	l.tells("vip#1", "begin", "expired fin drain", "end fin drain")
}

func TestARemovalIsRememberedOverACrash(t *testing.T) {
	l := start(t, with(t, "drain=1ms", "restart=crash"), bothBehindOne)
	if err := l.Remove("b1"); err != nil {
		t.Fatal(err)
	}
	if err := l.Strike(t.Context()); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		say(t, l.dial("vip"), l.reached("b2"), "the one that is left")
	}
}

func TestADrainStandsStillInAStall(t *testing.T) {
	l := start(t, with(t, "drain=100ms", "stall=500ms"), bothBehindOne)
	client, server := l.dial("vip"), l.reached("b1")
	if err := l.Remove("b1"); err != nil {
		t.Fatal(err)
	}
	if err := l.Strike(t.Context()); err != nil {
		t.Fatal(err)
	}
	expect(t, "client", client, eof)
	expect(t, "server", server, eof)
	stalled, resumed, expired := l.event(KindStall), l.event(KindResume), l.find(KindExpired, "vip#1")
	if expired.At.After(stalled.At) && expired.At.Before(resumed.At) {
		t.Error("a connection was ended in a stall")
	}
}
