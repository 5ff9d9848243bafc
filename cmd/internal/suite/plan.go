package suite

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/lbtest/lbtest/assertions"
	"github.com/lbtest/lbtest/proxies"
	"github.com/lbtest/lbtest/topologies"
)

// Plan is what a run will do. Nothing has started.
type Plan struct {
	options   Options
	scenarios []scenario
	seed      int64
	cells     *cells // what is said of a matrix alone; nil for a run
}

// NewPlan checks everything that was given and lays out the scenarios. Its errors are the user's.
func NewPlan(o Options) (Plan, error) {
	all, err := o.read()
	p := Plan{options: o, seed: all.seed}
	if err != nil {
		return p, err
	}
	tops, err := findTopologies(o.Topologies)
	if err != nil {
		return p, err
	}
	sweep, err := findSweep(o.Sweep, tops)
	if err != nil {
		return p, err
	}
	if o.Sweep != "" && len(o.Set)+len(o.Profiles) > 0 {
		return p, fmt.Errorf("--sweep %s brings settings of its own: leave it out, or --set and --profile", o.Sweep)
	}
	var set []string
	for _, list := range o.Set {
		set = append(set, proxies.Pairs(list)...)
	}
	origins, err := findProfiles(o.Profiles)
	if err != nil {
		return p, err
	}
	for _, t := range tops {
		if err := all.acceptable(t, o.Runtime); err != nil {
			return p, err
		}
		configurations := sweep.rows[t.Name]
		if !p.Sweep() {
			configurations = [][]string{set}
		}
		for _, from := range origins {
			for _, settings := range configurations {
				row := all
				var own []string
				if p.Sweep() {
					if settings, row.common, own, err = configured(settings, all.common); err != nil {
						return p, fmt.Errorf("the sweep of %s: %w", t.Name, err)
					}
				}
				s, err := row.scenario(t, from, settings, own)
				if err != nil {
					return p, err
				}
				p.scenarios = append(p.scenarios, s)
			}
		}
	}
	return p, p.something()
}

// given is what options say about every scenario, read.
type given struct {
	common
	chosen []assertions.Assertion
	wanted float64 // how far time may be shortened at the most
	seed   int64
}

// read checks what holds for every scenario. Its errors are the user's.
func (o Options) read() (given, error) {
	g := given{seed: o.Seed, common: common{clients: o.Clients, engines: o.enginesOn(o.Runtime)}}
	if g.seed == 0 {
		g.seed = 1 + rand.Int64N(1<<31) // short enough to be typed again
	}
	var err error
	if g.wanted, err = parseScale(o.TimeScale); err != nil {
		return g, err
	}
	switch {
	case o.Parallel < 0:
		return g, fmt.Errorf("--parallel %d: want a number of labs from 1 up, or leave it out", o.Parallel)
	case o.Clients < 0:
		return g, fmt.Errorf("--clients %d: want the number of client connections that are expected at once, from 1 up", o.Clients)
	case o.RunTimeout < 0:
		return g, fmt.Errorf("--run-timeout %s: want a duration above zero", o.RunTimeout)
	case o.Clients == 0:
		g.clients = usualClients
	}
	if g.client, err = assertions.ParseClientTuning(o.Client); err != nil {
		return g, err
	}
	if g.chosen, err = choose(o.Assert); err != nil {
		return g, err
	}
	if g.limits, err = topologies.ParseLimits(o.Node); err != nil {
		return g, fmt.Errorf("--node %w", err)
	}
	for _, pair := range o.Nats {
		kv, err := topologies.ParseKeyValue(pair)
		if err != nil {
			return g, fmt.Errorf("--nats %w", err)
		}
		g.nats = append(g.nats, kv)
	}
	g.auth, err = login(o.Auth, g.nats)
	return g, err
}

// acceptable asks the server's own parser about the configuration of a topology.
func (g given) acceptable(t topologies.Topology, to topologies.Runtime) error {
	for _, jetStream := range []bool{true, false} {
		build, err := checkable(topologies.Build{Topology: t, Tuning: topologies.Tuning{Nats: g.nats}, Limits: g.limits, JetStream: jetStream}, g.auth)
		if err != nil {
			return err
		}
		if err := to.Check(build); err != nil {
			return err
		}
	}
	return nil
}

// scenario is one configuration of a topology; own are what its name says beside the balancer's settings.
func (g given) scenario(t topologies.Topology, from origin, settings, own []string) (scenario, error) {
	s, err := newScenario(t, from, settings, g.common, g.chosen, g.wanted, g.seed)
	if err != nil {
		return s, err
	}
	s.name = strings.Join(append([]string{s.name}, own...), ",")
	return s, s.possible()
}

// something refuses a choice of assertions of which none can be judged.
func (p Plan) something() error {
	judged := func(s scenario) bool { return len(s.labs)+len(s.left) > 0 || s.skip != "" }
	if o := p.options; len(o.Assert) > 0 && !slices.ContainsFunc(p.scenarios, judged) {
		var where []string
		for _, s := range p.scenarios {
			if !slices.Contains(where, s.topology.Name) {
				where = append(where, s.topology.Name)
			}
		}
		return fmt.Errorf("--assert %s selects nothing that can be judged on %s", strings.Join(o.Assert, " "), strings.Join(where, ", "))
	}
	return nil
}

// usualClients is how many client connections are expected where nothing is said: the contract's default.
const usualClients = 100

// Sweep reports whether the run asks which settings are safe, rather than about one configuration. Limits of nodes are
// one as well: what they bear, behind a balancer that only forwards.
func (p Plan) Sweep() bool {
	return p.options.Sweep != "" || len(p.options.Set)+len(p.options.Profiles)+len(p.options.Node) == 0
}

// Seed is the run's seed: the one given, or the one drawn.
func (p Plan) Seed() int64 { return p.seed }

// Scenarios names what will be run, in order.
func (p Plan) Scenarios() []string {
	names := make([]string, len(p.scenarios))
	for i, s := range p.scenarios {
		names[i] = s.name
	}
	return names
}

func findTopologies(names []string) ([]topologies.Topology, error) {
	var all []string
	for _, t := range topologies.All() {
		all = append(all, t.Name)
	}
	if len(names) == 0 {
		return nil, fmt.Errorf("no --topology is given; topologies are %s", strings.Join(all, ", "))
	}
	var found []topologies.Topology
	for i, name := range names {
		t, ok := topologies.Find(name)
		switch {
		case !ok:
			return nil, fmt.Errorf("--topology %q: no such topology; topologies are %s", name, strings.Join(all, ", "))
		case slices.Contains(names[:i], name):
			return nil, fmt.Errorf("--topology %s is given twice", name)
		}
		found = append(found, t)
	}
	return found, nil
}

// choose returns the assertions that --assert selects; nil for the choice by settings.
func choose(patterns []string) ([]assertions.Assertion, error) {
	var chosen []assertions.Assertion
	for _, pattern := range patterns {
		matched, err := assertions.Match(pattern)
		if err != nil {
			return nil, fmt.Errorf("--assert: %w", err)
		}
		if len(matched) == 0 {
			var names []string
			for _, a := range assertions.All() {
				names = append(names, a.Name)
			}
			meant := ""
			if near := assertions.Near(pattern); len(near) > 0 {
				meant = ": did you mean " + strings.Join(near, " or ") + "?"
			}
			return nil, fmt.Errorf("--assert %q selects nothing%s (assertions: %s)", pattern, meant, strings.Join(names, ", "))
		}
		for _, a := range matched {
			if !slices.ContainsFunc(chosen, func(c assertions.Assertion) bool { return c.Name == a.Name }) {
				chosen = append(chosen, a)
			}
		}
	}
	return chosen, nil
}

// usable asks the runtimes before anything is started.
func (p Plan) usable(ctx context.Context) error {
	limited, cancel := context.WithTimeout(ctx, 10*time.Second) // a question, not a start
	defer cancel()
	for _, runtime := range p.runtimes() {
		if err := runtime.Usable(limited); err != nil {
			return fmt.Errorf("runtime %s cannot be used here: %w", runtime.Name(), err)
		}
	}
	return nil
}

// runtimes are those that the scenarios run on, each once.
func (p Plan) runtimes() []topologies.Runtime {
	var all []topologies.Runtime
	for _, s := range p.scenarios {
		on := s.runtime(p.options.Runtime)
		if !slices.ContainsFunc(all, func(r topologies.Runtime) bool { return r.Name() == on.Name() }) {
			all = append(all, on)
		}
	}
	return all
}
