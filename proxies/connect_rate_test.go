package proxies

import (
	"context"
	"slices"
	"testing"
	"time"
)

func TestPaceSpacesConnectionsOut(t *testing.T) {
	const ms = time.Millisecond
	for _, c := range []struct {
		what      string
		came, due []time.Duration
	}{
		{"the first goes at once", []time.Duration{7 * ms}, []time.Duration{7 * ms}},
		{"a crowd goes one after another", []time.Duration{0, 0, 0, 0}, []time.Duration{0, 100 * ms, 200 * ms, 300 * ms}},
		{"who comes when nobody waits goes at once", []time.Duration{0, 100 * ms, 350 * ms}, []time.Duration{0, 100 * ms, 350 * ms}},
		{"who comes a little early waits for the rest", []time.Duration{0, 99 * ms, 150 * ms}, []time.Duration{0, 100 * ms, 200 * ms}},
		{"quiet times are not saved up", []time.Duration{0, 900 * ms, 900 * ms}, []time.Duration{0, 900 * ms, 1000 * ms}},
	} {
		p := pace{every: 100 * ms}
		var got []time.Duration
		for _, at := range c.came {
			got = append(got, p.turn(at))
		}
		if !slices.Equal(got, c.due) {
			t.Errorf("%s: got %v, want %v", c.what, got, c.due)
		}
	}
}

func TestConnectionsGoOnAtTheRateSet(t *testing.T) {
	const crowd, rate = 4, 2 // turns so far apart that on a busy machine, too, the next has come before its own
	l := start(t, with(t, "connect-rate=2"), front{Front{Name: "n1"}, []string{"b1"}}, front{Front{Name: "n2"}, []string{"b2"}})
	began := time.Now()
	for n := range crowd {
		l.dial([]string{"n1", "n2"}[n%2])
	}
	for n := range crowd {
		l.reached([]string{"b1", "b2"}[n%2])
		if took, turn := time.Since(began), time.Duration(n)*time.Second/rate; took < turn {
			t.Errorf("connection %d reached its backend after %s, before its turn at %s", n, took, turn)
		}
	}
	waited := 0
	for _, e := range l.all() {
		if e.Kind == KindApplied && e.Why == "connect-rate" {
			waited++
		}
	}
	if waited != crowd-1 {
		t.Errorf("%d connections are told to have waited, want %d", waited, crowd-1)
	}
}

func TestWhoHangsUpBeforeItsTurnIsGoneAtOnce(t *testing.T) {
	l := start(t, Profile{Behaviours: []Behaviour{slow{}}})
	l.connect()
	l.queueUp("n1", "n1#2").Close()
	l.tells("n1#2", "applied  connect-rate", "refused fin connect-rate")
	waits := l.queueUp("n1", "n1#3")
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	expect(t, "who waited when the balancer was closed", waits, eof)
	l.tells("n1#3", "applied  connect-rate", "refused fin close")
}

// slow is a rate lower than any that can be set: turns that no test waits for.
type slow struct{ ConnectRate }

func (slow) Start() Policy { return &pacer{pace: pace{every: time.Hour}} }

func TestAStallDoesNotCountAsWaiting(t *testing.T) {
	l := start(t, with(t, "connect-rate=1", "stall=1h")) // a second in which the stall has to begin
	l.connect()
	waits := l.queueUp("n1", "n1#2")
	ctx, resume := context.WithCancel(t.Context())
	struck := make(chan error)
	go func() { struck <- l.Strike(ctx) }()
	l.event(KindStall)
	expect(t, "who waits", waits, silence)
	if got := finds(waits, 1200*time.Millisecond); got != silence || len(l.accepted["b1"]) > 0 { // its turn is past
		t.Errorf("who waits finds %s in a stall", got)
	}
	resume()
	<-struck
	say(t, waits, l.reached("b1"), "at last")
}
