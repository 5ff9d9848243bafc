package report

import (
	"fmt"
	"slices"
	"strings"

	"github.com/lbtest/lbtest/assertions"
)

// htmlFinding is one card: scenarios that broke the same promises, and what to do about it.
type htmlFinding struct {
	Anchor    string
	Scenarios []htmlCell
	Promises  []htmlPromise
	Advice    []htmlAdvice
	Again     []string
	Pictures  []htmlPicture // of the worst scenario
	More      []htmlMore    // of the others
	Key       bool          // whether there is a picture whose colours want to be explained
}

type htmlCell struct {
	Verdict             assertions.Verdict
	Letter, Label, Href string
	Title               string
	Flaky               bool
}

type htmlPromise struct {
	Promise string
	Seen    []htmlSeen
	Moments []htmlMoments
}

type htmlSeen struct{ Label, Got, Assertion string }

type htmlMoments struct {
	Of    string
	Lines []htmlMoment
}

type htmlMoment struct{ At, What string }

type htmlAdvice struct{ Target, Text, Tried string }

type htmlMore struct {
	Label    string
	Pictures []htmlPicture
}

// anchor is where a scenario stands in the page.
func (p *page) anchor(name string) string {
	i := slices.IndexFunc(p.r.Scenarios, func(s Scenario) bool { return s.Name == name })
	if i < 0 {
		return ""
	}
	return fmt.Sprintf("s%d", i+1)
}

func (p *page) htmlFindings() []htmlFinding {
	var all []htmlFinding
	for i, f := range p.grouped() {
		h := htmlFinding{Anchor: fmt.Sprintf("f%d", i+1)}
		for j, s := range f.scenarios {
			h.Scenarios = append(h.Scenarios, htmlCell{Verdict: s.Verdict, Label: p.label(s), Href: "#" + p.anchor(s.Name), Flaky: s.Flaky})
			if s.Reproduce != "" {
				h.Again = append(h.Again, clean(s.Reproduce))
			}
			pictures := p.htmlPictures(s)
			h.Key = h.Key || len(pictures) > 0
			if j == 0 {
				h.Pictures = pictures
			} else if len(pictures) > 0 {
				h.More = append(h.More, htmlMore{p.label(s), pictures})
			}
		}
		if len(h.Again) > 1 {
			h.Again = h.Again[:1] // each other's stands with its scenario
		}
		for _, name := range f.names {
			h.Promises = append(h.Promises, p.htmlPromise(f, name))
		}
		for i, a := range f.worst().Advice {
			h.Advice = append(h.Advice, htmlAdvice{clean(a.Target), cleanLines(a.Text), f.tried(i)})
		}
		all = append(all, h)
	}
	return all
}

// htmlPromise is what one assertion promised, and what was seen instead in each scenario.
func (p *page) htmlPromise(f finding, name string) htmlPromise {
	seen := p.seen(f, name)
	if len(seen) == 0 {
		return htmlPromise{Seen: []htmlSeen{{Got: clean(name)}}} // one of the scenario's sentences
	}
	h := htmlPromise{Promise: clean(seen[0].Promise)}
	if alike(seen) {
		h.Seen = []htmlSeen{{Got: clean(seen[0].Got), Assertion: clean(name)}}
	} else {
		for _, res := range seen {
			h.Seen = append(h.Seen, htmlSeen{p.labelOf(res.Scenario), clean(res.Got), clean(name)})
		}
	}
	for _, m := range seen[0].Timeline {
		n := len(h.Moments)
		if n == 0 || h.Moments[n-1].Of != clean(m.Of) {
			h.Moments = append(h.Moments, htmlMoments{Of: clean(m.Of)})
			n++
		}
		h.Moments[n-1].Lines = append(h.Moments[n-1].Lines, htmlMoment{fmt.Sprintf("%+7.1f", m.At.Duration().Seconds()), clean(m.What)})
	}
	return h
}

// htmlRun is one scenario with all that was judged in it.
type htmlRun struct {
	Anchor, Finding string
	Verdict         assertions.Verdict
	Label           string
	Flaky           bool
	Reason          string
	Told            []Fact
	Results         []htmlResult
	Again           string
}

type htmlResult struct {
	Anchor                  string
	Verdict                 assertions.Verdict
	Flaky                   bool
	Assertion, Promise, Got string
	Measured                []string
	Evidence                []htmlEvidence
}

type htmlEvidence struct{ ID, Href string }

func (p *page) htmlRuns() []htmlRun {
	explained := map[string]string{}
	for i, f := range p.grouped() {
		for _, s := range f.scenarios {
			explained[s.Name] = fmt.Sprintf("#f%d", i+1)
		}
	}
	var all []htmlRun
	for i, s := range p.r.Scenarios {
		h := htmlRun{Anchor: fmt.Sprintf("s%d", i+1), Finding: explained[s.Name], Verdict: s.Verdict, Label: p.label(s), Flaky: s.Flaky, Told: told(s), Again: clean(s.Reproduce)}
		if s.Verdict == assertions.Skipped || s.Verdict == assertions.Errored {
			h.Reason = reason(s)
		}
		marked := marked(s)
		for j, res := range p.by[s.Name] {
			r := htmlResult{Anchor: fmt.Sprintf("s%d-r%d", i+1, j+1), Verdict: res.Verdict, Flaky: res.Flaky, Assertion: clean(res.Assertion), Promise: clean(res.Promise), Got: clean(res.Got)}
			for _, m := range res.Measured {
				r.Measured = append(r.Measured, measure(m))
			}
			for _, id := range res.Evidence {
				e := htmlEvidence{ID: clean(id)}
				if marked[id] {
					e.Href = "#" + eventAnchor(s, id)
				}
				r.Evidence = append(r.Evidence, e)
			}
			h.Results = append(h.Results, r)
		}
		all = append(all, h)
	}
	return all
}

// told is what servers and clients were told in a scenario, and how its time ran.
func told(s Scenario) []Fact {
	var facts []Fact
	for _, t := range []struct {
		name string
		all  map[string]string
	}{{"balancer", s.Settings}, {"nats-server", s.NATS}, {"client", s.Client}, {"nodes", s.Node}} {
		var pairs []string
		for key, value := range t.all {
			pairs = append(pairs, clean(key+"="+value))
		}
		slices.Sort(pairs)
		if len(pairs) > 0 {
			facts = append(facts, Fact{t.name, strings.Join(pairs, ", ")})
		}
	}
	if s.Auth != "" {
		facts = append(facts, Fact{"log in", clean(s.Auth)})
	}
	if s.TimeScale > 1 {
		facts = append(facts, Fact{"time", "shortened " + number(s.TimeScale) + " times"})
	}
	return facts
}
