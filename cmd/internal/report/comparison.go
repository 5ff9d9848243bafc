package report

import "github.com/lbtest/lbtest/assertions"

// Compare holds scenarios against what was expected of each. One that errored says nothing, and is nobody's change.
func Compare(file string, expected func(scenario string) assertions.Verdict, scenarios []Scenario) Comparison {
	c := Comparison{File: file, NewFailures: []Change{}, Fixed: []Change{}, StillFailing: []Change{}, NewlySkipped: []Change{}}
	for _, s := range scenarios {
		change := Change{Scenario: s.Name, Was: expected(s.Name), Is: s.Verdict}
		if list := c.list(change); list != nil {
			*list = append(*list, change)
		}
	}
	return c
}

// list is where a change belongs; nil for what is none and did not fail.
func (c *Comparison) list(change Change) *[]Change {
	was, is := change.Was, change.Is
	switch {
	case is == assertions.Errored:
		return nil
	case was == is && failing(is):
		return &c.StillFailing
	case was == is:
		return nil
	case is == assertions.Skipped:
		return &c.NewlySkipped
	case was == assertions.Skipped && failing(is), was != assertions.Skipped && was != assertions.Errored && is.Worse(was):
		return &c.NewFailures
	case was == assertions.Errored && failing(is):
		return &c.NewFailures
	}
	return &c.Fixed
}

// failing reports whether a verdict is an answer that somebody should know of.
func failing(v assertions.Verdict) bool { return v == assertions.Risky || v == assertions.Unsafe }

// Changed reports whether something differs from what was expected, for better or worse, among what failOn takes notice
// of: everything, or changes from or to verdicts as bad as it says.
func (c Comparison) Changed(failOn string) bool {
	for _, changes := range [][]Change{c.NewFailures, c.Fixed, c.NewlySkipped} {
		for _, ch := range changes {
			unsafe := ch.Was == assertions.Unsafe || ch.Is == assertions.Unsafe
			switch failOn {
			case FailOnNever:
			case FailOnUnsafe:
				if unsafe {
					return true
				}
			case FailOnRisky:
				if unsafe || ch.Was == assertions.Risky || ch.Is == assertions.Risky {
					return true
				}
			default:
				return true
			}
		}
	}
	return false
}
