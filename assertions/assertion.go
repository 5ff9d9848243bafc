// Package assertions says what must hold for NATS behind a load balancer, watches it, and judges.
//
// An assertion is one file: it registers a name, the promise that is checked, the settings it speaks
// of, the observation that it needs and a pure judge. Observations write one timeline of events;
// judges read timelines and touch nothing else. To add an assertion, add one file that is named like
// it: "routes/stay-up-when-quiet" is routes_stay_up_when_quiet.go.
package assertions

import (
	"fmt"
	"path"
	"slices"
	"sort"
)

// Assertion is one promise, how it is watched and how it is judged.
type Assertion struct {
	// Name is what is typed after --assert and printed in reports: "family/what-holds".
	Name string
	// Promise is one sentence that is true if the verdict is safe.
	Promise string
	// Explain tells an operator why it matters and how the measured numbers come about.
	Explain string
	// Speaks names the LB settings, and the limits of nodes, that can break the promise; a run judges the assertions that
	// speak of one it was given.
	Speaks []string
	// Links names the balanced link kinds that the promise is about: it is judged where one of them is.
	Links []string
	// Observe is the watching that Judge needs. Assertions that need the same watching share it.
	Observe *Observation
	// Elsewhere is the watching on links that are not watched by Observe, by link kind. It writes the same events.
	Elsewhere map[string]*Observation
	// SpeaksOn is in the place of Speaks on some links, by link kind.
	SpeaksOn map[string][]string
	// Idle is the watching where the balancer ends quiet or old connections, if another than Observe; it writes the same
	// events.
	Idle *Observation
	// Judge reads a timeline and says what it finds. It is pure; it never returns an empty slice.
	Judge func(History) []Finding
	// Moot says why nothing is promised under those terms, or ""; nil where something always is.
	Moot func(Terms) string
	// Absolute promises are judged without the control: what a control shows does not excuse a run.
	Absolute bool
	// Endings is for promises about when both ends of a connection have given it up that was ended without a word: the
	// balancer has to see that.
	Endings bool
	// Hostile is a variant of its own settings that the judge must find unsafe (risky where the
	// contract knows nothing worse), each as SETTING=VALUE or, after "nats:", "client:" or "node:", KEY=VALUE.
	Hostile []string
	// Unbroken says why no balancer is known that breaks the promise, in the place of Hostile. A test then
	// breaks it by hand on real servers: a judge that has never said no is not trusted.
	Unbroken string
}

var registry = map[string]Assertion{}

func register(a Assertion) {
	switch {
	case a.Name == "" || a.Promise == "" || a.Explain == "":
		panic(fmt.Sprintf("assertion %q lacks its name, promise or explanation", a.Name))
	case len(a.Speaks) == 0 || a.Observe == nil || a.Judge == nil || (len(a.Hostile) == 0) == (a.Unbroken == ""):
		panic(fmt.Sprintf("assertion %q lacks what it speaks of, its observation, its judge or its hostile variant", a.Name))
	}
	if _, ok := registry[a.Name]; ok {
		panic(fmt.Sprintf("assertion %q is registered twice", a.Name))
	}
	registry[a.Name] = a
}

// All returns every assertion, by name.
func All() []Assertion {
	all := make([]Assertion, 0, len(registry))
	for _, a := range registry {
		all = append(all, a)
	}
	sort.Slice(all, func(i, j int) bool { return all[i].Name < all[j].Name })
	return all
}

// Match returns the assertions whose names match a pattern in which * stands for anything but a slash,
// or for a whole family: "jetstream/*", "*/no-*". The error is the user's.
func Match(pattern string) ([]Assertion, error) {
	if _, err := path.Match(pattern, ""); err != nil {
		return nil, fmt.Errorf("assertion pattern %q: * and ? are allowed, brackets must be closed", pattern)
	}
	var found []Assertion
	for _, a := range All() {
		if ok, _ := path.Match(pattern, a.Name); ok || pattern == "*" {
			found = append(found, a)
		}
	}
	return found, nil
}

// What kinds of settings can break, for the assertions that any of a kind can break.
var (
	// ofConnecting act while a connection is made, or keep it from being made.
	ofConnecting = []string{"frontends", "balance", "hairpin", "inspection", "inspection-delay", "inspection-verdict", "inspection-pattern",
		"inspection-limit", "tls", "proxy-protocol", "source-ports", "port-reuse-delay", "port-exhaustion", "max-connections",
		"connection-limit", "connect-rate", "health-check", "health-interval", "health-fall", "on-down"}
	// ofCarrying act on the bytes.
	ofCarrying = []string{"latency", "jitter", "bandwidth", "burst", "slice"}
)

var (
	// ofLiving end or hold up connections that live, or lead them elsewhere.
	ofLiving = speaks([]string{"frontends"}, ofCarrying, "idle-timeout", "idle-timeout-client", "idle-timeout-server", "idle-expiry", "max-lifetime",
		"stall", "outage", "restart", "drain")
	// betweenClusters is what promises about streams speak of where the streams' own replicas are not beyond the balancer: that
	// a link comes into being is its own assertion's subject there.
	betweenClusters = map[string][]string{gatewayLinks: ofLiving, leafLinks: ofLiving}
)

func speaks(connecting, carrying []string, more ...string) []string {
	return slices.Concat(connecting, more, carrying)
}

// Over is the assertion as it is watched on a link kind.
func (a Assertion) Over(link string) Assertion {
	if o, ok := a.Elsewhere[link]; ok {
		a.Observe = o
	}
	if s, ok := a.SpeaksOn[link]; ok {
		a.Speaks = s
	}
	return a
}

// MootUnder says why nothing is promised under those terms, or "".
func (a Assertion) MootUnder(t Terms) string {
	if a.Moot == nil {
		return ""
	}
	return a.Moot(t)
}

// SpeaksOf reports whether a promise can be broken by that LB setting.
func (a Assertion) SpeaksOf(setting string) bool {
	for _, s := range a.Speaks {
		if s == setting {
			return true
		}
	}
	return false
}
