package proxies

import (
	"context"
	"maps"
	"math/rand/v2"
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

// watched runs the watches of a balancer until the test function returns.
func watched(c *clock, test func(s *watches)) {
	ctx, end := context.WithCancel(context.Background())
	s := newWatches(ctx, c)
	test(s)
	end()
	s.running.Wait()
}

// asking is a watch of a connection whose age is the clock's time.
func asking(c *clock, asks ...func(Quiet) time.Duration) *watch {
	w := &watch{quiet: func() Quiet { return Quiet{Age: c.now()} }}
	for _, ask := range asks {
		w.asks = append(w.asks, question{ask: ask})
	}
	return w
}

func TestAWatchAsksWhenItWasToldTo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newClock()
		var often, once []time.Duration
		watched(c, func(s *watches) {
			s.add(asking(c, func(q Quiet) time.Duration {
				often = append(often, q.Age)
				if len(often) == 4 {
					return 0
				}
				return 2 * time.Second
			}, func(q Quiet) time.Duration { once = append(once, q.Age); return 0 }))
			<-time.After(time.Minute)
		})
		if want := []time.Duration{0, 2 * time.Second, 4 * time.Second, 6 * time.Second}; !slices.Equal(often, want) {
			t.Errorf("asked at %v, want %v", often, want)
		}
		if want := []time.Duration{0}; !slices.Equal(once, want) {
			t.Errorf("asked at %v, want %v", once, want)
		}
	})
}

func TestEachOfManyWatchesIsAskedAtItsTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newClock()
		chance := rand.New(rand.NewPCG(1, 2))
		watched(c, func(s *watches) {
			asked := map[int]time.Duration{}
			due := map[int]time.Duration{}
			var taken []*watch
			for n := range 1000 {
				at := time.Duration(1+chance.IntN(3000)) * time.Millisecond
				w := asking(c, func(q Quiet) time.Duration {
					if q.Age < at {
						return at - q.Age
					}
					asked[n] = q.Age
					return 0
				})
				s.add(w)
				if n%7 == 0 {
					taken = append(taken, w)
				} else {
					due[n] = at
				}
			}
			for _, w := range taken {
				s.remove(w)
			}
			<-time.After(time.Minute)
			synctest.Wait()
			if !maps.Equal(asked, due) {
				t.Errorf("%d watches were asked, want the %d that stayed, each at its time", len(asked), len(due))
			}
			if len(s.due) != 0 {
				t.Errorf("%d watches are left", len(s.due))
			}
		})
	})
}

func TestAWatchSleepsThroughAStall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newClock()
		began := time.Now()
		var took time.Duration
		watched(c, func(s *watches) {
			s.add(asking(c, func(q Quiet) time.Duration {
				took = time.Since(began)
				return 5*time.Second - q.Age
			}))
			<-time.After(time.Second)
			c.stop()
			<-time.After(time.Minute)
			c.resume()
			<-time.After(time.Minute)
		})
		if want := time.Minute + 5*time.Second; took != want {
			t.Errorf("five seconds with a minute's stall took %s, want %s", took, want)
		}
	})
}

func TestAWatchEndsWithItsConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newClock()
		watched(c, func(s *watches) {
			asked := 0
			w := asking(c, func(Quiet) time.Duration { asked++; return time.Second })
			s.add(w)
			<-time.After(2500 * time.Millisecond)
			s.remove(w)
			<-time.After(time.Minute)
			if asked != 3 {
				t.Errorf("asked %d times, want at 0 s, 1 s and 2 s", asked)
			}
			over := asking(c, func(Quiet) time.Duration { return time.Hour })
			s.remove(over) // it ended while it began
			s.add(over)
			if len(s.due) != 0 {
				t.Error("a connection that is over is watched")
			}
		})
	})
}
