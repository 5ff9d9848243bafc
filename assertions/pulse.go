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
				if late := time.Since(asked) - glance; ctx.Err() == nil && late > prompt && !away(rec, n.Name, rec.Since(asked)) {
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

// away reports whether the lab had taken a node away at some time since then, or has brought it back only just now:
// the tester's own connection to it has to be made again.
func away(rec *Recorder, node string, since time.Duration) bool {
	lost, ever := false, false
	var back time.Duration
	for _, e := range rec.Events() {
		switch {
		case e.From != Lab || e.Node != node:
		case e.Kind == "node-lost":
			lost, ever = true, true
		case e.Kind == "node-back":
			lost, back = false, e.At
		}
	}
	// nats.go waits two seconds before it dials again, and a flush that began before that waits for it.
	return lost || ever && since < back+5*time.Second
}
