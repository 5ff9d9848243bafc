package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"

	"github.com/spf13/cobra"

	"github.com/lbtest/lbtest/cmd/internal/report"
	"github.com/lbtest/lbtest/cmd/internal/suite"
	"github.com/lbtest/lbtest/topologies"
)

func (p *program) matrixCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "matrix {FILE | --suite NAME} [flags]",
		Short: "run many configurations, and hold them against what was found before",
		Long: "matrix runs every cell of a matrix: one configuration of one topology each. What they are says a FILE in YAML\n" +
			"(lbtest schema matrix; lbtest explain smoke shows one), or a suite that comes with lbtest (lbtest list suites).\n\n" +
			"Against a --baseline it objects to every cell that is not what it was, for better or worse. A line of the baseline\n" +
			"that matches no cell is bad usage, and what lbtest failed to judge is never as expected.\n\n" +
			"It exits with 0 if nothing changed, 1 if something did (see --fail-on), 2 on bad usage, 3 if lbtest itself failed or\n" +
			"nothing could be judged, 130 if interrupted. Without a baseline there is nothing to object to unless --fail-on says so.",
		Example: "  lbtest matrix --suite smoke\n" +
			"  lbtest matrix my-matrix.yaml --baseline baseline.yaml --write-baseline\n" +
			"  lbtest matrix my-matrix.yaml --baseline baseline.yaml --retries 1 --report json=report.json\n" +
			"  lbtest matrix --suite regression --shard 2/3 --run-timeout 10m\n" +
			"  lbtest matrix --suite regression --only '*/aws-*' --list",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 1 {
				return fmt.Errorf("matrix takes one file, %q were given", args)
			}
			return nil
		},
		ValidArgsFunction: func(_ *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
			if len(args) > 0 {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			return []cobra.Completion{"yaml", "yml"}, cobra.ShellCompDirectiveFilterFileExt
		},
	}
	f := matrixFlagsOf(cmd)
	completeMatrix(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error { return p.runMatrix(cmd.Context(), f, args) }
	return cmd
}

// runMatrix turns flags into cells, cells into a report, and what became of the baseline into an exit code. Nothing has
// started when it returns an error of the user's.
func (p *program) runMatrix(ctx context.Context, f *matrixFlags, args []string) error {
	var err error
	if f.Matrix, err = chosenMatrix(args, f.suite); err != nil {
		return err
	}
	if err := f.check(); err != nil {
		return err
	}
	outputs, err := f.outputs()
	if err != nil {
		return err
	}
	kept, err := artifactsIn(f.artifacts)
	if err != nil {
		return err
	}
	outputs = append(outputs, kept.sinks()...)
	live := watch(p.err, p.screenOf(p.err, f.plain), f.quiet, f.verbose)
	done, err := p.measureMatrix(ctx, f, live, kept)
	live.end()
	if err != nil || f.list {
		return err
	}
	if f.Write {
		outputs = append(outputs, sink{report.Format{Name: "baseline", Write: func(w io.Writer, r report.Report, _ report.Style) error {
			return done.cells.WriteBaseline(w, r)
		}}, f.Baseline})
	}
	return p.deliver(done.measured, &f.outFlags, outputs)
}

// chosenMatrix is the one that was asked for, by its file or by its name.
func chosenMatrix(args []string, suiteName string) (suite.Matrix, error) {
	switch names := namesOf(listSuites()); {
	case len(args) == 0 && suiteName == "":
		return suite.Matrix{}, fmt.Errorf("which matrix? matrix FILE.yaml for one of your own, or --suite for one of %v (lbtest list suites)", names)
	case len(args) > 0 && suiteName != "":
		return suite.Matrix{}, fmt.Errorf("both the file %s and --suite %s are given; leave one of them out", args[0], suiteName)
	case len(args) > 0 && slices.Contains(names, args[0]):
		return suite.Matrix{}, fmt.Errorf("%s is a suite and no file: --suite %[1]s", args[0])
	case len(args) > 0:
		return suite.ReadMatrix(args[0])
	case !slices.Contains(names, suiteName):
		return suite.Matrix{}, fmt.Errorf("--suite: %w", unknown("suite", suiteName, names))
	}
	return suite.FindSuite(suiteName)
}

// outputs are the reports; the baseline's path is tried as theirs are.
func (f *matrixFlags) outputs() ([]sink, error) {
	if f.Write {
		if err := tryPath(f.Baseline); err != nil {
			return nil, fmt.Errorf("--baseline %s: %w", f.Baseline, err)
		}
	}
	return sinks(&f.outFlags)
}

// matrixPlan is what the command needs of a suite.MatrixPlan.
type matrixPlan interface {
	plan
	WriteBaseline(w io.Writer, made report.Report) error
}

var _ matrixPlan = suite.MatrixPlan{}

// measuredMatrix is what came of a matrix.
type measuredMatrix struct {
	measured
	cells matrixPlan
}

// measureMatrix makes the plan and runs it, or lists its cells. Its error is the user's.
func (p *program) measureMatrix(ctx context.Context, f *matrixFlags, live *progress, kept *artifacts) (done measuredMatrix, err error) {
	log := p.log(live, f.verbose || f.keep)
	opened := map[string]topologies.Runtime{}
	defer func() {
		for _, r := range opened {
			if failed := r.Close(); failed != nil && err != nil {
				err = errors.Join(err, failed)
			} else if failed != nil {
				done.trouble = errors.Join(done.trouble, fmt.Errorf("clearing away what the nodes left: %w", failed))
			}
		}
	}()
	for _, name := range append([]string{f.runtime}, f.Matrix.Runtimes()...) {
		if opened[name] != nil {
			continue
		}
		if exist := namesOf(listRuntimes()); !slices.Contains(exist, name) {
			return done, fmt.Errorf("%s: %w", f.Matrix.Suite, unknown("runtime", name, exist))
		}
		opened[name] = p.runtime(name, nodeOptions{keep: f.keep, image: f.NatsImage}, log)
		if name == runtimes[0].name {
			continue
		}
		if err := opened[name].Usable(ctx); err != nil {
			return done, fmt.Errorf("runtime %s cannot be used here: %w", name, err)
		}
	}
	o := f.MatrixOptions
	o.Command, o.Versions = append([]string{"lbtest"}, p.args...), versions()
	o.Runtime, o.Runtimes = opened[f.runtime], opened
	if kept != nil {
		o.Events = kept
	}
	if done.cells, err = p.matrix(o); err != nil {
		return done, err
	}
	if f.list {
		return done, p.lines(done.cells.Scenarios())
	}
	done.failOn = f.objects()
	ctx, release := p.interruptible(ctx, live)
	done.report = done.cells.Run(ctx, live.say)
	if release() {
		done.report.Run.Interrupted = true
	}
	done.report.Events, done.trouble = kept.close()
	return done, nil
}

// log is where runtimes tell what they do.
func (p *program) log(live *progress, everything bool) *slog.Logger {
	level := slog.LevelWarn
	if everything {
		level = slog.LevelInfo // where the directories are that are kept
	}
	return slog.New(slog.NewTextHandler(live, &slog.HandlerOptions{Level: level}))
}

// lines writes names, one a line.
func (p *program) lines(names []string) error {
	for _, n := range names {
		if _, err := fmt.Fprintln(p.out, n); err != nil {
			return failure{fmt.Errorf("writing to stdout: %w", err)}
		}
	}
	return nil
}

// completeMatrix lets a shell complete the values of a matrix's flags.
func completeMatrix(cmd *cobra.Command) {
	completeFlags(cmd, map[string]func(string) ([]cobra.Completion, cobra.ShellCompDirective){
		"suite":   func(string) ([]cobra.Completion, cobra.ShellCompDirective) { return described(listSuites()) },
		"runtime": func(string) ([]cobra.Completion, cobra.ShellCompDirective) { return described(listRuntimes()) },
		"report":  completeReport,
		"fail-on": words(report.FailOn()...),
	})
}
