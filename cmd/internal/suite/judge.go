package suite

import (
	"fmt"
	"slices"
	"time"

	"github.com/lbtest/lbtest/assertions"
)

// settled reports whether every result was judged.
func settled(results []result) bool {
	return !slices.ContainsFunc(results, func(r result) bool { return r.finding.Verdict == assertions.Errored })
}

// judge lets every assertion of a lab judge each fresh start and keeps the worst.
func judge(l lab, o, control outcome) []result {
	var results []result
	for _, a := range l.judged {
		res := result{assertion: a, took: o.took, factor: l.factor, manner: l.manner}
		if len(l.neighbours) > 0 {
			res.link = string(l.link())
		}
		if o.err != nil {
			res.finding = errored("%v", o.err)
		} else if err := control.excludes(a); err != nil {
			res.finding = errored("the control failed: %v", err)
		} else {
			res.finding, res.start, res.proved = o.worst(a, control)
		}
		res.marginal = res.finding.Close() || res.finding.Verdict == assertions.Errored
		results = append(results, res)
	}
	o.draw(l, results)
	return results
}

// worst is an assertion's worst finding over the fresh starts, that start, and whether the fault was proved in each.
func (o outcome) worst(a assertions.Assertion, control outcome) (worst assertions.Finding, start int, proved bool) {
	for i, h := range o.histories {
		h.Control = &control.histories[0]
		if unproved := assertions.Proved(h); len(unproved) > 0 {
			slices.Sort(unproved)
			return errored("the fault was not proved: %s", unproved[0]), i, false
		}
		for j, f := range a.Judge(h.Of(a.Observe)) {
			if f.Unseen {
				f = errored("%s", f.Got)
			} else if late, may := f.Late(h); may && f.Verdict != assertions.Safe && f.Verdict != assertions.Skipped {
				f = errored("this machine was too busy to tell: a healthy node answered up to %s late (then seen: %s)", late.Round(time.Millisecond), f.Got)
			}
			if (i == 0 && j == 0) || f.Verdict.Worse(worst.Verdict) {
				worst, start = f, i
			}
		}
	}
	return worst, start, true
}

func errored(format string, args ...any) assertions.Finding {
	return assertions.Finding{Verdict: assertions.Errored, Got: fmt.Sprintf(format, args...)}
}
