package assertions

import (
	"context"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
)

func init() {
	register(Assertion{
		Name:    "health/server-log-quiet",
		Promise: "Health checks leave no errors and warnings in the servers' logs, and no connections that no client made.",
		Explain: "A check that opens a connection to a client port and closes it is a client to the server: it is counted, it takes a place in the list of closed connections (connz?state=closed keeps " +
			"10,000, and drops real clients for it), and where the server reads first, because of TLS or PROXY headers, each check is a line in the log. A check that sends a SYN and resets leaves " +
			"nothing, and sees nothing of a server that hangs; /healthz on the monitoring port sees that and leaves nothing either. Nobody uses the servers for some checks, and what they complain of and list " +
			"is counted a minute and held against the same quiet behind nothing.",
		Speaks:  []string{"health-check", "health-interval"},
		Links:   []string{"clients"},
		Observe: lurking,
		Judge:   judgeLogQuiet,
		Hostile: []string{"health-check=connect", "health-interval=1s", "nats:proxy_protocol=true"},
	})
}

// checks is how many health checks of each backend are waited for: more than one chance.
const checks = 3

// lurk is how long servers are left alone.
func (t Terms) lurk() time.Duration {
	// Two seconds at least, in which a control's servers would log what they log by themselves.
	return max(checks*t.Check+t.Check/2, 2*time.Second)
}

// lurking leaves the servers alone in a lab where nothing else happens, a few quiet clients apart, and writes down what they complain of in their
// logs meanwhile and which connections they list as closed that never were a client's.
var lurking = &Observation{Name: "lurking", Own: true,
	Takes: func(t Terms) time.Duration { return t.lurk() },
	Watch: func(ctx context.Context, t Target, rec *Recorder) error {
		defer visit(t)()
		rest(ctx, glance) // for what servers still say of those who came before
		places := make([]int64, len(t.Nodes))
		for i, n := range t.Nodes {
			var err error
			if places[i], err = logPlace(n); err != nil {
				return err
			}
		}
		before := make([]connz, len(t.Nodes))
		for i, n := range t.Nodes {
			if err := ask(ctx, n, closedOnes, &before[i]); err != nil {
				return err
			}
		}
		rec.Add(Event{From: Lab, Kind: "watch-begin"})
		rest(ctx, t.Terms.lurk())
		rec.Add(Event{From: Lab, Kind: "watch-end"})
		for i, n := range t.Nodes {
			lines, err := logSince(n, places[i])
			if err != nil {
				return err
			}
			for _, l := range lines {
				// Servers tell of their own links as they are made, which no check of client ports touches.
				if !l.objects() || strings.Contains(strings.ToLower(l.text), "route") {
					continue
				}
				rec.Add(Event{From: Server, Kind: "logged", Node: n.Name, How: l.level, What: l.text})
			}
			var now connz
			if err := ask(ctx, n, closedOnes, &now); err != nil {
				return err
			}
			for _, c := range now.Connections {
				if c.Lang == "" && !before[i].lists(c.ID) {
					rec.Add(Event{From: Server, Kind: "phantom", Node: n.Name, Addr: hostPort(c.IP, c.Port), Why: c.Reason})
				}
			}
			rec.Add(Event{From: Server, Kind: "searched", Node: n.Name})
		}
		return ctx.Err()
	}}

// visit has some clients connected meanwhile, several for each node: servers behind a balancer are never without.
func visit(t Target) (leave func()) {
	var all []*nats.Conn
	for range presenters {
		if nc, err := t.dial(t.plain()[0], "lbtest visitor"); err == nil { // why one cannot connect is for others to say
			all = append(all, nc)
		}
	}
	return func() {
		for _, nc := range all {
			nc.Close()
		}
	}
}

// closedOnes asks for as many closed connections as a server keeps by default.
const closedOnes = "/connz?state=closed&limit=10000"

// lists reports whether a connection is among those listed.
func (c connz) lists(id uint64) bool {
	for _, listed := range c.Connections {
		if listed.ID == id {
			return true
		}
	}
	return false
}

func judgeLogQuiet(h History) []Finding {
	seen, usual := noiseOf(h), noiseOf(h.control())
	switch {
	case seen.watched <= 0:
		return unseen("nobody watched the servers' logs")
	case seen.searched < len(h.Terms.Nodes):
		return unseen("the log of a server was not read")
	case seen.watched < checks*h.Terms.Check:
		return unseen("the servers were not watched for as long as " + plural(checks, "check") + " of each")
	case usual.watched <= 0:
		return unseen("the control's logs were not watched")
	}
	logs, phantoms := seen.minutely(len(seen.lines)), seen.minutely(len(seen.phantoms))
	measured := []Measure{{Name: "complaints_per_minute", Value: logs, Unit: "1/min"}, {Name: "phantoms_per_minute", Value: phantoms, Unit: "1/min"}, seconds("watched", seen.watched)}
	var costs []string
	// A server complains of other things now and then; a line a check is more than that.
	if len(seen.lines) >= checks && logs > 2*usual.minutely(len(usual.lines)) {
		costs = append(costs, fmt.Sprintf("%.0f complaints a minute in the servers' logs (control %.0f), such as: %s", logs, usual.minutely(len(usual.lines)), seen.lines[0].What))
	}
	if len(seen.phantoms) > len(usual.phantoms) {
		costs = append(costs, fmt.Sprintf("%.0f connections a minute that no client made, counted and listed as closed", phantoms))
	}
	if len(costs) == 0 {
		return held("no complaint in the servers' logs, and no connection that no client made, in "+spoken(seen.watched), measured...)
	}
	return []Finding{{Verdict: Risky, Got: join(costs...), Measured: measured, Evidence: sample(append(seen.lines, seen.phantoms...)),
		Advice: []Advice{{Target: "load-balancer", Text: "health checks over HTTP on the monitoring port: GET /healthz?js-server-only=true", Set: map[string]string{"health-check": "http"}}}}}
}

// noise is what was found where servers were left alone.
type noise struct {
	lines, phantoms []Event
	searched        int // nodes
	watched         time.Duration
}

func noiseOf(h History) noise {
	begin, began := h.First(Lab, "watch-begin")
	end, over := h.Last(Lab, "watch-end")
	n := noise{lines: h.Kind(Server, "logged"), phantoms: h.Kind(Server, "phantom"), searched: len(h.Kind(Server, "searched"))}
	if began && over {
		n.watched = end.At - begin.At
	}
	return n
}

// minutely is a count of what was found, a minute.
func (n noise) minutely(count int) float64 { return math.Round(float64(count) / n.watched.Minutes()) }
