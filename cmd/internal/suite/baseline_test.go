package suite

import (
	"bytes"
	"strings"
	"testing"

	"github.com/lbtest/lbtest/assertions"
	"github.com/lbtest/lbtest/cmd/internal/report"
)

var someCells = []string{"routes-behind-lb/stall=1s", "routes-behind-lb/stall=3s", "leafnodes-behind-lb/inspection=signature,inspection-pattern=Upgrade: websocket"}

func TestWhatIsWrongWithABaselineIsSaidWithItsPlace(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"a line of no cell", "routes-behind-lb/stall=1s: safe\nroutes-behind-lb/stall=2s: safe\n", `b.yaml:2:1: "routes-behind-lb/stall=2s" is no cell of this matrix`},
		{"a slip in a cell", "routes-behind-lb/stal=1s: safe\n", "did you mean stall=1s"},
		{"a topology without cells", "clients-behind-lb/stall=1s: safe\n", "take the line away"},
		{"an unknown verdict", "routes-behind-lb/stall=1s: saf\n", `b.yaml:1:28: routes-behind-lb/stall=1s: unknown verdict "saf": did you mean safe`},
		{"errored", "routes-behind-lb/stall=1s: errored\n", "b.yaml:1:28: routes-behind-lb/stall=1s: a failure of lbtest's own is never expected"},
		{"the same line twice", "routes-behind-lb/stall=1s: safe\nroutes-behind-lb/stall=1s: risky\n", "b.yaml:2:1: routes-behind-lb/stall=1s: is given twice, first in line 1"},
		{"no verdict", "routes-behind-lb/stall=1s:\n", "has no value"},
		{"a list", "- a\n", "b.yaml:1:1: a baseline is a mapping, this is a list"},
		{"nothing", "", "b.yaml: the file is empty"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := parseBaseline("b.yaml", []byte(c.text), false, someCells)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got  %v\nwant %s", err, c.want)
			}
		})
	}
}

func TestWhatIsWrittenIsWhatIsExpected(t *testing.T) {
	p := MatrixPlan{all: someCells, Plan: Plan{cells: &cells{suite: "mine.yaml", expected: map[string]assertions.Verdict{someCells[1]: assertions.Risky, someCells[2]: assertions.Unsafe}}}}
	made := report.Report{Scenarios: []report.Scenario{{Name: someCells[0], Verdict: assertions.Skipped}, {Name: someCells[1], Verdict: assertions.Errored}}}
	var b bytes.Buffer
	if err := p.WriteBaseline(&b, made); err != nil {
		t.Fatal(err)
	}
	got, err := parseBaseline("b.yaml", b.Bytes(), false, someCells)
	if err != nil {
		t.Fatalf("%v in\n%s", err, b.String())
	}
	// What errored and what was not run keep their lines.
	for cell, want := range map[string]assertions.Verdict{someCells[0]: assertions.Skipped, someCells[1]: assertions.Risky, someCells[2]: assertions.Unsafe} {
		if got[cell] != want {
			t.Errorf("%s: got %q, want %s in\n%s", cell, got[cell], want, b.String())
		}
	}
	if err := (MatrixPlan{all: someCells, Plan: Plan{cells: &cells{}}}).WriteBaseline(&b, report.Report{}); err == nil {
		t.Error("an empty baseline is written")
	}
}

func TestABaselineThatIsWrittenAnewLosesWhatIsNoMore(t *testing.T) {
	got, err := parseBaseline("b.yaml", []byte("routes-behind-lb/stall=2s: safe\nroutes-behind-lb/stall=1s: risky\n"), true, someCells)
	if err != nil || len(got) != 1 || got[someCells[0]] != assertions.Risky {
		t.Errorf("got %v and %v", got, err)
	}
}

func TestWhatABaselineDoesNotMentionIsExpectedToBeSafe(t *testing.T) {
	c := cells{expected: map[string]assertions.Verdict{"t/a": assertions.Unsafe}}
	if c.want("t/a") != assertions.Unsafe || c.want("t/b") != assertions.Safe {
		t.Errorf("got %s and %s", c.want("t/a"), c.want("t/b"))
	}
}

func FuzzBaseline(f *testing.F) {
	for _, s := range []string{"a/b: safe\n", "a/b: [x]\n", "? [a]\n: b\n", "a: &x safe\nb: *x\n"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		got, err := parseBaseline("b.yaml", text, false, []string{"a/b"})
		for cell, v := range got {
			if err == nil && (cell != "a/b" || v == assertions.Errored) {
				t.Errorf("expects %s of %s", v, cell)
			}
		}
	})
}

func FuzzMatrix(f *testing.F) {
	for _, m := range Suites() {
		text, _ := SuiteText(m.Suite)
		f.Add([]byte(text))
	}
	f.Add([]byte("axes: {topology: ['*'], profile: [./x.yaml]}\nexclude: [{profile: '*'}]\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		m, err := parseMatrix("m.yaml", text)
		if err != nil {
			return
		}
		for _, b := range m.blocks {
			for _, a := range b {
				if len(a.values) == 0 {
					t.Errorf("axis %s has no value", a.name)
				}
			}
		}
	})
}
