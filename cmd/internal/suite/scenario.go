package suite

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/lbtest/lbtest/assertions"
	"github.com/lbtest/lbtest/proxies"
	"github.com/lbtest/lbtest/topologies"
)

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
	on       topologies.Runtime // nil: that of the run
	limits   topologies.Limits  // of every node
	engines  []Engine           // that the runtime has a place for
	clients  int                // connections the operator expects at once
	notes    []string           // what is to be known about what was asked
	mute     []string           // settings of the profile that cannot act here, or that nothing here can reach
	labs     []lab
	skip     string // why nothing of it can be judged
	left     []left // assertions that cannot be judged, each with its reason
}

// left is an assertion that is left out, and why.
type left struct {
	assertion assertions.Assertion
	why       string
}

// common is what all scenarios of a run share.
type common struct {
	nats    []topologies.KeyValue
	client  assertions.ClientTuning
	clients int
	auth    topologies.AuthMode
	limits  topologies.Limits
	engines []Engine // that the runtime has a place for
}

// newView is a configuration of a topology as its first balanced link is judged.
func newView(t topologies.Topology, from origin, given []string, all common, chosen []assertions.Assertion, wanted float64, seed int64) (scenario, error) {
	s := from.scenario(t, given, all.limits)
	s.nats, s.client, s.clients, s.auth, s.limits, s.engines = all.nats, all.client, all.clients, all.auth, all.limits, all.engines
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
	s.assume()
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
	if why := s.engineless(); why != "" {
		return why
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

// Room is how much this machine bears: labs side by side, the files that a process may have open, and how many clients
// those are enough for.
func Room() (labs, files, clients int) {
	return int(side()), descriptors(), (descriptors() - otherFiles) / perClient
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

// with is the same scenario with some settings and configuration keys changed, as an advice has it.
func (s scenario) with(a assertions.Advice, wanted float64, seed int64) (scenario, error) {
	set, nats := a.Set, a.Nats
	client, err := s.client.And(a.Client)
	if err != nil {
		return s, err
	}
	limits, err := s.limits.With(a.Node)
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
	return newScenario(s.topology, s.from, given, common{keys, client, s.clients, s.auth, limits, s.engines}, s.assertions(), wanted, seed)
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

// placed is the scenario on a runtime of its own.
func (s scenario) placed(on topologies.Runtime) scenario {
	s.on, s.labs = on, slices.Clone(s.labs)
	for i := range s.labs {
		s.labs[i].on = on
	}
	return s
}

// runtime is what the scenario runs on: its own, or that of the run.
func (s scenario) runtime(ofRun topologies.Runtime) topologies.Runtime {
	if s.on != nil {
		return s.on
	}
	return ofRun
}

// defaultRuntime is what the command line uses if it does not say.
const defaultRuntime = "embedded"

// reproduce is the command that runs just this scenario.
func (s scenario) reproduce(o Options, seed int64) string {
	words := []string{"lbtest", "--topology", s.topology.Name}
	if name := s.runtime(o.Runtime).Name(); name != defaultRuntime {
		words = append(words, "--runtime", name)
	}
	if o.NatsImage != "" {
		words = append(words, "--nats-image", o.NatsImage)
	}
	if s.from.given != "" {
		words = append(words, "--profile", s.from.given)
	}
	for _, name := range s.top {
		words = append(words, "--set", name+"="+s.settings[name])
	}
	for _, pair := range s.limits.Pairs() {
		words = append(words, "--node", pair)
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
	if s.clients != 0 && s.clients != usualClients {
		words = append(words, "--clients", fmt.Sprint(s.clients))
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
