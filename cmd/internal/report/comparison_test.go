package report

import (
	"testing"

	"github.com/lbtest/lbtest/assertions"
)

// against compares one scenario with what was expected of it.
func against(was, is assertions.Verdict) Comparison {
	return Compare("baseline.yaml", func(string) assertions.Verdict { return was }, []Scenario{{Name: "t/a", Verdict: is}})
}

func TestExpectationsBindBothWays(t *testing.T) {
	for _, c := range []struct {
		was, is                      assertions.Verdict
		new, fixed, still, unskipped int
	}{
		{was: safe, is: safe},
		{was: safe, is: risky, new: 1},
		{was: safe, is: unsafe, new: 1},
		{was: risky, is: unsafe, new: 1},
		{was: unsafe, is: safe, fixed: 1},
		{was: unsafe, is: risky, fixed: 1},
		{was: risky, is: safe, fixed: 1},
		{was: risky, is: risky, still: 1},
		{was: unsafe, is: unsafe, still: 1},
		{was: safe, is: skipped, unskipped: 1},
		{was: unsafe, is: skipped, unskipped: 1},
		{was: skipped, is: skipped},
		{was: skipped, is: safe, fixed: 1},
		{was: skipped, is: unsafe, new: 1},
		// Of what errored nothing is known; of what had errored, in a saved report, neither.
		{was: safe, is: errored},
		{was: errored, is: unsafe, new: 1},
		{was: errored, is: safe, fixed: 1},
	} {
		got := against(c.was, c.is)
		if len(got.NewFailures) != c.new || len(got.Fixed) != c.fixed || len(got.StillFailing) != c.still || len(got.NewlySkipped) != c.unskipped {
			t.Errorf("%s, now %s: got %+v", c.was, c.is, got)
		}
		if want := c.new+c.fixed+c.unskipped > 0; got.Changed("") != want {
			t.Errorf("%s, now %s: changed is %t, want %t", c.was, c.is, got.Changed(""), want)
		}
	}
}

func TestFailOnChoosesAmongChanges(t *testing.T) {
	for _, c := range []struct {
		failOn  string
		was, is assertions.Verdict
		want    bool
	}{
		{FailOnNever, safe, unsafe, false},
		{FailOnUnsafe, safe, unsafe, true},
		{FailOnUnsafe, unsafe, safe, true},
		{FailOnUnsafe, safe, risky, false},
		{FailOnRisky, safe, risky, true},
		{FailOnRisky, unsafe, skipped, true},
		{FailOnRisky, safe, skipped, false},
		{"", safe, skipped, true},
		{"", unsafe, unsafe, false},
	} {
		if got := against(c.was, c.is).Changed(c.failOn); got != c.want {
			t.Errorf("%s, now %s, fail on %q: got %t", c.was, c.is, c.failOn, got)
		}
	}
}

func TestAMatrixExitsByWhatChanged(t *testing.T) {
	for _, c := range []struct {
		was, is assertions.Verdict
		want    int
	}{
		{unsafe, unsafe, exitAnswered}, {unsafe, safe, exitObjected}, {safe, unsafe, exitObjected}, {safe, errored, exitInconclusive}, {safe, safe, exitAnswered},
	} {
		r := New(Run{}, []Scenario{{Name: "t/a", Topology: "t", Verdict: c.is, Reason: "for a test"}}, nil)
		compared := against(c.was, c.is)
		r.Matrix = &Matrix{Suite: "smoke", Baseline: &compared}
		if got := r.ExitCode(""); got != c.want {
			t.Errorf("%s, now %s: got %d, want %d", c.was, c.is, got, c.want)
		}
	}
}
