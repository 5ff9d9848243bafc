package assertions

import (
	"context"
	"time"
)

// Spells is how many quiet spells a quiet lab has. Whether a message is lost depends on where in the
// ping interval the silence began, so it takes several.
const Spells = 5

// unformed is when a quiet lab speaks whose links were never whole.
const unformed = "unformed"

// quietly leaves the links between servers alone for a whole spell, again and again, and speaks up at the very moment
// at which the balancer ends one of them: a gap is measured, not hoped for. In the first window it only
// watches, so that closes can be counted.
//
//	watch …………………… │ spell ……… (cut) │ talk until healed │ spell ……… │ talk │ …
var quietly = &Observation{Name: "quiet", Alone: true, Watch: func(ctx context.Context, t Target, rec *Recorder) error {
	c, err := gather(t, rec, t.apart()...)
	if err != nil {
		return err
	}
	defer c.close()
	c.tune(ctx)

	rec.Add(Event{From: Lab, Kind: "watch-begin"})
	rest(ctx, t.Terms.Watch())
	rec.Add(Event{From: Lab, Kind: "watch-end"})
	if !rec.Saw(Server, "mesh-full") {
		// It had its time. There is no quiet to break, but what is said now is promised all the same.
		first := c.next()
		c.talk(ctx, time.Second, time.Second, nil)
		c.report(first, unformed)
		rec.Add(Event{From: Client, Kind: "unhealed"})
		return ctx.Err()
	}
	c.talk(ctx, 0, back+t.Terms.Notice(), wholeLinks(ctx, t, rec))

	for spell, costly := 1, 0; spell <= Spells && costly < 2 && ctx.Err() == nil; spell++ {
		// It takes all spells to say that nothing is lost; two that lost something have said enough, and so
		// has one after which the links do not come back.
		lost, healed := quietSpell(ctx, t, rec, c, spell)
		if !healed {
			break
		}
		if lost > 0 {
			costly++
		}
	}
	return ctx.Err()
}}

// quietSpell reports how many messages the spell cost, and whether all was well again afterwards.
func quietSpell(ctx context.Context, t Target, rec *Recorder, c *chorus, spell int) (lost int, healed bool) {
	apart := lookAtLinks(ctx, t).apart()
	place := rec.Len()
	rec.Add(Event{From: Lab, Kind: "quiet-begin", Seq: spell})
	quiet, cancel := context.WithTimeout(ctx, t.Terms.Quiet())
	cut, ended := rec.Await(quiet, place, func(e Event) bool {
		return idled(e) && !apart[e.Addr]
	})
	cancel()
	e := Event{From: Lab, Kind: "quiet-end", Seq: spell}
	if ended {
		e.Why, e.Conn = "cut", cut.Conn
	}
	rec.Add(e)

	first := c.next()
	least, limit := 10*each, back
	if ended {
		// A connection comes back a good second after its end; one that was ended silently must first be missed.
		least, limit = 1500*time.Millisecond, back+t.Terms.Notice()
	}
	healed = c.talk(ctx, least, limit, wholeLinks(ctx, t, rec))
	lost = c.report(first, "spell")
	kind := "healed"
	if !healed {
		kind = "unhealed"
	}
	rec.Add(Event{From: Client, Kind: kind, Seq: spell})
	return lost, healed
}
