package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/lbtest/lbtest/assertions"
	"github.com/lbtest/lbtest/cmd/internal/report"
	"github.com/lbtest/lbtest/cmd/internal/suite"
	"github.com/lbtest/lbtest/proxies"
	"github.com/lbtest/lbtest/proxies/profiles"
	"github.com/lbtest/lbtest/topologies"
)

// entry is one line of a list.
type entry struct {
	Name     string   `json:"name"`
	About    string   `json:"about"`
	Default  string   `json:"default,omitempty"`
	Values   string   `json:"values,omitempty"`
	Scaled   bool     `json:"scaled,omitempty"`
	Balanced []string `json:"balanced,omitempty"`
	Nodes    []string `json:"nodes,omitempty"`
	Speaks   []string `json:"speaks,omitempty"`

	Topologies []string `json:"topologies,omitempty"` // of a sweep

	// Of a profile.
	Idle       string            `json:"idle,omitempty"`
	Expiry     string            `json:"expiry,omitempty"`
	Keepalive  string            `json:"keepalive,omitempty"`
	Settings   map[string]string `json:"settings,omitempty"`
	Source     string            `json:"source,omitempty"`
	Checked    string            `json:"checked,omitempty"`
	Unverified map[string]string `json:"unverified,omitempty"`
	Notes      []string          `json:"notes,omitempty"`
}

// kind is something that can be listed.
type kind struct {
	name    string
	entries func() []entry
	columns []string
	row     func(entry) []string
}

// kinds are the lists there are. Each reads the registry of the package it is about.
func kinds() []kind {
	nameAbout := func(e entry) []string { return []string{e.Name, e.About} }
	return []kind{
		{"topologies", listTopologies, []string{"topology", "about"}, nameAbout},
		{"settings", listSettings, []string{"setting", "default", "values", "about"}, func(e entry) []string {
			return []string{e.Name, e.Default, e.Values, e.About}
		}},
		{"profiles", listProfiles, []string{"profile", "idle", "at expiry", "keepalive", "unverified", "source"}, func(e entry) []string {
			doubts := "-"
			if len(e.Unverified) > 0 {
				doubts = strings.Join(slices.Sorted(maps.Keys(e.Unverified)), ",")
			}
			return []string{e.Name, e.Idle, e.Expiry, e.Keepalive, doubts, e.Source + " (" + e.Checked + ")"}
		}},
		{"assertions", listAssertions, []string{"assertion", "promise"}, nameAbout},
		{"limits", listLimits, []string{"limit", "values", "about"}, func(e entry) []string { return []string{e.Name, e.Values, e.About} }},
		{"sweeps", listSweeps, []string{"sweep", "about", "topologies"}, func(e entry) []string {
			return []string{e.Name, e.About, strings.Join(e.Topologies, ", ")}
		}},
		{"formats", listFormats, []string{"format", "about"}, nameAbout},
		{"runtimes", listRuntimes, []string{"runtime", "about"}, nameAbout},
		{"suites", listSuites, []string{"suite", "about"}, nameAbout},
	}
}

func listTopologies() []entry {
	var all []entry
	for _, t := range topologies.All() {
		e := entry{Name: t.Name, About: t.About, Nodes: t.Nodes()}
		for _, l := range t.Balanced {
			e.Balanced = append(e.Balanced, string(l))
		}
		all = append(all, e)
	}
	return all
}

func listSettings() []entry {
	var all []entry
	for _, s := range proxies.Settings() {
		all = append(all, entry{Name: s.Name, About: s.About, Default: s.Default, Values: s.Values, Scaled: s.Scaled})
	}
	return all
}

func listProfiles() []entry {
	var all []entry
	for _, p := range profiles.All() {
		e := entry{Name: p.Name, About: p.About, Source: p.Source, Checked: p.Checked, Notes: p.Notes,
			Settings: map[string]string{}, Unverified: map[string]string{}}
		for _, s := range p.Stated() {
			e.Settings[s.Setting] = s.Value
		}
		for _, d := range p.Unverified {
			e.Unverified[d.Setting] = d.Assumed
		}
		e.Idle, e.Expiry, e.Keepalive = idling(p)
		all = append(all, e)
	}
	return all
}

// idling says in three words what a profile does to a connection that is idle.
func idling(p proxies.Profile) (after, how, keepalive string) {
	client, server := p.Value("idle-timeout-client"), p.Value("idle-timeout-server")
	switch after = p.Value("idle-timeout"); {
	case p.Unknown("idle-timeout"):
		return unknownHere, unknownHere, unknownHere
	case after == "none" && client == server:
		after = client
	case after == "none":
		after = client + "/" + server
	}
	if after == "none" {
		return after, "-", "-"
	}
	how, keepalive = p.Value("idle-expiry"), p.Value("idle-keepalive")
	if len(p.Manners()) > 1 {
		how = unknownHere
	}
	if p.Unknown("idle-keepalive") {
		keepalive = unknownHere
	}
	return after, how, keepalive
}

// unknownHere is what a list says where nobody knows.
const unknownHere = "unknown"

func listAssertions() []entry {
	var all []entry
	for _, a := range assertions.All() {
		all = append(all, entry{Name: a.Name, About: a.Promise, Speaks: a.Speaks})
	}
	return all
}

func listLimits() []entry {
	var all []entry
	for _, l := range topologies.NodeLimits() {
		all = append(all, entry{Name: l.Name, About: l.About, Values: l.Values})
	}
	return all
}

func listSweeps() []entry {
	var all []entry
	for _, s := range suite.Sweeps() {
		all = append(all, entry{Name: s.Name, About: s.About, Topologies: s.Topologies()})
	}
	return all
}

func listFormats() []entry {
	var all []entry
	for _, f := range report.Formats() {
		all = append(all, entry{Name: f.Name, About: f.About})
	}
	return all
}

func listRuntimes() []entry {
	var all []entry
	for _, r := range runtimes {
		all = append(all, entry{Name: r.name, About: r.about})
	}
	return all
}

func listSuites() []entry {
	var all []entry
	for _, m := range suite.Suites() {
		all = append(all, entry{Name: m.Suite, About: m.About})
	}
	return all
}

func namesOf(entries []entry) []string {
	var names []string
	for _, e := range entries {
		names = append(names, e.Name)
	}
	return names
}

func (p *program) listCommand() *cobra.Command {
	var names []string
	for _, k := range kinds() {
		names = append(names, k.name)
	}
	cmd := &cobra.Command{
		Use:       "list KIND",
		Short:     "list " + strings.Join(names, ", "),
		Example:   "  lbtest list settings\n  lbtest list topologies --json",
		ValidArgs: names,
		Args: func(_ *cobra.Command, args []string) error {
			switch len(args) {
			case 0:
				return fmt.Errorf("list needs to know what: %s", strings.Join(names, ", "))
			case 1:
				return nil
			}
			return fmt.Errorf("list takes one of %s, %q was given", strings.Join(names, ", "), strings.Join(args, " "))
		},
	}
	asJSON := jsonFlag(cmd)
	cmd.RunE = func(_ *cobra.Command, args []string) error {
		for _, k := range kinds() {
			if k.name != args[0] {
				continue
			}
			entries := k.entries()
			if *asJSON {
				return p.json(append([]entry{}, entries...))
			}
			rows := [][]string{k.columns}
			for i := range rows[0] {
				rows[0][i] = strings.ToUpper(rows[0][i])
			}
			for _, e := range entries {
				rows = append(rows, k.row(e))
			}
			return p.table(rows)
		}
		return unknown("list", args[0], names)
	}
	return cmd
}
