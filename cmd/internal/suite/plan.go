package suite

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/lbtest/lbtest/assertions"
	"github.com/lbtest/lbtest/proxies"
	"github.com/lbtest/lbtest/topologies"
)

// Plan is what a run will do. Nothing has started.
type Plan struct {
	options   Options
	scenarios []scenario
	seed      int64
}

// scenario is one configuration of one topology.
type scenario struct {
	name     string
	topology topologies.Topology
	from     origin
	profile  proxies.Profile   // unscaled
	settings map[string]string // the profile's and those given
	order    []string          // the settings' names, the profile's before those given
	top      []string          // those given
	given    []string          // as they were given, where they are for several balancers
	nats     []topologies.KeyValue
	client   assertions.ClientTuning
	auth     topologies.AuthMode
	clients  int      // connections the operator expects at once
	notes    []string // what is to be known about what was asked
	mute     []string // settings of the profile that cannot act here, or that nothing here can reach
	labs     []lab
	skip     string // why nothing of it can be judged
	left     []left // assertions that cannot be judged, each with its reason
}

// left is an assertion that is left out, and why.
type left struct {
	assertion assertions.Assertion
	why       string
}

// NewPlan checks everything that was given and lays out the scenarios. Its errors are the user's.
func NewPlan(o Options) (Plan, error) {
	p := Plan{options: o, seed: o.Seed}
	if p.seed == 0 {
		p.seed = 1 + rand.Int64N(1<<31) // short enough to be typed again
	}
	wanted, err := parseScale(o.TimeScale)
	if err != nil {
		return p, err
	}
	if o.Parallel < 0 {
		return p, fmt.Errorf("--parallel %d: want a number of labs from 1 up, or leave it out", o.Parallel)
	}
	if o.Clients < 0 {
		return p, fmt.Errorf("--clients %d: want the number of client connections that are expected at once, from 1 up", o.Clients)
	}
	if o.Clients == 0 {
		o.Clients = usualClients
	}
	if o.RunTimeout < 0 {
		return p, fmt.Errorf("--run-timeout %s: want a duration above zero", o.RunTimeout)
	}
	client, err := assertions.ParseClientTuning(o.Client)
	if err != nil {
		return p, err
	}
	chosen, err := choose(o.Assert)
	if err != nil {
		return p, err
	}
	var nats []topologies.KeyValue
	for _, given := range o.Nats {
		kv, err := topologies.ParseKeyValue(given)
		if err != nil {
			return p, fmt.Errorf("--nats %w", err)
		}
		nats = append(nats, kv)
	}
	tops, err := findTopologies(o.Topologies)
	if err != nil {
		return p, err
	}
	origins, err := findProfiles(o.Profiles)
	if err != nil {
		return p, err
	}
	auth, err := login(o.Auth, nats)
	if err != nil {
		return p, err
	}
	for _, t := range tops {
		for _, jetStream := range []bool{true, false} {
			build, err := checkable(topologies.Build{Topology: t, Tuning: topologies.Tuning{Nats: nats}, JetStream: jetStream}, auth)
			if err != nil {
				return p, err
			}
			if err := o.Runtime.Check(build); err != nil {
				return p, err
			}
		}
		configurations := sweeps[t.Name]
		if !p.Sweep() {
			configurations = [][]string{o.Set}
		}
		for _, from := range origins {
			for _, settings := range configurations {
				all := common{nats, client, o.Clients, auth}
				var own []string
				if p.Sweep() {
					if settings, all, own, err = configured(settings, all); err != nil {
						return p, fmt.Errorf("the sweep of %s: %w", t.Name, err)
					}
				}
				s, err := newScenario(t, from, settings, all, chosen, wanted, p.seed)
				if err != nil {
					return p, err
				}
				s.name = strings.Join(append([]string{s.name}, own...), ",")
				if err := s.possible(); err != nil {
					return p, err
				}
				p.scenarios = append(p.scenarios, s)
			}
		}
	}
	if len(o.Assert) > 0 && !slices.ContainsFunc(p.scenarios, func(s scenario) bool { return len(s.labs)+len(s.left) > 0 || s.skip != "" }) {
		return p, fmt.Errorf("--assert %s selects nothing that can be judged on %s", strings.Join(o.Assert, " "), strings.Join(o.Topologies, ", "))
	}
	return p, nil
}

// usualClients is how many client connections are expected where nothing is said: the contract's default.
const usualClients = 100

// Sweep reports whether the run asks which settings are safe, rather than about one configuration.
func (p Plan) Sweep() bool { return len(p.options.Set)+len(p.options.Profiles) == 0 }

// Seed is the run's seed: the one given, or the one drawn.
func (p Plan) Seed() int64 { return p.seed }

// Scenarios names what will be run, in order.
func (p Plan) Scenarios() []string {
	names := make([]string, len(p.scenarios))
	for i, s := range p.scenarios {
		names[i] = s.name
	}
	return names
}

func findTopologies(names []string) ([]topologies.Topology, error) {
	var all []string
	for _, t := range topologies.All() {
		all = append(all, t.Name)
	}
	if len(names) == 0 {
		return nil, fmt.Errorf("no --topology is given; topologies are %s", strings.Join(all, ", "))
	}
	var found []topologies.Topology
	for i, name := range names {
		t, ok := topologies.Find(name)
		switch {
		case !ok:
			return nil, fmt.Errorf("--topology %q: no such topology; topologies are %s", name, strings.Join(all, ", "))
		case slices.Contains(names[:i], name):
			return nil, fmt.Errorf("--topology %s is given twice", name)
		}
		found = append(found, t)
	}
	return found, nil
}

// choose returns the assertions that --assert selects; nil for the choice by settings.
func choose(patterns []string) ([]assertions.Assertion, error) {
	var chosen []assertions.Assertion
	for _, pattern := range patterns {
		matched, err := assertions.Match(pattern)
		if err != nil {
			return nil, fmt.Errorf("--assert: %w", err)
		}
		if len(matched) == 0 {
			var names []string
			for _, a := range assertions.All() {
				names = append(names, a.Name)
			}
			meant := ""
			if near := assertions.Near(pattern); len(near) > 0 {
				meant = ": did you mean " + strings.Join(near, " or ") + "?"
			}
			return nil, fmt.Errorf("--assert %q selects nothing%s (assertions: %s)", pattern, meant, strings.Join(names, ", "))
		}
		for _, a := range matched {
			if !slices.ContainsFunc(chosen, func(c assertions.Assertion) bool { return c.Name == a.Name }) {
				chosen = append(chosen, a)
			}
		}
	}
	return chosen, nil
}

// common is what all scenarios of a run share.
type common struct {
	nats    []topologies.KeyValue
	client  assertions.ClientTuning
	clients int
	auth    topologies.AuthMode
}

// newView is a configuration of a topology as its first balanced link is judged.
func newView(t topologies.Topology, from origin, given []string, all common, chosen []assertions.Assertion, wanted float64, seed int64) (scenario, error) {
	s := from.scenario(t, given)
	s.nats, s.client, s.clients, s.auth = all.nats, all.client, all.clients, all.auth
	s.profile.Seed = seed
	for _, pair := range given {
		name, value, ok := strings.Cut(pair, "=")
		if !ok || value == "" {
			return s, fmt.Errorf("--set %q: want SETTING=VALUE, for example --set idle-timeout=60s", pair)
		}
		if slices.Contains(s.top, name) {
			return s, fmt.Errorf("--set %s is given twice (%s and %s)", name, s.settings[name], value)
		}
		var err error
		if s.profile, err = s.profile.With(name, value); err != nil {
			return s, fmt.Errorf("--set: %w", err)
		}
		if _, stated := s.settings[name]; !stated {
			s.order = append(s.order, name)
		}
		s.settings[name] = value
		s.top = append(s.top, name)
	}
	if err := s.profile.Check(); err != nil {
		return s, fmt.Errorf("--set %s: %w", strings.Join(given, " --set "), err)
	}
	s.suppose()
	s.heed(wanted)
	if s.fronts() == "per-node" && slices.Contains(s.top, "balance") {
		s.skip = "with one frontend a node there is one backend behind each, and nothing to balance; add --set frontends=shared"
		return s, nil
	}
	if s.strikes() && s.profile.Duration("max-lifetime") > 0 {
		s.skip = "a connection cannot both end at its max-lifetime and live until the " + strings.Join(slices.DeleteFunc(slices.Clone(s.order),
			func(name string) bool { return !slices.Contains(events, name) }), " and ") + ", so one of them would go unproved; ask for them one at a time"
		return s, nil
	}
	if s.skip = cmp.Or(s.beyond(), s.insecure()); s.skip != "" {
		return s, nil
	}
	s.lay(chosen, wanted)
	return s, nil
}

// strikes reports whether something happens once in the middle.
func (s scenario) strikes() bool {
	return s.profile.Strikes() || s.profile.Value("node-fault") != "none"
}

// suppose puts the default of node-fault into force, which depends on what else is asked: what a balancer does about
// nodes that fail or leave shows only once one does.
func (s *scenario) suppose() {
	fault := ""
	switch {
	case s.settings["node-fault"] != "":
		return
	case s.settings["drain"] != "":
		fault = "remove"
	case s.link().Joins() || s.profile.Value("health-check") == "off":
		return
	case slices.Contains(s.top, "health-check"), slices.Contains(s.top, "on-down"):
		fault = "vanish"
	default:
		return
	}
	if struck, err := s.profile.With("node-fault", fault); err == nil { // it is one of its words
		s.profile, s.settings["node-fault"] = struck, fault
		s.order = append(s.order, "node-fault")
	}
}

// beyond says which setting this topology cannot honour, and why; "" if it honours all.
func (s scenario) beyond() string {
	if s.profile.Value("engine") == "kernel" {
		return "engine=kernel needs a runtime that gives the balancer a network of its own; this one has the simulated balancer only"
	}
	if v := s.profile.Value("tls"); v != "" && v != "passthrough" && s.link().Joins() {
		return fmt.Sprintf("tls=%s: %s have no TLS in this topology, so there is nothing for the balancer to terminate", v, s.link())
	}
	if s.profile.Value("hairpin") == "denied" && s.fronts() == "per-node" && slices.Contains(s.top, "hairpin") {
		return "hairpin=denied: with one frontend a node nobody is balanced back to itself; add --set frontends=shared"
	}
	if name := "on-down"; slices.Contains(s.top, name) && s.profile.Value("health-check") == "off" {
		return fmt.Sprintf("%s=%s: without health checks no backend is ever found to be down; add --set health-check=tcp", name, s.settings[name])
	}
	if v := s.settings["node-fault"]; v != "" && v != "none" && v != "remove" && s.link().Joins() {
		return fmt.Sprintf("node-fault=%s: %s are not judged through the loss of a node, whose connections end whatever stands before them; it is judged where clients cross the balancer (clients-behind-lb)", v, s.link())
	}
	if s.settings["hairpin"] != "" && slices.Contains(s.top, "hairpin") && !s.balances(topologies.Routes) {
		return "hairpin=" + s.settings["hairpin"] + ": no backend dials the balancer in this topology, so none can meet itself"
	}
	for _, limit := range limits {
		if s.outOfReach(limit) && len(s.order) == 1 {
			return fmt.Sprintf("%s=%s: %s, and the tester can reach limits of up to %d only", limit, s.settings[limit], s.nowhereNear(), assertions.Fillable)
		}
	}
	return ""
}

// outOfReach reports whether a limit is so large that nothing here can show it: neither the tester's own connections nor
// a herd.
func (s scenario) outOfReach(limit string) bool {
	return count(s.settings[limit]) > assertions.Fillable && !s.crowded(limit)
}

// crowded reports whether a limit is one that the expected clients themselves reach. They arrive more slowly than any
// rate that is out of the tester's own reach.
func (s scenario) crowded(limit string) bool {
	n := count(s.settings[limit])
	switch {
	case n == 0 || !s.balances(topologies.Clients):
		return false
	case limit == "source-ports":
		return s.clients > n*len(s.topology.Nodes())
	}
	return limit == "max-connections" && s.clients > n
}

// nowhereNear says why a limit is out of reach.
func (s scenario) nowhereNear() string {
	if s.balances(topologies.Clients) {
		return fmt.Sprintf("%d clients on three nodes come nowhere near it (--clients N)", s.clients)
	}
	return fmt.Sprintf("%d nodes come nowhere near it", len(s.topology.Nodes()))
}

// possible says whether this machine lets lbtest connect as many clients as are expected. Its error is the user's.
func (s scenario) possible() error {
	for _, l := range s.labs {
		if most := (descriptors() - otherFiles) / perClient; l.crowd() && l.clients > most {
			return fmt.Errorf("--clients %d: each takes %d file descriptors (its own and two of the balancer), and this process may open %d, which is enough for %d clients; "+
				"raise the limit (ulimit -n) or give fewer", l.clients, perClient, descriptors(), most)
		}
	}
	return nil
}

const (
	// perClient is the file descriptors of a herd's client: its own, and the balancer's two.
	perClient = 3
	// otherFiles is the file descriptors of a lab that are nobody's of a herd: listeners, canaries, pipes to the nodes.
	otherFiles = 100
)

// link is the kind of connection that is balanced.
func (s scenario) link() topologies.Link { return s.topology.Balanced[0] }

// balances reports whether that link is the one that crosses the balancer.
func (s scenario) balances(link topologies.Link) bool {
	return s.link() == link
}

// limits are the settings that show only once connections reach them.
var limits = []string{"source-ports", "max-connections", "connect-rate"}

// fronts is the frontends setting.
func (s scenario) fronts() string {
	if f := s.settings["frontends"]; f != "" {
		return f
	}
	return usualFronts(s.link())
}

// lay decides which assertions are judged, and in which labs: those that need quiet get a lab of their
// own, scaled as far as its timers allow; what happens in the middle of traffic, and all of JetStream,
// takes place in real time.
func (s *scenario) lay(chosen []assertions.Assertion, wanted float64) {
	judged := chosen
	if judged == nil {
		for _, a := range assertions.All() {
			if a = a.Over(string(s.topology.Balanced[0])); crosses(s.topology, a) && slices.ContainsFunc(s.order, a.SpeaksOf) {
				judged = append(judged, a)
			}
		}
	}
	if chosen != nil {
		judged = nil
		for _, a := range chosen {
			if a = a.Over(string(s.topology.Balanced[0])); crosses(s.topology, a) {
				judged = append(judged, a)
			}
		}
	}
	judged = s.promised(s.judgeable(judged, chosen), chosen)
	waits := s.timers()
	for i, a := range judged {
		if a.Idle != nil && waits.waits() && !s.strikes() {
			judged[i].Observe = a.Idle
		}
	}
	factor := waits.factor(wanted)
	var quiet, busy, either []assertions.Assertion
	own := map[string][]assertions.Assertion{}
	for _, a := range judged {
		switch {
		case a.Observe.JetStream && factor > 1 && waits.waits() && !s.strikes() && s.settings["frontends"] == "":
			s.left = append(s.left, left{a, "JetStream is judged in real time only: add --time-scale 1"})
		case a.Observe.Own:
			own[a.Observe.Name] = append(own[a.Observe.Name], a)
		case a.Observe.Alone:
			quiet = append(quiet, a)
		case a.Observe.First:
			either = append(either, a)
		default:
			busy = append(busy, a)
		}
	}
	if len(busy) == 0 && len(quiet) > 0 {
		quiet = append(quiet, either...)
	} else {
		busy = append(busy, either...)
	}
	if len(quiet) > 0 {
		if len(busy) == 0 && s.strikes() {
			factor = 1 // events are never scaled, and here they meet the pings of quiet routes
		}
		s.labs = append(s.labs, s.lab(quiet, factor))
	}
	if len(busy) > 0 {
		if !waits.waits() || s.strikes() || slices.ContainsFunc(busy, func(a assertions.Assertion) bool { return a.Observe.JetStream }) {
			factor = 1
		}
		s.labs = append(s.labs, s.lab(busy, factor))
	}
	if len(quiet) > 0 && len(busy) > 0 {
		// Each setting is proved where it matters: an idle timeout in the quiet lab, an event in the busy one.
		s.labs[0] = s.labs[0].without(events...)
		s.labs[1] = s.labs[1].unproved(idle...)
	}
	for _, name := range slices.Sorted(maps.Keys(own)) {
		l := s.lab(own[name], 1)
		if !own[name][0].Observe.Strikes {
			drain := l.proves["drain"]
			l = l.without(events...)
			if own[name][0].Observe.Rotates && drain != "" {
				l.proves["drain"] = drain
			}
		}
		if len(s.labs) > 0 {
			l = l.unproved(idle...)
		}
		s.labs = append(s.labs, l)
	}
	s.labs = s.eachManner(s.labs)
}

// promised leaves out what is not promised under these settings, and says so where it was asked for.
func (s *scenario) promised(all, chosen []assertions.Assertion) []assertions.Assertion {
	terms := s.lab(nil, 1).terms()
	return slices.DeleteFunc(slices.Clone(all), func(a assertions.Assertion) bool {
		why := a.MootUnder(terms)
		if why != "" && chosen != nil {
			s.left = append(s.left, left{a, why})
		}
		return why != ""
	})
}

var (
	idle   = []string{"idle-timeout", "idle-timeout-client", "idle-timeout-server", "idle-expiry", "idle-keepalive"}
	events = []string{"stall", "outage", "restart", "drain", "node-fault"}
)

func (s scenario) timers() timers {
	t := timers{lifetime: s.profile.Duration("max-lifetime"), pings: []time.Duration{s.build().LinkPings(s.link()).Interval}, greeting: firstPing}
	if s.link() == topologies.Gateways {
		t.chatter = statistics
	}
	if !s.link().Joins() {
		t.pings, t.greeting = s.clientPings(), firstPingToClient
	}
	for _, name := range idle[:3] {
		if d := s.profile.Duration(name); d > 0 && (t.idle == 0 || d < t.idle) {
			t.idle = d
		}
	}
	return t
}

// clientPings are the silences that are usual between a client and its server: each side's own interval, and twice the
// server's, which postpones its ping while the client speaks.
func (s scenario) clientPings() []time.Duration {
	server := s.build().Pings().Interval
	pings := []time.Duration{server, 2 * server}
	if client, _ := s.client.Ping(); client > 0 {
		pings = append(pings, client)
	}
	return pings
}

// build is what the servers are told, in real time.
func (s scenario) build() topologies.Build {
	return topologies.Build{Topology: s.topology, Tuning: topologies.Tuning{Nats: s.nats}}
}

func (s scenario) lab(judged []assertions.Assertion, factor float64) lab {
	l := lab{topology: s.topology, profile: s.profile, nats: s.nats, client: s.client, clients: s.clients, security: s.security(), fronts: s.fronts(), factor: factor, judged: judged, proves: maps.Clone(s.settings), starts: 1}
	if l.fronts == "shared" && s.balances(topologies.Routes) {
		l.starts = luckyStarts
	}
	for name, value := range l.proves {
		if slices.Contains(s.mute, name) {
			delete(l.proves, name)
		}
		if value == "none" || slices.Contains(limits, name) && count(value) > assertions.Fillable && !(l.crowd() && s.crowded(name)) {
			delete(l.proves, name) // what is switched off needs no proof, and what nothing here can reach has none
		}
	}
	return l
}

// luckyStarts is how often a lab is started afresh whose outcome depends on which node a connection
// happens to reach; the worst counts.
const luckyStarts = 3

// with is the same scenario with some settings and configuration keys changed, as an advice has it.
func (s scenario) with(a assertions.Advice, wanted float64, seed int64) (scenario, error) {
	set, nats := a.Set, a.Nats
	client, err := s.client.And(a.Client)
	if err != nil {
		return s, err
	}
	given := slices.Clone(s.given)
	if given == nil {
		for _, name := range s.top {
			given = append(given, name+"="+s.settings[name])
		}
	}
	for _, name := range slices.Sorted(maps.Keys(set)) {
		// With several balancers this changes what holds for all of them, and each that was told apart.
		changed := false
		for i, pair := range given {
			told, _, _ := strings.Cut(pair, "=")
			if told == name || strings.HasSuffix(told, ":"+name) {
				given[i], changed = told+"="+set[name], true
			}
		}
		if !changed {
			given = append(given, name+"="+set[name])
		}
	}
	keys := slices.Clone(s.nats)
	for _, key := range slices.Sorted(maps.Keys(nats)) {
		kv, err := topologies.ParseKeyValue(key + "=" + nats[key])
		if err != nil {
			return s, err
		}
		keys = append(slices.DeleteFunc(keys, func(o topologies.KeyValue) bool { return o.Key == kv.Key && o.Group == kv.Group }), kv)
	}
	return newScenario(s.topology, s.from, given, common{keys, client, s.clients, s.auth}, s.assertions(), wanted, seed)
}

// login is how clients log in, where it is not the usual way.
func (s scenario) login() string {
	if s.auth == topologies.Password {
		return ""
	}
	return string(s.auth)
}

func (s scenario) assertions() []assertions.Assertion {
	var all []assertions.Assertion
	for _, l := range s.labs {
		for _, a := range l.judged {
			if !slices.ContainsFunc(all, func(b assertions.Assertion) bool { return a.Name == b.Name }) {
				all = append(all, a)
			}
		}
	}
	return all
}

// defaultRuntime is what the command line uses if it does not say.
const defaultRuntime = "embedded"

// reproduce is the command that runs just this scenario.
func (s scenario) reproduce(o Options, seed int64) string {
	words := []string{"lbtest", "--topology", s.topology.Name}
	if name := o.Runtime.Name(); name != defaultRuntime {
		words = append(words, "--runtime", name)
	}
	if s.from.given != "" {
		words = append(words, "--profile", s.from.given)
	}
	for _, name := range s.top {
		words = append(words, "--set", name+"="+s.settings[name])
	}
	for _, kv := range s.nats {
		words = append(words, "--nats", kv.String())
	}
	for _, key := range slices.Sorted(maps.Keys(s.client.Said())) {
		words = append(words, "--client", key+"="+s.client.Said()[key])
	}
	for _, a := range o.Assert {
		words = append(words, "--assert", a)
	}
	if way := s.login(); way != "" {
		words = append(words, "--auth", way)
	}
	if o.Clients != 0 && o.Clients != usualClients {
		words = append(words, "--clients", fmt.Sprint(o.Clients))
	}
	if o.TimeScale != "" && o.TimeScale != "auto" {
		words = append(words, "--time-scale", o.TimeScale)
	}
	words = append(words, "--seed", fmt.Sprint(seed))
	for i, w := range words {
		words[i] = quote(w)
	}
	return strings.Join(words, " ")
}

// usable asks the runtime before anything is started.
func (p Plan) usable(ctx context.Context) error {
	limited, cancel := context.WithTimeout(ctx, 10*time.Second) // a question, not a start
	defer cancel()
	if err := p.options.Runtime.Usable(limited); err != nil {
		return fmt.Errorf("runtime %s cannot be used here: %w", p.options.Runtime.Name(), err)
	}
	return nil
}
