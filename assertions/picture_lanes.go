package assertions

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// lab is what was done: quiet spells, and nodes that were taken away.
func (d *drawing) lab() {
	quiet := Lane{Kind: LaneLab, Of: "the lab"}
	away := map[string]time.Duration{}
	var silent time.Duration
	for _, e := range d.h.Events {
		if e.From != Lab {
			continue
		}
		switch e.Kind {
		case "quiet-begin", "watch-begin":
			silent = e.At
		case "quiet-end", "watch-end":
			what := "nothing is published"
			if e.Seq > 0 {
				what = fmt.Sprintf("quiet spell %d", e.Seq)
			}
			quiet.Spans = append(quiet.Spans, Span{silent, e.At, StateQuiet, what})
		case "strike-begin", "strike-over":
			if len(d.h.Terms.Strikes) > 0 {
				verb := map[bool]string{true: " begins", false: " is over"}[e.Kind == "strike-begin"]
				quiet.Marks = append(quiet.Marks, Mark{e.At, strings.Join(d.h.Terms.Strikes, " and ") + verb, e.ID})
			}
		case "node-lost":
			away[e.Node] = e.At
		case "node-back":
			d.add(Lane{Kind: LaneLab, Of: "node " + e.Node, Spans: []Span{{away[e.Node], e.At, StateGone, e.Node + " is away"}}})
			delete(away, e.Node)
		}
	}
	for _, node := range slices.Sorted(maps.Keys(away)) {
		d.add(Lane{Kind: LaneLab, Of: "node " + node, Spans: []Span{{away[node], d.to, StateGone, node + " is away"}}})
	}
	d.add(quiet)
}

// strikes are what a balancer does as a whole: the kind of event that ends it, and how it is spoken of.
var strikes = map[string]struct {
	ends, state, what string
}{
	"stall":  {"resume", StateLess, "holds all bytes and new connections"},
	"outage": {"restored", StateGone, "refuses all connections"},
	"crash":  {"restarted", StateGone, "is down"},
}

// balancer is what it did as a whole.
func (d *drawing) balancer() {
	l := Lane{Kind: LaneBalancer, Of: "load balancer"}
	open := map[string]Event{} // by the kind that ends it
	for _, e := range d.h.Events {
		if e.From != Balancer || e.Conn != "" {
			continue
		}
		what := strings.TrimSpace(e.Kind + " " + e.Backend)
		if e.What != "" {
			what += ": " + e.What
		}
		l.Marks = append(l.Marks, Mark{e.At, what, e.ID})
		if s, ok := strikes[e.Kind]; ok {
			open[s.ends] = e
		}
		if began, ok := open[e.Kind]; ok {
			s := strikes[began.Kind]
			l.Spans = append(l.Spans, Span{began.At, e.At, s.state, s.what})
			delete(open, e.Kind)
		}
	}
	for _, began := range open {
		s := strikes[began.Kind]
		l.Spans = append(l.Spans, Span{began.At, d.to, s.state, s.what})
	}
	d.add(l)
}

// canaries is what the balancer did to the tester's own silent connections.
func (d *drawing) canaries() {
	l := Lane{Kind: LaneCanary, Of: "canary"}
	for _, e := range d.h.Events {
		switch {
		case e.From == Balancer && e.Kind == "expired" && !balanced(e):
			l.Marks = append(l.Marks, Mark{e.At, fmt.Sprintf("%s ends it after %s (%s)", e.Why, spoken(e.Took), e.How), e.ID})
		case e.From == Probe && e.Kind != "connected" && e.Kind != "survived":
			l.Marks = append(l.Marks, Mark{e.At, sentence(e), e.ID})
		}
	}
	d.add(l)
}

// clients is what clients saw: each application that lost its connection, and what became of messages.
func (d *drawing) clients() {
	d.applications()
	d.messages()
	d.acks()
}

// mostApplications is how many of them a picture shows; the others went through the same.
const mostApplications = 6

func (d *drawing) applications() {
	lanes := map[string]*Lane{}
	since := map[string]Event{}
	troubled := map[string]bool{}
	lane := func(app string) *Lane {
		if lanes[app] == nil {
			lanes[app] = &Lane{Kind: LaneClient, Of: app}
		}
		return lanes[app]
	}
	for _, e := range d.h.Events {
		if e.From != Client || e.App == "" {
			continue
		}
		was, known := since[e.App]
		switch e.Kind {
		case "connected", "reconnected":
			if known && was.Kind != "connected" && was.Kind != "reconnected" {
				lane(e.App).Spans = append(lane(e.App).Spans, Span{was.At, e.At, StateGone, "without a connection: " + cmp.Or(was.Why, "closed")})
			}
			since[e.App] = e
		case "disconnected", "closed", "unconnected":
			troubled[e.App] = true
			if known && (was.Kind == "connected" || was.Kind == "reconnected") {
				lane(e.App).Spans = append(lane(e.App).Spans, Span{was.At, e.At, StateFine, "connected to " + was.Node})
			}
			lane(e.App).Marks = append(lane(e.App).Marks, Mark{e.At, sentence(e), e.ID})
			if !known || was.Kind != "disconnected" { // a close after a loss is the same absence
				since[e.App] = e
			}
		}
	}
	for app, e := range since {
		state, what := StateGone, "without a connection"
		if e.Kind == "connected" || e.Kind == "reconnected" {
			state, what = StateFine, "connected to "+e.Node
		}
		lane(app).Spans = append(lane(app).Spans, Span{e.At, d.to, state, what})
	}
	names := slices.SortedFunc(maps.Keys(lanes), func(a, b string) int {
		if troubled[a] != troubled[b] {
			return map[bool]int{true: -1, false: 1}[troubled[a]]
		}
		return strings.Compare(a, b)
	})
	for i, name := range names {
		if i == mostApplications {
			d.lanes[len(d.lanes)-1].Of += fmt.Sprintf(" (and %d more)", len(names)-i)
			break
		}
		d.add(*lanes[name])
	}
}

// messages is what became of what was said between the nodes, or between applications.
func (d *drawing) messages() {
	lost, heard := make([]int, bins), make([]int, bins)
	slowest := make([]time.Duration, bins)
	for _, e := range d.h.Events {
		if e.From != Client || e.At < d.from || e.At > d.to {
			continue
		}
		i := d.bin(e.At)
		switch e.Kind {
		case "unheard", "missing", "unanswered":
			lost[i]++
		case "heard", "answered":
			heard[i]++
			slowest[i] = max(slowest[i], e.Took)
		}
	}
	d.add(Lane{Kind: LaneClient, Of: "messages", Spans: d.binned(func(i int) (string, string) {
		switch {
		case lost[i] > 0:
			return StateGone, "messages are lost"
		case slowest[i] > tolerance:
			return StateLess, "messages arrive late"
		case heard[i] > 0:
			return StateFine, "messages arrive"
		}
		return "", ""
	})})
}

// acks is when streams acknowledged what was published to them.
func (d *drawing) acks() {
	var last time.Duration
	l := Lane{Kind: LaneClient, Of: "publish acks"}
	for _, e := range d.h.Events {
		if e.From != Client || e.Kind != "acked" && e.Kind != "retry-acked" {
			continue
		}
		if last > 0 {
			s := Span{last, e.At, StateFine, "acks come"}
			if gap := e.At - last; gap > tolerance {
				s.State, s.What = StateGone, "no ack for "+spoken(gap)
			}
			if n := len(l.Spans); n > 0 && l.Spans[n-1].What == s.What {
				l.Spans[n-1].To = s.To
			} else {
				l.Spans = append(l.Spans, s)
			}
		}
		last = e.At
	}
	d.add(l)
}

// mostGroups is how many Raft groups a picture shows.
const mostGroups = 8

// leaders is who a majority of each Raft group agreed on.
func (d *drawing) leaders() {
	names := map[string]string{metaGroup: nameOfMeta}
	for _, e := range d.h.Kind(Server, "group") {
		names[e.Stream] = e.What
	}
	groups := viewsByGroup(d.h.Events)
	changes := map[string]int{}
	lanes := map[string]Lane{}
	for group, views := range groups {
		l := Lane{Kind: LaneLeader, Of: cmp.Or(names[group], group)}
		for _, r := range reigns(views, d.to) {
			s := Span{r.from, r.to, StateFine, fmt.Sprintf("%s leads (term %d)", r.leader, r.term)}
			if r.leader == "" {
				s.State, s.What = StateGone, "no leader"
			}
			if r.from > d.from {
				changes[group]++
			}
			l.Spans = append(l.Spans, s)
		}
		lanes[group] = l
	}
	order := slices.SortedFunc(maps.Keys(lanes), func(a, b string) int {
		if a == metaGroup || b == metaGroup {
			return map[bool]int{true: -1, false: 1}[a == metaGroup]
		}
		return cmp.Or(changes[b]-changes[a], strings.Compare(lanes[a].Of, lanes[b].Of))
	})
	for i, group := range order {
		if i == mostGroups {
			d.lanes[len(d.lanes)-1].Of += fmt.Sprintf(" (and %d more)", len(order)-i)
			break
		}
		d.add(lanes[group])
	}
}

// evidence is what the findings quote.
func (d *drawing) evidence(quoted []Event) {
	l := Lane{Kind: LaneEvidence, Of: "evidence"}
	seen := map[string]bool{}
	for _, e := range quoted {
		if !seen[e.ID] && slices.ContainsFunc(d.h.Events, func(own Event) bool { return own.ID == e.ID }) { // and not the control's
			seen[e.ID] = true
			l.Marks = append(l.Marks, Mark{e.At, sentence(e), e.ID})
		}
	}
	d.add(l)
}

// sentence puts an event into words that no judge has put it into: who, what, and what goes with it.
func sentence(e Event) string {
	words := []string{cmp.Or(e.App, string(e.From)) + ": " + e.Kind}
	for _, w := range []struct{ before, value string }{
		{"at", e.Node}, {"with", e.Peer}, {"in", e.Stream}, {"of", e.Account}, {"on", e.Conn}, {"to", e.Backend}, {"by", e.How}, {"because of", e.Why}, {"", e.What},
	} {
		if w.value != "" {
			words = append(words, strings.TrimSpace(w.before+" "+w.value))
		}
	}
	if e.Term > 0 {
		words = append(words, fmt.Sprintf("in term %d", e.Term))
	}
	if e.Took > 0 {
		words = append(words, "after "+spoken(e.Took))
	}
	return strings.Join(words, " ")
}
