package assertions

import (
	"context"
	"errors"
	"time"
)

// parting is what a leaf node does that loses its node of the hub: that node is killed, and the balancer takes it out of
// rotation in the same moment, so that what is seen is where the leaf node looks for another one.
var parting = &Observation{Name: "parting", Own: true,
	// Three addresses that do not answer take up to three seconds each: a second's dial, and a pause of up to two.
	Takes: func(Terms) time.Duration { return 20 * time.Second },
	Watch: func(ctx context.Context, t Target, rec *Recorder) error {
		names := t.Terms.leafNodes()
		if len(names) == 0 {
			return errors.New("parting a leaf node from its hub: the target has none")
		}
		leaf := names[0]
		node, addr, known := lookAtLeaves(ctx, t).hub(leaf)
		if !known {
			rec.Add(Event{From: Server, Kind: "unjoined", Node: leaf}) // it had its time
			return ctx.Err()
		}
		rec.Add(Event{From: Server, Kind: "joined-at", Node: leaf, Peer: node, Addr: addr})
		// A hub tells what it knows at once; a second is a thousand times that.
		rest(ctx, time.Second)
		if err := t.Control.Remove(node); err != nil {
			return err
		}
		if err := t.Control.Kill(node); err != nil {
			return err
		}
		began := rec.Now()
		rec.Add(Event{From: Lab, Kind: "parted", Node: leaf, Peer: node})
		limited, cancel := context.WithTimeout(ctx, back)
		defer cancel()
		var at, dialled string
		// A fiftieth of the second that a leaf node waits before it dials again.
		joined := every(limited, 20*time.Millisecond, func() bool {
			at, dialled, known = lookAtLeaves(limited, t).hub(leaf)
			return known && at != node
		})
		e := Event{From: Server, Kind: "rejoined", Node: leaf, Peer: at, Addr: dialled, Took: rec.Now() - began}
		if !joined {
			e = Event{From: Server, Kind: "unjoined", Node: leaf, Took: rec.Now() - began}
		}
		rec.Add(e)
		if err := t.Control.Start(ctx, node); err != nil {
			return err
		}
		if err := t.Control.Restore(node); err != nil {
			return err
		}
		rec.Add(Event{From: Lab, Kind: "watched", Why: "parting"})
		return ctx.Err()
	}}
