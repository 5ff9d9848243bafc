package assertions

import (
	"fmt"
	"maps"
	"net"
	"slices"
	"time"
)

// Proved says which of the given settings the canaries and the balancer's own events prove to have
// taken effect, and why the others are not proved. It is pure.
func Proved(h History) (unproved []string) {
	for name, value := range h.Terms.Settings {
		prove, ok := proofs[name]
		if family := familyOf(name); !ok && family != nil {
			prove, ok = family.proved, true
		}
		if !ok {
			unproved = append(unproved, name+": nothing can prove it")
			continue
		}
		if why := prove(h, value); why != "" {
			unproved = append(unproved, name+"="+value+": "+why)
		}
	}
	return unproved
}

// proofs of the settings: each returns why it is not proved, or "".
var proofs = map[string]func(h History, value string) string{
	"idle-timeout":        provedIdle,
	"idle-timeout-client": provedIdle,
	"idle-timeout-server": provedIdle,
	"idle-expiry":         provedIdle,
	"idle-keepalive":      provedKeepalive,
	"max-lifetime": func(h History, _ string) string {
		e, ok := ended(h, "chatting", "near")
		return timely(e, ok, h.Terms.Lifetime, "fin")
	},
	"stall": func(h History, _ string) string {
		stalled := h.Terms.duration("stall")
		for _, e := range h.Kind(Probe, "held") {
			// The echo under way when the stall began was held for all of it, less the pace of the chat.
			if e.Took >= stalled-min(echoes, stalled/2) {
				return ""
			}
		}
		return "no byte of the canary was held for " + spoken(stalled)
	},
	"outage": func(h History, _ string) string {
		if _, ok := ended(h, "chatting", ""); !ok {
			return "the canary's connection outlived it"
		}
		if _, ok := h.First(Probe, "refused"); !ok {
			return "no connection of the canary was refused"
		}
		return cameBack(h)
	},
	"restart": func(h History, value string) string {
		_, dead := ended(h, "chatting", "")
		_, survived := h.First(Probe, "survived")
		switch {
		case value == "crash" && !dead:
			return "the canary's connection outlived the crash"
		case value == "reload" && !survived:
			return "the canary's connection did not outlive the reload"
		}
		if _, ok := h.First(Balancer, map[string]string{"crash": "crash", "reload": "reload"}[value]); !ok {
			return "the balancer did not restart"
		}
		return cameBack(h)
	},
	"drain": func(h History, value string) string {
		if _, ok := h.First(Balancer, "removed"); !ok {
			return "no backend was taken out of rotation"
		}
		_, ended := History{Events: h.Filter(func(e Event) bool { return e.From == Balancer && e.Why == "drain" })}.First(Balancer, "expired")
		switch {
		case value == "keep" && ended:
			return "connections of the removed backend were ended"
		case value != "keep" && !ended:
			return "no connection of the removed backend was ended"
		}
		return ""
	},
	"node-fault": func(h History, value string) string {
		if value == "remove" {
			if _, ok := h.First(Balancer, "removed"); !ok {
				return "no backend was taken out of rotation"
			}
			return ""
		}
		struck := h.Filter(func(e Event) bool { return e.From == Lab && e.Kind == "node-lost" && e.How == value })
		switch {
		case value == "none":
			return ""
		case len(struck) == 0:
			return "no node was struck"
		}
		if _, back := h.Last(Lab, "node-back"); !back {
			return "the node did not come back"
		}
		return ""
	},
	"bypass": func(h History, value string) string {
		if value == "off" {
			return ""
		}
		tried := h.Kind(Probe, "tried")
		for _, e := range tried {
			if e.How != value {
				return fmt.Sprintf("the address that %s tells others to dial was found to be %s", e.Node, e.How)
			}
		}
		if len(tried) == 0 {
			return "nobody tried what the nodes tell others to dial"
		}
		return ""
	},
	"on-down": func(h History, value string) string {
		if _, ok := h.First(Balancer, "down"); !ok {
			return "no backend was found to be down"
		}
		e, ended := ended(h, orphan, "")
		switch want := map[string]string{"close": "fin", "reset": "rst"}[value]; {
		case !ended:
			if _, kept := h.First(Probe, "kept"); !kept {
				return "nobody saw what became of a connection to a backend that was down"
			}
			if want != "" {
				return "the canary's connection outlived its backend"
			}
		case want == "":
			return "the canary's connection ended with its backend"
		case e.How != want:
			return fmt.Sprintf("the canary's connection ended by %s, not %s", e.How, want)
		}
		return ""
	},
	// Every connection is counted from its beginning; only one that has used its burst up meets the bandwidth.
	"burst": func(h History, value string) string {
		if !slices.ContainsFunc(h.Events, func(e Event) bool {
			return e.From == Balancer && e.Kind == "applied" && e.Why == "burst" && balanced(e)
		}) {
			one := h.Terms.kind().one
			if len(h.Terms.Links) > 0 && h.Terms.Links[0] != h.Terms.kind().name {
				one = "client's connection"
			}
			return "no " + one + " used it up, so that none met the bandwidth; what happens then shows with a smaller burst"
		}
		return ""
	},
	"engine": func(h History, value string) string {
		kernel := h.Filter(func(e Event) bool { return e.From == Balancer && e.Kind == "applied" && e.Why == "engine" })
		switch {
		case value != "simulated" && len(kernel) == 0:
			return "no connection was in the kernel's table"
		case value == "simulated" && len(kernel) > 0:
			return "the kernel balanced"
		}
		return ""
	},
	"frontends": func(h History, value string) string {
		behind, _ := ledTo(h)
		switch {
		case len(behind) == 0 && h.keptOut():
			return ""
		case len(behind) == 0:
			return "no connection crossed the balancer"
		}
		for _, front := range slices.Sorted(maps.Keys(behind)) {
			backends := behind[front]
			if value == "per-node" && len(backends) != 1 {
				return fmt.Sprintf("frontend %s led to %d nodes", front, len(backends))
			}
			if value != "shared" || h.Terms.Settings["balance"] == "source-hash" {
				continue // all nodes of a lab dial from one address, which a hash of it leads to one backend
			}
			switch shared := h.Terms.sharedFronts(); {
			case shared == 1 && (len(behind) != 1 || len(backends) < 2 && !h.lucky()):
				return "connections to the one frontend did not reach several nodes"
			case shared > 1 && len(behind) != shared:
				return fmt.Sprintf("%d of %d shared frontends were dialled", len(behind), shared)
			case shared > 1 && len(backends) < 2 && !h.lucky():
				return "connections to frontend " + front + " did not reach several nodes"
			}
		}
		return ""
	},
	"balance": func(h History, value string) string {
		behind, _ := ledTo(h)
		switch {
		case len(behind) == 0 && h.keptOut():
			return ""
		case value == "source-hash":
			return provedHash(h)
		case h.lucky():
			return ""
		}
		for _, backends := range behind {
			if len(backends) > 1 {
				return ""
			}
		}
		return "connections did not reach several nodes"
	},
}

// keptOut reports whether nobody got as far as a backend for a reason that is proved by itself: an inspection, or TLS that
// the balancer ends and nobody spoke. It leaves nothing to balance, and nothing that could be called safe.
func (h History) keptOut() bool {
	return h.Terms.given("inspection") || slices.ContainsFunc(h.Events, func(e Event) bool {
		return e.From == Balancer && e.Kind == "refused" && e.Why == "tls" && balanced(e)
	})
}

// provedHash wants each source address to have met one node at each frontend, for as long as all are there: without one of
// them a hash leads elsewhere. All nodes of a lab on one machine dial from the same address, in containers each from its own.
func provedHash(h History) string {
	met := map[[2]string]string{}
	for _, e := range h.Events {
		if e.From == Lab && e.Kind == "node-lost" || e.From == Balancer && (e.Kind == "down" || e.Kind == "removed") && balanced(e) {
			break
		}
		if !letIn(e) {
			continue
		}
		host, _, _ := net.SplitHostPort(e.Caller) // "" is an address like any other
		by := [2]string{e.Front, host}
		if was, again := met[by]; again && was != e.Backend {
			return "one source address reached 2 nodes"
		}
		met[by] = e.Backend
	}
	if len(met) == 0 {
		return "one source address reached 0 nodes"
	}
	return ""
}

// ledTo are the backends behind each frontend that connections of the topology were led to, and how many those were.
func ledTo(h History) (behind map[string]map[string]bool, connections int) {
	behind = map[string]map[string]bool{}
	for _, e := range h.Filter(letIn) {
		if behind[e.Front] == nil {
			behind[e.Front] = map[string]bool{}
		}
		behind[e.Front][e.Backend] = true
		connections++
	}
	return behind, connections
}

// lucky reports whether a few connections that are balanced by lot may all have met the same node, which then says nothing:
// of three nodes, with twelve connections, one time in 177,000.
func (h History) lucky() bool {
	_, n := ledTo(h)
	return h.Terms.kind().called && h.Terms.Settings["balance"] == "random" && n > 0 && n < 12
}

// sharedFronts is how many frontends there are where several nodes share one: one a cluster that is dialled.
func (t Terms) sharedFronts() int {
	n := 0
	switch t.kind().name {
	case gatewayLinks:
		n = len(t.joined())
	case leafLinks:
		for _, hub := range t.joined() {
			if slices.ContainsFunc(t.Clusters, func(g Group) bool { return g.LeafOf == hub.Name }) {
				n++
			}
		}
	}
	return max(n, 1)
}

func cameBack(h History) string {
	if _, ok := h.Last(Probe, "connected"); !ok {
		return "the canary never came back"
	}
	return ""
}

func ended(h History, conn, end string) (Event, bool) {
	for _, e := range h.Kind(Probe, "ended") {
		if e.Conn == conn && (e.Node == end || e.Node == "" || end == "") {
			return e, true
		}
	}
	return Event{}, false
}

// early excuses that the two ends of a connection begin at slightly different moments.
const early = 20 * time.Millisecond

// timely checks that an end came at its time: never early, and no later than a busy machine excuses.
func timely(e Event, ok bool, due time.Duration, how string) string {
	switch {
	case !ok:
		return fmt.Sprintf("the canary's connection was not ended (due after %s)", spoken(due))
	case e.How != how:
		return fmt.Sprintf("the canary's connection ended by %s, not %s", e.How, how)
	case e.Took < due-early || e.Took > due+due/4+late:
		return fmt.Sprintf("the canary's connection ended after %s, due after %s", spoken(e.Took), spoken(due))
	}
	return ""
}

func provedIdle(h History, _ string) string {
	how := h.Terms.Expiry
	if how == "fin" || how == "rst" {
		for _, end := range []string{"near", "far"} {
			e, ok := ended(h, "silent", end)
			if why := timely(e, ok, h.Terms.Idle, how); why != "" {
				return why + " at the " + end + " end"
			}
		}
		return ""
	}
	e, ok := spoke(h, "silent")
	gone := h.Filter(func(e Event) bool { return e.From == Balancer && e.Kind == "expired" && e.Front == CanaryFront })
	switch {
	case len(gone) == 0:
		return "the balancer did not end the silent canary"
	case gone[0].Took < h.Terms.Idle-early || gone[0].Took > h.Terms.Idle+h.Terms.Idle/4+late:
		return fmt.Sprintf("the balancer ended the silent canary after %s, due after %s", spoken(gone[0].Took), spoken(h.Terms.Idle))
	case !ok:
		return "the silent canary was ended before it spoke"
	case e.How != how:
		return fmt.Sprintf("what the silent canary said met %s, not %s", e.How, how)
	}
	return ""
}

func spoke(h History, conn string) (Event, bool) {
	for _, e := range h.Kind(Probe, "spoke") {
		if e.Conn == conn {
			return e, true
		}
	}
	return Event{}, false
}

func provedKeepalive(h History, value string) string {
	e, ok := spoke(h, "probed")
	alive := ok && e.How == "alive"
	_, dead := ended(h, "probed", "")
	switch {
	case !ok && !dead:
		return "nobody saw what became of the canary with keepalive probes"
	case value == "counts" && (h.Terms.Probe == 0 || h.Terms.Probe >= h.Terms.Idle):
		if alive {
			return "the canary was kept although its probes are rarer than the idle timeout"
		}
	case value == "counts" && !alive:
		return "the canary whose keepalive probes count was ended all the same"
	case value == "ignored" && alive:
		return "the canary whose keepalive probes are ignored was kept"
	}
	return ""
}

// family is settings that make one behaviour, the one it is named after first, and how that behaviour
// shows: by an event of the balancer's that names one of them.
type family struct {
	settings []string
	off      string // the first one's value that does nothing
	fills    bool   // a limit, which the tester's own connections reach if nothing else does
	down     bool   // shows by a backend that is found to be down
}

var families = []family{
	{settings: []string{"hairpin"}, off: "allowed"},
	{settings: []string{"inspection", "inspection-delay", "inspection-verdict", "inspection-pattern", "inspection-limit"}, off: "none"},
	{settings: []string{"tls"}, off: "passthrough"},
	{settings: []string{"proxy-protocol"}, off: "off"},
	{settings: []string{"source-ports", "port-reuse-delay", "port-exhaustion"}, off: "none", fills: true},
	{settings: []string{"max-connections", "connection-limit"}, off: "none", fills: true},
	{settings: []string{"connect-rate"}, off: "none", fills: true},
	{settings: []string{"health-check", "health-interval", "health-fall"}, off: "off", down: true},
	{settings: []string{"latency", "jitter"}, off: "none"},
	{settings: []string{"bandwidth"}, off: "none"},
	{settings: []string{"slice"}, off: "none"},
}

func familyOf(setting string) *family {
	for i, f := range families {
		if slices.Contains(f.settings, setting) {
			return &families[i]
		}
	}
	return nil
}

// acted reports whether an event of the balancer's shows the behaviour at work.
func (f family) acted(e Event) bool {
	if e.From != Balancer {
		return false
	}
	if f.down && e.Kind == "down" {
		return true
	}
	return (e.Kind == "applied" || e.Kind == "refused" || e.Kind == "expired") && slices.Contains(f.settings, e.Why)
}

func (f family) proved(h History, value string) string {
	if value == f.off {
		return ""
	}
	if slices.ContainsFunc(h.Events, f.acted) {
		return ""
	}
	if e, ok := h.First(Probe, "unopened"); ok {
		return "it never acted, and no connection of the tester's came through: " + e.Why
	}
	return "it never acted on any connection"
}
