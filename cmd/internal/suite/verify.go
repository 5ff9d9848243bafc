package suite

import (
	"context"
	"sync"

	"github.com/lbtest/lbtest/assertions"
)

// trial is an advice applied to its scenario.
type trial struct {
	of     int // the scenario's place among the verdicts
	advice assertions.Advice
	tried  verdict
}

// verify applies each advice that a lab can try to its scenario, runs that again, and notes whether it
// was safe then. What could not be judged is left unsaid.
func (r *run) verify(ctx context.Context, verdicts []verdict) {
	trials := r.trials(verdicts)
	var wg sync.WaitGroup
	for i := range trials {
		r.try(ctx, &trials[i], &wg)
	}
	wg.Wait()
	for i := range trials {
		t := &trials[i]
		if t.tried.marginal() && ctx.Err() == nil {
			first := t.tried
			r.try(ctx, t, &wg)
			wg.Wait()
			t.tried = merge(first, t.tried)
		}
		told := t.tried.worst()
		r.note("%s with advice %q: %s", verdicts[t.of].scenario.name, t.advice.Text, told)
		if told == assertions.Errored || told == assertions.Skipped || ctx.Err() != nil {
			continue
		}
		if verdicts[t.of].verified == nil {
			verdicts[t.of].verified = map[string]bool{}
		}
		verdicts[t.of].verified[t.advice.Text] = told == assertions.Safe
	}
}

// trials are the scenarios that an advice may repair, each as the advice has it.
func (r *run) trials(verdicts []verdict) []trial {
	var trials []trial
	wanted, _ := parseScale(r.plan.options.TimeScale) // was checked when the plan was made
	for i, v := range verdicts {
		if w := v.worst(); w != assertions.Unsafe && w != assertions.Risky {
			continue
		}
		for _, a := range v.advice() {
			if len(a.Nats)+len(a.Set)+len(a.Client)+len(a.Node) == 0 {
				continue
			}
			changed, err := v.scenario.with(a, wanted, r.plan.seed)
			if err != nil {
				r.note("advice %q cannot be tried: %v", a.Text, err)
				continue
			}
			trials = append(trials, trial{of: i, advice: a, tried: verdict{scenario: changed}})
		}
	}
	return trials
}

func (r *run) try(ctx context.Context, t *trial, wg *sync.WaitGroup) {
	r.begin(ctx, t.tried.scenario, wg, func(v verdict) {
		t.tried = v
		r.mu.Lock()
		delete(r.running, v.scenario.name)
		r.mu.Unlock()
	})
}
