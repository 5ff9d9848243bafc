package assertions

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
)

// FarEnd is a connection as the stand-in behind the load balancer accepted it. Durations are in nanoseconds; the
// names are those in which the stand-in tells it.
type FarEnd struct {
	ID     uint64        `json:"id"`               // its number for the connection
	Server string        `json:"server"`           // the server_id of the listener
	From   string        `json:"from"`             // where it came from
	Header string        `json:"header,omitempty"` // the PROXY header ahead of it
	First  string        `json:"first,omitempty"`  // what came first: CONNECT, PING, HTTP, TLS, other; "" for nothing
	Name   string        `json:"name,omitempty"`   // as a NATS client said
	Began  time.Duration `json:"began"`            // ago
	End    string        `json:"end,omitempty"`    // fin, rst, closed by the stand-in, timeout; "" while it lives
	Ended  time.Duration `json:"ended,omitempty"`  // ago
	Quiet  time.Duration `json:"quiet"`            // since the last byte, until the end or now
}

// standInVersion is what the stand-in calls itself.
const standInVersion = "0.0.0-lbtest-backend"

// standInAsked is the subject on which it tells what it has seen.
const standInAsked = "$LBTEST.connections"

// StandsIn reports whether a look at an endpoint met stand-ins, and whether it met anything else.
func StandsIn(h History) (standIns, others bool) {
	for _, e := range h.Events {
		if e.Info != nil {
			standIns, others = standIns || e.Info.Version == standInVersion, others || e.Info.Version != standInVersion
		}
	}
	return standIns, others
}

// inspect asks the stand-ins what they saw. Each that answers is asked: several of them may stand behind one address.
func (e *Endpoint) inspect(first *nats.Conn, rec *Recorder) {
	asked := map[string]bool{}
	e.question(first, asked, rec)
	const tries = 6 // each leads to another where there are three and turns are taken
	for range tries {
		limited, cancel := context.WithTimeout(context.Background(), e.within)
		nc, err := e.join(limited, rec)
		if err == nil {
			e.question(nc, asked, rec)
			nc.Close()
		}
		cancel()
	}
}

func (e *Endpoint) question(nc *nats.Conn, asked map[string]bool, rec *Recorder) {
	now := time.Now()
	told, err := nc.Request(standInAsked, nil, awaited)
	if err != nil {
		rec.Add(Event{From: Client, Kind: "untold", Node: nc.ConnectedServerName(), Why: e.mask(err.Error())})
		return
	}
	var view struct {
		Process     string   `json:"process"`
		Connections []FarEnd `json:"connections"`
	}
	if err := json.Unmarshal(told.Data, &view); err != nil {
		rec.Add(Event{From: Client, Kind: "untold", Node: nc.ConnectedServerName(), Why: fmt.Sprintf("its answer cannot be read: %v", err)})
		return
	}
	if asked[view.Process] {
		return
	}
	asked[view.Process] = true
	for _, c := range view.Connections {
		told := Event{From: Server, Kind: "accepted", Peer: c.Server, Addr: c.From, How: c.End, At: rec.Since(now.Add(-c.Began)), Far: &c}
		rec.Add(told)
	}
}

// nameOf is what the tester's connections called themselves.
func nameOf(h History) string {
	measuring, _ := h.First(Lab, "measuring")
	return cmp.Or(measuring.App, ownName)
}

// farEnds are the stand-in's views of the quiet connections, by the number of the client's own event.
func farEnds(h History) map[int]FarEnd {
	found, name := map[int]FarEnd{}, nameOf(h)
	for _, e := range h.Kind(Client, "rested") {
		for _, a := range h.Kind(Server, "accepted") {
			if a.Far.ID == e.Silence.ID && a.Far.Server == e.Peer && a.Far.Name == name {
				found[e.Seq] = *a.Far
			}
		}
	}
	return found
}
