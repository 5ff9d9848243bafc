package report

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
)

// htmlPicture is a picture as it is drawn: positions are per cent of the width, so that it fits any.
type htmlPicture struct {
	Caption string
	Zero    string // where the event began; "" where the lab's own beginning is zero
	Ticks   []htmlTick
	Lanes   []htmlLane
	Lines   []htmlLine
}

type htmlTick struct{ X, Anchor, Label string }

type htmlLane struct {
	Of, Label string
	Spans     []htmlSpan
	Marks     []htmlMark
}

// htmlSpan is a bar. What is worse is higher as well: colour is not the only thing that tells.
type htmlSpan struct {
	X, W, Y, H, State, Title, Label string
	Led                             bool // a leader's reign, which has a name in it
}

type htmlMark struct{ X, Title string }

type htmlLine struct {
	at                          Seconds
	Anchor, At, Of, What, Event string
}

// heights are those of bars by state, in a lane of 22 px.
var heights = map[string]int{"fine": 6, "quiet": 6, "less": 12, "gone": 18}

func (p *page) htmlPictures(s Scenario) []htmlPicture {
	var all []htmlPicture
	anchored := map[string]bool{}
	for _, pic := range s.Pictures {
		all = append(all, pic.html(s, anchored))
	}
	return all
}

// marked are the ids of the events that a scenario's pictures have.
func marked(s Scenario) map[string]bool {
	found := map[string]bool{}
	for _, p := range s.Pictures {
		for _, l := range p.Lanes {
			for _, m := range l.Marks {
				found[m.Event] = true
			}
		}
	}
	return found
}

// eventAnchor is where an event stands in the page: the same lab may be shown in several scenarios.
func eventAnchor(s Scenario, id string) string {
	return fmt.Sprintf("e-%x-%s", hash(s.Name), clean(strings.ReplaceAll(id, " ", "-")))
}

// hash tells names apart in anchors (FNV-1a).
func hash(s string) uint32 {
	h := uint32(2166136261)
	for _, b := range []byte(s) {
		h = (h ^ uint32(b)) * 16777619
	}
	return h
}

func (p Picture) html(s Scenario, anchored map[string]bool) htmlPicture {
	long := (p.To - p.From).Duration().Seconds()
	if long <= 0 {
		long = 1
	}
	at := func(t Seconds) float64 {
		return min(100, max(0, 100*(t-p.From).Duration().Seconds()/long))
	}
	h := htmlPicture{Caption: p.caption(), Ticks: p.ticks(at)}
	if p.Since != "" {
		h.Zero = percent(at(0))
	}
	for _, l := range p.Lanes {
		lane := htmlLane{Of: clean(l.Of)}
		for _, span := range l.Spans {
			from, to := at(span.From), at(span.To)
			height := cmp.Or(heights[span.State], heights["fine"])
			led := l.Kind == "leader" && span.State == "fine"
			if led {
				height = heights["less"] + 2
			}
			what := clean(span.What)
			bar := htmlSpan{X: percent(from), W: percent(max(to-from, 0.15)), Y: fmt.Sprint(11 - height/2), H: fmt.Sprint(height), State: clean(span.State), Led: led,
				Title: fmt.Sprintf("%s s to %s s: %s", clock(span.From), clock(span.To), what)}
			if height > heights["fine"] {
				bar.Label = fitting(what, to-from)
			}
			lane.Spans = append(lane.Spans, bar)
			if span.State != "fine" || l.Kind == "leader" {
				h.Lines = append(h.Lines, htmlLine{at: span.From, At: clock(span.From), Of: lane.Of, What: what + " for " + duration((span.To - span.From).Duration())})
			}
		}
		for _, m := range l.Marks {
			what := clean(m.What)
			lane.Marks = append(lane.Marks, htmlMark{percent(at(m.At)), clock(m.At) + " s: " + what})
			line := htmlLine{at: m.At, At: clock(m.At), Of: lane.Of, What: what, Event: clean(m.Event)}
			if m.Event != "" && !anchored[m.Event] {
				anchored[m.Event] = true
				line.Anchor = eventAnchor(s, m.Event)
			}
			h.Lines = append(h.Lines, line)
		}
		lane.Label = fmt.Sprintf("%s: %d bars, %d moments, as in the list below", lane.Of, len(l.Spans), len(l.Marks))
		h.Lanes = append(h.Lanes, lane)
	}
	slices.SortStableFunc(h.Lines, func(a, b htmlLine) int { return cmp.Compare(a.at, b.at) })
	return h
}

// caption says what is shown, and whose clock it is.
func (p Picture) caption() string {
	since := "the lab began"
	if p.Since != "" {
		since = clean(p.Since) + " began"
	}
	said := "Seconds since " + since
	if p.TimeScale > 1 {
		said += ", on the lab's clock: its timers were shortened " + number(p.TimeScale) + " times"
	}
	return said + ". It led to: " + clean(strings.Join(p.Findings, ", ")) + "."
}

// ticks puts up to nine numbers on the axis, round ones.
func (p Picture) ticks(at func(Seconds) float64) []htmlTick {
	long := (p.To - p.From).Duration().Seconds()
	step := 0.1
	for i := 0; long/step > 9; i++ {
		step *= []float64{2, 2.5, 2}[i%3]
	}
	var all []htmlTick
	for t := math.Ceil(p.From.Duration().Seconds()/step) * step; t <= p.To.Duration().Seconds(); t += step {
		where := at(Seconds(t * float64(time.Second)))
		tick := htmlTick{X: percent(where), Anchor: "middle", Label: strings.TrimPrefix(number(math.Round(t*10)/10), "-0 ")}
		switch {
		case where < 2:
			tick.Anchor = "start"
		case where > 98:
			tick.Anchor = "end"
		}
		all = append(all, tick)
	}
	return all
}

func percent(f float64) string { return fmt.Sprintf("%.2f", f) }

func clock(s Seconds) string { return fmt.Sprintf("%+.2f", s.Duration().Seconds()) }

// fitting is a label if a bar of that many per cent has room for it on a wide screen.
func fitting(label string, wide float64) string {
	const perCent = 1.4 // letters
	if float64(len(label)) > wide*perCent {
		return ""
	}
	return label
}

// htmlComparison is a comparison with a baseline, with the way to each scenario.
type htmlComparison struct {
	Sentence string
	Groups   []htmlGroup
}

type htmlGroup struct {
	Title   string
	Changes []htmlChange
}

type htmlChange struct {
	Change
	Href string
}

func (p *page) htmlComparison() *htmlComparison {
	if p.r.Matrix == nil || p.r.Matrix.Baseline == nil {
		return nil
	}
	c := p.r.Matrix.Baseline
	h := &htmlComparison{Sentence: c.sentence()}
	for _, g := range c.groups() {
		group := htmlGroup{Title: g.Title + " – " + g.Means}
		for _, change := range g.Changes {
			own := htmlChange{Change: change}
			own.Scenario = clean(own.Scenario)
			if anchor := p.anchor(change.Scenario); anchor != "" {
				own.Href = "#" + anchor
			}
			group.Changes = append(group.Changes, own)
		}
		h.Groups = append(h.Groups, group)
	}
	return h
}
