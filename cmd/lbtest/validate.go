package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/lbtest/lbtest/cmd/internal/report"
	"github.com/lbtest/lbtest/cmd/internal/suite"
)

func (p *program) validateCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "validate -s URL [flags]",
		Short: "look at a real endpoint from the outside, and measure its idle limit",
		Long: "validate connects to a real address as NATS clients do and judges what is there: who speaks first and when,\n" +
			"which servers answer, whose certificate it is, which address the servers see, which addresses they advertise,\n" +
			"and whether requests and odd payloads come back. It is gentle: some fifteen connections, three megabytes\n" +
			"through an inbox of its own, nothing written. What takes a lab is skipped, each with the reason.\n\n" +
			"--deep measures after how much silence connections end, in which manner, and whether TCP keepalives help: some\n" +
			"fifty connections are quiet, each for its own time, and two are busy, so that idleness is told from an endpoint\n" +
			"that goes away. It says before how long it takes, and an interrupt reports what is known by then. A server's\n" +
			"own PINGs hide limits above 4 minutes (two of its intervals): the answer is *at least* then, and lbtest backend in\n" +
			"the servers' place, with --backend here, measures them too.\n\n" +
			"It exits with 0 if there is nothing to object to, 1 if there is (see --fail-on), 2 on bad usage,\n" +
			"3 if the address or the credentials led nowhere, 130 if interrupted; with --format nagios as monitoring has it.\n" +
			"No report holds a credential.",
		Example: "  lbtest validate -s nats://lb.example.com:4222\n" +
			"  lbtest validate -s tls://lb.example.com:4222 --tlsca ca.pem --creds app.creds\n" +
			"  lbtest validate --context production --fail-on risky --json\n" +
			"  lbtest validate -s nats://lb.example.com:4222 --deep --max-wait 3m\n" +
			"  lbtest validate -s nats://lb.example.com:4222 --format nagios",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				return errors.New("lbtest validate takes no argument: the address goes after -s") // which may hold a password, so it is not repeated
			}
			return nil
		},
	}
	f := validateFlagsOf(cmd, p.getenv)
	completeValidate(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return p.validate(cmd.Context(), f) }
	return cmd
}

// validate turns flags and environment into a look at an endpoint, and its report into files and an exit code.
// Nothing has been dialled when it returns an error of the user's.
func (p *program) validate(ctx context.Context, f *validateFlags) error {
	if f.format == nagios {
		f.quiet = true // what else is said would end up in the same line of a monitoring screen
	}
	looks, outputs, kept, err := p.looks(f)
	if err != nil {
		return f.refused(p.out, err)
	}
	done := measured{failOn: f.failOn}
	if done.failOn == "" {
		done.failOn = report.FailOnUnsafe
	}
	live := watch(p.err, p.screenOf(p.err, f.plain), f.quiet, f.verbose)
	ctx, release := p.interruptible(ctx, live)
	done.report = looks.Run(ctx, live.say)
	if release() {
		done.report.Run.Interrupted = true
	}
	live.end()
	done.report.Events, done.trouble = kept.close()
	err = p.deliver(done, &f.outFlags, outputs)
	if f.format == nagios {
		return f.plugged(p.out, err, done.report)
	}
	return err
}

// looks reads flags, environment and files. Its errors are the user's.
func (p *program) looks(f *validateFlags) (plan, []sink, *artifacts, error) {
	for _, fromEnvironment := range f.environment {
		if err := fromEnvironment(); err != nil {
			return nil, nil, nil, err
		}
	}
	if err := f.check(); err != nil {
		return nil, nil, nil, err
	}
	depth, err := f.depth(f.given)
	if err != nil {
		return nil, nil, nil, err
	}
	if f.format != "" {
		f.reports = append([]string{f.format + "=" + stdout}, f.reports...)
	}
	outputs, err := sinks(&f.outFlags)
	if err != nil {
		return nil, nil, nil, err
	}
	o := suite.EndpointOptions{Access: f.Access, Deep: depth, Command: append([]string{"lbtest"}, p.args...), Versions: versions()}
	kept, err := artifactsIn(f.artifacts)
	if err != nil {
		return nil, nil, nil, err
	}
	if kept != nil {
		o.Events = kept
	}
	looks, err := p.endpoint(o)
	return looks, append(outputs, kept.sinks()...), kept, err
}

// nagios is the format that has exit codes of its own.
const nagios = "nagios"

// refused is bad usage: for monitoring one more line, and not known.
func (f *validateFlags) refused(out io.Writer, err error) error {
	if f.format != nagios {
		return err
	}
	fmt.Fprintf(out, "UNKNOWN %s\n", report.NagiosLine(err.Error()))
	return ended{report.NagiosUnknown}
}

// plugged ends the command as a monitoring plugin does.
func (f *validateFlags) plugged(out io.Writer, err error, r report.Report) error {
	var over ended
	if err != nil && !errors.As(err, &over) {
		return f.refused(out, err)
	}
	if code := r.NagiosCode(); code != 0 {
		return ended{code}
	}
	return nil
}
