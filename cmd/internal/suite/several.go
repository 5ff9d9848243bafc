package suite

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/lbtest/lbtest/assertions"
	"github.com/lbtest/lbtest/proxies"
	"github.com/lbtest/lbtest/topologies"
)

// Where several link kinds are balanced, each has a balancer of its own, with settings of its own. A scenario then is a
// view of the topology for each kind: a view's labs judge what its kind promises, and the balancers of the other kinds stand
// there as they are set, in real time.

// neighbour is the balancer of a link that other labs judge.
type neighbour struct {
	link    topologies.Link
	profile proxies.Profile
	fronts  string
}

// views are the topology as each of its balanced links is judged: that link first.
func views(t topologies.Topology) []topologies.Topology {
	var all []topologies.Topology
	for _, link := range t.Balanced {
		view := t
		view.Balanced = append([]topologies.Link{link}, slices.DeleteFunc(slices.Clone(t.Balanced), func(l topologies.Link) bool { return l == link })...)
		all = append(all, view)
	}
	return all
}

// addressed returns the settings that are for a link: those for all, and in their place those for this one.
func addressed(t topologies.Topology, link topologies.Link, given []string) ([]string, error) {
	var all, own []string
	for _, pair := range given {
		name, _, _ := strings.Cut(pair, "=")
		kind, setting, ok := strings.Cut(name, ":")
		switch {
		case !ok:
			all = append(all, pair)
		case !slices.Contains(t.Balanced, topologies.Link(kind)):
			return nil, fmt.Errorf("--set %s: %s balances no link called %q; there is %s", pair, t.Name, kind, strings.Join(linkNames(t), ", "))
		case setting == "":
			return nil, fmt.Errorf("--set %q: want LINK:SETTING=VALUE, for example --set %s:idle-timeout=60s", pair, kind)
		case kind == string(link):
			own = append(own, strings.TrimPrefix(pair, kind+":"))
		}
	}
	for _, pair := range own {
		name, _, _ := strings.Cut(pair, "=")
		if len(t.Balanced) == 1 && slices.ContainsFunc(all, func(o string) bool { return strings.HasPrefix(o, name+"=") }) {
			continue // one balancer, told twice: the error is newView's
		}
		all = slices.DeleteFunc(all, func(o string) bool { return strings.HasPrefix(o, name+"=") })
	}
	return append(all, own...), nil
}

// newScenario is one configuration of a topology. Its errors are the user's.
func newScenario(t topologies.Topology, from origin, given []string, all common, chosen []assertions.Assertion, wanted float64, seed int64) (scenario, error) {
	var parts []scenario
	for _, view := range views(t) {
		own, err := addressed(t, view.Balanced[0], given)
		if err != nil {
			return scenario{}, err
		}
		part, err := newView(view, from, own, all, chosen, wanted, seed)
		if err != nil {
			return scenario{}, err
		}
		parts = append(parts, part)
	}
	if len(parts) == 1 {
		return parts[0], nil
	}
	return joined(t, from, given, parts), nil
}

// joined puts the views of a topology together.
func joined(t topologies.Topology, from origin, given []string, parts []scenario) scenario {
	s := parts[0]
	s.topology, s.name = t, from.scenario(t, given, parts[0].limits).name
	s.notes, s.labs, s.left, s.skip, s.given = nil, nil, nil, "", given
	s.settings, s.order, s.top = map[string]string{}, nil, nil
	var skipped []string
	for _, pair := range given {
		name, value, _ := strings.Cut(pair, "=")
		s.settings[name] = value
		s.order, s.top = append(s.order, name), append(s.top, name)
	}
	for i, p := range parts {
		var beside []neighbour
		for j, other := range parts {
			if i != j {
				beside = append(beside, neighbour{other.link(), other.profile, other.fronts()})
			}
		}
		for _, l := range p.labs {
			l.neighbours, l.security = beside, p.securityBeside(parts)
			s.labs = append(s.labs, l)
		}
		s.left = append(s.left, p.left...)
		for _, n := range p.notes {
			s.note(fmt.Sprintf("%s: %s", p.link(), n))
		}
		if p.skip != "" {
			skipped = append(skipped, fmt.Sprintf("%s: %s", p.link(), p.skip))
		}
	}
	if why := insecureTogether(parts); why != "" {
		s.labs, s.skip = nil, why
		return s
	}
	if len(s.labs) == 0 {
		s.skip = strings.Join(skipped, "; ")
		return s
	}
	for _, why := range skipped {
		s.note(why)
	}
	return s
}

// openBeside puts the neighbours' balancers in their places, side by side. With an error come those that did open.
func (l lab) openBeside(ctx context.Context, at site) ([]stand, error) {
	made, errs := make([]stand, len(l.neighbours)), make([]error, len(l.neighbours))
	var all sync.WaitGroup
	for i, n := range l.neighbours {
		all.Go(func() {
			var fronts []proxies.Front
			for _, f := range l.topology.Frontends(n.link, n.fronts == "per-node") {
				fronts = append(fronts, proxies.Front{Name: f.Name})
			}
			if made[i], errs[i] = at.openBeside(ctx, "lb-"+string(n.link), opening{profile: n.profile, factor: 1, fronts: fronts}); errs[i] != nil {
				errs[i] = fmt.Errorf("opening the balancer of %s: %w", n.link, errs[i])
			}
		})
	}
	all.Wait()
	return slices.DeleteFunc(made, func(s stand) bool { return s.balancer == nil }), errors.Join(errs...)
}

// balancers are that of the link that is judged, and those beside it that something may happen to at the same time.
type balancers struct {
	balancer
	beside []stand
}

// Strike lets the event happen to all at once.
func (b balancers) Strike(ctx context.Context) error {
	errs := make([]error, len(b.beside)+1)
	var all sync.WaitGroup
	for i, other := range b.beside {
		all.Go(func() { errs[i] = other.Strike(ctx) })
	}
	errs[len(b.beside)] = b.balancer.Strike(ctx)
	all.Wait()
	return errors.Join(errs...)
}
