package report

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lbtest/lbtest/assertions"
)

// sampleCells is a matrix that was held against a baseline, with every kind of change.
func sampleCells() Report {
	r := sampleSweep()
	was := map[string]assertions.Verdict{}
	for _, s := range r.Scenarios {
		was[s.Name] = s.Verdict
	}
	was["routes-behind-lb/idle-timeout=35s,idle-expiry=fin"] = unsafe
	was["routes-behind-lb/stall=12s"] = safe
	was["routes-behind-lb/engine=kernel"] = safe
	r.Run.Command = []string{"lbtest", "matrix", "mine.yaml", "--baseline", "baseline.yaml", "--shard", "2/3"}
	compared := Compare("baseline.yaml", func(name string) assertions.Verdict { return was[name] }, r.Scenarios)
	r.Matrix = &Matrix{Suite: "mine.yaml", Shard: "2/3", WallS: 151, CPUS: 240.5, BoundS: 120.25, Baseline: &compared}
	return r
}

func TestWhatContainersCostIsNotClaimedToBeCounted(t *testing.T) {
	m := Matrix{WallS: 100, CPUS: 10, BoundS: 80}
	const apart = "CPU of containers not counted"
	if got := m.cost(); strings.Contains(got, apart) || !strings.HasSuffix(got, "ratio 1.25") {
		t.Errorf("without containers: %s", got)
	}
	m.Apart = true
	if got := m.cost(); !strings.Contains(got, apart) {
		t.Errorf("with containers: %s", got)
	}
}

func TestAMatrixIsReadByItsChangesAndWhatItCost(t *testing.T) {
	var got bytes.Buffer
	if err := writeText(&got, sampleCells(), Style{Unicode: true}); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join("testdata", "cells.txt")
	if *update {
		if err := os.WriteFile(path, got.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v (-update writes it)", err)
	}
	if d := cmp.Diff(got.String(), string(want)); d != "" {
		t.Errorf("rendering differs from %s, got -, want +:\n%s", path, d)
	}
	var all bytes.Buffer
	if err := writeText(&all, sampleCells(), Style{Unicode: true, Verbose: true}); err != nil {
		t.Fatal(err)
	}
	const known = "UNSAFE  idle-timeout=5s,idle-expiry=silent" // which fails as expected
	if strings.Contains(got.String(), known) || !strings.Contains(all.String(), known) {
		t.Error("what fails as expected is explained in a verbose report, and there alone")
	}
}
