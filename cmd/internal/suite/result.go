package suite

import (
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/lbtest/lbtest/assertions"
	"github.com/lbtest/lbtest/cmd/internal/report"
	"github.com/lbtest/lbtest/topologies"
)

// report puts the verdicts into the form that is rendered.
func (p Plan) report(verdicts []verdict, began time.Time, interrupted bool) report.Report {
	o := p.options
	head := report.Run{ID: runID(began, p.seed), Command: o.Command, Seed: p.seed, Started: began, Took: report.Seconds(time.Since(began)),
		Runtime: p.where(), Versions: o.Versions, Interrupted: interrupted}
	var scenarios []report.Scenario
	var results []report.Result
	for _, v := range verdicts {
		s := report.Scenario{Name: v.scenario.name, Topology: v.scenario.topology.Name, Settings: v.scenario.settings,
			Profile: v.scenario.from.profile.Name, Source: v.scenario.source(), Unverified: v.scenario.unverified(), Notes: v.scenario.notes,
			NATS: said(v.scenario.nats), Client: v.scenario.client.Said(), Node: v.scenario.limits.Said(), Auth: v.scenario.login(), Verdict: v.worst(), Flaky: v.flaky, TimeScale: 1,
			Because: v.because(), Reproduce: v.scenario.reproduce(o, p.seed), Reason: v.reason(), Pictures: v.pictures()}
		for _, l := range v.scenario.labs {
			s.TimeScale = max(s.TimeScale, l.factor)
		}
		head.TimeScale = max(head.TimeScale, s.TimeScale)
		for _, a := range v.advice() {
			advice := report.Advice{Target: a.Target, Text: a.Text}
			if helped, tried := v.verified[a.Text]; tried {
				advice.Verified = &helped
			}
			s.Advice = append(s.Advice, advice)
		}
		scenarios = append(scenarios, s)
		results = append(results, v.rows()...)
	}
	return report.New(head, scenarios, results)
}

// where names the runtimes that were used.
func (p Plan) where() string {
	var names []string
	for _, r := range p.runtimes() {
		names = append(names, r.Name())
	}
	return strings.Join(names, ", ")
}

func (v verdict) rows() []report.Result {
	var rows []report.Result
	for _, r := range v.results {
		row := report.Result{Scenario: v.scenario.name, Assertion: r.assertion.Name, Verdict: r.finding.Verdict, Promise: r.assertion.Promise,
			Link: r.link, Got: r.said(), FaultProved: r.proved, Took: report.Seconds(r.took), Flaky: r.flaky}
		for _, m := range r.finding.Measured {
			row.Measured = append(row.Measured, report.Measure{Name: m.Name, Value: m.Value, Unit: m.Unit})
		}
		for _, e := range r.finding.Evidence {
			row.Evidence = append(row.Evidence, e.ID)
		}
		for _, m := range r.finding.Timeline {
			row.Timeline = append(row.Timeline, report.Moment{Of: m.Of, At: report.Seconds(m.At), What: m.What})
		}
		for _, a := range r.finding.Advice {
			row.Advice = append(row.Advice, report.Advice{Target: a.Target, Text: a.Text})
		}
		rows = append(rows, row)
	}
	for _, l := range v.scenario.left {
		rows = append(rows, report.Result{Scenario: v.scenario.name, Assertion: l.assertion.Name, Verdict: assertions.Skipped,
			Promise: l.assertion.Promise, Got: l.why})
	}
	return rows
}

// because says why a scenario is not safe, the worst first.
func (v verdict) because() []string {
	var said []string
	for _, r := range v.byWeight() {
		if r.finding.Verdict != assertions.Safe && r.finding.Verdict != assertions.Skipped {
			said = append(said, r.assertion.Name+": "+r.said())
		}
	}
	return said
}

// said is what was seen, and on which link, where several are balanced.
func (r result) said() string {
	if r.link == "" {
		return r.finding.Got
	}
	return r.link + ": " + r.finding.Got
}

func (v verdict) reason() string {
	switch {
	case v.err != nil:
		return v.err.Error()
	case v.scenario.skip != "":
		return v.scenario.skip
	case v.worst() == assertions.Errored:
		return v.byWeight()[0].finding.Got
	case v.worst() == assertions.Skipped && len(v.results) > 0:
		return v.results[0].finding.Got
	case v.worst() == assertions.Skipped && len(v.scenario.left) > 0:
		return v.scenario.left[0].why
	case v.worst() == assertions.Skipped:
		return "no assertion speaks of " + strings.Join(append(slices.Clone(v.scenario.order), slices.Sorted(maps.Keys(v.scenario.limits.Said()))...), ", ") + " on " + v.scenario.topology.Name
	}
	return ""
}

func (v verdict) byWeight() []result {
	return slices.SortedStableFunc(slices.Values(v.results), func(a, b result) int {
		switch {
		case a.finding.Verdict.Worse(b.finding.Verdict):
			return -1
		case b.finding.Verdict.Worse(a.finding.Verdict):
			return 1
		}
		return 0
	})
}

// advice is what the findings advise, each once, that of the worst first.
func (v verdict) advice() []assertions.Advice {
	var all []assertions.Advice
	for _, r := range v.byWeight() {
		for _, a := range r.finding.Advice {
			if !slices.ContainsFunc(all, func(b assertions.Advice) bool { return a.Target == b.Target && a.Text == b.Text }) {
				all = append(all, a)
			}
		}
	}
	return all
}

func said(given []topologies.KeyValue) map[string]string {
	keys := map[string]string{}
	for _, kv := range given {
		key, value, _ := strings.Cut(kv.String(), "=")
		keys[key] = value
	}
	return keys
}
