package main

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"github.com/lbtest/lbtest/cmd/internal/report"
	"github.com/lbtest/lbtest/cmd/internal/suite"
)

func (p *program) validateCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "validate -s URL [flags]",
		Short: "look at a real endpoint, from the outside, in less than 15 s",
		Long: "validate connects to a real address as NATS clients do and judges what is there: who speaks first and when,\n" +
			"which servers answer, whose certificate it is, which address the servers see, which addresses they advertise,\n" +
			"and whether requests and odd payloads come back. It is gentle: some fifteen connections, a few hundred kilobytes\n" +
			"through an inbox of its own, nothing written. What takes a lab is skipped, each with the reason.\n\n" +
			"It exits with 0 if there is nothing to object to, 1 if there is (see --fail-on), 2 on bad usage,\n" +
			"3 if the address or the credentials led nowhere, 130 if interrupted. No report holds a credential.",
		Example: "  lbtest validate -s nats://lb.example.com:4222\n" +
			"  lbtest validate -s tls://lb.example.com:4222 --tlsca ca.pem --creds app.creds\n" +
			"  lbtest validate --context production --fail-on risky --json",
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
	for _, fromEnvironment := range f.environment {
		if err := fromEnvironment(); err != nil {
			return err
		}
	}
	if err := f.check(); err != nil {
		return err
	}
	outputs, err := sinks(&f.outFlags)
	if err != nil {
		return err
	}
	looks, err := p.endpoint(suite.EndpointOptions{Access: f.Access, Command: append([]string{"lbtest"}, p.args...), Versions: versions()})
	if err != nil {
		return err
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
	return p.deliver(done, &f.outFlags, outputs)
}
