package assertions

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"
)

// Source says who reports an event.
type Source string

// Who writes on a lab's timeline.
const (
	Lab      Source = "lab"      // what we did
	Balancer Source = "balancer" // what the load balancer did
	Server   Source = "server"   // what a node's monitoring port says
	Client   Source = "client"   // what a NATS client of ours saw
	Probe    Source = "canary"   // what the tester's silent connection saw
)

// Event is one thing that happened. Which fields are set depends on the kind.
type Event struct {
	ID   string        `json:"id"`
	At   time.Duration `json:"at"` // since the lab began
	From Source        `json:"from"`
	Kind string        `json:"kind"`

	By      string        `json:"by,omitempty"`      // the observation that saw it, of what clients and servers did
	Node    string        `json:"node,omitempty"`    // where it was seen, or who published
	Peer    string        `json:"peer,omitempty"`    // the other node, or who received
	App     string        `json:"app,omitempty"`     // the application of ours that saw it
	Account string        `json:"account,omitempty"` // NATS account
	Stream  string        `json:"stream,omitempty"`  // stream, or Raft group
	Conn    string        `json:"conn,omitempty"`    // the balancer's name for a connection
	Front   string        `json:"front,omitempty"`   // the frontend
	Backend string        `json:"backend,omitempty"`
	Caller  string        `json:"caller,omitempty"` // the address that a client dialled from, as it and the balancer know it
	Addr    string        `json:"addr,omitempty"`   // the address a connection comes from, as its acceptor sees it
	Dial    string        `json:"dial,omitempty"`   // the address that was dialled
	How     string        `json:"how,omitempty"`    // manner: fin, rst, silent, …
	Why     string        `json:"why,omitempty"`    // reason
	What    string        `json:"what,omitempty"`   // a phrase for the reader
	Seq     int           `json:"seq,omitempty"`    // sequence number of a message
	Count   int           `json:"count,omitempty"`  // how many
	Term    uint64        `json:"term,omitempty"`   // Raft term
	Took    time.Duration `json:"took,omitempty"`

	Bytes int64 `json:"bytes,omitempty"` // how many
	Up    int64 `json:"up,omitempty"`    // bytes that the balancer delivered to the backend, exact in an end
	Down  int64 `json:"down,omitempty"`  // and to who dialled

	Info    *Info      `json:"info,omitempty"`    // what a server said of itself when it greeted
	TLS     *Handshake `json:"tls,omitempty"`     // what a TLS handshake showed
	Silence *Silence   `json:"silence,omitempty"` // how a quiet connection fared
	Far     *FarEnd    `json:"far,omitempty"`     // how a stand-in backend saw a connection
}

// History is a finished timeline together with what judges hold it against.
type History struct {
	Terms  Terms
	Events []Event
	// Control is the same observation behind a balancer that does nothing; nil for the control itself.
	Control *History
}

// Of is what one observation wrote down, with what the lab, the balancer and its canaries did, in the control as well.
func (h History) Of(o *Observation) History {
	h.Events = h.Filter(func(e Event) bool { return e.seenBy(o.Name) })
	if h.Control != nil {
		control := h.Control.Of(o)
		h.Control = &control
	}
	return h
}

// Filter returns the events for which keep is true, in order.
func (h History) Filter(keep func(Event) bool) []Event {
	var kept []Event
	for _, e := range h.Events {
		if keep(e) {
			kept = append(kept, e)
		}
	}
	return kept
}

// Kind returns the events of one source and kind, in order.
func (h History) Kind(from Source, kind string) []Event {
	return h.Filter(func(e Event) bool { return e.From == from && e.Kind == kind })
}

// First returns the earliest event of that source and kind.
func (h History) First(from Source, kind string) (Event, bool) {
	for _, e := range h.Events {
		if e.From == from && e.Kind == kind {
			return e, true
		}
	}
	return Event{}, false
}

// Last returns the latest event of that source and kind.
func (h History) Last(from Source, kind string) (Event, bool) {
	for i := len(h.Events) - 1; i >= 0; i-- {
		if e := h.Events[i]; e.From == from && e.Kind == kind {
			return e, true
		}
	}
	return Event{}, false
}

// control is the run to compare with: the control's own history is its own reference.
func (h History) control() History {
	if h.Control != nil {
		return *h.Control
	}
	return h
}

// Recorder collects the events of one lab. It may be used from many goroutines.
type Recorder struct {
	*timeline
	by string // the observation that writes; "" for the lab
}

// timeline is what all recorders of a lab write on.
type timeline struct {
	began time.Time

	mu     sync.Mutex
	events []Event
	grown  chan struct{} // closed at the next event; nil while nobody waits
}

// NewRecorder starts a timeline now.
func NewRecorder() *Recorder {
	return &Recorder{timeline: &timeline{began: time.Now()}}
}

// For is the same timeline as one observation writes and sees it: what clients and servers of others did is none of
// its business.
func (r *Recorder) For(o *Observation) *Recorder {
	if o == Forming || o == Gathering {
		return r // all others build on the mesh
	}
	return &Recorder{timeline: r.timeline, by: o.Name}
}

// seenBy reports whether an observation may see an event, and with it the judges of what it watched.
func (e Event) seenBy(observation string) bool {
	return e.By == "" || observation == "" || e.By == observation
}

// Add writes an event; its time is now unless At is set.
func (r *Recorder) Add(e Event) {
	if e.At == 0 {
		e.At = time.Since(r.began)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	e.ID = fmt.Sprintf("e%d", len(r.events)+1)
	if e.From == Client || e.From == Server {
		e.By = r.by
	}
	r.events = append(r.events, e)
	if r.grown != nil {
		close(r.grown)
		r.grown = nil
	}
}

// Since is the timeline's time at a moment.
func (r *Recorder) Since(at time.Time) time.Duration { return at.Sub(r.began) }

// Now is the timeline's time.
func (r *Recorder) Now() time.Duration { return time.Since(r.began) }

// Len is how many events there are: a place from which Await can look on.
func (r *Recorder) Len() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.events)
}

// Saw reports whether such an event was written already.
func (r *Recorder) Saw(from Source, kind string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.ContainsFunc(r.events, func(e Event) bool { return e.From == from && e.Kind == kind && e.seenBy(r.by) })
}

// SawAny reports whether an event was written for which want is true.
func (r *Recorder) SawAny(want func(Event) bool) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.ContainsFunc(r.events, func(e Event) bool { return e.seenBy(r.by) && want(e) })
}

// Events returns the timeline so far, by time.
func (r *Recorder) Events() []Event {
	r.mu.Lock()
	events := slices.Clone(r.events)
	r.mu.Unlock()
	slices.SortStableFunc(events, func(a, b Event) int { return int(a.At - b.At) })
	return events
}

// Await returns the first event from place on for which want is true. Without one it returns false
// when the context ends.
func (r *Recorder) Await(ctx context.Context, place int, want func(Event) bool) (Event, bool) {
	for {
		r.mu.Lock()
		for ; place < len(r.events); place++ {
			if e := r.events[place]; e.seenBy(r.by) && want(e) {
				r.mu.Unlock()
				return e, true
			}
		}
		if r.grown == nil {
			r.grown = make(chan struct{})
		}
		grown := r.grown
		r.mu.Unlock()
		select {
		case <-grown:
		case <-ctx.Done():
			return Event{}, false
		}
	}
}

// History is the timeline so far under those terms.
func (r *Recorder) History(t Terms) History { return History{Terms: t, Events: r.Events()} }
