package proxies

import (
	"sync/atomic"
	"time"
)

// clock is a balancer's own time, counted from its start. It stands still during a stall, as that of
// a paused virtual machine does, and as HAProxy makes its own do when it was stopped for a while: so
// no timer runs out while nothing can move, and none is late by more than the stall.
type clock struct {
	start time.Time
	state atomic.Pointer[clockState]
}

type clockState struct {
	lost    time.Duration // how long it has stood still so far
	stopped time.Duration // its reading while it stands still
	moving  chan struct{} // closed when it moves on; nil while it runs
}

func newClock() *clock {
	c := &clock{start: time.Now()}
	c.state.Store(&clockState{})
	return c
}

func (c *clock) now() time.Duration {
	s := c.state.Load()
	if s.moving != nil {
		return s.stopped
	}
	return time.Since(c.start) - s.lost
}

// stop and resume take turns; whoever calls them sees to that.
func (c *clock) stop() {
	s := c.state.Load()
	c.state.Store(&clockState{lost: s.lost, stopped: c.now(), moving: make(chan struct{})})
}

func (c *clock) resume() {
	s := c.state.Load()
	c.state.Store(&clockState{lost: time.Since(c.start) - s.stopped})
	close(s.moving)
}

// stands says whether it stands still.
func (c *clock) stands() bool { return c.state.Load().moving != nil }

// running waits until the clock runs, and says false if given up was closed first.
func (c *clock) running(givenUp <-chan struct{}) bool {
	for {
		s := c.state.Load()
		if s.moving == nil {
			return true
		}
		select {
		case <-s.moving:
		case <-givenUp:
			return false
		}
	}
}
