package suite

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/lbtest/lbtest/assertions"
	"github.com/lbtest/lbtest/proxies"
	"github.com/lbtest/lbtest/topologies"
)

// lab is one way of running a topology behind a balancer, and what is judged in it. It is data; run
// makes it happen.
type lab struct {
	on         topologies.Runtime // nil: that of the run
	topology   topologies.Topology
	profile    proxies.Profile // unscaled
	engine     *Engine         // who balances; nil for this program
	fronts     string
	nats       []topologies.KeyValue
	client     assertions.ClientTuning // in real time
	factor     float64
	clients    int               // connections the operator expects at once
	limits     topologies.Limits // of every node
	security   assertions.Security
	judged     []assertions.Assertion
	proves     map[string]string // the settings whose faults this lab proves
	cut        bool              // one connection is cut in the middle: the reference of an event's control
	starts     int
	neighbours []neighbour // the balancers of the other links
	manner     string      // of expiry, where this lab is one of several that try them all
	mute       []string    // settings of the profile that are without effect here
	// beside is watched as well; tests put their saboteurs there.
	beside []*assertions.Observation
}

// String names a lab in notes.
func (l lab) String() string {
	if len(l.proves) == 0 {
		return "a control of " + l.topology.Name
	}
	var settings []string
	for _, name := range slices.Sorted(maps.Keys(l.proves)) {
		settings = append(settings, name+"="+l.proves[name])
	}
	return "the lab of " + l.topology.Name + " with " + strings.Join(settings, ", ")
}

// without is the lab with those settings switched off: another lab of the scenario has them.
func (l lab) without(settings ...string) lab {
	for _, name := range settings {
		if p, err := l.profile.With(name, "none"); err == nil {
			l.profile = p
		}
	}
	return l.unproved(settings...)
}

// unproved is the lab without the duty to prove those settings.
func (l lab) unproved(settings ...string) lab {
	l.proves = maps.Clone(l.proves)
	for _, name := range settings {
		delete(l.proves, name)
	}
	return l
}

// link is the kind of connection that is balanced.
func (l lab) link() topologies.Link { return l.topology.Balanced[0] }

// group is what a lab's observations have in common that keeps others out of it; "" for those that share one.
func group(o *assertions.Observation) string {
	switch {
	case o.Own:
		return o.Name
	case o.Alone:
		return "quiet"
	}
	return ""
}

// group is that of the lab's observations.
func (l lab) group() string {
	for _, a := range l.judged {
		if g := group(a.Observe); g != "" {
			return g
		}
	}
	return ""
}

// observations are what the lab's assertions need, each once, and the canaries.
func (l lab) observations() []*assertions.Observation {
	found := []*assertions.Observation{assertions.Forming}
	if !l.link().Joins() {
		found[0] = assertions.Gathering
	}
	for _, a := range l.judged {
		if !slices.Contains(found, a.Observe) {
			found = append(found, a.Observe)
		}
	}
	if l.profile.Value("bypass") != "off" {
		found = append(found, assertions.Scouting)
	}
	return append(append(found, assertions.Canaries, assertions.Pulse), l.beside...)
}

func (l lab) jetStream() bool {
	return slices.ContainsFunc(l.judged, func(a assertions.Assertion) bool { return a.Observe.JetStream })
}

func (l lab) quiet() bool {
	return slices.ContainsFunc(l.judged, func(a assertions.Assertion) bool { return a.Observe.Alone })
}

// uncontrolled reports whether the lab's promises are held against nothing, and need no control.
func (l lab) uncontrolled() bool {
	return len(l.judged) > 0 && !slices.ContainsFunc(l.judged, func(a assertions.Assertion) bool { return !a.Absolute || !a.Observe.Uncontrolled })
}

// crowd reports whether as many clients connect as are expected.
func (l lab) crowd() bool {
	return slices.ContainsFunc(l.judged, func(a assertions.Assertion) bool { return a.Observe.Crowd })
}

// weight is what a lab costs beside others: streams write to disk on three nodes, and a crowd takes descriptors, of which
// each slot has a hundred (see side). A thousand clients are alone with their lab: their reconnecting all at once is
// what is measured.
func (l lab) weight() int64 {
	switch {
	case l.crowd():
		return l.crews() + int64(perClient*l.clients/100)
	case l.jetStream():
		return 2 * l.crews()
	}
	return l.crews()
}

// crews is how many times the nodes of the smallest cluster a lab has: what they cost grows with how many hear each other.
func (l lab) crews() int64 { return crews(l.topology) }

func crews(t topologies.Topology) int64 { return int64((len(t.Nodes()) + 2) / 3) }

// meetsItself reports whether the tester is to be balanced back to itself. Where that is allowed there is nothing to prove, and
// one connection of the tester would be taken for another.
func (l lab) meetsItself() bool { return l.proves["hairpin"] == "denied" }

// length estimates how long a lab takes.
func (l lab) length() time.Duration {
	t := l.terms()
	d := t.Event
	// What streams take to be made, published to and read back from every replica.
	const stored = 15 * time.Second
	if !l.link().Joins() {
		for _, o := range l.observations() {
			if o.Takes != nil {
				d = max(d, t.Event+o.Takes(t))
			}
		}
		return max(d, canary(t))
	}
	if l.quiet() {
		d += t.Watch() + assertions.Spells*t.Lull()
		if t.Expiry == "silent" && t.Idle < t.LinkPing {
			d += 2 * t.Notice() // two spells that cost messages say enough
		}
	} else {
		d += 3 * t.Lifetime
		for _, o := range l.observations() {
			if o.Takes != nil {
				d = max(d, t.Event+o.Takes(t))
			}
		}
		if l.jetStream() {
			d += stored
		}
		if l.jetStream() && t.Idle > 0 {
			d += t.Lull()
		}
	}
	d = max(d, canary(t))
	if l.fronts == "shared" && l.link() == topologies.Routes {
		d += 45 * time.Second // it never forms, and NATS has 30 s for that
	}
	return d
}

// canary is how long the silent canary waits, where there is one.
func canary(t assertions.Terms) time.Duration {
	if !t.ProvesIdle() {
		return 0
	}
	return t.Idle + t.Idle/4
}

// control is the same lab behind a balancer that does nothing. Where the lab waits, the control need
// not: without a balancer's timers there is nothing to keep apart.
func (l lab) control() lab {
	c := l
	c.profile, c.fronts, c.proves, c.starts = l.bare(), usualFronts(l.link()), nil, 1
	c.security = l.security.Direct()
	c.neighbours = slices.Clone(l.neighbours)
	for i, n := range c.neighbours {
		c.neighbours[i] = neighbour{n.link, proxies.Direct(), usualFronts(n.link)}
	}
	c.cut = l.profile.Strikes() || l.fault() != ""
	c.factor = 1
	if l.quiet() && !l.jetStream() {
		waits := c.timers()
		c.factor = waits.factor(fastest)
	}
	c.judged = nil
	terms := c.terms()
	for _, a := range assertions.All() {
		a = a.Over(string(l.link()))
		if a.Idle != nil && l.quiet() {
			a.Observe = a.Idle
		}
		if crosses(l.topology, a) && a.MootUnder(terms) == "" && (group(a.Observe) == l.group() || a.Observe.First) && (!a.Observe.JetStream || l.jetStream()) {
			c.judged = append(c.judged, a)
		}
	}
	return c
}

// key is the same for labs that have the same control.
func (l lab) key() string {
	clients := 0
	if l.crowd() {
		clients = l.clients
	}
	return fmt.Sprint(l.where(), l.topology.Name, l.link(), l.nats, l.client.Said(), clients, l.limits, l.factor, l.cut, l.group(), l.jetStream(), l.security, l.profile.Value("engine"))
}

// where names the runtime, where it is not that of the run.
func (l lab) where() string {
	if l.on == nil {
		return ""
	}
	return l.on.Name()
}

func (l lab) routing() topologies.Routing { return l.build(nil).Routing() }

func (l lab) build(fronts map[topologies.Front]string) topologies.Build {
	return topologies.Build{Topology: l.topology, Fronts: fronts, Limits: l.limits, JetStream: l.jetStream(), Logins: topologies.Logins{Mode: topologies.AuthMode(l.security.Auth)},
		Tuning: topologies.Tuning{Nats: l.nats, Factor: l.factor}}
}

// scaled divides a duration as the lab's clock does.
func (l lab) scaled(d time.Duration) time.Duration { return time.Duration(float64(d) / l.factor) }

func (l lab) terms() assertions.Terms {
	client := l.client
	routing := l.routing()
	t := l.timers()
	pings := l.build(nil).Pings()
	joining := topologies.Routes // which join the nodes that clients come to
	if l.link().Joins() {
		joining = l.link()
	}
	links := l.build(nil).LinkPings(joining)
	clientPing, clientPingMax := client.Ping()
	reconnect, reconnects := client.Reconnecting(l.security.Clients != assertions.InTheClear)
	terms := assertions.Terms{
		Topology: l.topology.Name, Security: l.security, Links: linkNames(l.topology), Nodes: l.topology.Nodes(), Clusters: groups(l.topology), Fronts: l.fronts, Clients: l.clients,
		Limits:     assertions.Limits{Memory: l.limits.Memory, GoMemLimit: l.limits.GoMemLimit, CPUs: l.limits.CPUs},
		ServerPing: l.scaled(pings.Interval), ServerPingMax: pings.Max, ClientPing: l.scaled(clientPing), ClientPingMax: clientPingMax,
		ClientTimeout: client.Timeout(), ProxyProtocol: l.build(nil).ProxyProtocol(),
		Reconnect: reconnect, Reconnects: reconnects,
		PoolSize: max(1, routing.PoolSize), Dedicated: len(routing.Dedicated),
		Factor: l.factor, LinkPing: l.scaled(links.Interval), PingMax: links.Max,
		Idle: l.scaled(t.idle), Lifetime: l.scaled(t.lifetime), Expiry: l.profile.Value("idle-expiry"), Probe: l.scaled(client.Keepalive()),
		Settings: l.proves, JetStream: l.jetStream(),
		Event: l.profile.Duration("stall") + l.profile.Duration("outage"), Found: l.found(), Drain: l.profile.Duration("drain"),
	}
	if l.profile.Value("health-check") != "off" {
		terms.Check = l.scaled(l.profile.Duration("health-interval"))
	}
	for _, name := range events {
		switch value := l.profile.Value(name); {
		case value == "none" || value == "" || name == "drain":
		case name == "restart" || name == "node-fault":
			terms.Strikes = append(terms.Strikes, name+"="+value)
		default:
			terms.Strikes = append(terms.Strikes, name)
		}
	}
	switch l.fault() {
	case "":
	case "remove":
		terms.Strikes, terms.Event = append(terms.Strikes, "drain"), terms.Event+l.away()
	case "lame-duck":
		terms.Event += leaving + l.away()
	default:
		terms.Event += l.away()
	}
	if l.cut {
		terms.Strikes = append(terms.Strikes, "cut")
	}
	for _, n := range l.neighbours {
		if n.link != l.link() && (n.profile.Duration("outage") > 0 || n.profile.Value("restart") == "crash") {
			terms.Beside = append(terms.Beside, string(n.link))
		}
	}
	return terms
}

// found is how long health checks take at the most to find a node that is gone.
func (l lab) found() time.Duration {
	fall, err := strconv.Atoi(l.profile.Value("health-fall"))
	if err != nil {
		return 0
	}
	return time.Duration(fall+1) * l.scaled(l.profile.Duration("health-interval"))
}

// timers are those of the lab, unscaled.
func (l lab) timers() timers {
	return scenario{topology: l.topology, profile: l.profile, nats: l.nats, client: l.client}.timers()
}

// groups are the clusters of a topology.
func groups(t topologies.Topology) []assertions.Group {
	var all []assertions.Group
	for _, c := range t.Clusters {
		all = append(all, assertions.Group{Name: c.Name, Nodes: c.Nodes, LeafOf: c.LeafOf})
	}
	return all
}

// frontends are those of the balancer that nodes or clients dial.
func (l lab) frontends() []topologies.Frontend {
	return l.topology.Frontends(l.link(), l.fronts == "per-node")
}

func linkNames(t topologies.Topology) []string {
	var names []string
	for _, l := range t.Balanced {
		names = append(names, string(l))
	}
	return names
}

// crosses reports whether a promise is about the link of a topology that is judged.
func crosses(t topologies.Topology, a assertions.Assertion) bool {
	return slices.Contains(a.Links, string(t.Balanced[0]))
}

// usualFronts is the frontends setting where nothing is said. One address for all nodes is what clients dial, and
// what a route must not be dialled through.
func usualFronts(link topologies.Link) string {
	if link == topologies.Routes {
		return "per-node"
	}
	return "shared"
}
