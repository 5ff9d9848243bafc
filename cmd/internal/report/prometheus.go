package report

import (
	"fmt"
	"io"
	"strings"

	"github.com/lbtest/lbtest/assertions"
)

func init() {
	register(Format{
		Name:  "prometheus",
		About: "Prometheus' text format, for a node exporter's textfile collector or a push gateway: verdicts and measured numbers",
		Write: writePrometheus,
	})
}

// family is one metric: its samples stand together, below what it means.
type family struct {
	name, help string
	samples    []string
}

func (f *family) add(value string, labels ...string) {
	var pairs []string
	for i := 0; i < len(labels); i += 2 {
		if labels[i+1] != "" { // an absent label is an empty one
			pairs = append(pairs, labels[i]+`="`+promEscaped.Replace(clean(labels[i+1]))+`"`)
		}
	}
	sample := f.name
	if len(pairs) > 0 {
		sample += "{" + strings.Join(pairs, ",") + "}"
	}
	f.samples = append(f.samples, sample+" "+value)
}

var promEscaped = strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`)

// writePrometheus: a verdict is a metric of its own label with the value 1, so that a verdict that changes does not
// change what a number means.
func writePrometheus(w io.Writer, r Report, _ Style) error {
	run := family{name: "lbtest_run_info", help: "The run, by its verdict; always 1."}
	run.add("1", "run", r.Run.ID, "verdict", string(r.Verdict), "runtime", r.Run.Runtime, "lbtest", r.Run.Versions.LBTest, "nats_server", r.Run.Versions.NATSServer)
	started := family{name: "lbtest_run_started_timestamp_seconds", help: "When the run began, in seconds since 1970."}
	started.add(promNumber(float64(r.Run.Started.UnixMilli()) / 1000))
	took := family{name: "lbtest_run_duration_seconds", help: "How long the run took."}
	took.add(promNumber(r.Run.Took.Duration().Seconds()))
	counts := family{name: "lbtest_scenarios", help: "Scenarios by verdict."}
	for _, v := range assertions.Verdicts() {
		counts.add(fmt.Sprint(r.Summary.Count(v)), "verdict", string(v))
	}
	scenarios := family{name: "lbtest_scenario_verdict", help: "The verdict on a scenario; always 1."}
	flaky := family{name: "lbtest_scenario_flaky", help: "1 if the verdict changed when the scenario was repeated."}
	results := family{name: "lbtest_assertion_verdict", help: "The verdict on an assertion in a scenario; always 1."}
	measured := family{name: "lbtest_measured", help: "What was measured for an assertion, in the unit that the label names."}
	p := newPage(r, Style{})
	for _, s := range r.Scenarios {
		scenarios.add("1", "scenario", s.Name, "topology", s.Topology, "profile", s.Profile, "verdict", string(s.Verdict))
		flaky.add(map[bool]string{true: "1", false: "0"}[s.Flaky], "scenario", s.Name)
		seen := map[string]bool{}
		for _, res := range p.by[s.Name] {
			if key := res.Assertion + "\x00" + res.Link; seen[key] {
				continue // a scrape refuses the same series twice
			} else {
				seen[key] = true
			}
			results.add("1", "scenario", s.Name, "assertion", res.Assertion, "link", res.Link, "verdict", string(res.Verdict))
			named := map[string]bool{}
			for _, m := range res.Measured {
				if !named[m.Name+m.Unit] {
					named[m.Name+m.Unit] = true
					measured.add(promNumber(m.Value), "scenario", s.Name, "assertion", res.Assertion, "link", res.Link, "name", m.Name, "unit", m.Unit)
				}
			}
		}
	}
	families := []family{run, started, took, counts, scenarios, flaky, results, measured}
	if m := r.Matrix; m != nil {
		families = append(families, matrixFamilies(*m)...)
	}
	var out strings.Builder
	for _, f := range families {
		if len(f.samples) > 0 {
			fmt.Fprintf(&out, "# HELP %s %s\n# TYPE %s gauge\n%s\n", f.name, f.help, f.name, strings.Join(f.samples, "\n"))
		}
	}
	if _, err := io.WriteString(w, out.String()); err != nil {
		return fmt.Errorf("writing the report for Prometheus: %w", err)
	}
	return nil
}

func matrixFamilies(m Matrix) []family {
	seconds := family{name: "lbtest_matrix_seconds", help: "What the matrix cost, and the least that its wall time could be."}
	for _, s := range []struct {
		of    string
		value float64
	}{{"wall", m.WallS}, {"cpu", m.CPUS}, {"lower_bound", m.BoundS}} {
		seconds.add(promNumber(s.value), "suite", m.Suite, "shard", m.Shard, "of", s.of)
	}
	if m.Baseline == nil {
		return []family{seconds}
	}
	changes := family{name: "lbtest_matrix_changes", help: "Cells by how they compare with the baseline."}
	for _, c := range []struct {
		kind string
		n    int
	}{{"new_failure", len(m.Baseline.NewFailures)}, {"fixed", len(m.Baseline.Fixed)}, {"still_failing", len(m.Baseline.StillFailing)}, {"newly_skipped", len(m.Baseline.NewlySkipped)}} {
		changes.add(fmt.Sprint(c.n), "suite", m.Suite, "shard", m.Shard, "change", c.kind)
	}
	return []family{seconds, changes}
}

func promNumber(f float64) string { return csvNumber(f) }
