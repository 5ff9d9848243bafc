package suite

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/lbtest/lbtest/assertions"
	"github.com/lbtest/lbtest/proxies"
	"github.com/lbtest/lbtest/proxies/profiles"
)

// trait is something that was seen of an endpoint and that profiles speak of.
type trait struct {
	name string
	// of says how well a profile fits: 1 as it comes, less where it has to be set so, 0 not at all; known is false
	// where the profile says nothing.
	of func(proxies.Profile) (fits float64, known bool)
}

// traits are what was seen, without what nobody could see.
func traits(h assertions.History) []trait {
	i := assertions.IdleOf(h)
	var all []trait
	add := func(name string, of func(proxies.Profile) (float64, bool)) { all = append(all, trait{name, of}) }
	same := func(name, setting string, values ...string) {
		add(name, func(p proxies.Profile) (float64, bool) {
			if p.Unknown(setting) {
				return 0, false
			}
			return truth(slices.Contains(values, p.Value(setting))), true
		})
	}
	if i.Survived+i.Ended > 0 {
		add("idle limit", func(p proxies.Profile) (float64, bool) { return limitFits(i, p) })
	}
	if i.Met() {
		add("manner", func(p proxies.Profile) (float64, bool) {
			if p.Unknown("idle-expiry") || idleOf(p) == 0 && len(p.Ranges) == 0 {
				return 0, false
			}
			return truth(p.Value("idle-expiry") == expiry(i)), true
		})
		if i.Keepalive != "" {
			same("keepalive", "idle-keepalive", i.Keepalive)
		}
	}
	seen := assertions.PostureOf(h)
	if len(seen.TLS) > 0 {
		same("TLS", "tls", seen.TLS...)
	}
	if seen.Inspects {
		add("waits for the client", func(p proxies.Profile) (float64, bool) { return truth(p.Value("inspection") != "none"), true })
	} else {
		same("lets the server speak first", "inspection", "none", "signature", "line-limit", "hold")
	}
	if seen.Header != "" && seen.Header != "off" {
		add("PROXY header", func(p proxies.Profile) (float64, bool) {
			return truth(p.Value("proxy-protocol") == seen.Header), p.Value("proxy-protocol") != "off" // most can, and come without
		})
	}
	return all
}

func truth(fits bool) float64 {
	if fits {
		return 1
	}
	return 0
}

// idleOf is the shortest idle timeout of a profile.
func idleOf(p proxies.Profile) time.Duration {
	var least time.Duration
	for _, setting := range []string{"idle-timeout", "idle-timeout-client", "idle-timeout-server"} {
		if d := p.Duration(setting); d > 0 && (least == 0 || d < least) {
			least = d
		}
	}
	return least
}

// limitFits compares a limit as measured with the one that a profile comes with, or can be set to.
func limitFits(i assertions.Idle, p proxies.Profile) (fits float64, known bool) {
	// A fiftieth is what is measured at best, and half a second what a coarse timer adds.
	low, high := i.Low-i.Low/50-500*time.Millisecond, i.High+i.High/50+500*time.Millisecond
	own := idleOf(p)
	if !i.Met() {
		if own > 0 && own < i.Low {
			return 0, true
		}
		return 0, false // everything above looks alike
	}
	if own >= low && own <= high {
		return 1, true
	}
	if p.Unknown("idle-timeout") {
		return 0, false
	}
	for _, r := range p.Ranges {
		if r.Setting == "idle-timeout" && high >= r.Min && (r.Max == 0 || low <= r.Max) && r.Min != r.Max {
			return settable, true
		}
	}
	if own == 0 {
		return settable, true // it has none until it is told to, and then any
	}
	return 0, true
}

// settable is what a profile gets that could be set to what was seen: many can.
const settable = 0.5

// expiry is the manner of ending idle connections, as settings name it.
func expiry(i assertions.Idle) string {
	if i.Manner == "fin-on-next" {
		return "rst-on-next" // told when somebody speaks; the nearest there is
	}
	return i.Manner
}

// likeness says which load balancer of the catalogue this looks most like, and how well.
func likeness(h assertions.History) string {
	seen := traits(h)
	if len(seen) == 0 || !assertions.IdleOf(h).Met() {
		return "" // nearly everything looks like everything until it ends a connection
	}
	type match struct {
		names   []string
		fits    float64
		differs []string
		unsaid  []string
	}
	var best []match
	for _, p := range profiles.All() {
		m := match{names: []string{p.Name}}
		for _, t := range seen {
			fits, known := t.of(p)
			switch {
			case !known:
				m.unsaid = append(m.unsaid, t.name)
				m.fits += 0.25 // neither for nor against it
			case fits == 0:
				m.differs = append(m.differs, t.name)
				m.fits -= 0.5
			default:
				m.fits += fits
			}
		}
		switch {
		case len(best) == 0 || m.fits > best[0].fits:
			best = []match{m}
		case m.fits == best[0].fits:
			best = append(best, m)
		}
	}
	var names []string
	for _, m := range best {
		names = append(names, m.names...)
	}
	const enough = 4 // more of them is no likeness
	text := strings.Join(names[:min(len(names), enough)], ", ")
	if len(names) > enough {
		text += fmt.Sprintf(" and %d more", len(names)-enough)
	}
	share := 100 * max(best[0].fits, 0) / float64(len(seen))
	var looked []string
	for _, t := range seen {
		looked = append(looked, t.name)
	}
	text += fmt.Sprintf(" (%.0f %% by %s", share, strings.Join(looked, ", "))
	if len(best[0].differs) > 0 {
		text += "; unlike it in " + strings.Join(best[0].differs, ", ")
	}
	if share < 60 {
		return "nothing in the catalogue; nearest is " + text + ")"
	}
	return text + ")"
}

// reproduction is the lab with the measured numbers, "" where there is nothing to reproduce.
func reproduction(h assertions.History) string {
	i := assertions.IdleOf(h)
	seen := assertions.PostureOf(h)
	var set []string
	if i.Met() {
		set = append(set, "idle-timeout="+middle(i).String(), "idle-expiry="+expiry(i))
		if i.Keepalive != "" {
			set = append(set, "idle-keepalive="+i.Keepalive)
		}
	}
	if i.Lifetime > 0 {
		set = append(set, "max-lifetime="+i.Lifetime.Round(100*time.Millisecond).String())
	}
	if len(seen.TLS) == 1 && seen.TLS[0] != "passthrough" {
		set = append(set, "tls="+seen.TLS[0])
	}
	if seen.Header != "" && seen.Header != "off" {
		set = append(set, "proxy-protocol="+seen.Header)
	}
	if seen.Inspects {
		set = append(set, "inspection=client-first")
	}
	if len(set) == 0 {
		return ""
	}
	return "lbtest --topology clients-behind-lb --set " + strings.Join(set, " --set ")
}

// middle is one number for a limit, as somebody may have configured it: whole seconds where these lie within.
func middle(i assertions.Idle) time.Duration {
	mid := (i.Low + i.High) / 2
	slack := max(i.High-i.Low, mid/50, 50*time.Millisecond)
	for _, unit := range []time.Duration{time.Minute, 10 * time.Second, 5 * time.Second, time.Second, 100 * time.Millisecond} {
		if whole := mid.Round(unit); whole > 0 && whole-mid <= slack && mid-whole <= slack {
			return whole
		}
	}
	return mid.Round(time.Millisecond)
}
