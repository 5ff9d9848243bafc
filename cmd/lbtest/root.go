package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

// root is `lbtest` itself, which is `lbtest run` as well.
func (p *program) root() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "lbtest",
		Short: "Which load balancer settings can NATS live with?",
		Long: "lbtest starts NATS behind a simulated load balancer, lets the balancer do what real ones do,\n" +
			"and says which of its settings are safe, what the others cost, and what to change.",
		Example: "  lbtest --topology routes-behind-lb                        which settings are safe?\n" +
			"  lbtest --topology routes-behind-lb --set idle-timeout=60s is this one?\n" +
			"  lbtest validate -s nats://lb.example.com:4222             and the one that is there?\n" +
			"  lbtest matrix --suite smoke --baseline baseline.yaml      is everything as it was?\n" +
			"  lbtest explain idle-timeout                               what does it mean?",
		Args:              p.unknownCommand,
		SilenceErrors:     true,
		SilenceUsage:      true,
		CompletionOptions: cobra.CompletionOptions{DisableDefaultCmd: true},
	}
	p.runs(cmd)
	cmd.AddCommand(
		p.runCommand(),
		p.validateCommand(),
		p.matrixCommand(),
		p.backendCommand(),
		p.balancerCommand(),
		p.reportCommand(),
		p.diffCommand(),
		p.listCommand(),
		p.explainCommand(),
		p.doctorCommand(),
		p.cleanupCommand(),
		p.schemaCommand(),
		p.completionCommand(),
		p.versionCommand(),
	)
	cmd.SetArgs(p.args)
	cmd.SetOut(p.out)
	cmd.SetErr(p.err)
	cmd.SetHelpFunc(help)
	cmd.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		if c == cmd && len(p.args) > 0 && !strings.HasPrefix(p.args[0], "-") {
			return p.unknownCommand(cmd, p.args) // its flags are unknown because it is
		}
		return flagError(c, err)
	})
	return cmd
}

func (p *program) unknownCommand(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	var names []string
	for _, c := range cmd.Commands() {
		if c.IsAvailableCommand() {
			names = append(names, c.Name())
		}
	}
	return unknown("command", args[0], names)
}

// help writes a command's help: what it is, its commands, its flags by group, examples.
func help(cmd *cobra.Command, _ []string) {
	out := cmd.OutOrStdout()
	about := cmd.Long
	if about == "" {
		about = cmd.Short + "."
	}
	fmt.Fprintf(out, "%s\n\nUsage:\n", about)
	if cmd.HasSubCommands() {
		fmt.Fprintf(out, "  %s --topology NAME [flags]\n  %s COMMAND\n\nCommands:\n", cmd.Name(), cmd.Name())
		for _, c := range cmd.Commands() {
			if c.IsAvailableCommand() {
				fmt.Fprintf(out, "  %-12s %s\n", c.Name(), c.Short)
			}
		}
	} else {
		fmt.Fprintf(out, "  %s\n", cmd.UseLine())
	}
	fmt.Fprint(out, flagHelp(cmd))
	if cmd.Example != "" {
		fmt.Fprintf(out, "\nExamples:\n%s\n", cmd.Example)
	}
}
