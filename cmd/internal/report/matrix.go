package report

import "github.com/lbtest/lbtest/assertions"

// Matrix is what a matrix adds to a report: where its cells came from, what they cost, and how they compare with what
// was expected.
type Matrix struct {
	Suite string  `json:"suite"`           // a built-in suite's name, or the file's path
	Shard string  `json:"shard,omitempty"` // "2/3"
	WallS float64 `json:"wall_s"`
	CPUS  float64 `json:"cpu_s"` // of lbtest and its nodes
	// Apart says that some nodes were no processes of this run's own, as in containers: their CPU time is not in CPUS, and
	// so the bound may be higher than BoundS.
	Apart    bool        `json:"cpu_of_containers_not_counted,omitempty"`
	BoundS   float64     `json:"bound_s"` // the least that wall_s could be: the larger of the longest cell and cpu_s / cores
	Baseline *Comparison `json:"baseline,omitempty"`
}

// Comparison holds a matrix against its baseline. Expectations bind both ways: what is better than expected is a change as well.
type Comparison struct {
	File         string   `json:"file"`
	NewFailures  []Change `json:"new_failures"`
	Fixed        []Change `json:"fixed"`
	StillFailing []Change `json:"still_failing"`
	NewlySkipped []Change `json:"newly_skipped"`
}

type Change struct {
	Scenario string             `json:"scenario"`
	Was      assertions.Verdict `json:"was"`
	Is       assertions.Verdict `json:"is"`
}
