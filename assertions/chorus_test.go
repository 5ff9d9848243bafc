package assertions

import (
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"
)

// choir is a chorus whose voices have no connection: what they hear is played to them.
func choir(rec *Recorder) *chorus {
	c := &chorus{rec: rec}
	for _, a := range []string{"A", "B"} {
		for _, n := range []string{"n1", "n2"} {
			c.voices = append(c.voices, &voice{node: n, account: a})
		}
	}
	return c
}

func (c *chorus) begin() {
	c.ticks = append(c.ticks, &tick{at: c.rec.Now(), heard: map[hearing]bool{}})
}

func TestChorusKnowsWhoHeardWhom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rec := NewRecorder()
		c := choir(rec)
		a1, a2, b1, b2 := c.voices[0], c.voices[1], c.voices[2], c.voices[3]
		play := func(v *voice, subject, data string) { c.hear(v, &nats.Msg{Subject: subject, Data: []byte(data)}) }

		rest(t.Context(), time.Second)
		c.begin() // round 0 was before the phase that is reported
		first := c.next()
		c.begin()
		rest(t.Context(), 10*time.Millisecond)
		play(a1, "say.n2", "1")
		play(a1, "say.n1", "1") // itself
		play(a2, "say.n1", "x") // no number
		play(a2, "say.n1", "7") // no such round
		play(a2, "say.n1", "-1")
		play(b1, "say.n2", "1")
		play(b2, "say.n1", "1")
		if c.heard(1) {
			t.Error("one of four is missing")
		}
		rest(t.Context(), 30*time.Millisecond)
		play(a2, "say.n1", "1")
		play(b2, "say.n1", "1") // twice
		if !c.heard(1) {
			t.Error("all four were heard")
		}
		c.begin()
		play(b2, "say.n1", "2")
		c.begin() // nobody hears this one

		if lost := c.report(first, "event"); lost != 7 {
			t.Errorf("%d lost, want 3 of round 2 and 4 of round 3", lost)
		}
		got := map[string]int{}
		var slowest time.Duration
		for _, e := range rec.Events() {
			if e.From != Client || e.Why != "event" || e.Seq < first {
				t.Errorf("%+v", e)
			}
			if e.Kind == "unheard" {
				got[e.Kind]++
			} else {
				got[e.Kind] += e.Count
			}
			slowest = max(slowest, e.Took)
		}
		if diff := cmp.Diff(map[string]int{"said": 12, "heard": 5, "unheard": 7}, got); diff != "" {
			t.Errorf("-want +got:\n%s", diff)
		}
		if slowest != 40*time.Millisecond {
			t.Errorf("the slowest took %s", slowest)
		}
	})
}

func TestDrainWaitsForWhatIsUnderWayButNotForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := choir(NewRecorder())
		c.begin()
		c.drain(t.Context(), -1)
		if c.rec.Now() != 500*time.Millisecond {
			t.Errorf("gave up after %s", c.rec.Now())
		}
		for _, h := range c.all() {
			c.ticks[0].heard[h] = true
		}
		began := c.rec.Now()
		if c.drain(t.Context(), 0); c.rec.Now() != began {
			t.Errorf("waited %s for nothing", c.rec.Now()-began)
		}
	})
}

// What is slow is not lost: a path that takes 300 ms carries what was said last when the talk is over.
func TestChorusIsPatientWithASlowPath(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const slow = 300 * time.Millisecond
		c := choir(NewRecorder())
		delivered := 0
		arrives := func() { // all that was said that long ago is heard now
			for ; delivered < len(c.ticks) && c.rec.Now()-c.ticks[delivered].at >= slow; delivered++ {
				seq := delivered
				for _, h := range c.all() {
					for _, v := range c.voices {
						if v.node == h.to && v.account == h.account {
							c.hear(v, &nats.Msg{Subject: "say." + h.from, Data: []byte(strconv.Itoa(seq))})
						}
					}
				}
			}
		}
		for c.rec.Now() < time.Second {
			c.begin()
			rest(t.Context(), each)
			arrives()
		}
		if !c.convinced(0) {
			t.Error("every round came through, 300 ms later, and it does not count")
		}
		if c.convinced(len(c.ticks) - 10) {
			t.Error("nothing said from that round on was heard yet")
		}
		over := make(chan struct{})
		go func() {
			defer close(over)
			for range 20 {
				rest(t.Context(), each)
				arrives()
			}
		}()
		c.drain(t.Context(), 0)
		<-over
		if !c.heard(len(c.ticks) - 1) {
			t.Error("what was under way was given up")
		}

		// Now the path is cut: what comes after is overdue before long.
		for range 20 {
			c.begin()
			rest(t.Context(), each)
		}
		if c.convinced(0) {
			t.Error("half a second of silence on a path of 300 ms went unnoticed")
		}
	})
}
