package assertions

import "context"

// working lets applications work through the event and after it: busy ones, one that speaks now and then, and
// quiet ones that are wanted only afterwards.
var working = &Observation{Name: "working applications", Strikes: true, Watch: func(ctx context.Context, t Target, rec *Recorder) error {
	c, err := assemble(t, rec)
	if err != nil {
		return err
	}
	defer c.leave()
	all, err := c.workers()
	if err != nil {
		return err
	}
	c.talk(ctx, all, true, 0, tuning, c.connected)
	for _, s := range all {
		s.begin()
	}
	rec.Add(Event{From: Lab, Kind: "watching", Why: "working"})
	if err := c.strike(ctx, all); err != nil {
		return err
	}
	limit := back
	if rec.Saw(Client, "unconnected") {
		limit = reconnecting // it had its time before
	}
	// A client dials again after two seconds and a bit.
	if !c.talk(ctx, all, true, reconnecting, limit+pace, c.connected) && ctx.Err() == nil {
		c.unwell(all)
	}
	c.settle(ctx, all)
	if ctx.Err() == nil {
		c.conclude("working")
	}
	return ctx.Err()
}}

// troop is how many applications of a workload work side by side: one a node, if the balancer spreads them.
const troop = 3

// workers are the applications that work, and what each of them is about.
func (c *troupe) workers() ([]*series, error) {
	g, err := c.group(1)
	if err != nil {
		return nil, err
	}
	all := g.series
	found := make(chan *series, 4*troop+1)
	for _, w := range []struct {
		kind     string
		n, every int
		begin    func(p *app, nth, every int) (*series, error)
	}{
		{idler, troop, 0, c.listens},
		{speaker, 1, 20, c.speaks}, // once a second
		{publisher, troop, 1, c.speaks},
		// The latest to connect is the one that an event's control cuts: one that then misses something.
		// With one more of them than nodes, two lose their connections with the node that has most.
		{receiver, troop + 1, 1, c.listens},
	} {
		if err := c.cast(w.kind, w.n, func(p *app, nth int) error {
			s, err := w.begin(p, nth, w.every)
			if err == nil {
				found <- s
			}
			return err
		}); err != nil {
			return nil, err
		}
	}
	close(found)
	for s := range found {
		all = append(all, s)
	}
	return all, nil
}

// connected reports whether every application is.
func (c *troupe) connected() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, p := range c.apps {
		if !p.IsConnected() {
			return false
		}
	}
	return true
}

// unwell says which applications are not connected, or do not hear.
func (c *troupe) unwell(all []*series) {
	told := map[string]bool{}
	tell := func(name string) {
		if !told[name] {
			told[name] = true
			c.rec.Add(Event{From: Client, Kind: "unwell", App: name})
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, p := range c.apps {
		if !p.IsConnected() {
			tell(p.name)
		}
	}
	for _, s := range all {
		if !s.convinced(max(0, s.length()-2*convincing)) {
			tell(s.app)
		}
	}
}
