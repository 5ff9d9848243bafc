package report

import (
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"html/template"
	"io"
	"strings"

	"github.com/lbtest/lbtest/assertions"
)

func init() {
	register(Format{
		Name:  "html",
		About: "one file for a browser: verdict, heat map, timelines, advice to copy; no external resources, readable without JavaScript",
		Write: writeHTML,
	})
}

//go:embed html/report.html
var htmlText string

//go:embed html/report.css
var htmlStyle string

//go:embed html/report.js
var htmlScript string

// htmlPage escapes whatever is put into it by where it stands: texts in reports may come from servers and balancers of
// others.
var htmlPage = template.Must(template.New("report").Parse(htmlText))

// sheet is what the page shows, in the order of its parts.
type sheet struct {
	*page
	Title      string
	Verdict    assertions.Verdict
	Word       string
	Sentence   string
	Cost       string // of a matrix
	Counts     []htmlCount
	Comparison *htmlComparison
	Facts      []Fact
	Which      []htmlWhich
	Heat       heat
	Legend     []htmlLegend
	Findings   []htmlFinding
	Reasons    []unjudgedFor
	Profiles   []profileNote
	Runs       []htmlRun
	Asked      string
	About      []Fact

	// Only this script runs: the policy of the page names its hash.
	CSS        template.CSS
	Script     template.JS
	ScriptHash string
	Data       template.JS // the report itself
}

type htmlCount struct {
	Verdict assertions.Verdict
	N       int
}

type htmlWhich struct {
	Verdict assertions.Verdict
	Text    string
}

type htmlLegend struct {
	Verdict       assertions.Verdict
	Letter, Means string
}

// What Read knows a page by, and what encloses the report in it.
const (
	doctype    = "<!DOCTYPE html>"
	dataBegins = `<script type="application/json" id="lbtest-report">`
	dataEnds   = `</script>`
)

func writeHTML(w io.Writer, r Report, _ Style) error {
	// Escaped for HTML: no < in it could end the element.
	data, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("writing the report as HTML: %w", err)
	}
	hash := sha256.Sum256([]byte(htmlScript))
	p := newPage(r, Style{Unicode: true})
	s := sheet{page: p, Title: clean(strings.Join(p.topologies(), ", ")), Verdict: r.Verdict, Word: strings.ToUpper(string(r.Verdict)), Sentence: p.sentence(),
		Comparison: p.htmlComparison(), Heat: p.heat(), Findings: p.htmlFindings(), Reasons: p.reasons(), Profiles: p.profileNotes(), Runs: p.htmlRuns(),
		CSS: template.CSS(htmlStyle), Script: template.JS(htmlScript), ScriptHash: "sha256-" + base64.StdEncoding.EncodeToString(hash[:]), Data: template.JS(data)}
	for _, v := range byAttention {
		s.Counts = append(s.Counts, htmlCount{v, r.Summary.Count(v)})
		s.Legend = append(s.Legend, htmlLegend{v, letters[v], means[v]})
	}
	if p.sweep() {
		for _, v := range []assertions.Verdict{assertions.Safe, assertions.Risky, assertions.Unsafe} {
			if text := p.whichOf(v); text != "" {
				s.Which = append(s.Which, htmlWhich{v, text})
			}
		}
	}
	for _, sc := range r.Scenarios {
		for _, f := range sc.Facts {
			s.Facts = append(s.Facts, Fact{clean(f.Name), clean(f.Value)})
		}
	}
	if len(r.Run.Command) > 0 {
		s.Asked = clean(quoted(r.Run.Command))
	}
	if m := r.Matrix; m != nil {
		s.Cost = "Suite " + m.called() + ": " + m.cost() + "."
	}
	s.About = p.about()
	if err := htmlPage.Execute(w, s); err != nil {
		return fmt.Errorf("writing the report as HTML: %w", err)
	}
	return nil
}

// about says how the run came about, a fact a line.
func (p *page) about() []Fact {
	run := p.r.Run
	facts := []Fact{{"run", run.ID}, {"started", run.Started.Format("2006-01-02 15:04:05 MST")}, {"took", duration(run.Took.Duration())}, {"runtime", run.Runtime}}
	if !p.outside() {
		facts = append(facts, Fact{"seed", fmt.Sprint(run.Seed)}, Fact{"time", p.time()})
	}
	if m := p.r.Matrix; m != nil {
		facts = append(facts, Fact{"suite", m.called()}, Fact{"cost", m.cost()})
	}
	v := run.Versions
	facts = append(facts, Fact{"versions", fmt.Sprintf("lbtest %s, nats-server %s, nats.go %s, toxiproxy %s, Go %s", v.LBTest, v.NATSServer, v.NATSGo, v.Toxiproxy, v.Go)})
	if p.r.Events != "" {
		facts = append(facts, Fact{"events", p.r.Events})
	}
	for i := range facts {
		facts[i].Value = clean(facts[i].Value)
	}
	return facts
}
