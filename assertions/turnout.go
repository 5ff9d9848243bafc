package assertions

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"time"
)

// turnout is what became of a herd, as its timeline has it.
type turnout struct {
	expected int
	// known is whether the arrival was watched to its end, over whether all that followed was.
	known, over bool
	tried       int           // clients
	arrived     []Event       // connects, second tries among them
	failed      []Event       // first tries
	slowest     time.Duration // of the first tries that led to a connection
	first       places        // where they were when all had arrived
	churned     bool          // they left by themselves
	left        []Event       // each loss of a connection
	back        time.Duration // when the last one was back: after the event, or after its own leave
	returned    int
	missing     []Event // who was not back in the end
	last        places  // where they were then
}

// places is how many clients are on each node.
type places map[string]int

func turnoutOf(h History) turnout {
	t := turnout{expected: h.Terms.Clients}
	on := map[string]string{}  // application → node, "" while it is away
	again := map[string]bool{} // applications whose first try failed
	absent := map[string]Event{}
	var struck time.Duration
	for _, e := range h.Events {
		switch {
		case t.over:
			return t
		case e.From == Lab && e.Kind == "herd-arrived":
			t.known, t.first = true, placed(on)
		case e.From == Lab && e.Kind == "churn-begin":
			t.churned = true
		case e.From == Lab && e.Kind == "strike-over":
			struck = e.At
		case e.From == Lab && e.Kind == "herd-over":
			t.over, t.last = true, placed(on)
			for _, app := range slices.Sorted(maps.Keys(absent)) {
				t.missing = append(t.missing, absent[app])
			}
		case e.From != Client || !strings.HasPrefix(e.App, herdApp):
		case e.Kind == "connected":
			t.arrived = append(t.arrived, e)
			on[e.App] = e.Node
			if !again[e.App] {
				t.tried++
				t.slowest = max(t.slowest, e.Took)
			}
		case e.Kind == "unconnected" && !again[e.App]:
			t.tried++
			t.failed, again[e.App] = append(t.failed, e), true
		case e.Kind == "disconnected":
			t.left = append(t.left, e)
			on[e.App], absent[e.App] = "", e
		case e.Kind == "reconnected":
			t.returned++
			on[e.App] = e.Node
			delete(absent, e.App)
			if t.churned {
				t.back = max(t.back, e.Took)
			} else {
				t.back = max(t.back, e.At-struck)
			}
		case e.Kind == "missing":
			absent[e.App] = e
		}
	}
	return t
}

func placed(on map[string]string) places {
	p := places{}
	for _, node := range on {
		if node != "" {
			p[node]++
		}
	}
	return p
}

// unseen says why nothing can be said about the arrival, or "".
func (t turnout) unseen() string {
	switch n := t.tried; {
	case !t.known || !t.over:
		return "the clients were not watched to the end"
	case n == 0:
		return "no client tried to connect"
	case n < t.expected:
		return fmt.Sprintf("what became of %d of %s was not written down", t.expected-n, plural(t.expected, "client"))
	}
	return ""
}

// unseenReturn says why nothing can be said about the return, or "".
func (t turnout) unseenReturn(terms Terms) string {
	switch {
	case t.unseen() != "":
		return t.unseen()
	case t.churned && len(t.left) < len(t.arrived):
		return fmt.Sprintf("%d of %s did not leave, so that nobody saw them come back", len(t.arrived)-len(t.left), plural(len(t.arrived), "client"))
	case terms.Struck("restart=crash", "outage", "cut") && len(t.left) == 0:
		return "no client lost its connection"
	case !t.churned && len(terms.Strikes) == 0 && len(t.arrived) >= t.tried:
		return "nobody left, and so nobody came back"
	}
	return ""
}

// share is what every one of some nodes has of a crowd that is spread evenly, and how far from it chance may lead:
// four standard deviations, which one crowd in several thousand exceeds.
func (p places) share(nodes int) (all int, share, chance float64) {
	for _, n := range p {
		all += n
	}
	share = float64(all) / float64(max(1, nodes))
	return all, share, 4 * math.Sqrt(share)
}

// fullest and emptiest are the nodes with the most and the fewest clients.
func (p places) fullest(nodes []string) string {
	return slices.MaxFunc(nodes, func(a, b string) int { return cmp.Compare(p[a], p[b]) })
}

func (p places) emptiest(nodes []string) string {
	return slices.MinFunc(nodes, func(a, b string) int { return cmp.Compare(p[a], p[b]) })
}

// alone is the least crowd of which chance does not lead all to one node of three: once in two thousand.
const alone = 8

// skewed says which node has far more or fewer clients than its share, or "". Half as many again, or half, is what an
// operator plans a node's reserve for.
func (p places) skewed(nodes []string) string {
	if len(nodes) < 2 {
		return ""
	}
	all, share, chance := p.share(len(nodes))
	most, least := p.fullest(nodes), p.emptiest(nodes)
	switch {
	case p[most] == all && all >= alone:
		return fmt.Sprintf("all %d clients are on %s", all, most)
	case float64(p[most]) > max(1.5*share, share+chance):
		return fmt.Sprintf("%d of %d clients are on %s", p[most], all, most)
	case float64(p[least]) < min(share/2, share-chance):
		return fmt.Sprintf("only %d of %d clients are on %s", p[least], all, least)
	}
	return ""
}

func (p places) String() string {
	var said []string
	for _, node := range slices.Sorted(maps.Keys(p)) {
		said = append(said, fmt.Sprintf("%d on %s", p[node], node))
	}
	return strings.Join(said, ", ")
}

func (p places) measures(nodes []string) []Measure {
	if len(nodes) == 0 {
		return nil
	}
	return []Measure{count("clients_on_fullest_node", p[p.fullest(nodes)], "clients"), count("clients_on_emptiest_node", p[p.emptiest(nodes)], "clients")}
}

// unsaid stands for an error that nobody has written down.
const unsaid = "no reason is known"

// mostly is what most of some clients were told.
func mostly(events []Event) string {
	times := map[string]int{}
	for _, e := range events {
		times[cmp.Or(e.Why, unsaid)]++
	}
	return slices.MaxFunc(slices.Sorted(maps.Keys(times)), func(a, b string) int { return cmp.Compare(times[a], times[b]) })
}

// tookAtMost is the longest of what some events took.
func tookAtMost(events []Event) (took time.Duration) {
	for _, e := range events {
		took = max(took, e.Took)
	}
	return took
}

// ofRoom are the settings that leave a client without a connection for want of room.
var ofRoom = []string{"source-ports", "port-reuse-delay", "port-exhaustion", "max-connections", "connection-limit", "connect-rate"}

// roomless are the balancer's own words on clients that it had no room for, or let wait.
func roomless(h History) []Event {
	return h.Filter(func(e Event) bool {
		return e.From == Balancer && balanced(e) && (e.Kind == "refused" || e.Kind == "applied") && slices.Contains(ofRoom, e.Why)
	})
}

// because is the balancer's latest word on why it had no room for those who failed, as the end of a sentence.
func because(said, failed []Event) string {
	for _, e := range slices.Backward(said) {
		// That a client has left the queue says nothing about why it was in it.
		if e.At <= failed[len(failed)-1].At && e.What != "" && !strings.HasPrefix(e.What, "the client left") {
			return fmt.Sprintf(" (%s: %s)", e.Why, e.What)
		}
	}
	return ""
}

// roomAdvice is what gives a crowd room.
func roomAdvice(t Terms) []Advice {
	var advice []Advice
	// Every client may land on one node, and all may restart while the ports of before still rest.
	twice := fmt.Sprint(2 * t.Clients)
	if t.given("source-ports", "port-reuse-delay", "port-exhaustion") {
		advice = append(advice, Advice{Target: "load-balancer", Set: map[string]string{"source-ports": twice},
			Text: fmt.Sprintf("%s source ports towards each node (a wider port range, or more source addresses): %d for the clients if one node serves all of them, and as many that rest after a restart", twice, t.Clients)})
	}
	if t.given("max-connections", "connection-limit") {
		advice = append(advice, Advice{Target: "load-balancer", Set: map[string]string{"max-connections": twice},
			Text: fmt.Sprintf("a connection limit well above the %d clients that are expected: %s lets all of them come back before the balancer has forgotten their old connections", t.Clients, twice)})
	}
	if t.given("connect-rate") {
		advice = append(advice, Advice{Target: "load-balancer", Set: map[string]string{"connect-rate": "none"},
			Text: fmt.Sprintf("no limit on new connections that %d clients at once can reach", t.Clients)},
			Advice{Target: "client", Text: fmt.Sprintf("nats.ReconnectJitter(%[1]s, %[1]s): clients that come back spread over a longer time than the balancer needs for all", jitterFor(t)),
				Client: map[string]string{"reconnect-jitter": jitterFor(t).String()}})
	}
	return advice
}

// given reports whether one of some settings was, and is not switched off.
func (t Terms) given(names ...string) bool {
	return slices.ContainsFunc(names, func(name string) bool { return t.Settings[name] != "" && t.Settings[name] != "none" })
}

// clearAdvice is what tells a client at once that there is no room.
func clearAdvice(t Terms) []Advice {
	var advice []Advice
	if how := t.Settings["connection-limit"]; t.given("max-connections") && how != "close" && how != "reset" {
		advice = append(advice, Advice{Target: "load-balancer", Set: map[string]string{"connection-limit": "close"},
			Text: "an error instead of a queue once the limit is reached: a client that is refused tries again after 2 s, one that waits loses as long to its timeout before"})
	}
	if t.Settings["port-exhaustion"] == "swallow" {
		advice = append(advice, Advice{Target: "load-balancer", Set: map[string]string{"port-exhaustion": "close"},
			Text: "a refusal instead of silence for connections without a port: a proxy, or a NAT that answers with a reset"})
	}
	return append(advice, roomAdvice(t)...)
}

// jitterFor is twice the time in which the balancer takes all clients at its rate.
func jitterFor(t Terms) time.Duration {
	var rate int
	if _, err := fmt.Sscan(t.Settings["connect-rate"], &rate); err != nil || rate == 0 {
		return back
	}
	return max(time.Second, (2 * time.Duration(t.Clients) * time.Second / time.Duration(rate)).Round(time.Second))
}
