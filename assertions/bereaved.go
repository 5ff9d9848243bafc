package assertions

import (
	"context"
	"time"
)

// bereaved is what an application does that loses its node: one connection, until the gossip has had its time, then the
// node is killed. The balancer takes it out of rotation in the same moment, so that what is seen is where the client
// looks for another node, and not how long health checks take.
var bereaved = &Observation{Name: "bereaved", Own: true,
	Takes: func(Terms) time.Duration { return 15 * time.Second }, // four addresses of two seconds each
	Watch: func(ctx context.Context, t Target, rec *Recorder) error {
		p, err := t.open(rec, t.plain()[0], "bereaved")
		if err != nil {
			rec.Add(Event{From: Client, Kind: "unconnected", App: "bereaved", Why: err.Error()})
			return ctx.Err()
		}
		defer p.Close()
		// A server sends what it learns at once; a second is a thousand times that.
		rest(ctx, time.Second)
		for _, url := range p.DiscoveredServers() {
			rec.Add(Event{From: Client, Kind: "discovered", App: p.name, Dial: url})
		}
		node, place := p.ConnectedServerName(), rec.Len()
		if err := t.Control.Remove(node); err != nil {
			return err
		}
		if err := t.Control.Kill(node); err != nil {
			return err
		}
		limited, cancel := context.WithTimeout(ctx, back)
		defer cancel()
		rec.Await(limited, place, func(e Event) bool {
			return e.App == p.name && (e.Kind == "reconnected" || e.Kind == "closed")
		})
		// One round trip says that the new connection is of use.
		if p.FlushTimeout(2*time.Second) == nil {
			rec.Add(Event{From: Client, Kind: "answered", App: p.name})
		}
		if err := t.Control.Start(ctx, node); err != nil {
			return err
		}
		return t.Control.Restore(node)
	}}
