package suite

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/lbtest/lbtest/assertions"
	"github.com/lbtest/lbtest/proxies"
	"github.com/lbtest/lbtest/topologies"
)

// Cells of a matrix often ask for the same lab: timeouts of a day and of a quarter of an hour are both simulated as ten
// minutes, and what one load balancer does by design another does by default. Such a lab runs once, and each cell reads
// what was seen in it against what it asked for itself.

// once launches a lab, or finds the same one that another cell has started in this round.
func (r *run) once(ctx context.Context, l lab, wg *sync.WaitGroup, started func()) *outcome {
	if r.plan.cells == nil || len(l.beside) > 0 {
		return r.launch(ctx, l, wg, started)
	}
	alike := l.likeness()
	if o, ok := r.labs[alike]; ok {
		started()
		return o
	}
	l.proves = r.plan.cells.duties[alike]
	o := r.launch(ctx, l, wg, started)
	r.labs[alike] = o
	return o
}

// duties are, by likeness, what labs prove for all the cells that share them.
func duties(scenarios []scenario) map[string]map[string]string {
	all := map[string]map[string]string{}
	for _, s := range scenarios {
		for _, l := range s.labs {
			alike := l.likeness()
			if all[alike] == nil {
				all[alike] = map[string]string{}
			}
			maps.Copy(all[alike], l.proves) // however each cell put it, it comes to the same value
		}
	}
	return all
}

// likeness is the same for labs in which the same happens and the same is watched, whatever the load balancers are called,
// and whichever of its settings each cell wants proved. A proof that idle connections end is waited for, so labs without
// that duty keep apart.
func (l lab) likeness() string {
	var judged, beside []string
	for _, a := range l.judged {
		judged = append(judged, a.Name+"/"+a.Observe.Name)
	}
	for _, n := range l.neighbours {
		beside = append(beside, fmt.Sprint(n.link, n.fronts, values(n.profile, nil)))
	}
	return fmt.Sprint(l.key(), l.clients, l.fronts, l.starts, values(l.profile, l.mute), l.terms().ProvesIdle(), judged, beside)
}

// values are what a profile does, setting by setting, without those that have no effect.
func values(p proxies.Profile, mute []string) []string {
	var all []string
	for _, s := range proxies.Settings() {
		if !slices.Contains(mute, s.Name) {
			all = append(all, s.Name+"="+p.Value(s.Name))
		}
	}
	return all
}

// read is what was seen in a lab as this one reads it: a lab that several share says how each of them put its settings.
func (l lab) read(o outcome) outcome {
	o.histories = slices.Clone(o.histories)
	for i := range o.histories {
		o.histories[i].Terms.Settings = l.proves
	}
	return o
}

// runtime is what a lab runs on.
func (r *run) runtime(l lab) topologies.Runtime {
	if l.on != nil {
		return l.on
	}
	return r.plan.options.Runtime
}

// unfinished is a scenario that the run ended before. In a matrix, what there was no time for is skipped.
func (r *run) unfinished(v verdict, cause error) verdict {
	if _, late := cause.(overdue); late && r.plan.cells != nil {
		v.scenario.skip, v.results = cause.Error(), nil
		return v
	}
	v.err = cause
	return v
}

// retry runs the cells that failed again, as often as was asked for. One that then turns out as it should is flaky.
func (r *run) retry(ctx context.Context, verdicts []verdict) {
	if r.plan.cells == nil {
		return
	}
	for n := range r.plan.cells.retries {
		var failed []int
		for i, v := range verdicts {
			if r.plan.cells.failed(v) {
				failed = append(failed, i)
			}
		}
		r.again(ctx, verdicts, calm(), slices.Values(failed), verdict.whole, fmt.Sprintf("as retry %d", n+1))
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	clear(r.running)
}

// cells is what a plan knows that is a matrix.
type cells struct {
	suite, shard string
	file         string // of the baseline; "" for none
	expected     map[string]assertions.Verdict
	retries      int
	write        bool
	duties       map[string]map[string]string // what labs prove that cells share
}

// want is what a cell is expected to be. What the baseline does not mention is expected to be safe.
func (c cells) want(cell string) assertions.Verdict {
	if v, ok := c.expected[cell]; ok {
		return v
	}
	return assertions.Safe
}

// failed reports whether a cell is to be run again: against a baseline one that is not what it is expected to be, and
// without one an unsafe cell. One that was as it should be when it ran last has been run often enough.
func (c cells) failed(v verdict) bool {
	is, last := v.worst(), v.last
	switch {
	case is == assertions.Errored || is == assertions.Skipped:
		return false // lbtest's own failures have been repeated already
	case c.file == "" || c.write:
		return is == assertions.Unsafe && (last == "" || last == assertions.Unsafe)
	}
	want := c.want(v.scenario.name)
	return is != want && last != want
}
