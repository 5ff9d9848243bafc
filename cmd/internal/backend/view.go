package backend

import (
	"encoding/json"
	"slices"
	"time"
)

// View is what the stand-in has seen, as it is told to a tester. Times are ages, so that no two clocks have to agree.
type View struct {
	Process     string       `json:"process"` // one stand-in, with all of its listeners
	Connections []Connection `json:"connections"`
	// Dropped is how many that ended long ago are remembered no more.
	Dropped int `json:"dropped,omitempty"`
}

// Connection is one connection as its acceptor saw it. Durations are in nanoseconds.
type Connection struct {
	ID     uint64 `json:"id"`     // the client_id of INFO
	Server string `json:"server"` // the server_id of the listener
	From   string `json:"from"`   // the address it came from: the load balancer's own, or the client's
	// Header says what a PROXY header ahead of everything else told, "" for none: v1 198.51.100.7:40000.
	Header string `json:"header,omitempty"`
	First  string `json:"first,omitempty"` // what came first: CONNECT, PING, HTTP, TLS, other; "" for nothing
	Name   string `json:"name,omitempty"`  // of a NATS client, as it says
	Began  int64  `json:"began"`           // ago
	// End is fin or rst as the other side ended it, closed where this side did, timeout, "" while it lives.
	End   string `json:"end,omitempty"`
	Ended int64  `json:"ended,omitempty"` // ago
	Quiet int64  `json:"quiet"`           // since the last byte in either direction, until the end or now

	at, over time.Time
}

// Lasted is how long the connection lived.
func (c Connection) Lasted() time.Duration { return c.over.Sub(c.at) }

// aged is the connection with its ages as of now.
func (c Connection) aged(now time.Time) Connection {
	c.Began = int64(now.Sub(c.at))
	if !c.over.IsZero() {
		c.Ended = int64(now.Sub(c.over))
	}
	return c
}

// told is how many connections one answer holds, the latest: some 300 bytes each, and a message has a megabyte.
const told = 2500

// view answers a tester.
func (b *Backend) view() ([]byte, error) {
	now := time.Now()
	v := View{Process: b.process}
	b.mu.Lock()
	for _, c := range b.ended {
		v.Connections = append(v.Connections, c.aged(now))
	}
	for _, s := range b.live {
		v.Connections = append(v.Connections, s.seen(now).aged(now))
	}
	v.Dropped = b.dropped
	b.mu.Unlock()
	slices.SortFunc(v.Connections, func(a, b Connection) int { return int(int64(a.ID) - int64(b.ID)) })
	if n := len(v.Connections) - told; n > 0 {
		v.Connections, v.Dropped = v.Connections[n:], v.Dropped+n
	}
	return json.Marshal(v)
}
