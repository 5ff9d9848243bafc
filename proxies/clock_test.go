package proxies

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

func TestTheClockStandsStillInAStall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newClock()
		reads := func(want time.Duration) {
			t.Helper()
			if got := c.now(); got != want {
				t.Errorf("the clock reads %s, want %s", got, want)
			}
		}
		<-time.After(3 * time.Second)
		reads(3 * time.Second)
		c.stop()
		<-time.After(10 * time.Second)
		reads(3 * time.Second)
		c.resume()
		reads(3 * time.Second)
		<-time.After(time.Second)
		reads(4 * time.Second)
		c.stop()
		<-time.After(time.Second)
		c.resume()
		reads(4 * time.Second)
	})
}

func TestWaitingForTheClockEndsWhenItRunsOrWhenGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newClock()
		if !c.running(nil) {
			t.Error("a running clock was said to stand still")
		}
		c.stop()
		answers := make(chan bool)
		go func() { answers <- c.running(nil) }()
		givenUp := make(chan struct{})
		go func() { <-time.After(time.Second); close(givenUp) }()
		if c.running(givenUp) {
			t.Error("a clock that stands still was said to run")
		}
		c.resume()
		if !<-answers {
			t.Error("a clock that runs again was said to stand still")
		}
	})
}

func TestAWatchAsksWhenItWasToldTo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newClock()
		done := make(chan struct{})
		defer close(done)
		quiet := func() Quiet { return Quiet{Age: c.now()} }
		var often, once []time.Duration
		watch(c, done, quiet, []func(Quiet) time.Duration{
			func(q Quiet) time.Duration {
				often = append(often, q.Age)
				if len(often) == 4 {
					return 0
				}
				return 2 * time.Second
			},
			func(q Quiet) time.Duration { once = append(once, q.Age); return 0 },
		})
		if want := []time.Duration{0, 2 * time.Second, 4 * time.Second, 6 * time.Second}; !slices.Equal(often, want) {
			t.Errorf("asked at %v, want %v", often, want)
		}
		if want := []time.Duration{0}; !slices.Equal(once, want) {
			t.Errorf("asked at %v, want %v", once, want)
		}
	})
}

func TestAWatchSleepsThroughAStall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newClock()
		began := time.Now()
		go func() {
			<-time.After(time.Second)
			c.stop()
			<-time.After(time.Minute)
			c.resume()
		}()
		watch(c, nil, func() Quiet { return Quiet{Age: c.now()} }, []func(Quiet) time.Duration{
			func(q Quiet) time.Duration { return 5*time.Second - q.Age },
		})
		if got, want := time.Since(began), time.Minute+5*time.Second; got != want {
			t.Errorf("five seconds with a minute's stall took %s, want %s", got, want)
		}
	})
}

func TestAWatchEndsWithItsConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		done := make(chan struct{})
		go func() { <-time.After(time.Second); close(done) }()
		began := time.Now()
		watch(newClock(), done, func() Quiet { return Quiet{} }, []func(Quiet) time.Duration{
			func(Quiet) time.Duration { return time.Hour },
		})
		if got := time.Since(began); got != time.Second {
			t.Errorf("ended after %s, want 1s", got)
		}
	})
}
