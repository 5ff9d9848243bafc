package suite

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/lbtest/lbtest/assertions"
	"github.com/lbtest/lbtest/proxies"
	"github.com/lbtest/lbtest/proxies/profiles"
	"github.com/lbtest/lbtest/topologies"
)

// origin is the load balancer that a scenario's settings are put on top of.
type origin struct {
	given   string // as typed after --profile; "" where nothing was
	profile proxies.Profile
	pings   int // as how many an idle timeout is simulated at the most; 0: as long as beyond allows
}

// findProfiles reads what was given, and gives the one empty origin where nothing was.
func findProfiles(given []string) ([]origin, error) {
	if len(given) == 0 {
		return []origin{{}}, nil
	}
	var found []origin
	for _, g := range given {
		p, err := profiles.Load(g)
		if err != nil {
			return nil, err
		}
		for _, other := range found {
			switch {
			case other.given == g:
				return nil, fmt.Errorf("--profile %s is given twice", g)
			case other.profile.Name == p.Name:
				return nil, fmt.Errorf("--profile %s and --profile %s are both called %s; give one of them another name", other.given, g, p.Name)
			}
		}
		found = append(found, origin{given: g, profile: p})
	}
	return found, nil
}

// scenario begins a scenario with what the profile states.
func (f origin) scenario(t topologies.Topology, given []string, limits topologies.Limits) scenario {
	s := scenario{topology: t, from: f, profile: usual(t), settings: map[string]string{}}
	parts := given
	if f.given != "" {
		s.profile = f.profile
		parts = slices.Concat([]string{f.profile.Name}, given)
		for _, stated := range f.profile.Stated() {
			s.settings[stated.Setting] = stated.Value
			s.order = append(s.order, stated.Setting)
		}
	}
	s.name = t.Name + "/" + strings.Join(slices.Concat(parts, limits.Pairs()), ",")
	return s
}

// usual is the balancer that a topology stands behind where no profile says otherwise: it does nothing, but before
// websockets it speaks HTTP, as balancers there do, and so wants a request first.
func usual(t topologies.Topology) proxies.Profile {
	p := proxies.Direct()
	if slices.Contains(t.Balanced, topologies.Websocket) {
		p, _ = p.With("inspection", "http") // one of its own words
	}
	return p
}

// beyond is how long an idle timeout or a lifetime of a profile is simulated as at the most: twenty of the pings
// that keep routes from being quiet, which nats-server sends each 30 s or more often. Waiting for the five days of a connection table would teach no more.
const beyond = 10 * time.Minute

// farthest is how long a timer of a profile is simulated as at the most. Of an idle timeout a matrix may say in pings
// what is far enough: the longest silence that is usual on the link decides whether it is met.
func (s scenario) farthest(timer string) time.Duration {
	if s.from.pings == 0 || timer == "max-lifetime" {
		return beyond
	}
	return min(beyond, time.Duration(s.from.pings)*slices.Max(s.timers().pings))
}

// details are the settings that say what happens at a limit.
var details = map[string][]string{"source-ports": {"port-reuse-delay", "port-exhaustion"}, "max-connections": {"connection-limit"}}

// heed puts down what has to be known about a profile here: what its vendor would not take, what cannot act,
// and what is simulated as something shorter.
func (s *scenario) heed(wanted float64) {
	s.doNothing()
	if s.from.given == "" {
		return
	}
	for _, name := range s.top {
		s.note(s.profile.Beyond(name))
	}
	// A setting that was given is judged as it is, or skipped with the reason.
	ofProfile := s.ofProfile
	if s.fronts() == "per-node" {
		if ofProfile("balance") {
			s.silence("balance", "with one frontend a node there is one backend behind each, and nothing to balance")
		}
		if ofProfile("hairpin") && s.settings["hairpin"] != "allowed" {
			s.silence("hairpin", "with one frontend a node nobody is balanced back to itself")
		}
	}
	if wanted <= 1 {
		return // in real time a timer is what it is
	}
	for _, name := range []string{"idle-timeout", "idle-timeout-client", "idle-timeout-server", "max-lifetime"} {
		longest := s.farthest(name)
		if ofProfile(name) && s.profile.Duration(name) > longest {
			shorter, err := s.profile.With(name, longest.String())
			if err != nil {
				continue // it is a duration like any other
			}
			s.profile = shorter
			if longest < beyond {
				s.note(fmt.Sprintf("%s=%s is simulated as %s, %d pings; one that is longer is more lenient and nothing else", name, s.settings[name], s.profile.Value(name), s.from.pings))
				continue
			}
			s.note(fmt.Sprintf("%s=%s is simulated as %s, which is as far beyond pings of %s; --time-scale 1 waits for it in full",
				name, s.settings[name], s.profile.Value(name), s.timers().pings[0]))
		}
	}
}

// ofProfile reports whether a setting is the profile's own word.
func (s *scenario) ofProfile(name string) bool {
	return s.settings[name] != "" && !slices.Contains(s.top, name)
}

// doNothing says which settings cannot show in this lab beside others that can. One that was given alone is
// skipped with the reason.
func (s *scenario) doNothing() {
	for _, name := range limits {
		if (s.ofProfile(name) || len(s.order) > 1) && s.outOfReach(name) {
			s.silence(name, fmt.Sprintf("%s; the tester can reach limits of up to %d", s.nowhereNear(), assertions.Fillable))
			s.mute = append(s.mute, details[name]...)
		}
	}
	if s.profile.Value("health-check") != "off" && s.profile.Value("node-fault") == "none" {
		s.note("no node fails in this run: health checks are judged by what they do to healthy ones")
	} else if s.ofProfile("on-down") {
		s.silence("on-down", "without health checks no backend is ever found to be down")
	}
}

func (s *scenario) note(text string) {
	if text != "" {
		s.notes = append(s.notes, text)
	}
}

// silence leaves a setting of the profile without effect, and says why.
func (s *scenario) silence(name, why string) {
	s.mute = append(s.mute, name)
	s.note(fmt.Sprintf("%s=%s has no effect here: %s", name, s.settings[name], why))
}

// count reads a number of connections or ports, 0 for what is none.
func count(value string) (n int) {
	if _, err := fmt.Sscanf(value, "%d", &n); err != nil {
		return 0
	}
	return n
}

// judgeable leaves out what cannot be judged because nobody knows how long the balancer bears silence.
func (s *scenario) judgeable(all, chosen []assertions.Assertion) []assertions.Assertion {
	if !s.profile.Unknown("idle-timeout") || s.timers().idle > 0 {
		return all
	}
	why := fmt.Sprintf("the idle timeout of %s is not documented: add --set idle-timeout=… once you know it", s.profile.Name)
	if s.settings["idle-expiry"] == "" {
		why += ", and --set idle-expiry=…"
	}
	silent := func(a assertions.Assertion) bool { return a.SpeaksOf("idle-timeout") && a.Observe.Alone }
	open := all
	if chosen == nil { // nothing that is stated brings up these promises, and they are the first that one asks for
		open = slices.DeleteFunc(assertions.All(), func(a assertions.Assertion) bool { return !crosses(s.topology, a) })
	}
	for _, a := range open {
		if silent(a) {
			s.left = append(s.left, left{a, why})
		}
	}
	return slices.DeleteFunc(slices.Clone(all), silent)
}

// eachManner multiplies the labs in which an idle connection may end, where nobody knows in which manner.
func (s *scenario) eachManner(labs []lab) []lab {
	manners := s.profile.Manners()
	if len(manners) == 1 {
		return labs
	}
	var all []lab
	for _, l := range labs {
		proves := slices.ContainsFunc(idle[:3], func(name string) bool { return l.proves[name] != "" })
		if !proves && !l.jetStream() {
			all = append(all, l)
			continue
		}
		for _, manner := range manners {
			tried := l
			var err error
			if tried.profile, err = l.profile.With("idle-expiry", manner); err != nil {
				continue // they are idle-expiry's own words
			}
			tried.manner, tried.proves = manner, maps.Clone(l.proves)
			if proves {
				tried.proves["idle-expiry"] = manner
			}
			all = append(all, tried)
		}
	}
	return all
}

// gravest keeps, of the answers of one assertion under several manners of expiry, the worst, and names its manner.
func gravest(results []result) []result {
	var kept []result
	alike := map[string]bool{}
	for _, r := range results {
		i := slices.IndexFunc(kept, func(k result) bool { return k.assertion.Name == r.assertion.Name && k.link == r.link })
		if r.manner == "" || i < 0 {
			kept, alike[r.assertion.Name+r.link] = append(kept, r), true
			continue
		}
		k := kept[i]
		alike[r.assertion.Name+r.link] = alike[r.assertion.Name+r.link] && r.finding.Verdict == k.finding.Verdict
		if r.finding.Verdict.Worse(k.finding.Verdict) {
			kept[i] = r
		}
		kept[i].marginal = k.marginal || r.marginal
		kept[i].took = max(k.took, r.took)
	}
	for i, k := range kept {
		switch {
		case k.manner == "" || k.finding.Verdict == assertions.Errored:
		case alike[k.assertion.Name+k.link]:
			kept[i].finding.Got = fmt.Sprintf("%s (with idle-expiry=%s; %s in each of the four manners)", k.finding.Got, k.manner, k.finding.Verdict)
		default:
			kept[i].finding.Got = fmt.Sprintf("%s (with idle-expiry=%s, the worst of the four manners)", k.finding.Got, k.manner)
		}
	}
	return kept
}

// source is where a profile's numbers stand, and when that was read.
func (s scenario) source() string {
	p := s.from.profile
	if p.Source != "" && p.Checked != "" {
		return p.Source + " (" + p.Checked + ")"
	}
	return p.Source + p.Checked
}

// unverified says what is assumed of the profile's settings that nobody has verified; what was given settles it.
func (s scenario) unverified() map[string]string {
	doubts := map[string]string{}
	for _, d := range s.from.profile.Unverified {
		if !slices.Contains(s.top, d.Setting) {
			doubts[d.Setting] = d.Assumed
		}
	}
	return doubts
}
