package assertions

import (
	"context"
	"errors"
	"net"
	"sync"
	"syscall"
	"time"
)

// Scouting tries what nodes tell others to dial past the balancer, without any NATS.
var Scouting = &Observation{Name: "scouting", Watch: func(ctx context.Context, t Target, rec *Recorder) error {
	var all sync.WaitGroup
	for _, n := range t.Nodes {
		if n.Told == "" {
			continue
		}
		all.Go(func() {
			// One second: on this machine, whatever answers answers at once.
			limited, cancel := context.WithTimeout(ctx, time.Second)
			defer cancel()
			e := Event{From: Probe, Kind: "tried", Node: n.Name, Dial: n.Told, How: "closed"}
			c, err := (&net.Dialer{}).DialContext(limited, "tcp", n.Told)
			switch {
			case err == nil:
				e.How = "open"
				c.Close()
			case errors.Is(err, syscall.ECONNREFUSED):
				e.How = "refused"
			}
			rec.Add(e)
		})
	}
	all.Wait()
	return ctx.Err()
}}
