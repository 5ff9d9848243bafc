package report

import (
	"fmt"
	"slices"
)

// cost says what a matrix was made of, and what it cost beside what it had to.
func (p *page) cost() {
	if m := p.r.Matrix; m != nil {
		p.field(0, "matrix", fmt.Sprintf("%s, %s", m.called(), plural(p.r.Summary.Total(), "cell")))
		p.field(0, "cost", m.cost())
	}
}

// baseline says what differs from what was expected, a cell a line.
func (p *page) baseline() {
	c := p.compared()
	if c == nil {
		return
	}
	p.line("")
	for _, s := range wrap(c.sentence(), p.Width) {
		p.line(s)
	}
	for _, group := range c.changed() {
		p.listed(group.Title+", "+group.Means, len(group.Changes), func(i int) string {
			change := group.Changes[i]
			return fmt.Sprintf("%s: %s, was %s", clean(change.Scenario), word(change.Is), word(change.Was))
		})
	}
	var flaky []Scenario
	for _, s := range p.r.Scenarios {
		if s.Flaky {
			flaky = append(flaky, s)
		}
	}
	p.listed("flaky, something else when repeated", len(flaky), func(i int) string { return clean(flaky[i].Name) + ": " + word(flaky[i].Verdict) })
}

// listed writes n items under a title, and nothing for none.
func (p *page) listed(title string, n int, item func(int) string) {
	if n > 0 {
		p.line("  " + title)
	}
	for i := range n {
		lead := "    "
		for _, l := range wrap(item(i), p.Width-6) {
			p.line(lead + l)
			lead = "      "
		}
	}
}

func (p *page) compared() *Comparison {
	if p.r.Matrix == nil {
		return nil
	}
	return p.r.Matrix.Baseline
}

// asExpected reports whether all scenarios of a finding are what the baseline says, so that nobody has to read why once more.
func (p *page) asExpected(f finding) bool {
	c := p.compared()
	if c == nil || p.Verbose {
		return false
	}
	return !slices.ContainsFunc(f.scenarios, func(s Scenario) bool {
		return !slices.ContainsFunc(c.StillFailing, func(ch Change) bool { return ch.Scenario == s.Name })
	})
}
