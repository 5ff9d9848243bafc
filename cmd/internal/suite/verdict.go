package suite

import (
	"slices"
	"time"

	"github.com/lbtest/lbtest/assertions"
)

// verdict is the answer on one scenario.
type verdict struct {
	scenario scenario
	results  []result
	err      error // why the whole scenario could not be judged
	flaky    bool
	verified map[string]bool    // advice text → whether it helped
	last     assertions.Verdict // when it was repeated; "" if it was not
}

// result is the answer of one assertion.
type result struct {
	assertion assertions.Assertion
	finding   assertions.Finding
	proved    bool
	took      time.Duration
	factor    float64
	marginal  bool
	flaky     bool
	manner    string // of expiry, where several were tried
	link      string // that it was judged on, where several are balanced
	start     int    // the fresh start that the finding is of
	drawn     *drawn // nil where nothing wants to be explained
}

// marginal reports whether the verdict is one to be repeated before it is told.
func (v verdict) marginal() bool {
	return slices.ContainsFunc(v.results, func(r result) bool { return r.marginal })
}

// close reports whether a verdict was too near to its boundary to be told after one look.
func (v verdict) close() bool {
	return slices.ContainsFunc(v.results, func(r result) bool { return r.finding.Close() })
}

// worst is the scenario's verdict: errored > unsafe > risky > safe, skipped only if all are.
func (v verdict) worst() assertions.Verdict {
	switch {
	case v.err != nil:
		return assertions.Errored
	case v.scenario.skip != "":
		return assertions.Skipped
	}
	return worst(v.results)
}

// worst is the gravest verdict of all, Skipped for none.
func worst(all []result) assertions.Verdict {
	gravest := assertions.Skipped
	for _, r := range all {
		if r.finding.Verdict.Worse(gravest) {
			gravest = r.finding.Verdict
		}
	}
	return gravest
}
