package suite

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"path"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/lbtest/lbtest/cmd/internal/report"
	"github.com/lbtest/lbtest/topologies"
)

// MatrixOptions is what the command line of `matrix` says. Of Options, topologies, profiles and what is set come from the
// matrix.
type MatrixOptions struct {
	Options
	Matrix   Matrix
	Runtimes map[string]topologies.Runtime // those that the matrix names
	Only     []string                      // patterns of cells; none: all
	Shard    string                        // "2/3"; "": all
	Retries  int                           // how often what failed is run again
	Baseline string                        // path; "": none
	Write    bool                          // the baseline is to be written, not to be kept
}

// MatrixPlan is the cells of a matrix, and what is expected of them. Nothing has started.
//
//	Matrix ─► NewMatrixPlan ─► cells, baseline ─► Plan.Run ─► verdicts ─► report.Compare ─► report.Report
type MatrixPlan struct {
	Plan
	all []string // every cell of the matrix, whatever was chosen of them
}

// NewMatrixPlan lays out the cells. Its errors are the user's.
func NewMatrixPlan(o MatrixOptions) (MatrixPlan, error) {
	o.Assert = o.Matrix.Assert
	all, err := o.read()
	p := MatrixPlan{Plan: Plan{options: o.Options, seed: all.seed, cells: &cells{suite: o.Matrix.Suite, shard: o.Shard, file: o.Baseline, retries: o.Retries, write: o.Write}}}
	if err != nil {
		return p, err
	}
	if o.Retries < 0 {
		return p, fmt.Errorf("--retries %d: want how often what failed is run again, from 0 up", o.Retries)
	}
	scenarios, err := o.scenarios(all)
	if err != nil {
		return p, err
	}
	for _, s := range scenarios {
		p.all = append(p.all, s.name)
	}
	if o.Baseline != "" {
		if p.cells.expected, err = expectations(o.Baseline, o.Write, p.all); err != nil {
			return p, err
		}
	}
	if scenarios, err = only(scenarios, o.Only); err != nil {
		return p, err
	}
	if p.scenarios, err = shard(scenarios, o.Shard); err != nil {
		return p, err
	}
	p.cells.duties = duties(p.scenarios)
	return p, p.something()
}

// Sweep reports that a matrix asks which configurations are safe. Against a baseline, what it objects to is a change.
func (p MatrixPlan) Sweep() bool { return true }

// scenarios are all cells, in the order of the axes.
func (o MatrixOptions) scenarios(all given) ([]scenario, error) {
	m := o.Matrix
	maker := cellMaker{options: o, all: all, origins: map[string]origin{}, accepted: map[string]bool{}, froms: map[string]string{}}
	left := make([]int, len(m.excludes))
	var scenarios []scenario
	for _, b := range m.blocks {
		for _, c := range b.product() {
			s, err := maker.scenario(c)
			if err != nil {
				return nil, fmt.Errorf("%s: %s: %w", m.file, c, err)
			}
			if i := slices.IndexFunc(m.excludes, func(e exclusion) bool { return e.matches(s, s.runtime(o.Runtime).Name()) }); i >= 0 {
				left[i]++
				continue
			}
			if from, there := maker.froms[s.name]; there {
				if from != s.from.given {
					return nil, fmt.Errorf("%s: profiles %s and %s are both called %s; give one of them another name", m.file, from, s.from.given, s.from.profile.Name)
				}
				continue // two blocks have it
			}
			maker.froms[s.name] = s.from.given
			scenarios = append(scenarios, s.within(m.Limit))
		}
	}
	for i, n := range left {
		if at := m.excludes[i].at; n == 0 && !slices.ContainsFunc(m.excludes[:i], func(e exclusion) bool { return overlaps(e, m.excludes[i]) }) {
			return nil, fmt.Errorf("%s:%d:%d: %s: leaves out no cell", m.file, at.Value.Line, at.Value.Column, at.Path)
		}
	}
	if len(scenarios) == 0 {
		return nil, fmt.Errorf("%s: every cell is left out", m.file)
	}
	return scenarios, nil
}

// overlaps reports whether an exclusion may have left out cells before another could.
func overlaps(first, second exclusion) bool {
	for _, a := range first.axes {
		i := slices.IndexFunc(second.axes, func(b axis) bool { return a.name == b.name })
		if i >= 0 && !slices.ContainsFunc(a.values, func(v string) bool { return slices.Contains(second.axes[i].values, v) }) {
			return false
		}
	}
	return true
}

// String is a cell as errors about it name it.
func (c choice) String() string {
	parts := []string{c.topology}
	for name, value := range map[string]string{axisProfile: c.profile, axisRuntime: c.runtime, axisClients: c.clients} {
		if value != "" {
			parts = append(parts, name+"="+value)
		}
	}
	slices.Sort(parts[1:])
	return "the cell " + strings.Join(append(parts, c.row...), ", ")
}

// cellMaker makes scenarios of choices.
type cellMaker struct {
	options  MatrixOptions
	all      given
	origins  map[string]origin // by what was given
	accepted map[string]bool   // what the servers' parser has taken
	froms    map[string]string // by cell, the profile as it was given
}

func (m cellMaker) scenario(c choice) (scenario, error) {
	t, _ := topologies.Find(c.topology) // was checked when it was read
	from, ok := m.origins[c.profile]
	if !ok && c.profile != "" {
		found, err := findProfiles([]string{c.profile})
		if err != nil {
			return scenario{}, err
		}
		from = found[0]
		from.pings = m.options.Matrix.Pings
		m.origins[c.profile] = from
	}
	row := m.all
	settings, common, own, err := configured(c.row, m.all.common)
	if err != nil {
		return scenario{}, err
	}
	row.common = common
	if c.clients != "" {
		row.clients = count(c.clients)
		own = append(own, axisClients+"="+c.clients)
	}
	on := m.options.Runtime
	if c.runtime != "" {
		on = m.options.Runtimes[c.runtime]
		own = append(own, axisRuntime+"="+c.runtime)
	}
	row.engines = m.options.enginesOn(on)
	if said := fmt.Sprint(t.Name, row.nats, row.auth, on.Name()); !m.accepted[said] {
		if err := row.acceptable(t, on); err != nil {
			return scenario{}, err
		}
		m.accepted[said] = true
	}
	s, err := row.scenario(t, from, settings, own)
	if err == nil && c.runtime != "" {
		s = s.placed(on)
	}
	return s, err
}

// within skips a cell that would take too long. Whatever else of it could be judged would be called safe without an
// answer to what it is about.
func (s scenario) within(limit time.Duration) scenario {
	if takes := s.length(); limit > 0 && takes > limit {
		s.skip = fmt.Sprintf("it would take about %s, since its timers cannot be shortened further, and this matrix gives a cell %s; it can be run by itself",
			takes.Round(time.Second), limit)
		s.labs, s.left = nil, nil
	}
	return s
}

// only keeps the cells that a pattern names.
func only(scenarios []scenario, patterns []string) ([]scenario, error) {
	if len(patterns) == 0 {
		return scenarios, nil
	}
	kept := map[string]bool{}
	for _, pattern := range patterns {
		n := len(kept)
		found := false
		for _, s := range scenarios {
			ok, err := like(pattern, s.name)
			if err != nil {
				return nil, fmt.Errorf("--only %q: %w", pattern, err)
			}
			if ok {
				kept[s.name], found = true, true
			}
		}
		if !found && n == len(kept) {
			return nil, fmt.Errorf("--only %q names no cell; the first is %s (--list names all)", pattern, scenarios[0].name)
		}
	}
	return slices.DeleteFunc(slices.Clone(scenarios), func(s scenario) bool { return !kept[s.name] }), nil
}

// like matches a cell's name, in which * stands for anything, slashes included.
func like(pattern, name string) (bool, error) {
	flat := strings.NewReplacer("/", "\x00", "[", "\\[")
	return path.Match(flat.Replace(pattern), flat.Replace(name))
}

// shard is the i-th of n parts of the cells, the same on every machine. Cells that share a lab stay together, and the
// parts are to take as long as each other.
func shard(scenarios []scenario, which string) ([]scenario, error) {
	if which == "" {
		return scenarios, nil
	}
	i, n, err := parseShard(which)
	if err != nil {
		return nil, err
	}
	groups := map[string]time.Duration{} // by what the longest lab of a cell is like
	for _, s := range scenarios {
		groups[s.kind()] += s.length() + time.Second // a cell costs something even where it waits for nothing
	}
	order := slices.SortedFunc(maps.Keys(groups), func(a, b string) int { return cmp.Or(cmp.Compare(groups[b], groups[a]), cmp.Compare(a, b)) })
	loads, parts := make([]time.Duration, n), map[string]int{}
	for _, kind := range order {
		least := slices.Index(loads, slices.Min(loads))
		loads[least] += groups[kind]
		parts[kind] = least
	}
	mine := slices.DeleteFunc(slices.Clone(scenarios), func(s scenario) bool { return parts[s.kind()] != i-1 })
	if len(mine) == 0 {
		return nil, fmt.Errorf("--shard %s: there are too few cells for so many parts (%d)", which, len(scenarios))
	}
	return mine, nil
}

// kind is the same for cells whose longest lab is the same.
func (s scenario) kind() string {
	if len(s.labs) == 0 {
		return s.name
	}
	return slices.MaxFunc(s.labs, func(a, b lab) int { return cmp.Compare(a.length(), b.length()) }).likeness()
}

func parseShard(which string) (i, n int, err error) {
	part, parts, ok := strings.Cut(which, "/")
	i, err = strconv.Atoi(part)
	if ok && err == nil {
		n, err = strconv.Atoi(parts)
	}
	if !ok || err != nil || i < 1 || n < i {
		return 0, 0, fmt.Errorf("--shard %q: want I/N, the part and how many there are, as in 2/3", which)
	}
	return i, n, nil
}

// Run runs the cells, and holds them against the baseline.
func (p MatrixPlan) Run(ctx context.Context, say func(Progress)) report.Report {
	began, before := time.Now(), spent()
	verdicts, interrupted := p.run(ctx, say, began)
	wall, cpu := time.Since(began), spent()-before
	made := p.report(verdicts, began, interrupted)
	made.Matrix = &report.Matrix{Suite: p.cells.suite, Shard: p.cells.shard, WallS: rounded(wall), CPUS: rounded(cpu),
		Apart: p.apart(), BoundS: rounded(max(longest(verdicts), cpu/time.Duration(runtime.NumCPU())))}
	if p.cells.file != "" {
		compared := report.Compare(p.cells.file, p.cells.want, p.unsettled(made.Scenarios, verdicts))
		made.Matrix.Baseline = &compared
	}
	return made
}

// apart reports whether nodes run that are no children of this process, as its own are: nobody tells it what they use.
func (p MatrixPlan) apart() bool {
	return slices.ContainsFunc(p.scenarios, func(s scenario) bool { return s.skip == "" && s.runtime(p.options.Runtime).Name() != defaultRuntime })
}

// unsettled leaves out the cells that were what they are expected to be when they were run again: they are flaky, and no change.
func (p MatrixPlan) unsettled(scenarios []report.Scenario, verdicts []verdict) []report.Scenario {
	var all []report.Scenario
	for i, s := range scenarios {
		if v := verdicts[i]; !v.flaky || v.last != p.cells.want(s.Name) {
			all = append(all, s)
		}
	}
	return all
}

// longest is how long the longest cell took.
func longest(verdicts []verdict) (most time.Duration) {
	for _, v := range verdicts {
		for _, r := range v.results {
			most = max(most, r.took)
		}
	}
	return most
}

// rounded is in seconds, to the millisecond.
func rounded(d time.Duration) float64 { return d.Round(time.Millisecond).Seconds() }
