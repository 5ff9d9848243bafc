package assertions

import (
	"context"
	"fmt"
	"sync"
	"time"
)

const (
	// firstPing is when a server has sent a client its first PING for sure: 2 s and up to a fifth after CONNECT
	// (server.go firstClientPingInterval), whatever the scale, or its interval if that is shorter.
	firstPing = 2400 * time.Millisecond
	// reconnecting is nats.go's unscaled pause before it dials again, and a second to use the connection.
	reconnecting = 3 * time.Second
)

// silence is the longest silence that is usual between a client and its server: the client's own PINGs come at every
// interval; the server's, which a client's word postpones, after two at the latest.
func (t Terms) silence() time.Duration {
	if t.ClientPing > 0 {
		return min(t.ClientPing, 2*t.ServerPing)
	}
	return 2 * t.ServerPing
}

// slumber is how long quiet applications are left alone: long enough that what can end between two PINGs does end,
// wherever in the interval the silence began; what ends sooner does so several times over.
func (t Terms) slumber() time.Duration {
	whole := t.silence() + max(t.Idle, t.silence())
	// A tenth for timers that are late on a busy machine.
	whole += whole/10 + firstPing
	if t.Idle > 0 && t.Idle < t.silence() {
		whole = min(whole, 3*(t.Idle+reconnecting)+firstPing)
	}
	if t.Lifetime > 0 {
		whole = max(min(whole, 3*(t.Lifetime+reconnecting)), 2*(t.Lifetime+reconnecting))
	}
	return max(whole, 3*time.Second)
}

// known is within which time the faster of client and server finds out by its own PINGs that the other is gone:
// the allowed ones unanswered, and one more.
func (t Terms) known() time.Duration {
	server, client := time.Duration(t.ServerPingMax+1)*t.ServerPing, time.Duration(t.ClientPingMax+1)*t.ClientPing
	if client > 0 {
		return min(server, client)
	}
	return server
}

// resting leaves quiet applications alone, each for a spell of its own: five of each workload, side by side, since what
// becomes of them depends on the phases of PINGs. At the very moment at which the balancer ends one's connection
// the lab has something for it: a gap is measured, not hoped for.
//
//	tune │ watching: quiet ……… (cut) │ talk until well │ quiet ……… │ talk │ settle │ watched
var resting = &Observation{Name: "resting applications", Alone: true,
	Takes: func(t Terms) time.Duration {
		takes := t.slumber() + 2*reconnecting
		if t.Idle > 0 && t.Idle < t.silence() && (t.Expiry == "silent" || t.Expiry == "rst-on-next") {
			takes += t.known()
		}
		return takes
	},
	Watch: func(ctx context.Context, t Target, rec *Recorder) error {
		c, err := assemble(t, rec)
		if err != nil {
			return err
		}
		defer c.leave()
		sleepers, err := c.sleepers(Spells)
		if err != nil {
			return err
		}
		rec.Add(Event{From: Lab, Kind: "watching", Why: "resting"})
		if rec.Saw(Client, "unconnected") {
			c.conclude("resting") // who never got a connection does not rest on it
			return ctx.Err()
		}
		end := rec.Now() + t.Terms.slumber()
		var all sync.WaitGroup
		for _, s := range sleepers {
			all.Go(func() { c.rest(ctx, s, end) })
		}
		all.Wait()
		if ctx.Err() == nil {
			c.conclude("resting")
		}
		return ctx.Err()
	}}

// conclude ends the watching; it was well unless somebody was told not to be.
func (c *troupe) conclude(how string) {
	if !c.rec.Saw(Client, "unwell") {
		c.rec.Add(Event{From: Client, Kind: "well"})
	}
	c.rec.Add(Event{From: Lab, Kind: "watched", Why: how})
}

// sleeper is applications that rest together, and what is said to them or by them once they are awake.
type sleeper struct {
	name   string
	apps   []*app
	series []*series
	// word is how long after its connection's beginning, and again and again at that interval, it breaks
	// its own silence; 0 for never.
	word, again time.Duration
}

// sleepers are n of each workload that may be quiet, and one group that answers requests.
func (c *troupe) sleepers(n int) ([]sleeper, error) {
	var mu sync.Mutex
	var all []sleeper
	one := func(p *app, s *series, err error, word, again time.Duration) error {
		if err != nil {
			return err
		}
		mu.Lock()
		defer mu.Unlock()
		all = append(all, sleeper{name: p.name, apps: []*app{p}, series: []*series{s}, word: word, again: again})
		return nil
	}
	ping := c.t.Terms.ServerPing
	if err := c.cast(idler, n, func(p *app, nth int) error {
		s, err := c.listens(p, nth, 0)
		return one(p, s, err, 0, 0)
	}); err != nil {
		return nil, err
	}
	if err := c.cast(receiver, n, func(p *app, nth int) error {
		s, err := c.listens(p, nth, 0)
		// What it hears breaks the silence, but postpones no PING; each hears it in another phase.
		return one(p, s, err, firstPing+time.Duration(nth)*ping/time.Duration(n), 2*ping)
	}); err != nil {
		return nil, err
	}
	if err := c.cast(speaker, n, func(p *app, nth int) error {
		s, err := c.speaks(p, nth, 0)
		// Just after a PING, so that the next is left out and the silence is as long as it can be.
		return one(p, s, err, min(firstPing, ping*6/5)+pace, 3*ping)
	}); err != nil {
		return nil, err
	}
	group, err := c.group(0)
	if err != nil {
		return nil, err
	}
	return append(all, group), nil
}

// group is a queue group, an application that asks it, and callers at every node.
func (c *troupe) group(every int) (sleeper, error) {
	g := sleeper{name: worker}
	var mu sync.Mutex
	joins := func(p *app) {
		mu.Lock()
		defer mu.Unlock()
		g.apps = append(g.apps, p)
	}
	// Three, as many as there are nodes.
	if err := c.cast(worker, 3, func(p *app, _ int) error { joins(p); return c.works(p) }); err != nil {
		return g, err
	}
	if err := c.cast(asker, 1, func(p *app, _ int) error {
		joins(p)
		s, err := c.asks(p.Conn, p.name, every)
		g.series = append(g.series, s)
		return err
	}); err != nil {
		return g, err
	}
	for i, nc := range c.partners {
		s, err := c.asks(nc, fmt.Sprintf("%s-%d", caller, i+1), every)
		if err != nil {
			return g, fmt.Errorf("listening for replies at %s: %w", c.t.Nodes[i].Name, err)
		}
		g.series = append(g.series, s)
	}
	return g, nil
}

// tuning is how long interest may take to reach every node: it crosses a healthy cluster within milliseconds.
const tuning = 5 * time.Second

// rest leaves a sleeper alone until the end, but for what its connection's end makes necessary.
func (c *troupe) rest(ctx context.Context, s sleeper, end time.Duration) {
	defer func() {
		for _, p := range s.apps {
			p.leave() // what the balancer ends from now on, nobody waits for
		}
	}()
	c.talk(ctx, s.series, true, 0, tuning, s.connected)
	for _, each := range s.series {
		each.begin()
	}
	for spell := 1; ctx.Err() == nil && (spell == 1 || c.rec.Now() < end); spell++ {
		cut := c.spell(ctx, s, end)
		if ctx.Err() != nil {
			return
		}
		c.rec.Add(Event{From: Lab, Kind: "rested", App: s.name, Seq: spell, Why: cut})
		limit := back
		if cut != "" {
			limit += c.t.Terms.known()
		}
		if !c.talk(ctx, s.series, true, 0, limit, s.connected) && ctx.Err() == nil {
			c.rec.Add(Event{From: Client, Kind: "unwell", App: s.name})
			break
		}
	}
	c.settle(ctx, s.series)
}

// spell is one silence. It ends early when a connection does, and says so.
func (c *troupe) spell(ctx context.Context, s sleeper, end time.Duration) (cut string) {
	place := c.rec.Len()
	at, who := map[string]bool{}, map[string]bool{}
	for _, p := range s.apps {
		at[p.LocalAddr()], who[p.name] = true, true
	}
	quiet, cancel := context.WithTimeout(ctx, end-c.rec.Now())
	defer cancel()
	var word sync.WaitGroup
	defer word.Wait()
	if s.word > 0 {
		word.Go(func() { c.mutter(quiet, s) })
	}
	_, ended := c.rec.Await(quiet, place, func(e Event) bool {
		return idled(e) && at[e.Caller] || e.From == Client && e.Kind == "disconnected" && who[e.App]
	})
	cancel()
	if !ended {
		return ""
	}
	if len(s.apps) > 1 {
		// Members that were connected together are cut together, but for the fifth by which the servers' first PINGs differ.
		rest(ctx, firstPing/6+100*time.Millisecond)
	}
	return "cut"
}

// mutter breaks the silence at its own times.
func (c *troupe) mutter(ctx context.Context, s sleeper) {
	at := s.apps[0].since() + s.word
	for ctx.Err() == nil {
		if late := c.rec.Now() - at; late > 0 {
			at += (late/s.again + 1) * s.again
		}
		rest(ctx, at-c.rec.Now())
		if ctx.Err() == nil {
			s.series[0].next()
		}
	}
}

// connected reports whether all its applications are, and none of them only believes to be.
func (s sleeper) connected() bool {
	for _, p := range s.apps {
		if !p.IsConnected() {
			return false
		}
		addr := p.LocalAddr()
		if p.rec.SawAny(func(e Event) bool { return idled(e) && e.Caller == addr }) {
			return false
		}
	}
	return true
}
