package proxies

import (
	"container/heap"
	"context"
	"sync"
	"time"
)

// Quiet is what a watch is told about its connection, in the balancer's own time.
type Quiet struct {
	Age    time.Duration // since forwarding began
	Client time.Duration // since the last byte was read from or written to the client
	Server time.Duration // since the last byte was read from or written to the backend
}

// watch is the questions that are asked of one connection until it is over or none wants to be asked again.
type watch struct {
	quiet func() Quiet
	asks  []question

	// Guarded by the mu of the watches.
	next time.Duration // when the first of the questions is due
	at   int           // in the heap
	over bool
}

type question struct {
	ask func(Quiet) time.Duration
	due time.Duration // in the balancer's time
}

// ask asks what is due, and says when to ask again; false for never.
func (w *watch) ask(c *clock) (next time.Duration, again bool) {
	for i := range w.asks {
		q := &w.asks[i]
		if q.ask == nil {
			continue
		}
		if q.due <= c.now() {
			wait := q.ask(w.quiet())
			if wait <= 0 {
				q.ask = nil
				continue
			}
			q.due = c.now() + wait
		}
		if !again || q.due < next {
			next, again = q.due, true
		}
	}
	return next, again
}

// watches are all of a balancer, served by one goroutine with one timer. They are never early, and late
// by what the runtime's timers are, about a millisecond.
type watches struct {
	clock *clock
	ended context.Context
	woken chan struct{} // holds a token once another watch has become the first that is due

	mu      sync.Mutex
	due     dueFirst
	serving bool
	running sync.WaitGroup
}

func newWatches(ended context.Context, c *clock) *watches {
	return &watches{clock: c, ended: ended, woken: make(chan struct{}, 1)}
}

// add asks for the first time, and then whenever it is due until the watch is removed.
func (s *watches) add(w *watch) {
	next, again := w.ask(s.clock)
	if !again {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if w.over {
		return
	}
	if !s.serving {
		s.serving = true
		s.running.Go(s.serve)
	}
	s.pushLocked(w, next)
	if w.at == 0 {
		select {
		case s.woken <- struct{}{}:
		default:
		}
	}
}

func (s *watches) pushLocked(w *watch, next time.Duration) {
	w.next = next
	heap.Push(&s.due, w)
}

// remove is for a connection that is over. A question under way is asked to its end.
func (s *watches) remove(w *watch) {
	s.mu.Lock()
	defer s.mu.Unlock()
	w.over = true
	if w.at < len(s.due) && s.due[w.at] == w {
		heap.Remove(&s.due, w.at)
	}
}

func (s *watches) serve() {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for s.clock.running(s.ended.Done()) && s.ended.Err() == nil {
		for w := s.first(); w != nil; w = s.first() {
			next, again := w.ask(s.clock)
			s.mu.Lock()
			if again && !w.over {
				s.pushLocked(w, next)
			}
			s.mu.Unlock()
		}
		timer.Stop()
		if wait, any := s.wait(); any {
			timer.Reset(wait)
		}
		select {
		case <-timer.C:
		case <-s.woken:
		case <-s.ended.Done():
			return
		}
	}
}

// first takes out the watch that is due, or nil.
func (s *watches) first() *watch {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.due) == 0 || s.due[0].next > s.clock.now() {
		return nil
	}
	return heap.Pop(&s.due).(*watch)
}

// wait is how long until one is due; false if there is none.
func (s *watches) wait() (time.Duration, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.due) == 0 {
		return 0, false
	}
	return s.due[0].next - s.clock.now(), true
}

// dueFirst is a heap of watches that know their places.
type dueFirst []*watch

func (h dueFirst) Len() int           { return len(h) }
func (h dueFirst) Less(i, j int) bool { return h[i].next < h[j].next }
func (h dueFirst) Swap(i, j int)      { h[i], h[j] = h[j], h[i]; h[i].at, h[j].at = i, j }
func (h *dueFirst) Push(w any)        { w.(*watch).at = len(*h); *h = append(*h, w.(*watch)) }
func (h *dueFirst) Pop() any {
	last := len(*h) - 1
	w := (*h)[last]
	(*h)[last] = nil // so that a connection that is over can go
	*h = (*h)[:last]
	return w
}
