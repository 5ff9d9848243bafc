package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/lbtest/lbtest/cmd/internal/report"
)

func (p *program) runCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "run --topology NAME [flags]",
		Short: "run a topology behind balancers and say which settings are safe",
		Long: "run starts a topology behind simulated load balancers and judges what NATS makes of it.\n" +
			"Without --set it sweeps the settings that matter and says which are safe; with --set it judges that one balancer.\n\n" +
			"It exits with 0 if there is nothing to object to, 1 if there is (see --fail-on), 2 on bad usage,\n" +
			"3 if lbtest itself failed or nothing could be judged, 130 if interrupted.",
		Example: "  lbtest run --topology routes-behind-lb\n" +
			"  lbtest run --topology routes-behind-lb --set idle-timeout=20s --set idle-expiry=silent\n" +
			"  lbtest run --topology routes-behind-lb --set idle-timeout=20s --nats cluster.ping_interval=8s\n" +
			"  lbtest run --topology routes-behind-lb --set restart=crash --assert 'jetstream/*' --json\n" +
			"  lbtest run --topology routes-behind-lb --verify-advice --report json=report.json",
		Args: noArguments,
	}
	p.runs(cmd)
	return cmd
}

// runs makes a command run scenarios.
func (p *program) runs(cmd *cobra.Command) {
	f := runFlagsOf(cmd)
	completeRun(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return p.run(cmd.Context(), f) }
}

// run turns flags into options, options into a plan, and the plan's report into files and an exit code.
// Nothing has started when it returns an error of the user's.
func (p *program) run(ctx context.Context, f *runFlags) error {
	exist := namesOf(listTopologies())
	if len(f.Topologies) == 0 {
		return fmt.Errorf("--topology is missing: which one? (%s; lbtest --help says more)", strings.Join(exist, ", "))
	}
	for _, name := range f.Topologies {
		if !slices.Contains(exist, name) {
			return unknown("topology", name, exist)
		}
	}
	if err := f.check(); err != nil {
		return err
	}
	outputs, err := sinks(&f.outFlags)
	if err != nil {
		return err
	}
	kept, err := artifactsIn(f.artifacts)
	if err != nil {
		return err
	}
	outputs = append(outputs, kept.sinks()...)
	live := watch(p.err, p.screenOf(p.err, f.plain), f.quiet, f.verbose)
	done, err := p.measure(ctx, f, live, kept)
	live.end()
	if err != nil {
		return err
	}
	return p.deliver(done, &f.outFlags, outputs)
}

// deliver writes the reports and ends the command with the code that they call for.
func (p *program) deliver(done measured, f *outFlags, outputs []sink) error {
	ours := errors.Join(done.trouble, p.render(done.report, f, outputs))
	code := done.report.ExitCode(done.failOn)
	switch {
	case ours == nil && code == 0:
		return nil
	case ours != nil && code == 0:
		return failure{ours}
	case ours != nil:
		fmt.Fprintf(p.err, "lbtest: %v\n", ours) // what was found about the balancer decides the exit code
	}
	return ended{code}
}

// render writes the reports.
func (p *program) render(r report.Report, f *outFlags, outputs []sink) error {
	style := p.screenOf(p.out, f.plain).Style
	style.Verbose = f.verbose
	// stdout comes last: a reader who has had enough of it ends this process with SIGPIPE.
	slices.SortStableFunc(outputs, func(a, b sink) int {
		switch {
		case a.path == stdout && b.path != stdout:
			return 1
		case a.path != stdout && b.path == stdout:
			return -1
		}
		return 0
	})
	var trouble []error
	for _, s := range outputs {
		if err := s.write(p.out, r, style); err != nil {
			trouble = append(trouble, fmt.Errorf("writing report %s=%s: %w", s.format.Name, s.path, err))
		}
	}
	return errors.Join(trouble...)
}

// measured is what came of a plan.
type measured struct {
	report  report.Report
	failOn  string
	trouble error // lbtest's own, in cleaning up
}

// measure makes the plan and runs it. Its error is the user's.
func (p *program) measure(ctx context.Context, f *runFlags, live *progress, kept *artifacts) (measured, error) {
	o := f.Options
	log := p.log(live, f.verbose || f.keep)
	o.Command = append([]string{"lbtest"}, p.args...)
	o.Versions = versions()
	if kept != nil {
		o.Events = kept
	}
	o.Runtime = p.runtime(f.runtime, nodeOptions{keep: f.keep, image: f.NatsImage}, log)
	if f.runtime != runtimes[0].name {
		// Asked for and impossible: said before anything else is looked at.
		if err := o.Runtime.Usable(ctx); err != nil {
			return measured{}, errors.Join(fmt.Errorf("--runtime %s cannot be used here: %w", f.runtime, err), o.Runtime.Close())
		}
	}
	plan, err := p.plan(o)
	if err != nil {
		return measured{}, errors.Join(err, o.Runtime.Close())
	}
	done := measured{failOn: f.failOn}
	if done.failOn == "" {
		done.failOn = report.FailOnUnsafe
		if plan.Sweep() {
			done.failOn = report.FailOnNever // a sweep answers a question and objects to nothing
		}
	}
	ctx, release := p.interruptible(ctx, live)
	done.report = plan.Run(ctx, live.say)
	if release() {
		done.report.Run.Interrupted = true
	}
	done.report.Events, done.trouble = kept.close()
	if err := o.Runtime.Close(); err != nil {
		done.trouble = errors.Join(done.trouble, fmt.Errorf("clearing away what the nodes left: %w", err))
	}
	return done, nil
}

// errInterrupted is why scenarios that did not run are errored.
var errInterrupted = errors.New("the run was interrupted before this was measured")

// interruptible gives a context that the first SIGINT or SIGTERM cancels, so that what was measured is still
// reported; the second one ends the process at once. A reader of stderr who has gone ends nothing meanwhile.
// release stops listening and says whether there was an interruption.
func (p *program) interruptible(ctx context.Context, live *progress) (_ context.Context, release func() bool) {
	ctx, cancel := context.WithCancelCause(ctx)
	signals := make(chan os.Signal, 2) // two matter
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	unread := make(chan os.Signal, 1)
	signal.Notify(unread, syscall.SIGPIPE) // never looked at: that somebody listens keeps writes to a closed pipe harmless
	stop, stopped := make(chan struct{}), make(chan struct{})
	interrupted := false // belongs to the goroutine until stopped is closed
	go func() {
		defer close(stopped)
		for {
			select {
			case <-stop:
				return
			case <-signals:
			}
			if interrupted {
				p.exit(exitInterrupted)
			}
			interrupted = true
			live.interrupt("lbtest: interrupted; ending the labs and reporting what was measured (once more: stop at once)")
			cancel(errInterrupted)
		}
	}()
	return ctx, func() bool {
		signal.Stop(signals)
		signal.Stop(unread)
		close(stop)
		<-stopped
		cancel(nil)
		return interrupted
	}
}
