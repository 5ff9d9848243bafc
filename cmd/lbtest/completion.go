package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/lbtest/lbtest/assertions"
	"github.com/lbtest/lbtest/cmd/internal/report"
	"github.com/lbtest/lbtest/proxies"
	"github.com/lbtest/lbtest/proxies/profiles"
	"github.com/lbtest/lbtest/topologies"
)

func (p *program) completionCommand() *cobra.Command {
	write := map[string]func(root *cobra.Command) error{
		"bash":       func(root *cobra.Command) error { return root.GenBashCompletionV2(p.out, true) },
		"zsh":        func(root *cobra.Command) error { return root.GenZshCompletion(p.out) },
		"fish":       func(root *cobra.Command) error { return root.GenFishCompletion(p.out, true) },
		"powershell": func(root *cobra.Command) error { return root.GenPowerShellCompletionWithDesc(p.out) },
	}
	shells := []string{"bash", "zsh", "fish", "powershell"}
	return &cobra.Command{
		Use:       "completion SHELL",
		Short:     "print a completion script for " + strings.Join(shells, ", "),
		Example:   "  source <(lbtest completion bash)\n  lbtest completion zsh > \"${fpath[1]}/_lbtest\"\n  lbtest completion fish | source",
		ValidArgs: shells,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return fmt.Errorf("completion needs one shell: %s", strings.Join(shells, ", "))
			}
			if write[args[0]] == nil {
				return unknown("shell", args[0], shells)
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := write[args[0]](cmd.Root()); err != nil {
				return failure{fmt.Errorf("writing the completion of %s: %w", args[0], err)}
			}
			return nil
		},
	}
}

// completeRun lets a shell complete the values of a run's flags from the registries, so that a new name needs
// nothing here.
func completeRun(cmd *cobra.Command) {
	values := map[string]func(typed string) ([]cobra.Completion, cobra.ShellCompDirective){
		"topology":   func(string) ([]cobra.Completion, cobra.ShellCompDirective) { return described(listTopologies()) },
		"assert":     func(string) ([]cobra.Completion, cobra.ShellCompDirective) { return described(listAssertions()) },
		"runtime":    func(string) ([]cobra.Completion, cobra.ShellCompDirective) { return described(listRuntimes()) },
		"profile":    completeProfile,
		"set":        completeSetting,
		"sweep":      func(string) ([]cobra.Completion, cobra.ShellCompDirective) { return described(listSweeps()) },
		"node":       completeLimit,
		"report":     completeReport,
		"fail-on":    words(report.FailOn()...),
		"time-scale": words("auto", "1"),
		"artifacts":  directories,
	}
	completeFlags(cmd, values)
}

// completeOut does the same for what only renders.
func completeOut(cmd *cobra.Command) {
	completeFlags(cmd, map[string]func(string) ([]cobra.Completion, cobra.ShellCompDirective){
		"report":  completeReport,
		"fail-on": words(report.FailOn()...),
	})
}

// directories are the shell's to complete.
func directories(string) ([]cobra.Completion, cobra.ShellCompDirective) {
	return nil, cobra.ShellCompDirectiveFilterDirs
}

// completeValidate does the same for a look at an endpoint.
func completeValidate(cmd *cobra.Command) {
	completeFlags(cmd, map[string]func(string) ([]cobra.Completion, cobra.ShellCompDirective){
		"context": func(string) ([]cobra.Completion, cobra.ShellCompDirective) {
			return words(assertions.Contexts()...)("")
		},
		"report":      completeReport,
		"format":      words(namesOf(listFormats())...),
		"mode":        words(assertions.Modes()...),
		"fail-on":     words(report.FailOn()...),
		"artifacts":   directories,
		"socks-proxy": words("none"),
	})
}

// completeBalancer does the same for a balancer on its own.
func completeBalancer(cmd *cobra.Command) {
	completeFlags(cmd, map[string]func(string) ([]cobra.Completion, cobra.ShellCompDirective){
		"profile": completeProfile,
		"set":     completeSetting,
		"events": func(typed string) ([]cobra.Completion, cobra.ShellCompDirective) {
			if strings.Contains(typed, "=") {
				return nil, cobra.ShellCompDirectiveDefault
			}
			return []cobra.Completion{eventsAs}, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
		},
	})
}

// completeProfile completes the catalogue's names; a path is the shell's to complete.
func completeProfile(typed string) ([]cobra.Completion, cobra.ShellCompDirective) {
	if profiles.IsFile(typed) {
		return nil, cobra.ShellCompDirectiveDefault
	}
	var all []cobra.Completion
	for _, p := range profiles.All() {
		all = append(all, cobra.CompletionWithDesc(p.Name, p.About))
	}
	return all, cobra.ShellCompDirectiveDefault
}

func completeFlags(cmd *cobra.Command, values map[string]func(typed string) ([]cobra.Completion, cobra.ShellCompDirective)) {
	for flag, complete := range values {
		err := cmd.RegisterFlagCompletionFunc(flag, func(_ *cobra.Command, _ []string, typed string) ([]cobra.Completion, cobra.ShellCompDirective) {
			return complete(typed)
		})
		if err != nil {
			panic(fmt.Sprintf("completion for --%s of %s: %v", flag, cmd.Name(), err)) // the flag is not defined: our own mistake
		}
	}
}

func words(all ...string) func(string) ([]cobra.Completion, cobra.ShellCompDirective) {
	return func(string) ([]cobra.Completion, cobra.ShellCompDirective) {
		return all, cobra.ShellCompDirectiveNoFileComp
	}
}

func described(entries []entry) ([]cobra.Completion, cobra.ShellCompDirective) {
	var all []cobra.Completion
	for _, e := range entries {
		all = append(all, cobra.CompletionWithDesc(e.Name, e.About))
	}
	return all, cobra.ShellCompDirectiveNoFileComp
}

// completeSetting completes the setting's name, and after the equals sign those of its values that are words.
func completeSetting(typed string) ([]cobra.Completion, cobra.ShellCompDirective) {
	name, _, valued := strings.Cut(typed, "=")
	var all []cobra.Completion
	for _, s := range proxies.Settings() {
		if !valued {
			all = append(all, cobra.CompletionWithDesc(s.Name+"=", s.About))
			continue
		}
		if s.Name != name {
			continue
		}
		for _, v := range strings.FieldsFunc(s.Values, func(c rune) bool { return strings.ContainsRune(" ,|", c) }) {
			if v == strings.ToLower(v) && v != "or" {
				all = append(all, name+"="+v)
			}
		}
	}
	if !valued {
		return all, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
	}
	return all, cobra.ShellCompDirectiveNoFileComp
}

// completeLimit completes the limit's name; what follows the equals sign is a number.
func completeLimit(string) ([]cobra.Completion, cobra.ShellCompDirective) {
	var all []cobra.Completion
	for _, l := range topologies.NodeLimits() {
		all = append(all, cobra.CompletionWithDesc(l.Name+"=", l.About))
	}
	return all, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
}

// completeReport completes the format; the path after the equals sign is the shell's to complete.
func completeReport(typed string) ([]cobra.Completion, cobra.ShellCompDirective) {
	if strings.Contains(typed, "=") {
		return nil, cobra.ShellCompDirectiveDefault
	}
	var all []cobra.Completion
	for _, f := range report.Formats() {
		all = append(all, cobra.CompletionWithDesc(f.Name+"=", f.About))
	}
	return all, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
}
