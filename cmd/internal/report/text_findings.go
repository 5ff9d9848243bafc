package report

import (
	"fmt"
	"slices"
	"strings"

	"github.com/lbtest/lbtest/assertions"
)

// finding is what several scenarios have in common: the same assertions did not hold, and the same advice
// follows.
type finding struct {
	scenarios []Scenario // the worst first
	names     []string   // the assertions, in the order of the report
}

// widest is the length of the longest verdicts, errored and skipped.
const widest = 7

func (f finding) worst() Scenario { return f.scenarios[0] }

// broken lists the results of a scenario that an operator should read about, the worst first.
func (p *page) broken(s Scenario) []Result {
	var found []Result
	for _, v := range []assertions.Verdict{assertions.Unsafe, assertions.Risky} {
		for _, res := range p.by[s.Name] {
			if res.Verdict == v {
				found = append(found, res)
			}
		}
	}
	return found
}

// grouped puts scenarios with the same findings together, so that four manners of one timeout are read once.
func (p *page) grouped() []finding {
	var groups []finding
	at := map[string]int{}
	for _, s := range p.r.Scenarios {
		broken := p.broken(s)
		if len(broken) == 0 && s.Verdict != assertions.Risky && s.Verdict != assertions.Unsafe {
			continue
		}
		var names []string
		for _, res := range broken {
			names = append(names, res.Assertion)
		}
		if len(names) == 0 {
			names = s.Because // a report from elsewhere may have no results; its sentences are what there is
		}
		key := strings.Join(slices.Sorted(slices.Values(names)), "\n")
		for _, a := range s.Advice {
			key += "\x00" + a.Target + "\x00" + a.Text
		}
		i, ok := at[key]
		if !ok {
			i = len(groups)
			at[key] = i
			groups = append(groups, finding{})
		}
		g := &groups[i]
		g.scenarios = append(g.scenarios, s)
		if len(g.scenarios) == 1 || s.Verdict.Worse(g.worst().Verdict) {
			g.names = names
		}
		slices.SortStableFunc(g.scenarios, worstFirst)
	}
	slices.SortStableFunc(groups, func(a, b finding) int { return worstFirst(a.worst(), b.worst()) })
	return groups
}

func worstFirst(a, b Scenario) int {
	switch {
	case a.Verdict.Worse(b.Verdict):
		return -1
	case b.Verdict.Worse(a.Verdict):
		return 1
	}
	return 0
}

// findings writes a block for each group: promised, seen, advice, again.
func (p *page) findings() {
	for _, f := range p.grouped() {
		if p.asExpected(f) {
			continue
		}
		p.line("")
		for _, s := range f.scenarios {
			p.line(p.Word(s.Verdict, widest) + " " + p.label(s))
		}
		for _, name := range f.names {
			p.promise(f, name)
		}
		for i := range f.worst().Advice {
			p.advice(f, i)
		}
		again := f.scenarios
		if !p.Verbose {
			again = again[:1]
		}
		for _, s := range again {
			if s.Reproduce != "" {
				p.command(2, "again", s.Reproduce)
			}
		}
	}
}

// promise writes what one assertion promised and what was seen instead. Of several scenarios the worst one
// is quoted; the others are counted, and quoted as well in a verbose report.
func (p *page) promise(f finding, name string) {
	seen := p.seen(f, name)
	if len(seen) == 0 {
		p.field(2, "seen", name) // one of the scenario's sentences
		return
	}
	p.field(2, "promised", fmt.Sprintf("%s (%s)", seen[0].Promise, name))
	alike := alike(seen)
	switch {
	case alike:
		p.field(2, "seen", seen[0].Got)
	case p.Verbose:
		for _, res := range seen {
			p.field(2, "seen", p.labelOf(res.Scenario)+": "+res.Got)
		}
	default:
		p.field(2, "seen", fmt.Sprintf("%s: %s (and in %s; --verbose quotes each)",
			p.labelOf(seen[0].Scenario), seen[0].Got, plural(len(seen)-1, "more setting")))
	}
	for i, res := range seen {
		if i == 0 || p.Verbose && !alike {
			p.timeline(res)
		}
	}
}

// seen are the results of an assertion that did not hold, the worst scenario's first.
func (p *page) seen(f finding, name string) []Result {
	var seen []Result
	for _, s := range f.scenarios {
		for _, res := range p.broken(s) {
			if res.Assertion == name {
				seen = append(seen, res)
			}
		}
	}
	return seen
}

// alike reports whether the same was seen in all of them.
func alike(seen []Result) bool {
	return !slices.ContainsFunc(seen, func(res Result) bool { return res.Got != seen[0].Got })
}

// timeline writes what happened around a finding: a heading for each group, and a line for each moment.
func (p *page) timeline(res Result) {
	of := ""
	for _, m := range res.Timeline {
		if m.Of != of {
			of = m.Of
			p.line("  timeline  " + clean(of) + ", in seconds since the event began")
		}
		p.line(fmt.Sprintf("            %+8.1f  %s", m.At.Duration().Seconds(), clean(m.What)))
	}
}

func (p *page) labelOf(name string) string {
	i := slices.IndexFunc(p.r.Scenarios, func(s Scenario) bool { return s.Name == name })
	if i < 0 {
		return clean(name)
	}
	return p.label(p.r.Scenarios[i])
}

// advice writes the i-th advice of a group, and whether it helped where that was tried. The text is never
// wrapped: it is there to be pasted.
func (p *page) advice(f finding, i int) {
	a := f.worst().Advice[i]
	lines := strings.Split(strings.TrimRight(a.Text, "\n"), "\n")
	if len(lines) == 1 {
		p.line("  advice    " + clean(a.Target+": "+lines[0]))
	} else {
		p.line("  advice    " + clean(a.Target) + ":")
		for _, l := range lines {
			p.line("              " + clean(l))
		}
	}
	if said := f.tried(i); said != "" {
		p.line("            " + said)
	}
}

// tried says whether the i-th advice of a group helped; "" where that was not tried.
func (f finding) tried(i int) string {
	tried, helped := 0, 0
	for _, s := range f.scenarios {
		if v := s.Advice[i].Verified; v != nil {
			tried++
			if *v {
				helped++
			}
		}
	}
	switch {
	case tried == 0:
		return ""
	case helped == tried:
		return "verified: safe when applied"
	case helped == 0:
		return "tried: did not help"
	}
	return fmt.Sprintf("verified in %d of %d settings: safe when applied; did not help in the others", helped, tried)
}

// unjudgedFor is what was skipped or errored for one reason.
type unjudgedFor struct {
	Verdict          assertions.Verdict
	What, Why, Which string
}

// leftOut explains the assertions that were skipped in scenarios which were judged otherwise.
func (p *page) leftOut() []unjudgedFor {
	judged := map[string]bool{}
	for _, s := range p.r.Scenarios {
		judged[s.Name] = p.outside() || s.Verdict != assertions.Skipped && s.Verdict != assertions.Errored
	}
	var reasons []string
	names, times := map[string][]string{}, map[string]int{}
	for _, res := range p.r.Results {
		if res.Verdict != assertions.Skipped || !judged[res.Scenario] {
			continue
		}
		why := clean(res.Got)
		if names[why] == nil {
			reasons = append(reasons, why)
		}
		if !slices.Contains(names[why], res.Assertion) {
			names[why] = append(names[why], res.Assertion)
		}
		times[why]++
	}
	var all []unjudgedFor
	for _, why := range reasons {
		what := plural(times[why], "result") + " in scenarios that other assertions judged"
		if p.outside() {
			what = plural(times[why], "promise")
		}
		all = append(all, unjudgedFor{assertions.Skipped, what, why, clean(strings.Join(names[why], " · "))})
	}
	return all
}

// reasons explains what was skipped and what errored, one for each reason.
func (p *page) reasons() []unjudgedFor {
	var all []unjudgedFor
	if len(p.r.Scenarios) > 1 || p.outside() {
		all = p.leftOut() // the table of a single scenario has them
	}
	for _, v := range []assertions.Verdict{assertions.Skipped, assertions.Errored} {
		var reasons []string
		names := map[string][][]pair{}
		for _, s := range p.r.Scenarios {
			if s.Verdict != v {
				continue
			}
			why := reason(s)
			if names[why] == nil {
				reasons = append(reasons, why)
			}
			names[why] = append(names[why], p.pairs(s))
		}
		for _, why := range reasons {
			all = append(all, unjudgedFor{v, plural(len(names[why]), "scenario"), why, brief(names[why])})
		}
	}
	return all
}

// unjudged writes what was skipped and what errored.
func (p *page) unjudged() {
	for _, u := range p.reasons() {
		p.line("")
		p.line(p.Word(u.Verdict, widest) + " " + u.What)
		p.field(2, "why", u.Why)
		p.field(2, "which", u.Which)
	}
}

// everything lists each result with all that was measured, what held included.
func (p *page) everything() {
	for _, s := range p.r.Scenarios {
		if len(p.by[s.Name]) == 0 {
			continue
		}
		p.line("")
		p.line("All of " + p.label(s) + factor(s.TimeScale))
		for _, res := range p.by[s.Name] {
			got := res.Got
			if got == "" {
				got = res.Promise
			}
			if res.Flaky {
				got = "(flaky) " + got
			}
			if !res.FaultProved && res.Verdict != assertions.Skipped && res.Verdict != assertions.Errored {
				got += " (fault not proved)"
			}
			p.line("  " + p.Word(res.Verdict, widest) + " " + clean(res.Assertion) +
				"  " + duration(res.Took.Duration()))
			p.field(4, "got", got)
			var numbers []string
			for _, m := range res.Measured {
				numbers = append(numbers, measure(m))
			}
			if len(numbers) > 0 {
				p.field(4, "measured", strings.Join(numbers, " · "))
			}
			if len(res.Evidence) > 0 {
				p.field(4, "evidence", strings.Join(res.Evidence, " "))
			}
		}
	}
}

func factor(f float64) string {
	if f <= 1 {
		return ""
	}
	return fmt.Sprintf(" (time shortened %s times)", number(f))
}
