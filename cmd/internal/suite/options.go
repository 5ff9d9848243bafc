// Package suite is where topologies, balancers and assertions meet. Options become a Plan of scenarios;
// each scenario runs as one or more labs; a lab is watched, judged against its control, and what comes
// out is a report.
//
//	Options ─► NewPlan ─► scenarios ─► labs ─► History ─► Judge ─► report.Report
package suite

import (
	"io"
	"time"

	"github.com/lbtest/lbtest/assertions"
	"github.com/lbtest/lbtest/cmd/internal/report"
	"github.com/lbtest/lbtest/topologies"
)

// Options is what the command line says.
type Options struct {
	Topologies []string
	Profiles   []string // names of the catalogue, or paths of users' own
	Set        []string // SETTING=VALUE, on top of each profile
	Sweep      string   // which sweep, where neither of the two is given; "": the usual one
	Nats       []string // KEY=VALUE
	Client     []string // KEY=VALUE
	Node       []string // KEY=VALUE, limits of every node
	Clients    int      // connections that are expected at once; 0: the usual number
	Auth       string   // how clients log in; "": the usual way
	Assert     []string // patterns
	Runtime    topologies.Runtime
	NatsImage  string        // what the runtime runs the nodes from, where that is not this program: for the report
	Engines    []Engine      // beside the simulated one; of use where the runtime has a place for them
	TimeScale  string        // "auto", "" for auto, or a factor from 1 up
	Seed       int64         // 0: one is drawn
	RunTimeout time.Duration // 0: none
	Parallel   int           // labs side by side; 0: as many as the machine bears
	// VerifyAdvice applies each scenario's advice and runs it again.
	VerifyAdvice bool
	Events       io.Writer       // where all that the labs saw is written, as JSON lines; nil: nowhere
	Command      []string        // for the report
	Versions     report.Versions // of the parts this program was built from
}

// Progress is one thing worth telling while a run goes on.
type Progress struct {
	At       time.Duration // since the run began
	Kind     string        // plan, started, finished, note
	Scenario string
	Verdict  assertions.Verdict // of a finished scenario
	Text     string
	// How many scenarios are done, planned and running.
	Done, Total, Running int
}
