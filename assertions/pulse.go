package assertions

import (
	"context"
	"sync"
	"time"
)

// Pulse asks every node for a sign of life ten times a second, on the direct way past the balancer, and
// writes down when one took long. Whatever else is late then is late for want of CPU: a lab that was
// starved says nothing about a balancer.
var Pulse = &Observation{Name: "pulse", Aside: true, Watch: func(ctx context.Context, t Target, rec *Recorder) error {
	var wg sync.WaitGroup
	defer wg.Wait()
	for _, n := range t.Nodes {
		nc, err := t.connect(n, t.plain()[0])
		if err != nil {
			return err
		}
		defer nc.Close()
		wg.Go(func() {
			for ctx.Err() == nil {
				asked := time.Now()
				rest(ctx, glance)
				_ = nc.FlushTimeout(10 * time.Second) // one that takes that long is late enough
				if late := time.Since(asked) - glance; ctx.Err() == nil && late > prompt {
					rec.Add(Event{From: Lab, Kind: "late", Node: n.Name, Took: late})
				}
			}
		})
	}
	wg.Wait()
	return nil
}}

// prompt is how quickly a node on this machine answers unless CPU is short; usually it is half a
// millisecond.
const prompt = 50 * time.Millisecond

// starved is the lateness from which on a lab's bad news is not believed: half of what the contract's
// tolerance and the distance of scaled timers allow.
const starved = 250 * time.Millisecond

// Starved returns the longest time for which a node, or lbtest itself, got no CPU, and whether that is
// too long to blame the balancer for anything.
func Starved(h History) (worst time.Duration, too bool) {
	for _, e := range h.Kind(Lab, "late") {
		worst = max(worst, e.Took)
	}
	return worst, worst > starved
}
