package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/lbtest/lbtest/assertions"
	"github.com/lbtest/lbtest/cmd/internal/report"
	"github.com/lbtest/lbtest/cmd/internal/suite"
)

// TestTheWorkflowToCopyIsOneThatRuns gives the command line of the example to the program: flags, formats, the suite and
// the baseline are those there are.
func TestTheWorkflowToCopyIsOneThatRuns(t *testing.T) {
	const top = "../.."
	text, err := os.ReadFile(filepath.Join(top, ".github", "workflows", "matrix.yml"))
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile(`(?s)run: >\n(.*?)\n      - uses`).FindStringSubmatch(string(text))
	if found == nil {
		t.Fatal("there is no command in it")
	}
	t.Chdir(t.TempDir())
	line := strings.NewReplacer(`"$GITHUB_STEP_SUMMARY"`, "summary.md").Replace(found[1])
	made := reportOf(assertions.Safe)
	made.Matrix = &report.Matrix{Suite: "smoke"}
	l := lab{plan: fakePlan{report: made}}
	args := strings.Fields(line)
	if args[0] != "./lbtest" {
		t.Fatalf("the command is %q", args)
	}
	if got := l.run(args[1:]...); got != 0 {
		t.Fatalf("exit %d: %s", got, l.log.String())
	}
	if l.cells == nil || l.cells.Baseline != ".ci/smoke.baseline.yaml" {
		t.Errorf("got %+v", l.cells)
	}
	for _, file := range []string{"lbtest.json", "lbtest.xml", "lbtest.html", "summary.md"} {
		if _, err := os.Stat(file); err != nil {
			t.Error(err)
		}
	}
}

// TestTheBaselineOfSmokeIsOfItsCells reads what CI holds smoke against.
func TestTheBaselineOfSmokeIsOfItsCells(t *testing.T) {
	m, err := suite.FindSuite("smoke")
	if err != nil {
		t.Fatal(err)
	}
	path, err := filepath.Abs("../../.ci/smoke.baseline.yaml")
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	runtime := runtimes[0].open(nodeOptions{}, nil)
	defer runtime.Close()
	p, err := suite.NewMatrixPlan(suite.MatrixOptions{Options: suite.Options{Runtime: runtime}, Matrix: m, Baseline: path})
	if err != nil {
		t.Fatal(err)
	}
	for _, cell := range p.Scenarios() {
		if !strings.Contains(string(text), "\n"+cell+": ") {
			t.Errorf("%s is not in it", cell)
		}
	}
}
