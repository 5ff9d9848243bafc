package assertions

import (
	"context"
	"time"
)

// endless is longer than any lab: what ends such a wait is its context.
const endless = 24 * time.Hour

// talking keeps every account of every node talking through the event, so that each message that a
// link does not carry is missed.
var talking = &Observation{Name: "traffic", Strikes: true, Watch: func(ctx context.Context, t Target, rec *Recorder) error {
	c, err := gather(t, rec, t.apart()...)
	if err != nil {
		return err
	}
	defer c.close()
	c.tune(ctx)
	first := c.next()
	stop := followed(ctx, t, rec)
	defer stop()
	// Two seconds before the event show what is usual.
	c.talk(ctx, 2*time.Second, 2*time.Second, nil)

	during, over := context.WithCancel(ctx)
	defer over()
	struck := make(chan error, 1)
	go func() {
		err := t.Control.Strike(ctx)
		over()
		struck <- err
	}()
	// As long as it takes: others may not be ready for the event yet.
	c.talk(during, endless, endless, nil)
	if err := <-struck; err != nil {
		return err
	}

	least := 3 * time.Second // a connection is made again within about one
	if life := t.Terms.Lifetime; life > 0 {
		least = 3*life + 3*time.Second // several generations of connections
	}
	limit := back
	if !rec.Saw(Server, "mesh-full") {
		limit = least // it had its time before
	}
	if least > limit {
		limit = least + back
	}
	healed := c.talk(ctx, least, limit, wholeLinks(ctx, t, rec))
	stop()
	c.report(first, "event")
	kind := "healed"
	if !healed {
		kind = "unhealed"
	}
	rec.Add(Event{From: Client, Kind: kind})
	return ctx.Err()
}}
