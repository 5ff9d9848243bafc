package assertions

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// superCluster is two clusters of three whose gateways are balanced, and hubAndLeaves a hub with two leaf nodes.
func superCluster() Terms {
	t := threeNodes()
	t.Topology, t.Links, t.Fronts, t.LinkPing = "gateways-behind-lb", []string{gatewayLinks}, "shared", 15*time.Second
	t.Nodes = []string{"e1", "e2", "e3", "w1", "w2", "w3"}
	t.Clusters = []Group{{Name: "east", Nodes: t.Nodes[:3]}, {Name: "west", Nodes: t.Nodes[3:]}}
	return t
}

func hubAndLeaves() Terms {
	t := threeNodes()
	t.Topology, t.Links, t.Fronts, t.LinkPing = "leafnodes-behind-lb", []string{leafLinks}, "shared", 2*time.Minute
	t.Nodes = []string{"h1", "h2", "h3", "l1", "l2"}
	t.Clusters = []Group{{Name: "hub", Nodes: t.Nodes[:3]}, {Name: "leaf", Nodes: t.Nodes[3:], LeafOf: "hub"}}
	return t
}

func hit(t Terms, event string) Terms {
	t.Strikes = []string{event}
	return t
}

func idling(t Terms, s float64, expiry string) Terms {
	t.Idle, t.Expiry = secs(s), expiry
	t.Settings = map[string]string{"idle-timeout": fmt.Sprintf("%gs", s)}
	return t
}

func greetedIn(s float64) Event { return on(1.5, Client, "informed", dial("10.0.0.2:7522"), took(s)) }

func sends(at float64, who, to string, n int) Event {
	return on(at, Server, "outbound", node(who), peer(to), many(n))
}

func accepts(at float64, who, from string, n int) Event {
	return on(at, Server, "inbound", node(who), peer(from), many(n))
}

// sendings are gateways that are all connected, but for what is said about e1's and about w1's.
func sendings(at float64, e1, w1 int) []Event {
	all := line(sends(at, "e1", "west", e1), accepts(at, "w1", "east", w1), accepts(at, "w2", "east", 2), accepts(at, "e3", "west", 3))
	for _, n := range []string{"e2", "e3"} {
		all = append(all, sends(at, n, "west", 1))
	}
	for _, n := range []string{"w1", "w2", "w3"} {
		all = append(all, sends(at, n, "east", 1))
	}
	return all
}

func TestGatewaysConnect(t *testing.T) {
	control := line(whole(1.2), greetedIn(0.001))
	terms := superCluster()
	judgeAll(t, "gateways/connect", []judged{
		{name: "gateways as quick as the control's are safe", terms: terms, events: line(whole(1.3), greetedIn(0.002)), control: control,
			want: Safe, got: "all gateways connected after 1.3s", measured: map[string]float64{"all_connected_after": 1.3, "info_after": 0.002}},
		{name: "frontends that were not asked are told nothing of", terms: terms, events: whole(1.3), control: control,
			want: Safe, got: "all gateways connected after 1.3s"},
		{name: "one retry and the tolerance later is no cost", terms: terms, events: whole(2.8), control: control, want: Safe, got: "all gateways connected after 2.8s"},
		{name: "beyond it is risky, and marginal", terms: terms, events: whole(2.801), control: control, marginal: true,
			want: Risky, got: "all gateways connected after 2.8s, control 1.2s"},
		{name: "far beyond it is not marginal", terms: terms, events: whole(9), control: control, want: Risky, got: "all gateways connected after 9s, control 1.2s"},
		{name: "first bytes half a second later than the control's are no cost", terms: terms, events: line(whole(1.3), greetedIn(0.501)), control: control,
			want: Safe, got: "all gateways connected after 1.3s"},
		{name: "later ones are, though chance hides it", terms: terms, events: line(whole(1.3), greetedIn(0.502)), control: control, marginal: true,
			want: Risky, got: "all gateways connected after 1.3s, but the other server's first bytes take 502ms (control 1ms)"},
		{name: "a node that cannot send is named", terms: terms, events: line(on(1, Lab, "serving"), sendings(30, 0, 0), on(31, Server, "mesh-partial")), control: control,
			want: Unsafe, got: "gateways not all connected within 30 s of the start: e1→west no connection", measured: map[string]float64{"connections_missing": 1}},
		{name: "a connection that the other cluster does not know of is one too few", terms: terms,
			events: line(on(1, Lab, "serving"), sendings(30, 1, 0), on(31, Server, "mesh-partial")), control: control,
			want: Unsafe, got: "gateways not all connected within 30 s of the start: east→west 1 of 3 known at one end only"},
		{name: "what is listed and carries nothing is not connected", terms: terms,
			events: line(on(1, Lab, "serving"), sendings(30, 1, 1), on(30.5, Client, "deaf", account("A"), node("e1"), peer("w2")), on(31, Server, "mesh-partial")), control: control,
			want: Unsafe, got: "gateways not all connected within 30 s of the start: all listed, but nothing crosses, 1 way affected (A e1→w2)"},
		{name: "gateways that came and went", terms: terms, events: line(on(1, Lab, "serving"), sendings(30, 1, 1), on(31, Server, "mesh-partial")), control: control,
			want: Unsafe, got: "gateways not all connected within 30 s of the start: gateways came and went, they were never whole for 200ms"},
		{name: "gateways that an event broke", terms: hit(terms, "outage"),
			events: line(on(2, Server, "mesh-full"), strike(5, 10), sendings(40, 0, 0), on(41, Server, "mesh-partial")), control: control,
			want: Unsafe, got: "gateways not all connected 31s after the event: e1→west no connection"},
		{name: "nodes that were never asked are not connected, without evidence", terms: terms, events: line(on(30, Server, "mesh-partial")), control: control,
			want: Unsafe, got: "gateways not all connected within 30 s of the start: e1→west no connection, e2→west no connection, e3→west no connection, " +
				"w1→east no connection, w2→east no connection, w3→east no connection"},
		{name: "one look is not enough", terms: terms, events: line(on(2, Server, "mesh-full")), control: control,
			want: Skipped, got: "the gateways were not looked at again when all was over"},
		{name: "a control without gateways is nothing to compare with", terms: terms, events: whole(1.3), control: []Event{},
			want: Skipped, got: "the control never had all gateways connected to compare with"},
		{name: "a control that does not answer the tester is nothing to compare with either", terms: terms, events: line(whole(1.3), greetedIn(0.002)),
			control: line(whole(1.2), uninformed("no such host")), want: Skipped, got: "a frontend of the control did not answer the tester: no such host"},
		{name: "nothing looked at is skipped", terms: terms, control: control, want: Skipped, got: "the gateways were not looked at"},
	})
}

func joinedTo(at float64, leaf, hub string, both int) Event {
	return on(at, Server, "joined", node(leaf), peer(hub), many(both))
}

func TestLeafNodesConnect(t *testing.T) {
	control := line(whole(0.1), greetedIn(0.001))
	terms := hubAndLeaves()
	partly := func(e ...any) []Event {
		return line(append(e, on(1, Lab, "serving"), joinedTo(30, "l2", "h2", 1), on(31, Server, "mesh-partial"))...)
	}
	judgeAll(t, "leafnodes/connect", []judged{
		{name: "as quick as the control is safe", terms: terms, events: line(whole(0.2), greetedIn(0.001)), control: control,
			want: Safe, got: "all leaf nodes connected after 200ms", measured: map[string]float64{"all_connected_after": 0.2, "info_after": 0.001}},
		{name: "a hub whose first bytes come after most of a leaf node's second is risky", terms: terms, events: line(whole(1.1), greetedIn(0.95)), control: control, marginal: true,
			want: Risky, got: "all leaf nodes connected after 1.1s, but the other server's first bytes take 950ms (control 1ms)"},
		{name: "seconds later than the control is risky", terms: terms, events: whole(5), control: control, want: Risky, got: "all leaf nodes connected after 5s, control 100ms"},
		{name: "a leaf node that never connects is unsafe", terms: terms, events: partly(joinedTo(30, "l1", "", 0)), control: control,
			want: Unsafe, got: "leaf nodes not all connected within 30 s of the start: l1 no connection", measured: map[string]float64{"connections_missing": 1}},
		{name: "one that the hub does not know of is not connected", terms: terms, events: partly(joinedTo(30, "l1", "h1", 0)), control: control,
			want: Unsafe, got: "leaf nodes not all connected within 30 s of the start: l1 a connection that h1 does not know"},
		{name: "one that was never asked is not connected", terms: terms, events: partly(), control: control,
			want: Unsafe, got: "leaf nodes not all connected within 30 s of the start: l1 no connection"},
		{name: "an empty history is skipped", terms: terms, control: control, want: Skipped, got: "the leafnode connections were not looked at"},
	})
}

func linkSeen(at float64, who, to, a string) Event {
	return on(at, Server, "link", node(who), peer(to), addr(a))
}

func learnt(at float64, who, of, a, as string) Event {
	return on(at, Server, "learnt", node(who), peer(of), dial(a), how(as))
}

func TestGatewaysStayBehindTheBalancer(t *testing.T) {
	looks := line(on(1, Server, "mesh-full"), on(40, Server, "mesh-full"))
	crosses := line(crossing(0.5), linkSeen(0.9, "e1", "west", "10.0.0.2:6222"), linkSeen(0.9, "w1", "east", "10.0.0.9:40000"))
	terms := superCluster()
	judgeAll(t, "gateways/stay-behind-lb", []judged{
		{name: "both ends are the balancer's, and nobody knows another address", terms: terms,
			events: line(crosses, learnt(0.9, "e1", "west", "vip:7522", "front"), learnt(0.9, "w1", "east", "10.0.0.2:6222", ""), looks),
			want:   Safe, got: "every gateway connection crosses the balancer, and nodes know no other address", measured: map[string]float64{"connections_past_the_balancer": 0, "addresses_learnt": 0}},
		{name: "an address past it that was learnt will be dialled", terms: terms,
			events: line(crosses, learnt(0.9, "e1", "west", "127.0.0.1:7001", ""), learnt(0.9, "e2", "west", "127.0.0.1:7001", ""), looks),
			want:   Risky, got: "gateways cross the balancer, but have learnt 1 address past it (127.0.0.1:7001) and will dial them", measured: map[string]float64{"addresses_learnt": 1}},
		{name: "a connection past it is told before what was learnt", terms: terms,
			events: line(crosses, linkSeen(0.9, "e2", "west", "127.0.0.1:7001"), learnt(0.9, "e1", "west", "127.0.0.1:7001", ""), looks),
			want:   Risky, got: "gateways go past the balancer (e2–west)", measured: map[string]float64{"connections_past_the_balancer": 1, "addresses_learnt": 1}},
		{name: "one that went past only after the event", terms: hit(terms, "restart=crash"),
			events: line(crosses, strike(5, 6), linkSeen(39, "w3", "east", "127.0.0.1:51000"), learnt(0.9, "e1", "west", "vip:7522", "front"), looks),
			want:   Risky, got: "gateways go past the balancer (w3–east)"},
		{name: "what nobody asked the nodes for is not known to be good", terms: terms, events: line(crosses, looks),
			want: Skipped, got: "nobody saw which addresses the gateways know"},
		{name: "one look is not enough", terms: terms, events: line(crosses, learnt(0.9, "e1", "west", "vip:7522", "front"), on(1, Server, "mesh-full")),
			want: Skipped, got: "the gateways were not looked at again when all was over"},
		{name: "an empty history is skipped", terms: terms, want: Skipped, got: "no gateway connection was ever seen"},
	})
}

// partedFrom is l1 that lost h1 at 5 s and was back after a while, having dialled an address.
func partedFrom(after float64, at string) []Event {
	return line(crossing(0.5), on(1, Server, "joined-at", node("l1"), peer("h1"), addr("10.0.0.2:6222")), on(5, Lab, "parted", node("l1"), peer("h1")),
		on(5+after, Server, "rejoined", node("l1"), peer("h2"), addr(at), took(after)), on(40, Lab, "watched", why("parting")))
}

func TestLeafNodesStayBehindTheBalancer(t *testing.T) {
	const vip = "10.0.0.2:6222"
	terms, control := hubAndLeaves(), partedFrom(1.1, vip)
	judgeAll(t, "leafnodes/stay-behind-lb", []judged{
		{name: "back on the balancer as soon as the control is safe", terms: terms, events: partedFrom(1.2, vip), control: control,
			want: Safe, got: "l1 was back through the balancer after 1.2s", measured: map[string]float64{"back_after": 1.2, "connections_past_the_balancer": 0}},
		{name: "the control is its own reference", terms: terms, events: partedFrom(9, vip), want: Safe, got: "l1 was back through the balancer after 9s"},
		{name: "half a second later is no cost", terms: terms, events: partedFrom(1.6, vip), control: control, want: Safe, got: "l1 was back through the balancer after 1.6s"},
		{name: "more is, and marginal", terms: terms, events: partedFrom(1.601, vip), control: control, marginal: true,
			want: Risky, got: "l1 was back through the balancer after 1.6s (control 1.1s): addresses past it had to fail first"},
		{name: "much more is not marginal", terms: terms, events: partedFrom(7.3, vip), control: control,
			want: Risky, got: "l1 was back through the balancer after 7.3s (control 1.1s): addresses past it had to fail first"},
		{name: "past it, however quickly, is risky", terms: terms, events: partedFrom(1.1, "127.0.0.1:7001"), control: control,
			want: Risky, got: "l1 was back after 1.1s, past the balancer: directly at h2 (127.0.0.1:7001)", measured: map[string]float64{"connections_past_the_balancer": 1}},
		{name: "past it from the start is risky", terms: terms, events: without(partedFrom(1.1, vip), "begin"), control: control,
			want: Risky, got: "l1 is past the balancer from the start (10.0.0.2:6222)"},
		{name: "never back is unsafe", terms: terms, events: line(without(partedFrom(1.1, vip), "rejoined"), on(35, Server, "unjoined", node("l1"))), control: control,
			want: Unsafe, got: "l1 was not back 30s after the loss of its node of the hub"},
		{name: "a leaf node that never was connected is skipped", terms: terms, events: line(on(35, Server, "unjoined", node("l1"))), control: control,
			want: Skipped, got: "no leaf node was connected that could be parted"},
		{name: "a return that nobody saw is skipped", terms: terms, events: without(partedFrom(1.1, vip), "rejoined"), control: control,
			want: Skipped, got: "nobody saw whether the leaf node came back"},
		{name: "an empty history is skipped", terms: terms, control: control, want: Skipped, got: "no leaf node was parted from its hub"},
	})
}

func TestGatewaysStayUpWhenQuiet(t *testing.T) {
	formed, healed := on(1, Server, "mesh-full"), on(400, Client, "healed", seq(1))
	control := line(formed, watching(10, 70), healed)
	terms := idling(superCluster(), 5, "fin")
	minute := func(events ...any) []Event { return line(append(events, formed, watching(10, 70), healed)...) }
	judgeAll(t, "gateways/stay-up-when-quiet", []judged{
		{name: "no close is safe", terms: terms, events: minute(), control: control,
			want: Safe, got: "no gateway connection was closed while it was quiet", measured: map[string]float64{"closes": 0, "watched": 60}},
		{name: "connections that are made again without loss are risky", terms: terms, events: minute(closing(20, "a"), closing(30, "b")), control: control,
			want: Risky, got: "2 gateway connections closed a minute", measured: map[string]float64{"closes": 2}},
		{name: "one is marginal", terms: terms, events: minute(closing(20, "a")), control: control, marginal: true,
			want: Risky, got: "1 gateway connection closed in 60s of quiet"},
		{name: "with loss they are unsafe, one as well as many", terms: terms, events: minute(closing(20, "a"), missed("spell", 170, 3, "A", "e1", "w1")), control: control,
			want: Unsafe, got: "1 gateway connection closed in 60s of quiet; 3 messages lost after quiet spells", measured: map[string]float64{"messages_lost": 3}},
		{name: "gateways that did not come back are unsafe", terms: terms, events: minute(closing(20, "a"), on(300, Client, "unhealed", seq(2))), control: control,
			want: Unsafe, got: "1 gateway connection closed in 60s of quiet; the gateways were not all up again within 30 s of a quiet spell, though every node lived"},
		{name: "gateways that never were are unsafe", terms: terms, control: control,
			events: line(on(1, Server, "mesh-partial"), watching(10, 70), on(300, Client, "unhealed", seq(1))),
			want:   Unsafe, got: "no gateway connection closed in 60s of quiet; there were no connected gateways from the start, though every node lived"},
		{name: "there must be some to be watched", terms: terms, events: line(watching(10, 70), healed), control: control,
			want: Skipped, got: "there were no connected gateways to be watched"},
		{name: "an empty history is skipped", terms: terms, control: control, want: Skipped, got: "the quiet gateways were not watched to the end"},
	})
}

func TestLeafNodesStayUpWhenQuiet(t *testing.T) {
	formed, healed := on(1, Server, "mesh-full"), on(400, Client, "healed", seq(1))
	control := line(formed, watching(10, 70), healed)
	terms := idling(hubAndLeaves(), 50, "fin")
	minute := func(events ...any) []Event { return line(append(events, formed, watching(10, 70), healed)...) }
	judgeAll(t, "leafnodes/stay-up-when-quiet", []judged{
		{name: "no close is safe", terms: terms, events: minute(), control: control, want: Safe, got: "no leafnode connection was closed while it was quiet"},
		{name: "a healthy quiet connection that is cut is unsafe, lost or not", terms: terms, events: minute(closing(20, "a"), closing(30, "b")), control: control,
			want: Unsafe, got: "2 leafnode connections closed a minute", measured: map[string]float64{"closes": 2}},
		{name: "a single one is marginal", terms: terms, events: minute(closing(20, "a")), control: control, marginal: true,
			want: Unsafe, got: "1 leafnode connection closed in 60s of quiet"},
		{name: "a scaled lab says so", terms: scaledBy(terms, 10), control: control, events: line(formed, watching(10, 19), closing(11, "a"), closing(12, "b"), healed),
			want: Unsafe, got: "2 leafnode connections closed in 9s of quiet, time shortened 10 times"},
		{name: "the tester's own are none", terms: terms, events: minute(on(20, Balancer, "expired", conn("k"), front(CanaryFront))), control: control,
			want: Safe, got: "no leafnode connection was closed while it was quiet"},
		{name: "an empty history is skipped", terms: terms, control: control, want: Skipped, got: "the quiet leafnode connections were not watched to the end"},
	})
}

// over is a run in which each form of e1's and w1's ways said 100 things, some of which were lost.
func over(slowest float64, lost ...[]Event) []Event {
	of := func(name string) (some []Event) {
		for _, l := range lost {
			for _, e := range l {
				if e.App == name {
					some = append(some, e)
				}
			}
		}
		return some
	}
	return line(on(1, Server, "mesh-full"), on(1.5, Server, "links-whole"), strike(5, 5.1),
		carried(ofMessages, "plain e1→west", 100, slowest, of("plain e1→west")), carried(ofMessages, "queue e1→west", 100, slowest, of("queue e1→west")),
		carried(ofRequests, "request e1→west", 100, slowest, of("request e1→west")), endedWell(90, "across"))
}

// apart is when not everything was connected.
func asunder(from, to float64) []Event {
	return line(on(from, Server, "links-broken"), on(to, Server, "links-whole"))
}

func TestInterestIsRestored(t *testing.T) {
	plainLost := func(at float64, n int) []Event { return unheardOf(ofMessages, "plain e1→west", at, n) }
	queueLost := func(at float64, n int) []Event { return unheardOf(ofMessages, "queue e1→west", at, n) }
	// The control's one cut connection: a gap of 1.05 s.
	control := line(over(0.01, plainLost(5, 21), queueLost(5, 21)), asunder(5.05, 6.05))
	crash, stall, standing := hit(superCluster(), "restart=crash"), hit(superCluster(), "stall"), superCluster()
	judgeAll(t, "gateways/interest-restored", []judged{
		{name: "a gap as long as the control's is safe", terms: crash, events: line(over(0.01, plainLost(5, 22), queueLost(5, 22)), asunder(5.05, 6.1)), control: control,
			want: Safe, got: "heard again 1.1s after the first that was lost; 156 of 200 messages heard", measured: map[string]float64{"messages_lost": 44, "longest_gap": 1.1, "interest_after": 0.05}},
		{name: "the servers' own pause and the tolerance are no cost where the control lost less", terms: crash,
			events: line(over(0.01, plainLost(5, 32)), asunder(5.05, 6.6)), control: over(0.01), want: Safe, got: "heard again 1.6s after the first that was lost; 168 of 200 messages heard"},
		{name: "a moment more is risky, and marginal", terms: crash, events: line(over(0.01, plainLost(5, 33)), asunder(5.05, 6.6)), control: over(0.01), marginal: true,
			want: Risky, got: "heard again 1.7s after the first that was lost, while nothing was connected (control 0s for one cut gateway connection); 33 messages lost"},
		{name: "a queue group that takes seconds longer is risky, and told apart", terms: crash,
			events: line(over(0.01, plainLost(5, 22), queueLost(5, 100)), asunder(5.05, 9.95)), control: control,
			want: Risky, got: "heard again 5s after the first that was lost, while nothing was connected (control 1.1s for one cut gateway connection); 122 messages lost",
			measured: map[string]float64{"longest_gap_plain": 1.1, "longest_gap_queue": 5}},
		{name: "what is still unheard half a second after all was connected counts", terms: crash,
			events: line(over(0.01, plainLost(5, 33)), asunder(5.05, 6.05)), control: control, marginal: true,
			want: Unsafe, got: "1 of 200 messages not heard although all was connected, the longest gap 1.7s, 1 way affected: plain e1→west", measured: map[string]float64{"interest_after": 0.65}},
		{name: "five of them are not marginal", terms: crash, events: line(over(0.01, plainLost(5, 37)), asunder(5.05, 6.05)), control: control,
			want: Unsafe, got: "5 of 200 messages not heard although all was connected, the longest gap 1.9s, 1 way affected: plain e1→west"},
		{name: "what is lost before the event counts", terms: crash, events: line(over(0.01, plainLost(4.85, 1)), asunder(5.05, 6.05)), control: control, marginal: true,
			want: Unsafe, got: "1 of 200 messages not heard although all was connected, the longest gap 50ms, 1 way affected: plain e1→west"},
		{name: "links that nobody saw broken excuse nothing", terms: crash, events: over(0.01, queueLost(5, 22)), control: control,
			want: Unsafe, got: "22 of 200 messages not heard although all was connected, the longest gap 1.1s, 1 way affected: queue e1→west"},
		{name: "a stall only delays: what is lost counts, whatever the links", terms: stall, events: line(over(0.01, plainLost(5, 22)), asunder(5.05, 6.1)), control: control,
			want: Unsafe, got: "22 of 200 messages not heard, the longest gap 1.1s, 1 way affected: plain e1→west"},
		{name: "connections that end of themselves excuse nothing", terms: standing, events: line(over(0.01, plainLost(5, 22)), asunder(5.05, 6.1)), control: over(0.01),
			want: Unsafe, got: "22 of 200 messages not heard, the longest gap 1.1s, 1 way affected: plain e1→west"},
		{name: "a delay of 2 s is safe", terms: stall, events: over(2), control: control, want: Safe, got: "200 of 200 messages heard, the slowest after 2s"},
		{name: "a longer one is risky, and marginal", terms: stall, events: over(2.1), control: control, marginal: true, want: Risky, got: "200 of 200 messages heard, but delayed up to 2.1s"},
		{name: "without an event half a second beyond the control is risky", terms: standing, events: over(0.511), control: over(0.01), marginal: true,
			want: Risky, got: "nothing lost, but a message took 511ms (control 10ms)"},
		{name: "requests are another promise's", terms: crash, events: line(over(0.01, unheardOf(ofRequests, "request e1→west", 20, 40)), on(85, Client, "unwell", called("request e1→west"))), control: control,
			want: Safe, got: "200 of 200 messages heard, the slowest after 10ms"},
		{name: "what comes twice is unsafe", terms: crash, events: line(over(0.01), on(70, Client, ofMessages.twice, called("queue e1→west"), many(3))), control: control,
			want: Unsafe, got: "3 messages came twice"},
		{name: "a group that is not served again is unsafe", terms: crash, control: control,
			events: line(without(over(0.01, queueLost(5, 60)), "well"), asunder(5.05, 6.1), on(38, Client, "unwell", called("queue e1→west"))),
			want:   Unsafe, got: "not every message heard again within 30 s of the event; 60 of 200 lost, 1 way affected: queue e1→west"},
		{name: "gateways that never were are told so", terms: standing, control: over(0.01),
			events: line(without(without(over(0.01, queueLost(5, 60)), "well"), "mesh-full"), on(38, Client, "unwell", called("queue e1→west"))),
			want:   Unsafe, got: "the gateways were never all connected; 60 of 200 messages not heard, 1 way affected: queue e1→west"},
		{name: "gateways that are not all back after an event are unsafe, even if all is heard", terms: crash, control: control,
			events: line(without(over(0.01), "well"), on(38, Client, "unwell")), want: Unsafe, got: "every message heard in the end, but not all gateways were up again within 30 s of the event"},
		{name: "without an event that is risky", terms: standing, control: over(0.01),
			events: line(without(over(0.01), "well"), on(38, Client, "unwell")), want: Risky, got: "every message heard in the end, but not all gateways were up again within 30 s"},
		{name: "messages of which nothing is known are not heard", terms: crash, events: without(over(0.01), ofMessages.heard), control: control,
			want: Skipped, got: "what became of 200 of 200 messages was not written down"},
		{name: "a run that was not watched to its end is not safe", terms: crash, events: without(over(0.01), "watched"), control: control,
			want: Skipped, got: "what crosses was not watched to the end"},
		{name: "an empty history is skipped", terms: crash, control: control, want: Skipped, got: "no message was sent"},
	})
}

func TestRepliesCross(t *testing.T) {
	lost := func(at float64, n int) []Event { return unheardOf(ofRequests, "request e1→west", at, n) }
	terms := hit(superCluster(), "restart=crash")
	control := line(over(0.01, lost(5, 21)), asunder(5.05, 6.05))
	together := terms
	together.Beside = []string{routeLinks}
	judgeAll(t, "gateways/reply-crosses", []judged{
		{name: "routes that met the same event take their time", terms: together, events: line(strike(5, 5), over(0.01, lost(5, 50)), asunder(5.05, 6.05)), control: control,
			want: Risky, got: "answered again 2.5s after the first that was lost, while nothing was connected (control 1.1s for one cut gateway connection); 50 requests lost"},
		{name: "and no more than that", terms: together, events: line(strike(5, 5), over(0.01, lost(7.9, 7)), asunder(5.05, 6.05)), control: control,
			want: Unsafe, got: "7 of 100 requests not answered although all was connected, the longest gap 350ms, 1 way affected: request e1→west"},
		{name: "a gap as long as the control's is safe", terms: terms, events: line(over(0.01, lost(5, 22)), asunder(5.05, 6.1)), control: control,
			want: Safe, got: "answered again 1.1s after the first that was lost; 78 of 100 requests answered", measured: map[string]float64{"requests_lost": 22, "longest_gap": 1.1}},
		{name: "a longer one is risky", terms: terms, events: line(over(0.01, lost(5, 60)), asunder(5.05, 8)), control: control,
			want: Risky, got: "answered again 3s after the first that was lost, while nothing was connected (control 1.1s for one cut gateway connection); 60 requests lost"},
		{name: "requests without an answer although all is connected are unsafe", terms: terms, events: line(over(0.01, lost(20, 7)), asunder(5.05, 6.1)), control: control,
			want: Unsafe, got: "7 of 100 requests not answered although all was connected, the longest gap 350ms, 1 way affected: request e1→west"},
		{name: "messages are another promise's", terms: terms, events: over(0.01, unheardOf(ofMessages, "plain e1→west", 20, 40)), control: control,
			want: Safe, got: "100 of 100 requests answered, the slowest after 10ms"},
		{name: "an empty history is skipped", terms: terms, control: control, want: Skipped, got: "no request was sent"},
	})
}

func TestMessagesCrossLeafnodeConnections(t *testing.T) {
	terms := hit(hubAndLeaves(), "outage")
	lost := func(w wording, form string, at float64, n int) []Event { return unheardOf(w, form+" e1→west", at, n) }
	all := func(at float64, n int) []Event {
		return line(lost(ofMessages, plainly, at, n), lost(ofMessages, queued, at, n), lost(ofRequests, askedOf, at, n))
	}
	// Ways are called by their ends; which they are is no matter to the judge.
	control := line(over(0.01, all(5, 21)), asunder(5.05, 6.05))
	judgeAll(t, "leafnodes/messages-cross", []judged{
		{name: "all three forms count", terms: terms, events: line(over(0.01, all(5, 40)), asunder(5.05, 7)), control: control,
			want: Safe, got: "heard again 2s after the first that was lost; 180 of 300 messages heard", measured: map[string]float64{"longest_gap_plain": 2, "longest_gap_queue": 2, "longest_gap_request": 2}},
		{name: "an outage costs what it lasts, and is risky", terms: terms, events: line(over(0.01, all(5, 90)), asunder(5.05, 9.5)), control: control,
			want: Risky, got: "heard again 4.5s after the first that was lost, while nothing was connected (control 1.1s for one cut leafnode connection); 270 messages lost"},
		{name: "requests that stay unanswered are unsafe here, too", terms: terms, events: line(over(0.01, lost(ofRequests, askedOf, 20, 9)), asunder(5.05, 7)), control: control,
			want: Unsafe, got: "9 of 300 messages not heard although all was connected, the longest gap 450ms, 1 way affected: request e1→west"},
		{name: "an empty history is skipped", terms: terms, control: control, want: Skipped, got: "no message was sent"},
	})
}

func TestSilentLoss(t *testing.T) {
	leaf, gateway := idling(hubAndLeaves(), 60, "silent"), idling(superCluster(), 10, "silent")
	end := on(2000, Server, "mesh-full")
	lost := missed("spell", 170, 40, "A", "h1", "l1")
	judgeAll(t, "leafnodes/silent-loss", []judged{
		{name: "nothing that ended silently is safe", terms: leaf, events: line(spells(5), end), control: spells(5),
			want: Safe, got: "no leafnode connection was ended silently", measured: map[string]float64{"connections_ended_silently": 0, "longest_gap": 0}},
		{name: "a FIN is no silence", terms: idling(hubAndLeaves(), 60, "fin"), events: line(spells(5), closing(150, "a"), end),
			want: Skipped, got: "this balancer says by FIN that it ends a connection"},
		{name: "messages into nothing are unsafe, and told how long", terms: leaf, events: line(spells(5), gone(150, "a", "silent", 500), lost, end),
			want: Unsafe, got: "1 leafnode connection ended silently, noticed after 350s at the latest; 40 messages lost meanwhile for up to 1s",
			measured: map[string]float64{"connections_ended_silently": 1, "noticed_after": 350, "messages_lost": 40, "longest_gap": 1.025}},
		{name: "a scaled lab says that it is", terms: scaledBy(leaf, 10), events: line(spells(5), gone(150, "a", "silent", 185), lost, end),
			want: Unsafe, got: "1 leafnode connection ended silently, noticed after 350s at the latest; 40 messages lost meanwhile for up to 1s in time shortened 10 times"},
		{name: "a leafnode connection that is dead unnoticed is unsafe, lost or not", terms: leaf, events: line(spells(5), gone(150, "a", "silent", 500), end),
			want: Unsafe, got: "1 leafnode connection ended silently, noticed after 350s at the latest"},
		{name: "a gateway's is risky if nothing is lost", terms: gateway, events: line(spells(5), gone(150, "a", "silent", 190), end),
			want: Risky, got: "1 gateway connection ended silently, noticed after 40s at the latest"},
		{name: "a hub has one interval more than a leaf node", terms: leaf, events: line(spells(5), gone(150, "a", "silent", 150+480+24.5), end),
			want: Unsafe, got: "1 leafnode connection ended silently, noticed after 505s at the latest"},
		{name: "beyond that it is too late, and marginal", terms: leaf, events: line(spells(5), gone(150, "a", "silent", 150+480+24.501), end), marginal: true,
			want: Unsafe, got: "1 leafnode connection ended silently, noticed after 505s at the latest, beyond the servers' own budget of 8m"},
		{name: "a gateway has none", terms: gateway, events: line(spells(5), gone(150, "a", "silent", 150+45+3.501), end), marginal: true,
			want: Unsafe, got: "1 gateway connection ended silently, noticed after 49s at the latest, beyond the servers' own budget of 45s"},
		{name: "an RST at the next message that costs it", terms: idling(superCluster(), 10, "rst-on-next"), events: line(spells(5), gone(150, "a", "rst-on-next", 170), lost[:1], end),
			want: Unsafe, got: "1 gateway connection looked up until the next message, which drew an RST; 1 message lost meanwhile for up to 50ms"},
		{name: "connections that were not there are skipped", terms: leaf, events: line(spells(4), on(590, Client, "unhealed", seq(5)), end),
			want: Skipped, got: "the leafnode connections were not all there to be ended silently"},
		{name: "four spells are not enough", terms: leaf, events: line(spells(4), end), want: Skipped, got: "4 of 5 quiet spells finished"},
		{name: "an empty history is skipped", terms: leaf, want: Skipped, got: "no quiet spell was watched to its end"},
	})
}

// The promises of core messages are the same on every kind, and spoken of in its words.
func TestCoreMessagesOverGatewaysAndLeafnodeConnections(t *testing.T) {
	crash := hit(superCluster(), "restart=crash")
	lost := func(at float64, n int) []Event { return missed("event", at, n, "A", "e1", "w1") }
	run := func(some []Event, from, to float64) []Event { return line(through(0.1, some), asunder(from, to)) }
	control := run(lost(5, 42), 5.05, 6.05)
	together := crash
	together.Beside = []string{routeLinks}
	judgeAll(t, "core/delivery-between-all-nodes", []judged{
		{name: "routes that met the same event take their time", terms: together, events: run(lost(7, 9), 5.05, 6.1), control: control,
			want: Safe, got: "91 of 100 messages heard, the slowest after 100ms"},
		{name: "and no more than that", terms: together, events: run(lost(9, 9), 5.05, 6.1), control: control,
			want: Unsafe, got: "9 of 100 messages lost although connections could exist: 1 way affected (A e1→w1)"},
		{name: "what is lost while not everything is connected does not count", terms: crash, events: run(lost(5, 44), 5.05, 6.1), control: control,
			want: Safe, got: "56 of 100 messages heard, the slowest after 100ms"},
		{name: "however long that takes, it is a cost", terms: crash, events: run(lost(5, 90), 5.05, 7.3), control: control,
			want: Risky, got: "90 messages lost in a gap of 2.3s while no connection could exist (control: 42 for one cut gateway connection)"},
		{name: "what is lost although everything is connected is unsafe", terms: crash, events: run(lost(7, 9), 5.05, 6.1), control: control,
			want: Unsafe, got: "9 of 100 messages lost although connections could exist: 1 way affected (A e1→w1)"},
		{name: "links that nobody saw broken excuse nothing", terms: crash, events: through(0.1, lost(5, 9)), control: control,
			want: Unsafe, got: "9 of 100 messages lost although connections could exist: 1 way affected (A e1→w1)"},
		{name: "a stall excuses nothing", terms: hit(superCluster(), "stall"), events: run(lost(5.1, 9), 5.05, 6.1), control: control,
			want: Unsafe, got: "9 of 100 messages lost although connections could exist: 1 way affected (A e1→w1)"},
		{name: "gateways that never were are told so", terms: superCluster(), control: control,
			events: line(on(1, Server, "mesh-partial"), without(without(through(0.1, lost(5, 9)), "healed"), "mesh-full"), on(9, Client, "unhealed")),
			want:   Unsafe, got: "9 of 100 messages lost, the gateways were never all connected: 1 way affected (A e1→w1)"},
		{name: "an end that nobody saw is skipped", terms: hit(hubAndLeaves(), "stall"), events: without(through(0.1, nil), "healed"), control: control,
			want: Skipped, got: "nobody saw whether the leafnode connections were whole again in the end"},
	})
	leaf := idling(hubAndLeaves(), 50, "fin")
	judgeAll(t, "core/no-loss-when-quiet-then-busy", []judged{
		{name: "all arrives", terms: leaf, events: line(spells(5)), control: spells(5), want: Safe, got: "all 90 messages after 5 quiet spells arrived"},
		{name: "some is lost", terms: leaf, events: line(spells(2), missed("spell", 170, 5, "A", "h1", "l1")), control: spells(5),
			want: Unsafe, got: "5 of 36 messages lost after 2 quiet spells, the longest gap 150ms"},
		{name: "links that do not come back are told by their name", terms: leaf, control: spells(5),
			events: line(without(line(spells(5)), "healed"), on(690, Client, "unhealed", seq(5)), on(691, Client, "healed"), on(692, Client, "healed"), on(693, Client, "healed"), on(694, Client, "healed")),
			want:   Risky, got: "nothing lost, but the leafnode connections were not all up again within 30 s of a quiet spell"},
		{name: "leaf nodes that never were connected", terms: leaf, control: spells(5), events: line(on(70, Client, "said", many(18), why(unformed)), on(72, Client, "unhealed")),
			want: Risky, got: "no message lost, but the leaf nodes were never all connected"},
		{name: "nothing said is skipped", terms: leaf, control: spells(5), want: Skipped, got: "nothing was published after a quiet spell"},
	})
}

func TestAdviceIsOfTheKindOfLink(t *testing.T) {
	tries := func(all []Advice) (found []string) {
		for _, a := range all {
			for key, value := range a.Nats {
				found = append(found, key+"="+value)
			}
			for key, value := range a.Set {
				found = append(found, "--set "+key+"="+value)
			}
			if strings.Contains(a.Text, "route") || strings.Contains(a.Text, "cluster {") {
				t.Errorf("not for this kind of link: %s", a.Text)
			}
		}
		slices.Sort(found)
		return found
	}
	with := func(terms Terms, settings ...string) Terms {
		terms.Settings = map[string]string{}
		for _, s := range settings {
			name, value, _ := strings.Cut(s, "=")
			terms.Settings[name] = value
		}
		return terms
	}
	aged := superCluster()
	aged.Lifetime = time.Minute
	for _, c := range []struct {
		name   string
		advice []Advice
		want   []string
	}{
		{"quiet gateways", quietAdvice(idling(superCluster(), 10, "fin")), []string{"--set idle-timeout=38s", "ping_interval=4s"}},
		{"quiet leaf nodes", quietAdvice(idling(hubAndLeaves(), 50, "fin")), []string{"--set idle-timeout=5m", "leaf:ping_interval=20s"}},
		{"gateways of a certain age", eventAdvice(aged), []string{"--set max-lifetime=none"}},
		{"a crash", eventAdvice(hit(superCluster(), "restart=crash")), []string{"--set restart=reload"}},
		{"a stall", eventAdvice(hit(hubAndLeaves(), "stall")), nil},
		{"gateways past the balancer", keepBehind(with(superCluster(), "bypass=open")), []string{"--set bypass=off"}},
		{"leaf nodes past the balancer", keepBehind(with(hubAndLeaves(), "bypass=open")),
			[]string{"--set bypass=off", "hub:leafnodes.no_advertise=true", "leaf:leafnodes.remotes.ignore_discovered_servers=true"}},
		{"an event while other addresses are known", eventAdvice(with(hit(superCluster(), "outage"), "bypass=closed")), []string{"--set bypass=off"}},
		{"a balancer that waits for a leaf node", formingAdvice(with(hubAndLeaves(), "inspection=client-first", "inspection-delay=3s")),
			[]string{"--set inspection=none", "leaf:leafnodes.remotes.first_info_timeout=4s"}},
		{"one that closes what is silent", formingAdvice(with(hubAndLeaves(), "inspection=http", "inspection-verdict=close")), []string{"--set inspection=none"}},
		{"one that waits for gateways", formingAdvice(with(superCluster(), "inspection=client-first")), []string{"--set inspection=none"}},
		{"too few ports", formingAdvice(with(hubAndLeaves(), "source-ports=1")), []string{"--set source-ports=1000"}},
	} {
		if diff := cmp.Diff(c.want, tries(c.advice)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, diff)
		}
	}
}

// monitored is nodes whose monitoring ports answer with pages typed by hand; those without a page answer nothing.
func monitored(t *testing.T, terms Terms, path string, pages map[string]string) Target {
	t.Helper()
	target := Target{Terms: terms, Fronts: []string{"10.0.0.1:7000"}}
	for _, name := range terms.Nodes {
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			page, ok := pages[name+r.URL.Path]
			if !ok {
				page, ok = pages[name], r.URL.Path == path
			}
			if !ok || page == "" || !json.Valid([]byte(page)) {
				w.WriteHeader(http.StatusNotFound)
				return
			}
			_, _ = w.Write([]byte(page))
		}))
		t.Cleanup(srv.Close)
		target.Nodes = append(target.Nodes, Node{Name: name, Monitor: srv.URL})
	}
	return target
}

func recorded(ctx context.Context, t Target) (kinds []string) {
	rec := NewRecorder()
	lookAtLinks(ctx, t).record(ctx, t, rec)
	for _, e := range rec.Events() {
		kinds = append(kinds, strings.TrimRight(fmt.Sprintf("%s %s %s %d %s%s %s", e.Kind, e.Node, e.Peer, e.Count, e.Addr, e.Dial, e.How), " "))
	}
	slices.Sort(kinds)
	return kinds
}

func TestGatewaysAsTheirMonitoringPortsListThem(t *testing.T) {
	terms := superCluster()
	terms.Nodes = []string{"e1", "w1"}
	terms.Clusters = []Group{{Name: "east", Nodes: []string{"e1"}}, {Name: "west", Nodes: []string{"w1"}}}
	// The pages of nats-server 2.15.2, shortened.
	const (
		e1     = `{"name":"east","outbound_gateways":{"west":{"configured":true,"connection":{"cid":19,"ip":"10.0.0.1","port":7000,"name":"N"}}},"inbound_gateways":{"west":[{"connection":{"ip":"10.0.0.9","port":4001}}]}}`
		w1     = `{"name":"west","outbound_gateways":{"east":{"connection":{"ip":"10.0.0.1","port":7000}}},"inbound_gateways":{"east":[{"connection":{"ip":"10.0.0.9","port":4000}}]}}`
		varz   = `{"gateway":{"name":"east","gateways":[{"name":"west","urls":["10.0.0.1:7000","127.0.0.1:7522"]}]}}`
		lonely = `{"name":"west","outbound_gateways":{},"inbound_gateways":{}}`
	)
	target := monitored(t, terms, "/gatewayz", map[string]string{"e1": e1, "w1": w1, "e1/varz": varz})
	if !lookAtLinks(t.Context(), target).whole(terms) {
		t.Error("all is connected")
	}
	want := []string{"inbound e1 west 1", "inbound w1 east 1", "learnt e1 west 0 10.0.0.1:7000 front", "learnt e1 west 0 127.0.0.1:7522",
		"link e1 west 0 10.0.0.1:7000", "link e1 west 0 10.0.0.9:4001", "link w1 east 0 10.0.0.1:7000", "link w1 east 0 10.0.0.9:4000", "outbound e1 west 1", "outbound w1 east 1"}
	if diff := cmp.Diff(want, recorded(t.Context(), target)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	rec := NewRecorder()
	rec.Add(on(1, Balancer, "begin", conn("c7"), addr("10.0.0.9:4001")))
	if conn, ok := UsersLink(t.Context(), target, rec); !ok || conn != "c7" {
		t.Errorf("the connection that e1 accepted is %q", conn)
	}
	for name, pages := range map[string]map[string]string{
		"a node that nobody answers for": {"e1": e1},
		"a node without an outbound":     {"e1": e1, "w1": strings.Replace(w1, `{"east":{"connection":{"ip":"10.0.0.1","port":7000}}}`, "{}", 1)},
		"one that only its end knows of": {"e1": e1, "w1": strings.Replace(w1, `{"east":[{"connection":{"ip":"10.0.0.9","port":4000}}]}`, "{}", 1)},
		"no gateway at all":              {"e1": lonely, "w1": lonely},
	} {
		if lookAtLinks(t.Context(), monitored(t, terms, "/gatewayz", pages)).whole(terms) {
			t.Errorf("%s: taken for whole", name)
		}
	}
}

func TestLeafNodesAsTheirMonitoringPortsListThem(t *testing.T) {
	terms := hubAndLeaves()
	terms.Nodes = []string{"h1", "h2", "l1"}
	terms.Clusters = []Group{{Name: "hub", Nodes: []string{"h1", "h2"}}, {Name: "leaf", Nodes: []string{"l1"}, LeafOf: "hub"}}
	const (
		l1   = `{"leafnodes":1,"leafs":[{"name":"h1","is_spoke":true,"account":"LEAF","ip":"10.0.0.1","port":7000}]}`
		h1   = `{"leafnodes":2,"leafs":[{"name":"","ip":"10.0.0.9","port":1},{"name":"l1","is_spoke":false,"account":"LEAF","ip":"10.0.0.9","port":4000}]}`
		none = `{"leafnodes":0,"leafs":[]}`
	)
	target := monitored(t, terms, "/leafz", map[string]string{"l1": l1, "h1": h1, "h2": none})
	if !lookAtLinks(t.Context(), target).whole(terms) {
		t.Error("the leaf node is connected")
	}
	want := []string{"joined l1 h1 1", "link h1 l1 0 10.0.0.9:4000", "link l1 h1 0 10.0.0.1:7000"}
	if diff := cmp.Diff(want, recorded(t.Context(), target)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	for name, pages := range map[string]map[string]string{
		"a leaf node that nobody answers for": {"h1": h1, "h2": none},
		"one without a connection":            {"l1": none, "h1": h1, "h2": none},
		"one that its hub has forgotten":      {"l1": l1, "h1": none, "h2": none},
		"one that another node knows":         {"l1": l1, "h1": none, "h2": h1},
	} {
		if lookAtLinks(t.Context(), monitored(t, terms, "/leafz", pages)).whole(terms) {
			t.Errorf("%s: taken for whole", name)
		}
	}
}

// Routes join the nodes of a cluster, and no others.
func TestRoutesOfSeveralClusters(t *testing.T) {
	of := func(peers ...string) routez {
		var page string
		for _, p := range peers {
			for i := range 4 {
				account := ""
				if i == 3 {
					account = "SYS"
				}
				page += fmt.Sprintf(`,{"remote_name":%q,"account":%q}`, p, account)
			}
		}
		var r routez
		if err := json.Unmarshal([]byte(`{"routes":[`+strings.TrimPrefix(page, ",")+`]}`), &r); err != nil {
			t.Fatal(err)
		}
		return r
	}
	terms := hubAndLeaves()
	full := mesh{"h1": of("h2", "h3"), "h2": of("h1", "h3"), "h3": of("h1", "h2")}
	if !full.whole(terms) {
		t.Error("leaf nodes have no routes, and need none")
	}
	full["h3"] = of("h1")
	if full.whole(terms) {
		t.Error("h3 has no route to h2")
	}
}

func TestEveryoneIsASideOfItsLinks(t *testing.T) {
	names := func(t Terms) (all []string) {
		for _, s := range t.sides() {
			all = append(all, s.name+" "+strings.Join(s.nodes, ","))
		}
		return all
	}
	if diff := cmp.Diff([]string{"east e1,e2,e3", "west w1,w2,w3"}, names(superCluster())); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"hub h1,h2,h3", "l1 l1", "l2 l2"}, names(hubAndLeaves())); diff != "" {
		t.Error(diff)
	}
}
