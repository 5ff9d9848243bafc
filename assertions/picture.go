package assertions

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Picture is what happened in a lab, a lane for each party: for people, who see at a glance what a judge found by
// counting. It is drawn from the timeline alone.
type Picture struct {
	// Since says what happened at zero, from which all times of the picture count: an event's name, or "" for the
	// beginning of the lab.
	Since    string
	From, To time.Duration
	Lanes    []Lane
}

// Lane is one party's line through the picture.
type Lane struct {
	Kind  string // one of the kinds below
	Of    string // whose, for the reader
	Spans []Span // in order, without overlap
	Marks []Mark // in order
}

// The kinds of lanes, from the top of a picture to its bottom.
const (
	LaneLab      = "lab"      // what was done, and when nothing was
	LaneBalancer = "balancer" // what the load balancer did as a whole
	LaneCanary   = "canary"   // what it did to the tester's own silent connections: the proof that it does what it is set to
	LaneLink     = "link"     // how many connections it carries to a backend
	LaneClient   = "client"   // what clients saw
	LaneLeader   = "leader"   // who leads a Raft group
	LaneEvidence = "evidence" // the events that the findings quote
)

// Span is a stretch of time in one state.
type Span struct {
	From, To time.Duration
	State    string // one of the states below
	What     string // a phrase for the reader
}

// The states of a span.
const (
	StateFine  = "fine"  // as it should be
	StateLess  = "less"  // held up, late, or not all of it
	StateGone  = "gone"  // nothing, nobody, lost
	StateQuiet = "quiet" // nothing was to happen
)

// Mark is one moment.
type Mark struct {
	At    time.Duration
	What  string
	Event string // the id of the event, or of the first of several alike
}

// drawing is a picture in the making. Its times are the lab's until it is done.
type drawing struct {
	h        History
	from, to time.Duration
	lanes    []Lane
}

// Draw makes the picture of a lab that led to findings.
func Draw(h History, findings []Finding) Picture {
	var evidence []Event
	for _, f := range findings {
		evidence = append(evidence, f.Evidence...)
	}
	d := &drawing{h: h}
	zero := d.frame(evidence)
	d.lab()
	d.balancer()
	d.canaries()
	d.links()
	d.clients()
	d.leaders()
	d.evidence(evidence)
	p := Picture{From: d.from - zero, To: d.to - zero, Lanes: d.lanes}
	if zero > 0 {
		p.Since = strings.Join(h.Terms.Strikes, " and ")
	}
	for i := range p.Lanes {
		l := &p.Lanes[i]
		for j := range l.Spans {
			l.Spans[j].From, l.Spans[j].To = l.Spans[j].From-zero, l.Spans[j].To-zero
		}
		for j := range l.Marks {
			l.Marks[j].At -= zero
		}
	}
	return p
}

// frame chooses what the picture shows: an event with what came of it, or all of a lab in which nothing happened but
// time passing. It returns the moment that is zero.
func (d *drawing) frame(evidence []Event) (zero time.Duration) {
	for _, e := range d.h.Events {
		// What clients read back afterwards is no part of it, nor that connections end with the lab.
		if e.From == Balancer && e.Kind != "end" || e.From == Lab || e.App != "" && e.Kind != "missing" {
			d.to = max(d.to, e.At)
		}
	}
	begin, over := struck(d.h)
	if len(d.h.Terms.Strikes) == 0 || begin == 0 {
		return 0
	}
	const before = 2 * time.Second
	after := max(4*time.Second, (over-begin)/2)
	shown := over + after
	for _, e := range evidence {
		shown = max(shown, e.At+e.Took+time.Second)
	}
	d.from, d.to = max(0, begin-before), min(max(d.to, over), shown)
	return begin
}

// add puts a lane into the picture if anything is in it, cut to the frame.
func (d *drawing) add(l Lane) {
	l.Spans = slices.DeleteFunc(l.Spans, func(s Span) bool { return s.To <= d.from || s.From >= d.to || s.To <= s.From })
	for i := range l.Spans {
		l.Spans[i].From, l.Spans[i].To = max(l.Spans[i].From, d.from), min(l.Spans[i].To, d.to)
	}
	l.Marks = slices.DeleteFunc(l.Marks, func(m Mark) bool { return m.At < d.from || m.At > d.to })
	if l.Kind != LaneEvidence { // whose ids are looked for, each
		l.Marks = d.crowded(l.Marks)
	}
	if len(l.Spans)+len(l.Marks) > 0 {
		d.lanes = append(d.lanes, l)
	}
}

// crowded puts marks together that say the same within what nobody could tell apart on paper.
func (d *drawing) crowded(marks []Mark) []Mark {
	slices.SortStableFunc(marks, func(a, b Mark) int { return cmp.Compare(a.At, b.At) })
	near := (d.to - d.from) / 60
	var kept []Mark
	times := map[int]int{}
	last := map[string]int{}
	for _, m := range marks {
		if i, ok := last[m.What]; ok && m.At-kept[i].At <= near {
			times[i]++
			continue
		}
		last[m.What] = len(kept)
		kept = append(kept, m)
	}
	for i, n := range times {
		kept[i].What = fmt.Sprintf("%s (%d times)", kept[i].What, n+1)
	}
	return kept
}

// bins is into how many pieces a picture is cut where it counts: more would be thinner than a line.
const bins = 240

// bin is the piece of the picture that a moment lies in.
func (d *drawing) bin(at time.Duration) int {
	if d.to <= d.from {
		return 0
	}
	return min(bins-1, max(0, int(bins*(at-d.from)/(d.to-d.from))))
}

// binned makes spans of what was found in each piece; a piece with no state is left blank.
func (d *drawing) binned(state func(bin int) (state, what string)) []Span {
	var all []Span
	edge := func(i int) time.Duration { return d.from + time.Duration(i)*(d.to-d.from)/bins }
	for i := range bins {
		s, what := state(i)
		if s == "" {
			continue
		}
		if n := len(all); n > 0 && all[n-1].State == s && all[n-1].What == what && all[n-1].To == edge(i) {
			all[n-1].To = edge(i + 1)
			continue
		}
		all = append(all, Span{edge(i), edge(i + 1), s, what})
	}
	return all
}
