package main

import (
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/lbtest/lbtest/assertions"
	"github.com/lbtest/lbtest/cmd/internal/suite"
	"github.com/lbtest/lbtest/proxies"
	"github.com/lbtest/lbtest/proxies/profiles"
	"github.com/lbtest/lbtest/topologies"
)

func (p *program) explainCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "explain NAME",
		Short:   "say what a topology, a setting, a limit, a profile, an assertion, a suite or a verdict means",
		Example: "  lbtest explain idle-timeout\n  lbtest explain aws-nlb-tcp\n  lbtest explain ./my-lb.yaml\n  lbtest explain routes/stay-up-when-quiet\n  lbtest explain risky",
		Args: func(_ *cobra.Command, args []string) error {
			switch len(args) {
			case 0:
				return errors.New("explain needs a name: a topology, a setting, a limit, a profile, an assertion, a suite or a verdict (lbtest list KIND has them)")
			case 1:
				return nil
			}
			return fmt.Errorf("explain takes one name, %q was given", strings.Join(args, " "))
		},
		ValidArgsFunction: func(_ *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
			if len(args) > 0 {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			return explainable(), cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(_ *cobra.Command, args []string) error {
			explain := explanation(args[0])
			if explain == nil && slices.Contains([]string{".yaml", ".yml", ".json"}, filepath.Ext(args[0])) {
				own, err := profiles.Load(args[0])
				if err != nil {
					return err
				}
				explain = func(w io.Writer) { explainProfile(w, own, args[0]) }
			}
			if explain == nil {
				if len(near(args[0], explainable())) == 0 {
					return fmt.Errorf("unknown name %q: lbtest list topologies, settings, limits, profiles, assertions or suites has those there is something to say about", args[0])
				}
				return unknown("name", args[0], explainable())
			}
			var b strings.Builder
			explain(&b)
			if _, err := io.WriteString(p.out, b.String()); err != nil {
				return failure{fmt.Errorf("writing to stdout: %w", err)}
			}
			return nil
		},
	}
}

// explainable lists every name there is something to say about.
func explainable() []string {
	names := append(namesOf(listTopologies()), namesOf(listSettings())...)
	names = append(names, profiles.Names()...)
	names = append(names, namesOf(listLimits())...)
	names = append(names, namesOf(listAssertions())...)
	names = append(names, namesOf(listSuites())...)
	for _, v := range assertions.Verdicts() {
		names = append(names, string(v))
	}
	return names
}

// explanation finds what a name is and how to explain it; nil where nothing has that name. A setting may be
// given with a value, as it stands in a report.
func explanation(name string) func(io.Writer) {
	if t, ok := topologies.Find(name); ok {
		return func(w io.Writer) { explainTopology(w, t) }
	}
	setting, _, _ := strings.Cut(name, "=")
	for _, s := range proxies.Settings() {
		if s.Name == setting {
			return func(w io.Writer) { explainSetting(w, s) }
		}
	}
	for _, l := range topologies.NodeLimits() {
		if l.Name == setting {
			return func(w io.Writer) { explainLimit(w, l) }
		}
	}
	if p, err := profiles.Find(name); err == nil {
		return func(w io.Writer) { explainProfile(w, p, p.Name) }
	}
	for _, a := range assertions.All() {
		if a.Name == name {
			return func(w io.Writer) { explainAssertion(w, a) }
		}
	}
	if text, ok := suite.SuiteText(name); ok {
		return func(w io.Writer) { explainSuite(w, name, text) }
	}
	for _, v := range assertions.Verdicts() {
		if string(v) == strings.ToLower(name) {
			return func(w io.Writer) { explainVerdict(w, v) }
		}
	}
	return nil
}

func explainTopology(w io.Writer, t topologies.Topology) {
	fmt.Fprintf(w, "%s (topology)\n\n", t.Name)
	field(w, "about", t.About)
	var links []string
	for _, l := range t.Balanced {
		links = append(links, string(l))
	}
	field(w, "balanced", strings.Join(links, ", "))
	for _, c := range t.Clusters {
		if c.LeafOf != "" {
			field(w, "leaf nodes", fmt.Sprintf("%s: %s, each by itself, of %s", c.Name, strings.Join(c.Nodes, ", "), c.LeafOf))
			continue
		}
		field(w, "cluster", c.Name+": "+strings.Join(c.Nodes, ", "))
	}
	field(w, "try", "lbtest --topology "+t.Name)
}

func explainSetting(w io.Writer, s proxies.Setting) {
	fmt.Fprintf(w, "%s (setting)\n\n", s.Name)
	field(w, "about", s.About)
	field(w, "values", s.Values)
	field(w, "default", s.Default)
	if s.Scaled {
		field(w, "time", "divided by the time factor, and always reported unscaled")
	} else {
		field(w, "time", "never divided by the time factor")
	}
	field(w, "means", s.Explain)
	judges(w, s.Name)
	for _, variant := range hostile(s.Name) {
		field(w, "hostile", variant)
	}
}

// judges lists who speaks of a setting or a limit.
func judges(w io.Writer, name string) {
	for _, a := range assertions.All() {
		if a.SpeaksOf(name) {
			field(w, "judged by", a.Name+": "+a.Promise)
		}
	}
}

func explainLimit(w io.Writer, l topologies.Limit) {
	fmt.Fprintf(w, "%s (limit)\n\n", l.Name)
	field(w, "about", l.About)
	field(w, "values", l.Values)
	field(w, "means", l.Explain)
	judges(w, l.Name)
	for _, variant := range hostile("node:" + l.Name) {
		field(w, "hostile", variant)
	}
	field(w, "try", "lbtest --topology NAME --runtime docker --node "+l.Example)
}

// explainProfile says what a load balancer does and where that stands. One of the catalogue ends in a file to
// copy; given is how it is named on a command line.
func explainProfile(w io.Writer, p proxies.Profile, given string) {
	fmt.Fprintf(w, "%s (profile)\n\n", p.Name)
	field(w, "about", p.About)
	field(w, "source", p.Source)
	field(w, "checked", p.Checked)
	for _, s := range p.Stated() {
		field(w, "sets", s.Setting+"="+s.Value)
	}
	for _, r := range p.Ranges {
		field(w, "settable", r.String())
	}
	for _, d := range p.Unverified {
		field(w, "assumed", d.Setting+" (unverified): "+d.Assumed)
	}
	for _, n := range p.Notes {
		field(w, "note", n)
	}
	field(w, "try", "lbtest --topology NAME --profile "+given)
	if _, err := profiles.Find(p.Name); err != nil {
		return
	}
	fmt.Fprintf(w, "\nTo change it, begin with this file (lbtest --profile ./my-lb.yaml):\n\n")
	text, err := profiles.Render(p)
	if err != nil {
		fmt.Fprintf(w, "# %v\n", err)
		return
	}
	_, _ = w.Write(text) // into memory
}

// hostile lists the variants of a setting that are known to break an assertion, and which.
func hostile(setting string) []string {
	var found []string
	for _, a := range assertions.All() {
		for _, h := range a.Hostile {
			if strings.HasPrefix(h, setting+"=") {
				found = append(found, strings.Join(a.Hostile, ", ")+" breaks "+a.Name)
			}
		}
	}
	return found
}

func explainAssertion(w io.Writer, a assertions.Assertion) {
	fmt.Fprintf(w, "%s (assertion)\n\n", a.Name)
	field(w, "promise", a.Promise)
	field(w, "means", a.Explain)
	field(w, "speaks of", strings.Join(a.Speaks, ", "))
	if a.Unbroken != "" {
		field(w, "hostile", "none is known: "+a.Unbroken)
	} else {
		field(w, "hostile", strings.Join(a.Hostile, ", ")+" breaks it")
	}
	field(w, "try", fmt.Sprintf("lbtest --topology NAME --assert %s", a.Name))
}

// explainSuite shows a suite as it was written, for a matrix of one's own to begin with.
func explainSuite(w io.Writer, name, text string) {
	fmt.Fprintf(w, "%s (suite)\n\n", name)
	field(w, "try", "lbtest matrix --suite "+name)
	fmt.Fprintf(w, "\nTo change it, begin with this file (lbtest matrix ./my-matrix.yaml):\n\n%s", text)
}

// verdicts says what each verdict means for the one who reads it.
var verdicts = map[assertions.Verdict]string{
	assertions.Safe: "The promise held, at no cost beyond the same topology behind a balancer that only forwards. Nothing to do.",
	assertions.Risky: "The promise held, at a cost an operator should know: delivery or connects more than 0.5 s later than " +
		"in the control, server links made again without loss, the balancer bypassed; in an event, anything beyond the control " +
		"that lost no acknowledged message. The report names the cost and what to change.",
	assertions.Unsafe: "A promise broke: a message that was promised is missing, a healthy connection was cut or died unnoticed, " +
		"quorum was lost though no node failed, or what an event ended was not back within 30 s. Change the setting, or NATS, as the report advises.",
	assertions.Skipped: "The question does not apply here; the report says why. It counts neither for nor against the balancer.",
	assertions.Errored: "lbtest itself failed: a node did not start, a fault could not be shown to bite, or time ran out. " +
		"It says nothing about the balancer. The exit code is 3, unless something was unsafe.",
}

func explainVerdict(w io.Writer, v assertions.Verdict) {
	fmt.Fprintf(w, "%s (verdict)\n\n", v)
	field(w, "means", verdicts[v])
	field(w, "order", "in a scenario errored outweighs unsafe, unsafe outweighs risky, risky outweighs safe; skipped only if all are")
}
