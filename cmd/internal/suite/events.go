package suite

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"sync"
	"time"

	"github.com/lbtest/lbtest/assertions"
	"github.com/lbtest/lbtest/cmd/internal/report"
)

// book is where every lab's events are written, a line each, so that whoever doubts a verdict can look up what it rests
// on. It may be used from many goroutines. Without a place to write to it only numbers the labs.
type book struct {
	to io.Writer

	mu   sync.Mutex
	labs int
}

// labLine stands before the events of a lab and says which lab it was.
type labLine struct {
	Lab      string            `json:"lab"`
	Topology string            `json:"topology"`
	Link     string            `json:"link"`
	Proves   map[string]string `json:"settings"` // none: a control
	Started  time.Time         `json:"started"`
	Factor   float64           `json:"time_scale"`
	Judged   []string          `json:"judged"`
	Error    string            `json:"error,omitempty"`
}

// eventLine is an event as the file has it: its times in seconds since its lab began.
type eventLine struct {
	ID   string         `json:"id"`
	At   report.Seconds `json:"at_s"`
	Took report.Seconds `json:"took_s,omitzero"`
	assertions.Event

	// In nanoseconds, which those above stand for.
	Nanoseconds     *struct{} `json:"at,omitempty"`
	TookNanoseconds *struct{} `json:"took,omitempty"`
}

// number gives a lab a name that no other lab of the run has. Ids of events begin with it.
func (b *book) number() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.labs++
	return fmt.Sprintf("lab%d", b.labs)
}

// enter gives the events of a lab ids that are unique in the run, and writes them down.
func (b *book) enter(l lab, began time.Time, h assertions.History, failed error) {
	name := b.number()
	for i := range h.Events {
		h.Events[i].ID = name + "/" + h.Events[i].ID
	}
	if b.to == nil {
		return
	}
	head := labLine{Lab: name, Topology: l.topology.Name, Link: string(l.link()), Proves: maps.Clone(l.proves), Started: began.UTC().Round(time.Millisecond), Factor: l.factor}
	if head.Proves == nil {
		head.Proves = map[string]string{}
	}
	for _, a := range l.judged {
		head.Judged = append(head.Judged, a.Name)
	}
	if failed != nil {
		head.Error = failed.Error()
	}
	b.write(head, h.Events)
}

// write keeps the lines of one lab together. Who owns the file hears of what cannot be written when it is closed.
func (b *book) write(head any, events []assertions.Event) {
	b.mu.Lock()
	defer b.mu.Unlock()
	lines := json.NewEncoder(b.to)
	lines.SetEscapeHTML(false)
	err := lines.Encode(head)
	for i := 0; i < len(events) && err == nil; i++ {
		e := events[i]
		err = lines.Encode(eventLine{ID: e.ID, At: report.Seconds(e.At), Took: report.Seconds(e.Took), Event: e})
	}
}
