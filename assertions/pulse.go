package assertions

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// Pulse asks every node for a sign of life ten times a second, on the direct way past the balancer, and
// writes down when one took long, and so for the disk. Whatever else is late then is late for want of CPU, or of the disk: a lab
// that was starved says nothing about a balancer.
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
	for _, n := range t.Nodes {
		if n.Log != "" {
			wg.Go(func() { pulseOfDisk(ctx, rec, filepath.Dir(n.Log)) })
			break // the others' stores are beside it
		}
	}
	wg.Wait()
	return nil
}}

// pulseOfDisk writes a byte once a second where nodes have their stores, and waits until it is there: JetStream makes no stream
// and Raft casts no vote before that.
func pulseOfDisk(ctx context.Context, rec *Recorder, dir string) {
	path := filepath.Join(dir, "pulse")
	defer os.Remove(path)
	for ctx.Err() == nil {
		asked := time.Now()
		if err := synced(path); err != nil {
			return // a directory of somebody else's
		}
		if late := time.Since(asked); late > prompt {
			rec.Add(Event{From: Lab, Kind: "late", Node: "disk", Took: late})
		}
		rest(ctx, time.Second)
	}
}

func synced(path string) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write([]byte{1})
	return errors.Join(err, f.Sync(), f.Close())
}

// prompt is how quickly a node on this machine answers unless CPU is short; usually it is half a
// millisecond.
const prompt = 50 * time.Millisecond

// Unpunctual is how late any machine is now and then, and what makes no verdict.
const Unpunctual = 100 * time.Millisecond

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
