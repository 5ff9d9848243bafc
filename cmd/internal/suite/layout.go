package suite

import (
	"maps"
	"slices"
	"time"

	"github.com/lbtest/lbtest/assertions"
	"github.com/lbtest/lbtest/topologies"
)

// lay decides which assertions are judged, and in which labs: those that need quiet get a lab of their
// own, scaled as far as its timers allow; what happens in the middle of traffic, and all of JetStream,
// takes place in real time.
func (s *scenario) lay(chosen []assertions.Assertion, wanted float64) {
	judged := chosen
	if judged == nil {
		for _, a := range assertions.All() {
			if a = a.Over(string(s.topology.Balanced[0])); crosses(s.topology, a) && (slices.ContainsFunc(s.order, a.SpeaksOf) || s.limited(a)) {
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
	judged = s.promised(s.seen(s.judgeable(judged, chosen)), chosen)
	waits := s.timers()
	for i, a := range judged {
		if a.Idle != nil && waits.waits() && !s.strikes() {
			judged[i].Observe = a.Idle
		}
	}
	factor := s.wholly(waits.factor(wanted))
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

// limited reports whether a promise can be broken by a limit that nodes were given.
func (s scenario) limited(a assertions.Assertion) bool {
	for name := range s.limits.Said() {
		if a.SpeaksOf(name) {
			return true
		}
	}
	return false
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
	if s.profile.Value("inspection") != "none" && s.link() == topologies.Gateways {
		// Whoever dials a gateway says nothing before it has heard INFO, and drops it after three pings.
		t.patience = s.profile.Duration("inspection-delay")
	}
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

// clientPings are the silences that are usual between a client and its server: each side's own interval, and, where the
// client does not ping as often, twice the server's, which postpones its ping while the client speaks.
func (s scenario) clientPings() []time.Duration {
	server := s.build().Pings().Interval
	client, _ := s.client.Ping()
	switch {
	case client > 0 && client <= server:
		return []time.Duration{server, client}
	case client > 0:
		return []time.Duration{server, 2 * server, client}
	}
	return []time.Duration{server, 2 * server}
}

// build is what the servers are told, in real time.
func (s scenario) build() topologies.Build {
	return topologies.Build{Topology: s.topology, Tuning: topologies.Tuning{Nats: s.nats}}
}

func (s scenario) lab(judged []assertions.Assertion, factor float64) lab {
	l := lab{mute: s.mute, topology: s.topology, profile: s.profile, engine: called(s.engines, s.profile), nats: s.nats, client: s.client, clients: s.clients, limits: s.limits, security: s.security(), fronts: s.fronts(), factor: factor, judged: judged, proves: maps.Clone(s.settings), starts: 1}
	forms := slices.ContainsFunc(judged, func(a assertions.Assertion) bool { return a.Observe == assertions.Forming })
	if l.fronts == "shared" && s.balances(topologies.Routes) || l.profile.Value("bypass") == "closed" && s.balances(topologies.Gateways) && forms {
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

// luckyStarts is how often a lab is started afresh whose outcome depends on chance: on which node a connection happens to
// reach, or on how many learnt addresses a gateway dials in vain, a second each, before that of the balancer. The worst counts.
const luckyStarts = 3
