package assertions

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"
)

// linkKind is a kind of connection between servers: how it is looked at, and how it is spoken of. Each has its own file,
// which puts it into linkKinds.
type linkKind struct {
	name string // in Terms.Links
	look func(context.Context, Target) linkage
	// called kinds are whole only once what is said at every node is heard at every other: a connection is listed before
	// interest has crossed it. Routes are listed by their pool, and were always judged by that.
	called bool

	one, all                string // "route", "routes"
	connection              string // "route connection"
	whole, unwhole          string // what all of them together are, and are not: "full mesh", "no full mesh"
	absent, never           string // "there was no full mesh", "the full mesh never formed"
	wholeAfter, silent, gap Measure
	// gaps names what a look found missing, from what was recorded before it.
	gaps func(h History, look Event) (gaps []string, evidence []Event)

	// cut is the contract's verdict on a quiet connection that is closed though nothing is lost.
	cut Verdict
	// retry is the servers' own longest pause before they dial again.
	retry time.Duration
	// slack is how many intervals more than ping_max + 1 the slower end may take to notice a dead peer.
	slack int

	pinging  func(interval string) Advice // what shortens the silence
	standing map[string]Advice            // what to change about a balancer, by the setting that was judged
	alone    []Advice                     // what helps whatever the balancer does
}

// linkKinds are the kinds by their names in Terms.Links.
var linkKinds = map[string]linkKind{}

// article is what stands before what all of them together are.
func (k linkKind) article() string {
	if k.called {
		return ""
	}
	return "a "
}

// towards is where a balancer's setting is to change.
func (t Terms) towards() string {
	if k := t.kind(); k.name != leafLinks {
		return k.all
	}
	return "leaf nodes"
}

// kind is the kind of server link that is balanced; routes, where clients' connections are, since what joins the nodes
// behind the balancer are these.
func (t Terms) kind() linkKind {
	if len(t.Links) > 0 {
		if k, ok := linkKinds[t.Links[0]]; ok {
			return k
		}
	}
	return linkKinds[routeLinks]
}

// The kinds.
const (
	routeLinks   = "routes"
	gatewayLinks = "gateways"
	leafLinks    = "leafnodes"
)

// linkage is the connections between servers as their monitoring ports list them at one moment.
type linkage interface {
	// whole reports whether all is connected that is to be.
	whole(Terms) bool
	// record writes what each node has, and every connection's ends.
	record(context.Context, Target, *Recorder)
	// apart are the connections that carry no message of users, by their addresses as nodes see them.
	apart() map[string]bool
	// carrying are the others that a node has, by their addresses as it sees them.
	carrying(node string) []string
}

// lookAtLinks looks at the connections that are balanced.
func lookAtLinks(ctx context.Context, t Target) linkage { return t.Terms.kind().look(ctx, t) }

// askAll asks every node for one page of its monitoring port; who does not answer is left out.
func askAll[T any](ctx context.Context, t Target, path string) map[string]T {
	var mu sync.Mutex
	var wg sync.WaitGroup
	seen := map[string]T{}
	for _, n := range t.Nodes {
		wg.Go(func() {
			var page T
			if ask(ctx, n, path, &page) == nil {
				mu.Lock()
				defer mu.Unlock()
				seen[n.Name] = page
			}
		})
	}
	wg.Wait()
	return seen
}

// Forming watches the balanced links from the first moment until all is connected, or until the peers' time is
// up, and again when all is over. What else is watched builds on it.
var Forming = &Observation{Name: "forming", First: true,
	Watch: func(ctx context.Context, t Target, rec *Recorder) error { return form(ctx, t, rec, back) },
	After: func(ctx context.Context, t Target, rec *Recorder) error {
		limit := back
		if !rec.Saw(Server, "mesh-full") {
			limit = 5 * settle // it had its time
		}
		return form(ctx, t, rec, limit)
	},
}

func form(ctx context.Context, t Target, rec *Recorder, limit time.Duration) error {
	kind := t.Terms.kind()
	if !kind.called {
		awaitLinks(ctx, t, rec, kind, nil, limit)
		return ctx.Err()
	}
	roll, err := gather(t, rec, t.plain()[0])
	if err != nil {
		return err
	}
	defer roll.close()
	first := !rec.Saw(Server, "mesh-full") && !rec.Saw(Server, "mesh-partial")
	awaitLinks(ctx, t, rec, kind, roll, limit)
	if first {
		greet(ctx, t, rec)
	}
	return ctx.Err()
}

// learnt is an address that a node knows to dial, in the place of which the balancer's is expected.
func (t Target) learnt(node, of, addr string) Event {
	e := Event{From: Server, Kind: "learnt", Node: node, Peer: of, Dial: addr}
	if slices.Contains(t.Fronts, addr) {
		e.How = "front"
	}
	return e
}

// awaitLinks looks until all is connected, a roll-call was answered if there is one, and nothing has changed for
// settle. It writes mesh-full or mesh-partial, whatever the kind, and every connection's ends.
func awaitLinks(ctx context.Context, t Target, rec *Recorder, kind linkKind, roll *chorus, limit time.Duration) {
	limited, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	began := rec.Now()
	var whole time.Duration // since when, 0 for not
	full := until(limited, func() bool {
		answered := roll == nil || roll.call(began)
		ok := kind.look(limited, t).whole(t.Terms) && answered
		now := rec.Now()
		if !ok {
			whole = 0
			return false
		}
		if whole == 0 {
			whole = now
		}
		return now-whole >= settle
	})
	kind.look(ctx, t).record(ctx, t, rec)
	switch {
	case full:
		rec.Add(Event{At: whole, From: Server, Kind: "mesh-full"})
	case ctx.Err() == nil:
		if roll != nil {
			roll.deaf(began)
		}
		rec.Add(Event{From: Server, Kind: "mesh-partial"})
	}
}

// lately is how far a roll-call looks back: what was said before that is no sign that messages cross now.
const lately = 2 * time.Second

// call says one round and reports whether everybody has heard one of the latest, none from before a moment.
func (c *chorus) call(since time.Duration) bool {
	c.say()
	return slices.ContainsFunc(c.since(max(since, c.rec.Now()-lately)), func(t *tick) bool { return len(t.heard) == len(c.all()) })
}

// since are the rounds that were said from a moment on. Nobody else says any meanwhile; mu guards what was heard.
func (c *chorus) since(at time.Duration) []*tick {
	c.mu.Lock()
	defer c.mu.Unlock()
	var later []*tick
	for _, t := range c.ticks {
		if t.at >= at {
			later = append(later, &tick{at: t.at, heard: maps.Clone(t.heard)})
		}
	}
	return later
}

// deaf writes who has not heard whom lately.
func (c *chorus) deaf(since time.Duration) {
	rounds := c.since(max(since, c.rec.Now()-lately))
	for _, h := range c.all() {
		if !slices.ContainsFunc(rounds, func(t *tick) bool { return t.heard[h] }) {
			c.rec.Add(Event{From: Client, Kind: "deaf", Account: h.account, Node: h.from, Peer: h.to})
		}
	}
}

// wholeLinks asks whether all is connected, but not more often than a glance apart.
func wholeLinks(ctx context.Context, t Target, rec *Recorder) func() bool {
	var looked time.Duration
	whole := false
	return func() bool {
		if now := rec.Now(); now-looked >= glance {
			looked, whole = now, lookAtLinks(ctx, t).whole(t.Terms)
		}
		return whole
	}
}

// followLinks writes down when the links begin to be whole and when they cease to be, until the context ends.
func followLinks(ctx context.Context, t Target, rec *Recorder) {
	// Half of the tolerance by which a stretch is taken for longer.
	const looking = tolerance / 2
	was := ""
	every(ctx, looking, func() bool {
		is := "links-broken"
		if lookAtLinks(ctx, t).whole(t.Terms) {
			is = "links-whole"
		}
		if is != was && ctx.Err() == nil {
			was = is
			rec.Add(Event{From: Server, Kind: is})
		}
		return false
	})
}

// followed follows the links until it is told to stop, where judges ask for it: routes are judged by what they were seen to
// take.
func followed(ctx context.Context, t Target, rec *Recorder) (stop func()) {
	if !t.Terms.kind().called {
		return func() {}
	}
	following, enough := context.WithCancel(ctx)
	var wg sync.WaitGroup
	wg.Go(func() { followLinks(following, t, rec) })
	return func() { enough(); wg.Wait() }
}

// unlinked are the stretches in which not everything was connected, as followLinks saw it, each longer at both ends by what
// servers and the looking take: a connection has ended before it is missed, and interest follows a new one.
func unlinked(h History) []window {
	var all []window
	open := time.Duration(-1)
	for _, e := range h.Events {
		switch {
		case e.From != Server:
		case e.Kind == "links-broken" && open < 0:
			open = e.At
		case e.Kind == "links-whole" && open >= 0:
			all = append(all, window{open - tolerance, e.At + tolerance})
			open = -1
		}
	}
	if open >= 0 {
		all = append(all, window{open - tolerance, endless})
	}
	return all
}

// within reports whether a moment lies in one of those stretches.
func within(at time.Duration, all []window) bool {
	return slices.ContainsFunc(all, func(w window) bool { return at >= w.from && at <= w.to })
}

// UsersLink returns the balancer's name of one connection between servers that carries messages of users.
func UsersLink(ctx context.Context, t Target, rec *Recorder) (conn string, ok bool) {
	seen := lookAtLinks(ctx, t)
	for _, n := range t.Nodes {
		for _, addr := range seen.carrying(n.Name) {
			for _, e := range rec.Events() {
				if letIn(e) && e.Addr == addr {
					return e.Conn, true
				}
			}
		}
	}
	return "", false
}
