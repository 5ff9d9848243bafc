package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/lbtest/lbtest/assertions"
	"github.com/lbtest/lbtest/cmd/internal/report"
)

// difference is what one saved report has that another had not.
type difference struct {
	report.Comparison
	OnlyOld []string `json:"only_old"` // scenarios
	OnlyNew []string `json:"only_new"`
	Errored []string `json:"errored"` // in the new report: nothing is known of them
}

func (p *program) diffCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "diff OLD NEW",
		Short: "compare two saved reports, scenario by scenario",
		Long: "diff compares two reports that were saved with --report json=FILE: what fails that did not, what no longer does,\n" +
			"what still does, and what is skipped that was not.\n\n" +
			"It exits with 0 if every scenario is what it was, 1 if one is not or is in one of the reports alone, 2 on bad usage,\n" +
			"3 if nothing changed but lbtest failed to judge something.",
		Example: "  lbtest diff old.json new.json\n  lbtest diff old.json new.json --json",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 2 {
				return fmt.Errorf("diff takes two reports, OLD and NEW, saved with --report json=FILE; %d were given", len(args))
			}
			return nil
		},
		ValidArgsFunction: func(_ *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
			if len(args) > 1 {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			return []cobra.Completion{"json"}, cobra.ShellCompDirectiveFilterFileExt
		},
	}
	asJSON := jsonFlag(cmd)
	cmd.RunE = func(_ *cobra.Command, args []string) error {
		then, err := p.saved(args[0])
		if err != nil {
			return fmt.Errorf("%s: %w", args[0], err)
		}
		now, err := p.saved(args[1])
		if err != nil {
			return fmt.Errorf("%s: %w", args[1], err)
		}
		d := differ(args[0], then, now)
		if *asJSON {
			err = p.json(d)
		} else {
			err = p.lines(d.lines(now))
		}
		if err != nil {
			return err
		}
		if code := d.exitCode(); code != 0 {
			return ended{code}
		}
		return nil
	}
	return cmd
}

// differ compares the scenarios that both reports have, and lists the others.
func differ(file string, then, now report.Report) difference {
	was, is := verdictsOf(then), verdictsOf(now)
	d := difference{OnlyOld: []string{}, OnlyNew: []string{}, Errored: []string{}}
	var both []report.Scenario
	for _, s := range now.Scenarios {
		switch _, there := was[s.Name]; {
		case !there:
			d.OnlyNew = append(d.OnlyNew, s.Name)
		case s.Verdict == assertions.Errored:
			d.Errored = append(d.Errored, s.Name)
		default:
			both = append(both, s)
		}
	}
	for _, s := range then.Scenarios {
		if _, there := is[s.Name]; !there {
			d.OnlyOld = append(d.OnlyOld, s.Name)
		}
	}
	d.Comparison = report.Compare(file, func(name string) assertions.Verdict { return was[name] }, both)
	return d
}

func verdictsOf(r report.Report) map[string]assertions.Verdict {
	found := map[string]assertions.Verdict{}
	for _, s := range r.Scenarios {
		found[s.Name] = s.Verdict
	}
	return found
}

// lines tell what differs, one scenario a line, and of what fails now why.
func (d difference) lines(now report.Report) []string {
	var all []string
	why := map[string]string{}
	for _, s := range now.Scenarios {
		if len(s.Because) > 0 {
			why[s.Name] = ": " + s.Because[0]
		}
	}
	for _, kind := range []struct {
		name    string
		changes []report.Change
	}{{"new failure", d.NewFailures}, {"fixed", d.Fixed}, {"newly skipped", d.NewlySkipped}, {"still failing", d.StillFailing}} {
		for _, c := range kind.changes {
			said := fmt.Sprintf("%-14s %s  %s → %s", kind.name, c.Scenario, c.Was, c.Is)
			if c.Was == c.Is {
				said = fmt.Sprintf("%-14s %s  %s", kind.name, c.Scenario, c.Is)
			}
			all = append(all, said+why[c.Scenario])
		}
	}
	for _, kind := range []struct {
		name  string
		names []string
	}{{"errored", d.Errored}, {"only in new", d.OnlyNew}, {"only in old", d.OnlyOld}} {
		for _, n := range kind.names {
			all = append(all, fmt.Sprintf("%-14s %s", kind.name, n))
		}
	}
	for i, l := range all {
		all[i] = strings.Join(strings.Split(l, "\n"), " ")
	}
	return append(all, fmt.Sprintf("%d new failures, %d fixed, %d still failing, %d newly skipped, %d errored, %d in one report alone",
		len(d.NewFailures), len(d.Fixed), len(d.StillFailing), len(d.NewlySkipped), len(d.Errored), len(d.OnlyNew)+len(d.OnlyOld)))
}

func (d difference) exitCode() int {
	switch {
	case d.Changed(""), len(d.OnlyNew)+len(d.OnlyOld) > 0:
		return 1
	case len(d.Errored) > 0:
		return exitOurs
	}
	return 0
}
