package assertions

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// pool is what one node has of a peer.
func pool(at float64, a, b string, routes int, system string) Event {
	return on(at, Server, "pool", node(a), peer(b), many(routes), how(system))
}

func pools(at float64, routes int, system string) []Event {
	return line(pool(at, "n1", "n2", routes, system), pool(at, "n2", "n1", 3, "system"), pool(at, "n1", "n3", 3, "system"),
		pool(at, "n3", "n1", 3, "system"), pool(at, "n2", "n3", 3, "system"), pool(at, "n3", "n2", 3, "system"))
}

// whole is a mesh that is full at a time after the balancer began at 1 s, and again in the end.
func whole(after float64) []Event {
	return line(on(1, Lab, "serving"), on(1+after, Server, "mesh-full"), on(50, Server, "mesh-full"))
}

func TestFullMeshForms(t *testing.T) {
	control := whole(0.4)
	judgeAll(t, "routes/full-mesh-forms", []judged{
		{name: "a mesh that forms as quickly as the control is safe", terms: threeNodes(), events: whole(0.4), control: control,
			want: Safe, got: "full mesh after 400ms", measured: map[string]float64{"mesh_full_after": 0.4}},
		{name: "the control is its own reference", terms: threeNodes(), events: whole(9), want: Safe, got: "full mesh after 9s"},
		{name: "one retry and the tolerance later is still no cost", terms: threeNodes(), events: whole(2.0), control: control,
			want: Safe, got: "full mesh after 2s"},
		{name: "just beyond them is risky, and marginal", terms: threeNodes(), events: whole(2.001), control: control,
			want: Risky, got: "full mesh after 2s, control 400ms", marginal: true},
		{name: "four tolerances beyond a retry is not marginal any more", terms: threeNodes(), events: whole(3.5), control: control,
			want: Risky, got: "full mesh after 3.5s, control 400ms", measured: map[string]float64{"mesh_full_after": 3.5}},
		{name: "as many retries as there were rounds of dialling are no cost", terms: threeNodes(),
			events: line(whole(2.6), on(1.01, Balancer, "begin"), on(1.02, Balancer, "begin"), on(2.1, Balancer, "begin"), on(3.2, Balancer, "begin")), control: control,
			want: Safe, got: "full mesh after 2.6s"},
		{name: "but not where the balancer turned one away", terms: threeNodes(),
			events: line(whole(2.6), on(1.01, Balancer, "begin"), on(1.02, Balancer, "refused"), on(2.1, Balancer, "begin"), on(3.2, Balancer, "begin")), control: control,
			want: Risky, got: "full mesh after 2.6s, control 400ms", marginal: true},
		{name: "nor where it ended one", terms: threeNodes(),
			events: line(whole(2.6), on(1.01, Balancer, "begin"), on(2.1, Balancer, "begin"), on(2.2, Balancer, "expired"), on(3.2, Balancer, "begin")), control: control,
			want: Risky, got: "full mesh after 2.6s, control 400ms", marginal: true},
		{name: "nor where it was slow to forward", terms: threeNodes(),
			events: line(whole(2.6), on(3.2, Balancer, "begin"), on(3.3, Balancer, "begin")), control: control,
			want: Risky, got: "full mesh after 2.6s, control 400ms", marginal: true},
		{name: "and not without end", terms: threeNodes(),
			events: line(whole(5), on(1.01, Balancer, "begin"), on(2.1, Balancer, "begin"), on(3.2, Balancer, "begin"), on(4.3, Balancer, "begin"), on(5.4, Balancer, "begin")), control: control,
			want: Risky, got: "full mesh after 5s, control 400ms", marginal: true},
		{name: "a control that was slower than the run is no cost of the balancer", terms: threeNodes(), events: whole(0.4), control: whole(5),
			want: Safe, got: "full mesh after 400ms"},
		{name: "a pool index and a system route that are missing are named, by the end that sees less", terms: threeNodes(),
			events: line(pools(30, 2, ""), on(30.1, Server, "mesh-partial")), control: control,
			want: Unsafe, got: "no full mesh within 30 s of the start: n1–n2 2 of 3 pool routes and no system route", measured: map[string]float64{"incomplete_pairs": 1}},
		{name: "a missing system route alone is unsafe", terms: threeNodes(), events: line(pools(30, 3, ""), on(30.1, Server, "mesh-partial")), control: control,
			want: Unsafe, got: "no full mesh within 30 s of the start: n1–n2 no system route"},
		{name: "routes that come and go are no mesh, even if the last look finds all", terms: threeNodes(),
			events: line(pools(30, 3, "system"), on(30.1, Server, "mesh-partial")), control: control,
			want: Unsafe, got: "no full mesh within 30 s of the start: routes came and went, it was never whole for 200ms"},
		{name: "a mesh that an event broke is told with the time since", terms: struckBy("outage", 5),
			events: line(on(1, Server, "mesh-full"), pools(2, 3, "system"), strike(5, 10), pools(72, 1, "system"), on(72, Server, "mesh-partial")), control: control,
			want: Unsafe, got: "no full mesh 62s after the event: n1–n2 1 of 3 pool routes"},
		{name: "a mesh that was broken without strike events is told without a time", terms: struckBy("outage", 5),
			events: line(on(1, Server, "mesh-full"), pools(72, 1, "system"), on(72, Server, "mesh-partial")), control: control,
			want: Unsafe, got: "no full mesh after the event: n1–n2 1 of 3 pool routes"},
		{name: "a mesh that came undone without an event is told so", terms: threeNodes(),
			events: line(on(1, Server, "mesh-full"), pools(72, 1, "system"), on(72, Server, "mesh-partial")), control: control,
			want: Unsafe, got: "no full mesh in the end, though it had formed: n1–n2 1 of 3 pool routes"},
		{name: "nodes that were never asked are incomplete, without evidence", terms: threeNodes(), events: line(on(30, Server, "mesh-partial")), control: control,
			want: Unsafe, got: "no full mesh within 30 s of the start: n1–n2 0 of 3 pool routes and no system route, " +
				"n1–n3 0 of 3 pool routes and no system route, n2–n3 0 of 3 pool routes and no system route"},
		{name: "nothing that was looked at is skipped", terms: threeNodes(), control: control, want: Skipped, got: "the routes were not looked at"},
		{name: "one look is not enough to be safe", terms: threeNodes(), events: line(on(1, Server, "mesh-full")), control: control,
			want: Skipped, got: "the routes were not looked at again when all was over"},
		{name: "a control without a mesh is nothing to compare with", terms: threeNodes(), events: whole(9), control: []Event{},
			want: Skipped, got: "the control never had a full mesh to compare with"},
	})
}

func TestAdviceAgainstAnIncompleteMesh(t *testing.T) {
	shared := threeNodes()
	shared.Fronts = "shared"
	h := History{Terms: shared, Events: line(on(30, Server, "mesh-partial"))}
	advice := judgeFullMesh(h)[0].Advice
	if len(advice) != 2 || advice[0].Set["frontends"] != "per-node" || advice[0].Target != "load-balancer" {
		t.Errorf("a shared frontend is to be divided: %+v", advice)
	}
	h.Terms = threeNodes()
	if diff := cmp.Diff([]Advice{directRoutes}, judgeFullMesh(h)[0].Advice); diff != "" {
		t.Errorf("what helps where frontends are divided already (-want +got):\n%s", diff)
	}
}

func TestRoutesStayBehindTheBalancer(t *testing.T) {
	forwarded := crossing(0.5)
	looks := line(on(1, Server, "mesh-full"), on(40, Server, "mesh-full"))
	judgeAll(t, "routes/stay-behind-lb", []judged{
		{name: "both ends of every route are the balancer's", terms: threeNodes(),
			events: line(forwarded, seenRoute(0.9, "n1", "n2", "10.0.0.2:6222"), seenRoute(0.9, "n2", "n1", "10.0.0.9:40000"), looks),
			want:   Safe, got: "every route crosses the balancer", measured: map[string]float64{"routes_past_the_balancer": 0}},
		{name: "a partial mesh behind the balancer is behind it all the same", terms: threeNodes(),
			events: line(forwarded, seenRoute(0.9, "n1", "n2", "10.0.0.2:6222"), on(30, Server, "mesh-partial"), on(40, Server, "mesh-partial")),
			want:   Safe, got: "every route crosses the balancer"},
		{name: "a route to a node's own address is risky, and its pair is named once", terms: threeNodes(),
			events: line(forwarded, seenRoute(0.9, "n2", "n1", "127.0.0.1:6222"), seenRoute(39, "n1", "n2", "127.0.0.1:51000"), looks),
			want:   Risky, got: "routes go past the balancer between 1 pair of nodes (n1–n2)", measured: map[string]float64{"routes_past_the_balancer": 2}},
		{name: "a route that went past only after the event is risky", terms: struckBy("restart=crash", 0),
			events: line(forwarded, seenRoute(0.9, "n1", "n2", "10.0.0.2:6222"), strike(5, 6), seenRoute(39, "n3", "n2", "127.0.0.1:6222"),
				seenRoute(39, "n1", "n3", "127.0.0.1:7222"), looks),
			want: Risky, got: "routes go past the balancer between 2 pairs of nodes (n1–n3, n2–n3)"},
		{name: "routes where the balancer forwarded nothing all go past it", terms: threeNodes(),
			events: line(seenRoute(0.9, "n1", "n2", "10.0.0.2:6222"), looks),
			want:   Risky, got: "routes go past the balancer between 1 pair of nodes (n1–n2)"},
		{name: "no route at all is skipped", terms: threeNodes(), events: line(forwarded, on(30, Server, "mesh-partial"), on(40, Server, "mesh-partial")),
			want: Skipped, got: "no route was ever seen"},
		{name: "empty history is skipped", terms: threeNodes(), want: Skipped, got: "no route was ever seen"},
		{name: "one look is not enough to be safe", terms: threeNodes(),
			events: line(forwarded, seenRoute(0.9, "n1", "n2", "10.0.0.2:6222"), on(1, Server, "mesh-full")),
			want:   Skipped, got: "the routes were not looked at again when all was over"},
	})
}

// closing is a route that the balancer ends, and both ends notice.
func closing(at float64, name string) []Event {
	return line(on(at, Balancer, "expired", conn(name), front("n2"), how("fin")), on(at+0.1, Balancer, "end", conn(name), front("n2"), how("fin")))
}

func TestRoutesStayUpWhenQuiet(t *testing.T) {
	formed, healed := on(1, Server, "mesh-full"), on(400, Client, "healed", seq(1))
	control := line(formed, watching(10, 70), healed)
	noisy := line(formed, watching(10, 70), on(20, Balancer, "end", conn("x"), front("n1")), on(21, Balancer, "end", conn("y"), front("n1")), healed)
	terms := idleFor(5, "fin")
	minute := func(events ...any) []Event { return line(append(events, formed, watching(10, 70), healed)...) }
	twelve := func() (all []Event) {
		for i := range 12 {
			all = append(all, closing(11+float64(i), string(rune('a'+i)))...)
		}
		return all
	}
	judgeAll(t, "routes/stay-up-when-quiet", []judged{
		{name: "no close is safe", terms: terms, events: minute(), control: control,
			want: Safe, got: "no route was closed while it was quiet", measured: map[string]float64{"closes": 0, "watched": 60, "closes_per_minute": 0}},
		{name: "what ends before, at the beginning and after the window does not count", terms: terms, control: control,
			events: minute(closing(9, "a"), on(10, Balancer, "end", conn("b"), front("n2")), on(70.001, Balancer, "end", conn("c"), front("n2"))),
			want:   Safe, got: "no route was closed while it was quiet"},
		{name: "what ends exactly when the watching ends counts, and one close is marginal", terms: terms, control: control,
			events: minute(on(70, Balancer, "end", conn("b"), front("n2"))), marginal: true,
			want: Risky, got: "1 route connection closed in 60s of quiet"},
		{name: "a rate is spoken in real time", terms: terms, events: minute(twelve()), control: control,
			want: Risky, got: "12 route connections closed a minute", measured: map[string]float64{"closes": 12, "closes_per_minute": 12}},
		{name: "a rate below two a minute is told as a count", terms: terms, control: control,
			events: line(formed, watching(10, 190), closing(20, "a"), closing(90, "b"), healed),
			want:   Risky, got: "2 route connections closed in 3m of quiet"},
		{name: "a scaled lab speaks of the time it took, and of no rate", terms: scaledBy(terms, 10), control: control,
			events: line(formed, watching(10, 19), closing(11, "a"), closing(12, "b"), healed),
			want:   Risky, got: "2 route connections closed in 9s of quiet, time shortened 10 times", measured: map[string]float64{"closes": 2, "watched": 9}},
		{name: "the tester's own connections are no routes", terms: terms, control: control,
			events: minute(on(20, Balancer, "expired", conn("k"), front(CanaryFront)), on(20, Balancer, "end", conn("l"), front(ProbedFront))),
			want:   Safe, got: "no route was closed while it was quiet"},
		{name: "closes in the control excuse none here", terms: terms, events: minute(closing(20, "a"), closing(30, "b")), control: noisy,
			want: Risky, got: "2 route connections closed a minute"},
		{name: "a mesh that never came back is unsafe", terms: terms, control: control,
			events: minute(twelve(), on(300, Client, "unhealed", seq(2))),
			want:   Unsafe, got: "12 route connections closed a minute; the routes were not all up again within 30 s of a quiet spell, though every node lived"},
		{name: "after a silent end the routes had the servers' own budget too", terms: scaledBy(idleFor(20, "silent"), 10), control: control,
			events: minute(on(290, Lab, "quiet-end", seq(2), why("cut")), on(350, Client, "unhealed", seq(2))),
			want:   Unsafe, got: "no route connection closed in 60s of quiet; the routes were not all up again within 30 s, and the 90s in which " +
				"servers notice a dead peer, of a quiet spell, though every node lived"},
		{name: "a mesh that never formed has nothing to close and is unsafe", terms: terms, control: control,
			events: line(on(1, Server, "mesh-partial"), watching(10, 70), on(300, Client, "unhealed", seq(1))),
			want:   Unsafe, got: "no route connection closed in 60s of quiet; there was no full mesh from the start, though every node lived"},
		{name: "a watch without its end is skipped", terms: terms, events: line(formed, on(10, Lab, "watch-begin"), healed), control: control,
			want: Skipped, got: "the quiet routes were not watched to the end"},
		{name: "a watch of no length is skipped", terms: terms, events: line(formed, watching(10, 10), healed), control: control,
			want: Skipped, got: "the quiet routes were not watched to the end"},
		{name: "an empty history is skipped", terms: terms, control: control, want: Skipped, got: "the quiet routes were not watched to the end"},
		{name: "nobody can close routes that never were", terms: terms, events: line(watching(10, 70), healed), control: control,
			want: Skipped, got: "there was no full mesh to be watched"},
		{name: "a mesh that formed only after the watch was not watched", terms: terms, control: control,
			events: line(watching(10, 70), on(80, Server, "mesh-full"), healed), want: Skipped, got: "there was no full mesh to be watched"},
		{name: "routes whose return nobody saw are not safe", terms: terms, events: line(formed, watching(10, 70)), control: control,
			want: Skipped, got: "nobody saw whether the routes were up after the quiet"},
	})
}

func TestQuietAdvice(t *testing.T) {
	of := func(change func(*Terms)) Terms {
		terms := idleFor(5, "fin")
		change(&terms)
		return terms
	}
	const text = "idle timeout of at least 75s towards routes"
	for _, c := range []struct {
		name  string
		terms Terms
		want  []Advice
	}{
		{"two pings and a bit fit into 5 s", idleFor(5, "fin"), []Advice{
			{Target: "nats-server", Text: `cluster { ping_interval: "2s" }`, Nats: map[string]string{"cluster.ping_interval": "2s"}},
			{Target: "load-balancer", Text: text, Set: map[string]string{"idle-timeout": "75s"}}}},
		{"and into 20 s, spoken unscaled", scaledBy(idleFor(20, "silent"), 10), []Advice{
			{Target: "nats-server", Text: `cluster { ping_interval: "8s" }`, Nats: map[string]string{"cluster.ping_interval": "8s"}},
			{Target: "load-balancer", Text: text, Set: map[string]string{"idle-timeout": "75s"}}}},
		{"an idle timeout of a second is too short for pings", idleFor(1, "fin"), []Advice{
			{Target: "load-balancer", Text: text, Set: map[string]string{"idle-timeout": "75s"}}}},
		{"each side's own timer is named", of(func(t *Terms) {
			t.Settings = map[string]string{"idle-timeout-client": "5s", "idle-timeout-server": "9s", "idle-expiry": "rst"}
		}), []Advice{
			{Target: "nats-server", Text: `cluster { ping_interval: "2s" }`, Nats: map[string]string{"cluster.ping_interval": "2s"}},
			{Target: "load-balancer", Text: text, Set: map[string]string{"idle-timeout-client": "75s", "idle-timeout-server": "75s"}}}},
		{"a patient idle timeout is not to blame, a lifetime is", of(func(t *Terms) { t.Idle, t.Lifetime = 350*time.Second, time.Minute }), []Advice{
			{Target: "load-balancer", Text: "no maximum connection lifetime towards routes", Set: map[string]string{"max-lifetime": "none"}}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, quietAdvice(c.terms)); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func TestEventAdvice(t *testing.T) {
	terms := struckBy("restart=crash", 0)
	if got := eventAdvice(terms); got[0].Set["restart"] != "reload" || got[len(got)-1].Text != directRoutes.Text {
		t.Errorf("after a crash: %+v", got)
	}
	terms = threeNodes()
	terms.Lifetime = time.Minute
	if got := eventAdvice(terms); got[0].Set["max-lifetime"] != "none" {
		t.Errorf("against a lifetime: %+v", got)
	}
	terms.Fronts, terms.Lifetime = "shared", 0
	if got := eventAdvice(terms); got[0].Set["frontends"] != "per-node" {
		t.Errorf("against a shared frontend: %+v", got)
	}
	for _, event := range []string{"stall", "outage"} {
		if got := eventAdvice(struckBy(event, 3)); got[0].Target != "load-balancer" || len(got[0].Set) != 0 {
			t.Errorf("against a %s, which no setting takes away: %+v", event, got)
		}
	}
}

// gone is a route that the balancer ends without a word; ended is when its last end gave it up, 0 for never.
func gone(at float64, name, manner string, ended float64) []Event {
	events := line(on(at, Balancer, "expired", conn(name), front("n2"), how(manner)))
	if ended > 0 {
		events = line(events, on(ended, Balancer, "end", conn(name), front("n2")))
	}
	return events
}

func TestRoutesNoticeSilence(t *testing.T) {
	silent, next := idleFor(20, "silent"), idleFor(20, "rst-on-next")
	end := on(700, Server, "mesh-full") // the last look before the nodes are taken down
	lost := on(171, Client, "unheard", seq(1), why("spell"), node("n1"), peer("n2"), account("A"))
	judgeAll(t, "routes/notice-silence", []judged{
		{name: "five spells without a silent end are safe", terms: silent, events: line(spells(5), end), control: spells(5),
			want: Safe, got: "no route was ended silently", measured: map[string]float64{"silent_ends": 0}},
		{name: "a FIN is no silence", terms: idleFor(5, "fin"), events: line(spells(5), closing(150, "a"), end),
			want: Skipped, got: "this balancer says by FIN that it ends a connection"},
		{name: "an RST is no silence", terms: idleFor(5, "rst"), events: line(spells(2), closing(150, "a"), lost, end),
			want: Skipped, got: "this balancer says by RST that it ends a connection"},
		{name: "two spells that cost messages end the watching, and what cost them was no silence", terms: silent,
			events: line(spells(2), closing(150, "a"), lost, end), want: Safe, got: "no route was ended silently"},
		{name: "a route noticed within the budget is risky", terms: silent, events: line(spells(5), gone(150, "a", "silent", 210), end),
			want: Risky, got: "1 route ended silently, noticed after 60s at the latest", measured: map[string]float64{"silent_ends": 1, "noticed_after": 60, "messages_lost": 0}},
		{name: "exactly the budget, with a first PING that is a fifth late and the tolerance, is within it", terms: silent,
			events: line(spells(5), gone(150, "a", "silent", 246.5), gone(151, "b", "silent", 200), end),
			want:   Risky, got: "2 routes ended silently, noticed after 97s at the latest"},
		{name: "just beyond the budget is unsafe, and marginal", terms: silent, events: line(spells(5), gone(150, "a", "silent", 246.501), end),
			want: Unsafe, got: "1 route ended silently, noticed after 97s at the latest, beyond the servers' own budget of 90s", marginal: true},
		{name: "twice the budget is not marginal", terms: silent, events: line(spells(5), gone(150, "a", "silent", 343), end),
			want: Unsafe, got: "1 route ended silently, noticed after 193s at the latest, beyond the servers' own budget of 90s"},
		{name: "a route that nobody noticed for longer than the budget is unsafe", terms: silent,
			events: line(spells(5), gone(150, "a", "silent", 0), end),
			want:   Unsafe, got: "1 route ended silently; 1 route unnoticed beyond the servers' own budget of 90s"},
		{name: "an end while the nodes are taken down is nobody's notice", terms: silent,
			events: line(spells(5), gone(150, "a", "silent", 701), end),
			want:   Unsafe, got: "1 route ended silently; 1 route unnoticed beyond the servers' own budget of 90s"},
		{name: "a route whose time was not up when the watching ended is risky", terms: silent,
			events: line(spells(5), gone(580, "a", "silent", 701), on(600, Server, "mesh-full")),
			want:   Risky, got: "1 route ended silently, not noticed by the end of the watching, within the servers' own budget of 90s"},
		{name: "lost messages make it unsafe", terms: silent, events: line(spells(5), gone(150, "a", "silent", 210), lost, end),
			want: Unsafe, got: "1 route ended silently, noticed after 60s at the latest; 1 message lost meanwhile", measured: map[string]float64{"silent_ends": 1, "noticed_after": 60, "messages_lost": 1}},
		{name: "a reset at the next message is told as such", terms: next, events: line(spells(5), gone(150, "a", "rst-on-next", 170), end),
			want: Risky, got: "1 route looked up until the next message, which drew an RST"},
		{name: "a reset that costs messages is unsafe", terms: next, events: line(spells(5), gone(150, "a", "rst-on-next", 170), lost, end),
			want: Unsafe, got: "1 route looked up until the next message, which drew an RST; 1 message lost meanwhile"},
		{name: "a scaled lab speaks of unscaled time", terms: scaledBy(silent, 10), events: line(spells(5), gone(150, "a", "silent", 156), end),
			want: Risky, got: "1 route ended silently, noticed after 60s at the latest", measured: map[string]float64{"noticed_after": 60}},
		{name: "what ends after the last talk, and the tester's own, does not count", terms: silent,
			events: line(spells(5), gone(595, "a", "silent", 0), on(150, Balancer, "expired", conn("k"), front(CanaryFront), how("silent")), end),
			want:   Safe, got: "no route was ended silently"},
		{name: "what ends while the mesh does not come back counts", terms: silent,
			events: line(spell(1, 0.002), gone(280, "a", "silent", 0), on(430, Client, "unhealed", seq(2)), end),
			want:   Unsafe, got: "1 route ended silently; 1 route unnoticed beyond the servers' own budget of 90s"},
		{name: "a mesh that was not there could not end silently", terms: silent, events: line(spells(4), on(590, Client, "unhealed", seq(5)), end),
			want: Skipped, got: "the routes were not all there to be ended silently"},
		{name: "four spells are not enough to be safe", terms: silent, events: line(spells(4), end), want: Skipped, got: "4 of 5 quiet spells finished"},
		{name: "an empty history is skipped", terms: silent, want: Skipped, got: "no quiet spell was watched to its end"},
	})
}

// Pings keep nothing alive that never came to be.
func TestPingsAreNoAdviceForAMeshThatNeverFormed(t *testing.T) {
	terms := idleFor(20, "fin")
	terms.Settings["inspection"] = "http"
	never := line(on(1, Server, "mesh-partial"), watching(10, 70), on(71, Client, "said", many(18), why(unformed)),
		missed(unformed, 71, 18, "A", "n1", "n2"), on(72, Client, "unhealed"))
	pings := func(a Advice) bool { return a.Nats["cluster.ping_interval"] != "" }
	for _, judge := range []func(History) []Finding{judgeStayUp, judgeQuietThenBusy} {
		advice := judge(History{Terms: terms, Events: never})[0].Advice
		if slices.ContainsFunc(advice, pings) || advice[0].Set["inspection"] != "none" {
			t.Errorf("%+v", advice)
		}
		ended := line(never, on(30, Balancer, "expired", conn("a"), front("n1"), why("idle-timeout")))
		if advice = judge(History{Terms: terms, Events: ended})[0].Advice; !slices.ContainsFunc(advice, pings) {
			t.Errorf("routes that came to be and were ended for their silence: %+v", advice)
		}
	}
}

func TestChecksThatEndLiveRoutesAreAdvisedAgainst(t *testing.T) {
	terms := threeNodes()
	terms.Settings = map[string]string{"health-check": "http", "on-down": "reset"}
	advice := standingAdvice(terms)
	if len(advice) != 2 || advice[0].Set["on-down"] != "keep" || advice[1].Set["health-check"] != "tcp" {
		t.Errorf("%+v", advice)
	}
}
