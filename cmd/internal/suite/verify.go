package suite

import (
	"context"
	"sync"

	"github.com/lbtest/lbtest/assertions"
)

// verify applies each advice that a lab can try to its scenario, runs that again, and notes whether it
// was safe then.
func (r *run) verify(ctx context.Context, verdicts []verdict) {
	var wg sync.WaitGroup
	var mu sync.Mutex
	wanted, auto, _ := parseScale(r.plan.options.TimeScale)
	for i, v := range verdicts {
		if w := v.worst(); w != assertions.Unsafe && w != assertions.Risky {
			continue
		}
		for _, a := range v.advice() {
			if len(a.Nats)+len(a.Set) == 0 || ctx.Err() != nil {
				continue
			}
			changed, err := v.scenario.with(a.Set, a.Nats, scaling{wanted, auto}, r.plan.seed)
			if err != nil {
				r.note("advice %q cannot be tried: %v", a.Text, err)
				continue
			}
			r.begin(ctx, changed, &wg, func(tried verdict) {
				mu.Lock()
				defer mu.Unlock()
				if ctx.Err() != nil {
					return
				}
				if verdicts[i].verified == nil {
					verdicts[i].verified = map[string]bool{}
				}
				verdicts[i].verified[a.Text] = tried.worst() == assertions.Safe
				r.note("%s with advice %q: %s", v.scenario.name, a.Text, tried.worst())
			})
		}
	}
	wg.Wait()
}
