package report

import (
	"encoding/xml"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/lbtest/lbtest/assertions"
)

func init() {
	register(Format{
		Name:  "junit",
		About: "JUnit XML, for CI systems: a suite a scenario, a test case an assertion",
		Write: writeJUnit,
	})
}

// What CI systems read of JUnit's XML. A scenario is a suite and an assertion a case, as one that fails is what a person
// has to act upon, and its name stays the same from run to run.
type junitSuites struct {
	XMLName  xml.Name     `xml:"testsuites"`
	Name     string       `xml:"name,attr"`
	Tests    int          `xml:"tests,attr"`
	Failures int          `xml:"failures,attr"`
	Errors   int          `xml:"errors,attr"`
	Skipped  int          `xml:"skipped,attr"`
	Time     string       `xml:"time,attr"`
	Suites   []junitSuite `xml:"testsuite"`
}

type junitSuite struct {
	Name       string          `xml:"name,attr"`
	Tests      int             `xml:"tests,attr"`
	Failures   int             `xml:"failures,attr"`
	Errors     int             `xml:"errors,attr"`
	Skipped    int             `xml:"skipped,attr"`
	Time       string          `xml:"time,attr"`
	Timestamp  string          `xml:"timestamp,attr"`
	Properties []junitProperty `xml:"properties>property"`
	Cases      []junitCase     `xml:"testcase"`
}

type junitProperty struct {
	Name  string `xml:"name,attr"`
	Value string `xml:"value,attr"`
}

type junitCase struct {
	Class   string        `xml:"classname,attr"`
	Name    string        `xml:"name,attr"`
	Time    string        `xml:"time,attr"`
	Failure *junitTrouble `xml:"failure"`
	Error   *junitTrouble `xml:"error"`
	Skipped *junitSkipped `xml:"skipped"`
	Out     string        `xml:"system-out,omitempty"`
}

type junitTrouble struct {
	Type    string `xml:"type,attr"`
	Message string `xml:"message,attr"`
	Text    string `xml:",chardata"`
}

type junitSkipped struct {
	Message string `xml:"message,attr"`
}

// writeJUnit: unsafe is a failure, errored an error, skipped is skipped. Risky passes and says so in the case's output:
// it held, at a cost. Of a matrix with a baseline what is as the baseline expects passes, and what is not fails, as its
// exit code has it.
func writeJUnit(w io.Writer, r Report, _ Style) error {
	p := newPage(r, Style{})
	all := junitSuites{Name: "lbtest", Time: junitTime(r.Run.Took)}
	expected := r.expected()
	for _, s := range r.Scenarios {
		suite := p.junitSuite(s, expected[s.Name])
		all.Tests, all.Failures, all.Errors, all.Skipped = all.Tests+suite.Tests, all.Failures+suite.Failures, all.Errors+suite.Errors, all.Skipped+suite.Skipped
		all.Suites = append(all.Suites, suite)
	}
	if _, err := io.WriteString(w, xml.Header); err != nil {
		return fmt.Errorf("writing the report as JUnit XML: %w", err)
	}
	e := xml.NewEncoder(w)
	e.Indent("", "  ")
	if err := e.Encode(all); err != nil {
		return fmt.Errorf("writing the report as JUnit XML: %w", err)
	}
	if _, err := io.WriteString(w, "\n"); err != nil {
		return fmt.Errorf("writing the report as JUnit XML: %w", err)
	}
	return nil
}

// expected are the scenarios whose verdict is the one that the baseline has; none without a baseline.
func (r Report) expected() map[string]bool {
	found := map[string]bool{}
	if r.Matrix != nil && r.Matrix.Baseline != nil {
		for _, c := range r.Matrix.Baseline.StillFailing {
			found[c.Scenario] = true
		}
	}
	return found
}

func (p *page) junitSuite(s Scenario, expected bool) junitSuite {
	suite := junitSuite{Name: clean(s.Name), Timestamp: p.r.Run.Started.Format("2006-01-02T15:04:05"), Properties: p.junitProperties(s)}
	var took Seconds
	for _, res := range p.by[s.Name] {
		took = max(took, res.Took) // they were judged in the same labs
		suite.Cases = append(suite.Cases, p.junitCase(s, res, expected))
	}
	if c, ok := junitWhole(s, suite.Cases); ok {
		suite.Cases = append(suite.Cases, c)
	}
	if c, ok := p.junitChange(s); ok {
		suite.Cases = append(suite.Cases, c)
	}
	suite.Time = junitTime(took)
	for _, c := range suite.Cases {
		suite.Tests++
		switch {
		case c.Failure != nil:
			suite.Failures++
		case c.Error != nil:
			suite.Errors++
		case c.Skipped != nil:
			suite.Skipped++
		}
	}
	return suite
}

func (p *page) junitProperties(s Scenario) []junitProperty {
	v := p.r.Run.Versions
	all := []junitProperty{{"verdict", string(s.Verdict)}, {"seed", fmt.Sprint(p.r.Run.Seed)}, {"time_scale", number(s.TimeScale)}, {"runtime", clean(p.r.Run.Runtime)},
		{"lbtest", clean(v.LBTest)}, {"nats_server", clean(v.NATSServer)}}
	if s.Flaky {
		all = append(all, junitProperty{"flaky", "true"})
	}
	return all
}

func (p *page) junitCase(s Scenario, res Result, expected bool) junitCase {
	c := junitCase{Class: clean(s.Name), Name: clean(res.Assertion), Time: junitTime(res.Took)}
	if res.Link != "" {
		c.Name += " (" + clean(res.Link) + ")"
	}
	switch res.Verdict {
	case assertions.Unsafe:
		if expected {
			c.Out = "unsafe, as the baseline expects\n" + junitText(s, res)
			break
		}
		c.Failure = &junitTrouble{string(res.Verdict), clean(res.Got), junitText(s, res)}
	case assertions.Errored:
		c.Error = &junitTrouble{string(res.Verdict), clean(res.Got), junitText(s, res)}
	case assertions.Skipped:
		c.Skipped = &junitSkipped{clean(res.Got)}
	case assertions.Risky:
		c.Out = "risky: it held, at a cost\n" + junitText(s, res)
	}
	if res.Flaky {
		c.Out = "flaky: the verdict changed when it was repeated, the worse one is kept\n" + c.Out
	}
	return c
}

// junitChange is the case of a scenario that is not as the baseline expects, for better or worse.
func (p *page) junitChange(s Scenario) (junitCase, bool) {
	if p.r.Matrix == nil || p.r.Matrix.Baseline == nil {
		return junitCase{}, false
	}
	for _, g := range p.r.Matrix.Baseline.changed() {
		for _, c := range g.Changes {
			if c.Scenario == s.Name {
				said := fmt.Sprintf("was %s, is %s: %s", c.Was, c.Is, g.Means)
				return junitCase{Class: clean(s.Name), Name: "baseline", Time: "0.000", Failure: &junitTrouble{"baseline", said, said + "\nagain     " + clean(s.Reproduce)}}, true
			}
		}
	}
	return junitCase{}, false
}

// junitWhole is the case of a scenario's own verdict where none of its results shows it: it did not run, or could not be
// judged as a whole.
func junitWhole(s Scenario, cases []junitCase) (junitCase, bool) {
	shown := func(is func(junitCase) bool) bool { return slices.ContainsFunc(cases, is) }
	c := junitCase{Class: clean(s.Name), Name: "verdict", Time: "0.000"}
	switch {
	case s.Verdict == assertions.Errored && !shown(func(c junitCase) bool { return c.Error != nil }):
		c.Error = &junitTrouble{string(s.Verdict), reason(s), clean(s.Reproduce)}
	case s.Verdict == assertions.Skipped && len(cases) == 0:
		c.Skipped = &junitSkipped{reason(s)}
	case s.Verdict == assertions.Unsafe && len(cases) == 0:
		c.Failure = &junitTrouble{string(s.Verdict), clean(strings.Join(s.Because, "; ")), clean(s.Reproduce)}
	case len(cases) > 0:
		return c, false
	}
	return c, true
}

// junitText is what an operator reads in the CI system: promised, seen, advice, again.
func junitText(s Scenario, res Result) string {
	lines := []string{"promised  " + clean(res.Promise), "seen      " + clean(res.Got)}
	for _, m := range res.Measured {
		lines = append(lines, "measured  "+strings.ReplaceAll(measure(m), joined, " "))
	}
	for _, a := range s.Advice {
		lines = append(lines, "advice    "+clean(a.Target)+": "+cleanLines(a.Text))
	}
	if s.Reproduce != "" {
		lines = append(lines, "again     "+clean(s.Reproduce))
	}
	return strings.Join(lines, "\n")
}

// junitTime is in seconds, as the format has it.
func junitTime(s Seconds) string { return strconv.FormatFloat(s.Duration().Seconds(), 'f', 3, 64) }
