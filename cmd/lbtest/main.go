// Command lbtest finds out which load balancer settings NATS can live with. It turns arguments into one
// suite.Options value, and the report that comes back into an exit code; everything in between is elsewhere.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"

	"github.com/lbtest/lbtest/cmd/internal/report"
	"github.com/lbtest/lbtest/cmd/internal/suite"
	"github.com/lbtest/lbtest/docker"
	"github.com/lbtest/lbtest/topologies"
	"github.com/lbtest/lbtest/topologies/embedded"
)

// takePart does not return where this process was started to be a node, a balancer or what cleans up, or to ask the kernel.
func takePart() {
	embedded.Main()
	docker.Main()
	suite.Main(engines()...)
	beNftables()
}

func main() {
	takePart()
	p := whole()
	os.Exit(p.main(context.Background()))
}

// whole is the program in the world that this process has around it.
func whole() program {
	return program{
		args: os.Args[1:], out: os.Stdout, err: os.Stderr, getenv: os.Getenv, exit: os.Exit,
		runtime: func(name string, o nodeOptions, log *slog.Logger) topologies.Runtime {
			return runtimeCalled(name).open(o, log)
		},
		plan: func(o suite.Options) (plan, error) {
			o.Engines = engines()
			return suite.NewPlan(o)
		},
		endpoint: func(o suite.EndpointOptions) (plan, error) { return suite.NewEndpointPlan(o) },
		matrix: func(o suite.MatrixOptions) (matrixPlan, error) {
			o.Engines = engines()
			return suite.NewMatrixPlan(o)
		},
	}
}

// program is what the commands share: the world around the process, and what a test of the
// command line replaces, since it has no lab and no endpoint.
type program struct {
	args     []string
	out, err io.Writer
	getenv   func(string) string
	exit     func(code int) // at once, leaving the rest to the runtime's cleaner

	runtime  func(name string, o nodeOptions, log *slog.Logger) topologies.Runtime
	plan     func(suite.Options) (plan, error)
	endpoint func(suite.EndpointOptions) (plan, error)
	matrix   func(suite.MatrixOptions) (matrixPlan, error)
}

// plan is what a command needs of a suite.Plan or a suite.EndpointPlan.
type plan interface {
	Run(ctx context.Context, say func(suite.Progress)) report.Report
	Sweep() bool
	Scenarios() []string
}

var _, _ plan = suite.Plan{}, suite.EndpointPlan{}

// The exit codes that are not a report's.
const (
	exitUsage       = 2   // bad usage or bad input
	exitOurs        = 3   // lbtest's own failure
	exitInterrupted = 130 // by a second signal, before there is a report
)

// ended is a command that is over and has said all there was to say.
type ended struct{ code int }

func (e ended) Error() string { return fmt.Sprintf("exit %d", e.code) }

// failure is lbtest's own trouble. Every other error of a command is the user's.
type failure struct{ error }

func (f failure) Unwrap() error { return f.error }

// main runs the command that the arguments name and gives the exit code.
func (p *program) main(ctx context.Context) int {
	err := p.root().ExecuteContext(ctx)
	var over ended
	var ours failure
	switch {
	case err == nil:
		return 0
	case errors.As(err, &over):
		return over.code
	}
	fmt.Fprintf(p.err, "lbtest: %v\n", err)
	if errors.As(err, &ours) {
		return exitOurs
	}
	return exitUsage
}
