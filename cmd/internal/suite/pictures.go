package suite

import (
	"slices"

	"github.com/lbtest/lbtest/assertions"
	"github.com/lbtest/lbtest/cmd/internal/report"
)

// drawn is the picture of one fresh start of a lab.
type drawn struct {
	picture assertions.Picture
	factor  float64
}

// broken reports whether a finding is one that wants to be explained.
func broken(v assertions.Verdict) bool { return v == assertions.Risky || v == assertions.Unsafe }

// draw adds to the results of a lab the pictures of those fresh starts that led to findings. A picture is small, and
// timelines are not: they go when the verdict is known.
func (o outcome) draw(l lab, results []result) {
	for start, h := range o.histories {
		var findings []assertions.Finding
		for _, r := range results {
			if broken(r.finding.Verdict) && r.start == start {
				findings = append(findings, r.finding)
			}
		}
		if len(findings) == 0 {
			continue
		}
		d := &drawn{assertions.Draw(h, findings), l.factor}
		for i, r := range results {
			if broken(r.finding.Verdict) && r.start == start {
				results[i].drawn = d
			}
		}
	}
}

// pictures are those of a scenario's findings, that of the worst first.
func (v verdict) pictures() []report.Picture {
	var all []report.Picture
	var from []*drawn
	for _, r := range v.byWeight() {
		if r.drawn == nil || !broken(r.finding.Verdict) {
			continue
		}
		i := slices.Index(from, r.drawn)
		if i < 0 {
			i, from, all = len(all), append(from, r.drawn), append(all, r.drawn.report())
		}
		all[i].Findings = append(all[i].Findings, r.assertion.Name)
	}
	return all
}

func (d drawn) report() report.Picture {
	p := report.Picture{Since: d.picture.Since, From: report.Seconds(d.picture.From), To: report.Seconds(d.picture.To), TimeScale: d.factor}
	for _, l := range d.picture.Lanes {
		lane := report.Lane{Kind: l.Kind, Of: l.Of}
		for _, s := range l.Spans {
			lane.Spans = append(lane.Spans, report.Span{From: report.Seconds(s.From), To: report.Seconds(s.To), State: s.State, What: s.What})
		}
		for _, m := range l.Marks {
			lane.Marks = append(lane.Marks, report.Mark{At: report.Seconds(m.At), What: m.What, Event: m.Event})
		}
		p.Lanes = append(p.Lanes, lane)
	}
	return p
}
