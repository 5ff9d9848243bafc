package proxies

import (
	"errors"
	"sync"
)

// loops are those of a balancer, started when they are needed.
type loops struct {
	clock *clock

	mu     sync.Mutex
	all    []*loop
	next   int
	closed bool
}

// abreast is how many loops a balancer has.
const abreast = 1

func newLoops(c *clock) *loops { return &loops{clock: c} }

// lane is how a flow without toxics is carried. Where a layer reads and writes, or where the system has no
// loop for us, goroutines do.
func (s *loops) lane(f *Flow) lane {
	if portable || f.apart || f.client.layer != nil || f.server.layer != nil {
		return newCopying(f)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed { // the flow is over
		return newCopying(f)
	}
	if len(s.all) < abreast {
		l, err := newLoop(s.clock)
		if err != nil {
			return newCopying(f)
		}
		s.all = append(s.all, l)
	}
	s.next++
	return newCrossing(f, s.all[s.next%len(s.all)])
}

// ring tells the loops that the clock runs again.
func (s *loops) ring() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, l := range s.all {
		l.ring()
	}
}

// close waits for the last flow's end.
func (s *loops) close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var errs []error
	for _, l := range s.all {
		errs = append(errs, l.close())
	}
	s.all, s.closed = nil, true
	return errors.Join(errs...)
}
