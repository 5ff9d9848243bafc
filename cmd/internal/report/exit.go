package report

import "github.com/lbtest/lbtest/assertions"

// The exit codes of a run. Bad usage (2) is found before there is a report.
const (
	exitAnswered     = 0
	exitObjected     = 1
	exitInconclusive = 3
	exitInterrupted  = 130 // 128 and the number of SIGINT, as a shell has it
)

// The values of --fail-on: the mildest verdict that makes a run exit with 1.
const (
	FailOnUnsafe = "unsafe"
	FailOnRisky  = "risky"
	FailOnNever  = "never"
)

// FailOn lists what ExitCode understands.
func FailOn() []string { return []string{FailOnUnsafe, FailOnRisky, FailOnNever} }

// ExitCode is what the process should end with: 130 if the run was interrupted, 1 if a verdict at or above
// failOn was found, 3 if anything errored or nothing at all was judged, 0 otherwise. A failOn that is not
// one of FailOn is taken for unsafe. Against a baseline it is changes that are objected to, see Comparison.Changed.
func (r Report) ExitCode(failOn string) int {
	switch {
	case r.Run.Interrupted:
		return exitInterrupted
	case r.objectedTo(failOn):
		return exitObjected
	case r.found(assertions.Errored), r.Summary.Skipped == r.Summary.Total():
		return exitInconclusive
	}
	return exitAnswered
}

func (r Report) objectedTo(failOn string) bool {
	if r.Matrix != nil && r.Matrix.Baseline != nil {
		return r.Matrix.Baseline.Changed(failOn)
	}
	return failOn != FailOnNever && r.found(assertions.Unsafe) || failOn == FailOnRisky && r.found(assertions.Risky)
}
