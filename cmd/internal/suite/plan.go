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
}

// NewPlan checks everything that was given and lays out the scenarios. Its errors are the user's.
func NewPlan(o Options) (Plan, error) {
	p := Plan{options: o, seed: o.Seed}
	if p.seed == 0 {
		p.seed = 1 + rand.Int64N(1<<31) // short enough to be typed again
	}
	wanted, err := parseScale(o.TimeScale)
	if err != nil {
		return p, err
	}
	if o.Parallel < 0 {
		return p, fmt.Errorf("--parallel %d: want a number of labs from 1 up, or leave it out", o.Parallel)
	}
	if o.Clients < 0 {
		return p, fmt.Errorf("--clients %d: want the number of client connections that are expected at once, from 1 up", o.Clients)
	}
	if o.Clients == 0 {
		o.Clients = usualClients
	}
	if o.RunTimeout < 0 {
		return p, fmt.Errorf("--run-timeout %s: want a duration above zero", o.RunTimeout)
	}
	client, err := assertions.ParseClientTuning(o.Client)
	if err != nil {
		return p, err
	}
	chosen, err := choose(o.Assert)
	if err != nil {
		return p, err
	}
	limits, err := topologies.ParseLimits(o.Node)
	if err != nil {
		return p, fmt.Errorf("--node %w", err)
	}
	var nats []topologies.KeyValue
	for _, given := range o.Nats {
		kv, err := topologies.ParseKeyValue(given)
		if err != nil {
			return p, fmt.Errorf("--nats %w", err)
		}
		nats = append(nats, kv)
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
	auth, err := login(o.Auth, nats)
	if err != nil {
		return p, err
	}
	for _, t := range tops {
		for _, jetStream := range []bool{true, false} {
			build, err := checkable(topologies.Build{Topology: t, Tuning: topologies.Tuning{Nats: nats}, Limits: limits, JetStream: jetStream}, auth)
			if err != nil {
				return p, err
			}
			if err := o.Runtime.Check(build); err != nil {
				return p, err
			}
		}
		configurations := sweep.rows[t.Name]
		if !p.Sweep() {
			configurations = [][]string{set}
		}
		for _, from := range origins {
			for _, settings := range configurations {
				all := common{nats, client, o.Clients, auth, limits}
				var own []string
				if p.Sweep() {
					if settings, all, own, err = configured(settings, all); err != nil {
						return p, fmt.Errorf("the sweep of %s: %w", t.Name, err)
					}
				}
				s, err := newScenario(t, from, settings, all, chosen, wanted, p.seed)
				if err != nil {
					return p, err
				}
				s.name = strings.Join(append([]string{s.name}, own...), ",")
				if err := s.possible(); err != nil {
					return p, err
				}
				p.scenarios = append(p.scenarios, s)
			}
		}
	}
	if len(o.Assert) > 0 && !slices.ContainsFunc(p.scenarios, func(s scenario) bool { return len(s.labs)+len(s.left) > 0 || s.skip != "" }) {
		return p, fmt.Errorf("--assert %s selects nothing that can be judged on %s", strings.Join(o.Assert, " "), strings.Join(o.Topologies, ", "))
	}
	return p, nil
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

// usable asks the runtime before anything is started.
func (p Plan) usable(ctx context.Context) error {
	limited, cancel := context.WithTimeout(ctx, 10*time.Second) // a question, not a start
	defer cancel()
	if err := p.options.Runtime.Usable(limited); err != nil {
		return fmt.Errorf("runtime %s cannot be used here: %w", p.options.Runtime.Name(), err)
	}
	return nil
}
