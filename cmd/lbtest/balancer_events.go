package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/lbtest/lbtest/proxies"
)

// eventsAs is the one form in which events are written; the path follows.
const eventsAs = "jsonl="

// eventFields documents eventLine, for the help.
const eventFields = `  at           when, RFC 3339 with nanoseconds
  kind         begin, end, refused, applied, expired, gave-up, down, up, stall, resume, reload, …
  front        the frontend, as --listen names it (lb without a name)
  backend      the backend, as --to names it
  conn         the connection's name
  client_addr  the four ends: the client, the address it dialled,
  front_addr
  local_addr   the balancer's own towards the backend,
  backend_addr and the backend
  how          how it ended: fin, rst, silent, rst-on-next
  why          the setting that did it; or client, server, close; or how a backend did not answer
  what         a phrase, where there is more to say
  up_bytes     bytes delivered to the backend
  down_bytes   bytes delivered to the client
  age_s        seconds since the connection began
`

// eventLine is one event in --events. Its fields are promised, in the help above.
type eventLine struct {
	At          time.Time `json:"at"`
	Kind        string    `json:"kind"`
	Front       string    `json:"front,omitempty"`
	Backend     string    `json:"backend,omitempty"`
	Conn        string    `json:"conn,omitempty"`
	ClientAddr  string    `json:"client_addr,omitempty"`
	FrontAddr   string    `json:"front_addr,omitempty"`
	LocalAddr   string    `json:"local_addr,omitempty"`
	BackendAddr string    `json:"backend_addr,omitempty"`
	How         string    `json:"how,omitempty"`
	Why         string    `json:"why,omitempty"`
	What        string    `json:"what,omitempty"`
	Up          int64     `json:"up_bytes,omitempty"`
	Down        int64     `json:"down_bytes,omitempty"`
	Age         float64   `json:"age_s,omitempty"`
}

func lineOf(e proxies.Event) eventLine {
	return eventLine{e.At, e.Kind, e.Front, e.Backend, e.Conn, e.ClientAddr, e.FrontAddr, e.LocalAddr, e.BackendAddr,
		e.How, e.Why, e.What, e.Up, e.Down, e.Age.Seconds()}
}

// retold is an event for a reader of stderr.
func retold(e proxies.Event) string {
	var b strings.Builder
	b.WriteString(e.At.Format("15:04:05.000") + " ")
	who := e.Conn
	if who == "" {
		who = e.Backend
	}
	for _, part := range []string{who, e.Kind, e.How, e.Why} {
		if part != "" {
			b.WriteString(part + " ")
		}
	}
	switch e.Kind {
	case proxies.KindBegin:
		fmt.Fprintf(&b, "%s > %s > %s", e.ClientAddr, e.FrontAddr, e.BackendAddr)
	case proxies.KindEnd:
		fmt.Fprintf(&b, "after %s, %d bytes up, %d down", e.Age.Round(time.Millisecond), e.Up, e.Down)
	case proxies.KindRefused:
		fmt.Fprintf(&b, "%s > %s", e.ClientAddr, e.FrontAddr)
		if e.BackendAddr != "" {
			b.WriteString(" > " + e.BackendAddr)
		}
	}
	if e.What != "" {
		fmt.Fprintf(&b, " (%s)", e.What)
	}
	return strings.TrimRight(b.String(), " ")
}

// teller writes events in a goroutine of its own, since who notes one must not wait for who reads it. What
// has come is written at once and in order.
type teller struct {
	write func([]proxies.Event) error // nil: nobody wants to know
	end   func() error
	done  chan struct{}

	mu     sync.Mutex
	some   sync.Cond // waiting has grown, or over is set
	queue  []proxies.Event
	lost   int
	over   bool
	broken error // why nothing is written any more
}

// waiting is how many events wait for a reader who is slow, at most: what 10,000 connections note in their lives,
// some 20 MB. Beyond it events are lost, and how many is said.
const waiting = 1 << 16

// tellings is where the events go that the flags ask for; an error is the user's.
func (p *program) tellings(f *balancerFlags, log *lines) (*teller, error) {
	t := &teller{done: make(chan struct{}), end: func() error { return nil }}
	t.some.L = &t.mu
	var to io.Writer
	if f.events != "" {
		path, ok := strings.CutPrefix(f.events, eventsAs)
		if !ok || path == "" {
			return nil, fmt.Errorf("--events %q: want %sPATH, as in %[2]sevents.jsonl; - is stdout", f.events, eventsAs)
		}
		to = p.out
		if path != stdout {
			file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o644)
			if err != nil {
				return nil, fmt.Errorf("--events %s: %w", f.events, err)
			}
			to, t.end = file, file.Close
		}
	}
	if to == nil && !f.verbose { // nothing to tell anybody
		close(t.done)
		t.over = true
		return t, nil
	}
	t.write = func(events []proxies.Event) error {
		var encoded bytes.Buffer
		lines := json.NewEncoder(&encoded)
		lines.SetEscapeHTML(false)
		for _, e := range events {
			if f.verbose {
				log.complain("%s", retold(e))
			}
			if to != nil {
				if err := lines.Encode(lineOf(e)); err != nil {
					return err
				}
			}
		}
		if to == nil {
			return nil
		}
		_, err := to.Write(encoded.Bytes())
		return err
	}
	go t.run(log)
	return t, nil
}

// listener is what a balancer calls, nil if nobody wants to know.
func (t *teller) listener() func(proxies.Event) {
	if t.write == nil {
		return nil
	}
	return t.note
}

func (t *teller) note(e proxies.Event) {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case t.over || t.broken != nil:
	case len(t.queue) == waiting:
		t.lost++
	default:
		t.queue = append(t.queue, e)
		t.some.Signal()
	}
}

func (t *teller) run(log *lines) {
	defer close(t.done)
	var spare []proxies.Event
	t.mu.Lock()
	defer t.mu.Unlock()
	for {
		for len(t.queue) == 0 && !t.over {
			t.some.Wait()
		}
		if len(t.queue) == 0 {
			return
		}
		batch, lost := t.queue, t.lost
		t.queue, t.lost = spare[:0], 0
		if lost > 0 {
			batch = append(batch, proxies.Event{At: time.Now(), Kind: "lost", What: fmt.Sprintf("%d events: nobody read for too long", lost)})
		}
		t.mu.Unlock()
		err := t.write(batch)
		t.mu.Lock()
		if spare = batch; cap(spare) > 1<<10 {
			spare = nil // a burst is over
		}
		if err != nil {
			t.broken, t.queue = fmt.Errorf("writing events: %w", err), nil
			log.complain("%v; no more events are written", t.broken)
		}
	}
}

// patience is how long a reader that has stopped may hold up the end: long for one that merely falls behind, short of
// the 10 s after which docker stop kills.
const patience = 3 * time.Second

// close writes what is left, and says what went wrong meanwhile.
func (t *teller) close() error {
	t.mu.Lock()
	t.over = true
	t.some.Signal()
	t.mu.Unlock()
	select {
	case <-t.done:
	case <-time.After(patience):
		return failure{errors.New("writing events: nobody reads them, and the last are lost")}
	}
	if err := errors.Join(t.broken, t.end()); err != nil {
		return failure{err}
	}
	return nil
}
