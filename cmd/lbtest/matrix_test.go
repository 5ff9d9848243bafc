package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/lbtest/lbtest/assertions"
	"github.com/lbtest/lbtest/cmd/internal/report"
	"github.com/lbtest/lbtest/cmd/internal/suite"
)

// fakeCells is a matrix's plan that answers with a report.
type fakeCells struct{ fakePlan }

func (fakeCells) WriteBaseline(w io.Writer, made report.Report) error {
	_, err := fmt.Fprintf(w, "%s: %s\n", made.Scenarios[0].Name, made.Scenarios[0].Verdict)
	return err
}

func TestAMatrixThatCannotBeMeantIsRefused(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "m.yaml")
	if err := os.WriteFile(file, []byte("axes:\n  topology: routes-behind-lb\n  stall: 1s\n  runtime: podman\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args string
		want []string
	}{
		{"matrix", []string{"which matrix?", "regression", "smoke"}},
		{"matrix smoke", []string{"smoke is a suite and no file: --suite smoke"}},
		{"matrix " + file + " --suite smoke", []string{"both the file"}},
		{"matrix a.yaml b.yaml", []string{"one file"}},
		{"matrix nowhere.yaml", []string{"reading a matrix", "nowhere.yaml"}},
		{"matrix --suite smok", []string{`unknown suite "smok"`, "did you mean smoke?"}},
		{"matrix --suite smoke --write-baseline", []string{"--write-baseline needs to know where"}},
		{"matrix --suite smoke --baseline nowhere/b.yaml --write-baseline", []string{"--baseline nowhere/b.yaml", "directory"}},
		{"matrix --suite smoke --fail-on changes", []string{`unknown verdict "changes"`, "unsafe"}},
		{"matrix --suite smoke --runtime podman", []string{`unknown runtime "podman"`, "docker"}},
		{"matrix " + file, []string{`unknown runtime "podman"`, "docker"}},
		{"matrix --suite smoke --report htlm=x", []string{"htlm"}},
		{"matrix --suite smoke --retries x", []string{`--retries "x": want a whole number`}},
		{"matrix --suite smoke --topology routes-behind-lb", []string{`unknown flag "--topology"`}},
		{"diff a.json", []string{"two reports"}},
		{"diff a.json b.json", []string{"a.json"}},
	} {
		l := lab{}
		if got := l.run(strings.Fields(c.args)...); got != 2 {
			t.Errorf("%s: exit %d, want 2", c.args, got)
		}
		for _, want := range c.want {
			if !strings.Contains(l.log.String(), want) {
				t.Errorf("%s: got %q, which does not say %q", c.args, l.log.String(), want)
			}
		}
	}
}

func TestAMatrixIsHeldAgainstItsBaseline(t *testing.T) {
	changed := func(was, is assertions.Verdict) report.Report {
		r := reportOf(is)
		compared := report.Compare("b.yaml", func(string) assertions.Verdict { return was }, r.Scenarios)
		r.Matrix = &report.Matrix{Suite: "smoke", Baseline: &compared}
		return r
	}
	for _, c := range []struct {
		args   string
		report report.Report
		want   int
	}{
		{"--suite smoke", reportOf(assertions.Unsafe), 0},
		{"--suite smoke --fail-on unsafe", reportOf(assertions.Unsafe), 1},
		{"--suite smoke --baseline b.yaml", changed(assertions.Unsafe, assertions.Unsafe), 0},
		{"--suite smoke --baseline b.yaml", changed(assertions.Unsafe, assertions.Safe), 1},
		{"--suite smoke --baseline b.yaml", changed(assertions.Safe, assertions.Skipped), 1},
		{"--suite smoke --baseline b.yaml --fail-on unsafe", changed(assertions.Safe, assertions.Risky), 0},
		{"--suite smoke --baseline b.yaml --fail-on never", changed(assertions.Safe, assertions.Unsafe), 0},
		{"--suite smoke --baseline b.yaml", changed(assertions.Safe, assertions.Errored), 3},
	} {
		l := lab{plan: fakePlan{report: c.report, sweep: true}}
		if got := l.run(append([]string{"matrix"}, strings.Fields(c.args)...)...); got != c.want {
			t.Errorf("%s, %s: exit %d, want %d: %s", c.args, c.report.Verdict, got, c.want, l.log.String())
		}
		if !l.runtime.closed {
			t.Errorf("%s: the runtime is still open", c.args)
		}
	}
}

func TestTheOptionsOfAMatrixArriveAndItsBaselineIsWritten(t *testing.T) {
	path := filepath.Join(t.TempDir(), "b.yaml")
	r := reportOf(assertions.Unsafe)
	compared := report.Compare(path, func(string) assertions.Verdict { return assertions.Safe }, r.Scenarios)
	r.Matrix = &report.Matrix{Suite: "smoke", Baseline: &compared}
	l := lab{plan: fakePlan{report: r, sweep: true}}
	if got := l.run("matrix", "--suite", "smoke", "--baseline", path, "--write-baseline", "--shard", "1/2", "--only", "a*", "--retries", "2", "--seed", "9", "--quiet"); got != 0 {
		t.Fatalf("exit %d: %s", got, l.log.String())
	}
	o := l.cells
	if o == nil || o.Matrix.Suite != "smoke" || o.Shard != "1/2" || o.Only[0] != "a*" || o.Retries != 2 || o.Seed != 9 || !o.Write || o.Baseline != path {
		t.Errorf("got %+v", o)
	}
	if got, err := os.ReadFile(path); err != nil || string(got) != "t/a: unsafe\n" {
		t.Errorf("got %q and %v", got, err)
	}
}

func TestCellsAreListedWithoutRunningThem(t *testing.T) {
	l := lab{plan: fakePlan{run: nil}}
	if got := l.run("matrix", "--suite", "smoke", "--list"); got != 0 || l.out.String() != "a\n" {
		t.Errorf("exit %d, %q", got, l.out.String())
	}
}

func TestASuiteIsExplainedByItsFile(t *testing.T) {
	got := output(t, "explain", "smoke")
	text, _ := suite.SuiteText("smoke")
	if !strings.HasPrefix(got, "smoke (suite)") || !strings.Contains(got, strings.TrimSpace(text)) {
		t.Errorf("got\n%s", got)
	}
}

func TestTwoSavedReportsAreCompared(t *testing.T) {
	dir := t.TempDir()
	save := func(name string, verdicts ...assertions.Verdict) string {
		path := filepath.Join(dir, name)
		f, err := os.Create(path)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		as, _ := report.Find("json")
		if err := as.Write(f, reportOf(verdicts...), report.Style{}); err != nil {
			t.Fatal(err)
		}
		return path
	}
	const s, r, u, k, e = assertions.Safe, assertions.Risky, assertions.Unsafe, assertions.Skipped, assertions.Errored
	base := save("old.json", s, u, r, s, s)
	for _, c := range []struct {
		new  string
		want int
		says []string
	}{
		{save("same.json", s, u, r, s, s), 0, []string{"still failing  t/b  unsafe", "0 new failures, 0 fixed, 2 still failing"}},
		{save("new.json", u, s, r, k, e), 1, []string{"new failure    t/a  safe → unsafe", "fixed          t/b  unsafe → safe", "newly skipped  t/d", "errored        t/e"}},
		{save("less.json", s, u, r, s), 1, []string{"only in old    t/e", "1 in one report alone"}},
		{save("more.json", s, u, r, s, s, u), 1, []string{"only in new    t/f"}},
		{save("errored.json", s, u, r, s, e), 3, []string{"1 errored"}},
	} {
		l := lab{}
		if got := l.run("diff", base, c.new); got != c.want {
			t.Errorf("%s: exit %d, want %d: %s", c.new, got, c.want, l.log.String())
		}
		for _, want := range c.says {
			if !strings.Contains(l.out.String(), want) {
				t.Errorf("%s: there is no %q in\n%s", c.new, want, l.out.String())
			}
		}
	}
	l := lab{}
	if got := l.run("diff", base, save("j.json", s, s, r, s, s), "--json"); got != 1 || !strings.Contains(l.out.String(), `"scenario": "t/b"`) || !strings.Contains(l.out.String(), `"only_old": []`) {
		t.Errorf("exit %d, %s", got, l.out.String())
	}
}
