package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/lbtest/lbtest/assertions"
	"github.com/lbtest/lbtest/cmd/internal/report"
	"github.com/lbtest/lbtest/cmd/internal/suite"
)

// savedRun is a report in a file, as a run leaves it.
func savedRun(t *testing.T, verdicts ...assertions.Verdict) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "report.json")
	l := lab{plan: fakePlan{report: reportOf(verdicts...)}}
	l.run("--topology", "routes-behind-lb", "--quiet", "--report", "json="+path)
	return path
}

func TestASavedRunIsRenderedAgainInEveryFormat(t *testing.T) {
	path := savedRun(t, assertions.Safe, assertions.Unsafe)
	saved, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range report.Formats() {
		if again := output(t, "report", path, "--report", f.Name+"=-"); again == "" {
			t.Errorf("%s is empty", f.Name)
		}
	}
	page := filepath.Join(t.TempDir(), "report.html")
	if text := output(t, "report", path, "--report", "html="+page); !strings.Contains(text, "UNSAFE  2 scenarios") {
		t.Errorf("beside a file the text is\n%s", text)
	}
	if again := output(t, "report", page, "--json"); again != string(saved) {
		t.Errorf("through HTML it becomes\n%s, from\n%s", again, saved)
	}
}

func TestARenderingObjectsOnlyWhereItIsAskedTo(t *testing.T) {
	for _, c := range []struct {
		verdict assertions.Verdict
		failOn  string
		want    int
	}{
		{assertions.Unsafe, "", 0}, {assertions.Errored, "", 0}, {assertions.Risky, "", 0},
		{assertions.Unsafe, "unsafe", 1}, {assertions.Risky, "unsafe", 0}, {assertions.Risky, "risky", 1}, {assertions.Errored, "unsafe", 3}, {assertions.Unsafe, "never", 0},
	} {
		args := []string{"report", savedRun(t, c.verdict)}
		if c.failOn != "" {
			args = append(args, "--fail-on", c.failOn)
		}
		var l lab
		if got := l.run(args...); got != c.want {
			t.Errorf("%s with --fail-on %q: exit %d, want %d: %s", c.verdict, c.failOn, got, c.want, l.log.String())
		}
	}
	l := lab{stdout: refusing{}}
	if got := l.run("report", savedRun(t, assertions.Safe)); got != exitOurs {
		t.Errorf("what cannot be written exits with %d, want %d", got, exitOurs)
	}
}

// refusing is a full disk.
type refusing struct{}

func (refusing) Write([]byte) (int, error) { return 0, io.ErrShortWrite }

func TestArtifactsAreTheEventsAndTheReportThatNamesThem(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new", "out")
	l := lab{}
	l.plan = fakePlan{run: func(context.Context, func(suite.Progress)) report.Report {
		for _, line := range []string{"{\"id\":\"lab1/e1\"}\n", "{\"id\":\"lab1/e2\"}\n"} {
			if _, err := io.WriteString(l.options.Events, line); err != nil {
				t.Error(err)
			}
		}
		return reportOf(assertions.Safe)
	}}
	if got := l.run("--topology", "routes-behind-lb", "--quiet", "--artifacts", dir); got != 0 {
		t.Fatalf("exit %d: %s", got, l.log.String())
	}
	events, err := os.ReadFile(filepath.Join(dir, "events.jsonl"))
	if err != nil || bytes.Count(events, []byte("\n")) != 2 {
		t.Errorf("the events are %q, %v", events, err)
	}
	var r report.Report
	saved, err := os.ReadFile(filepath.Join(dir, "report.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(saved, &r); err != nil || r.Events != filepath.Join(dir, "events.jsonl") {
		t.Errorf("the report names %q, %v", r.Events, err)
	}
	if left, _ := os.ReadDir(dir); len(left) != 2 {
		t.Errorf("in the directory there are %v", left)
	}
}

func TestARunWithoutLabsLeavesAnEmptyEventFile(t *testing.T) {
	dir := t.TempDir()
	l := lab{plan: fakePlan{report: reportOf(assertions.Skipped)}}
	l.run("--topology", "routes-behind-lb", "--quiet", "--artifacts", dir)
	if info, err := os.Stat(filepath.Join(dir, "events.jsonl")); err != nil || info.Size() != 0 {
		t.Errorf("got %v, %v", info, err)
	}
	if l.options.Events == nil {
		t.Error("the run was not told where to write")
	}
	plain := lab{plan: fakePlan{report: reportOf(assertions.Safe)}}
	plain.run("--topology", "routes-behind-lb", "--quiet")
	if plain.options.Events != nil {
		t.Error("without --artifacts the run has somewhere to write")
	}
}

func TestAllFormatsOfTheContractExist(t *testing.T) {
	names := namesOf(listFormats())
	for _, want := range strings.Fields("text json jsonl junit markdown html prometheus csv") {
		if !slices.Contains(names, want) {
			t.Errorf("there is no %s among %v", want, names)
		}
	}
}
