package report

import (
	"slices"
	"strings"

	"github.com/lbtest/lbtest/assertions"
)

// byAttention lists the verdicts, what wants attention first.
var byAttention = []assertions.Verdict{assertions.Unsafe, assertions.Errored, assertions.Risky, assertions.Safe, assertions.Skipped}

// letters stand for verdicts where there is no room for the word, and besides every colour.
var letters = map[assertions.Verdict]string{
	assertions.Safe: "S", assertions.Risky: "R", assertions.Unsafe: "U", assertions.Skipped: "–", assertions.Errored: "E",
}

// means is what the verdicts mean, as the contract has it.
var means = map[assertions.Verdict]string{
	assertions.Safe: "held, at no cost beyond the control run", assertions.Risky: "held, at a cost an operator should know",
	assertions.Unsafe: "a promise broke", assertions.Skipped: "not applicable, with the reason", assertions.Errored: "lbtest itself failed",
}

// heat is a report at a glance. With columns each row has a cell for each of them, which may be empty; without, a row
// has as many cells as belong there, each with its own label.
type heat struct {
	Columns []string
	Rows    []heatRow
}

type heatRow struct {
	Name  string
	Cells []htmlCell
}

// Any reports whether there is anything to compare.
func (h heat) Any() bool { return len(h.Rows) > 0 }

// heat lays the scenarios out: before several topologies a table of configurations and topologies; of one topology a row
// a setting, with a cell a value; of one scenario its assertions.
func (p *page) heat() heat {
	switch scenarios := p.r.Scenarios; {
	case len(scenarios) == 1:
		return p.heatOfAssertions()
	case len(p.topologies()) > 1:
		return p.heatOfTopologies()
	default:
		return p.heatOfSettings()
	}
}

func (p *page) cell(s Scenario, label string) htmlCell {
	c := htmlCell{Verdict: s.Verdict, Letter: letters[s.Verdict], Label: label, Href: "#" + p.anchor(s.Name), Title: clean(s.Name) + ": " + string(s.Verdict), Flaky: s.Flaky}
	if s.Flaky {
		c.Letter, c.Title = c.Letter+"~", c.Title+", flaky"
	}
	return c
}

func (h *heat) row(name string) *heatRow {
	i := slices.IndexFunc(h.Rows, func(r heatRow) bool { return r.Name == name })
	if i < 0 {
		i = len(h.Rows)
		h.Rows = append(h.Rows, heatRow{Name: name, Cells: make([]htmlCell, len(h.Columns))})
	}
	return &h.Rows[i]
}

func (p *page) heatOfTopologies() heat {
	topologies := p.topologies()
	var h heat
	for _, t := range topologies {
		h.Columns = append(h.Columns, strings.TrimSuffix(clean(t), "-behind-lb"))
	}
	for _, s := range p.r.Scenarios {
		row := h.row(clean(strings.TrimPrefix(s.Name, s.Topology+"/")))
		row.Cells[slices.Index(topologies, s.Topology)] = p.cell(s, "")
	}
	return h
}

func (p *page) heatOfSettings() heat {
	var h heat
	for _, s := range p.r.Scenarios {
		pairs := p.pairs(s)
		name, label := pairs[0].setting, pairs[0].value
		if label == "" {
			name, label = "", name // a profile, which is no value of anything
		}
		for _, more := range pairs[1:] {
			name += ", " + more.setting + " " + more.value
		}
		row := h.row(name)
		row.Cells = append(row.Cells, p.cell(s, label))
	}
	return h
}

func (p *page) heatOfAssertions() heat {
	var h heat
	for _, run := range p.htmlRuns() {
		for _, res := range run.Results {
			family, rest, ok := strings.Cut(res.Assertion, "/")
			if !ok {
				family, rest = "", res.Assertion
			}
			row := h.row(family)
			row.Cells = append(row.Cells, htmlCell{Verdict: res.Verdict, Letter: letters[res.Verdict], Label: rest, Href: "#" + res.Anchor, Title: res.Assertion + ": " + string(res.Verdict)})
		}
	}
	return h
}
