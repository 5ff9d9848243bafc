package assertions

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// made is a stream of so many replicas and its consumer.
func made(at float64, when string, replicas int, took float64) Event {
	return on(at, Client, "placed", stream("W-"+when), node("n2"), how(when), many(replicas), func(e *Event) { e.Took = secs(took) })
}

// placedIn is a run in which a stream of each kind is made at each time, the one that the event meets in so many seconds.
func placedIn(during float64) []Event {
	return line(made(2, placedBefore, 1, 0.05), made(2, placedBefore, 3, 0.1), made(5+during, placedDuring, 1, during), made(5+during, placedDuring, 3, during),
		made(20, placedAfter, 1, 0.05), made(20, placedAfter, 3, 0.1))
}

func TestPlacementWorks(t *testing.T) {
	stall, standing := struckBy("stall", 6), threeNodes()
	control := placedIn(0.1)
	never := on(61, Client, "unplaced", stream("W-during-R3"), node("n3"), how(placedDuring), many(3), took(36), why("context deadline exceeded"))
	joined := twoClusters()
	both := placedIn(0.1)
	judgeAll(t, "jetstream/placement-works", []judged{
		{name: "streams that are made at once are safe", terms: stall, control: control, events: placedIn(0.1), want: Safe,
			got:      "6 streams made with a consumer each; the slowest of one replica took 100ms (during the event, asked for at n2; control 100ms)",
			measured: map[string]float64{"streams_placed": 6, "streams_unplaced": 0, "slowest_placement": 0.1}},
		{name: "a delay that ends with its event is safe up to 2 s", terms: stall, control: control, events: placedIn(2), want: Safe,
			got: "6 streams made with a consumer each; the slowest of one replica took 2s (during the event, asked for at n2; control 100ms)"},
		{name: "and risky beyond", terms: stall, control: control, events: placedIn(6.2), want: Risky,
			got: "all streams made, but the slowest of one replica took 6.2s (during the event, asked for at n2; control 100ms)"},
		{name: "a little beyond is marginal", terms: stall, control: control, events: placedIn(2.3), want: Risky, marginal: true,
			got: "all streams made, but the slowest of one replica took 2.3s (during the event, asked for at n2; control 100ms)"},
		{name: "what takes the control as long is no cost of the balancer", terms: stall, control: placedIn(6), events: placedIn(6.2), want: Safe,
			got: "6 streams made with a consumer each; the slowest of one replica took 6.2s (during the event, asked for at n2; control 6s)"},
		{name: "one that is never made is unsafe", terms: stall, control: control, events: line(placedIn(0.1), never), want: Unsafe,
			got:      "1 stream could not be made, first one of 3 replicas asked for at n3 during the event: context deadline exceeded",
			measured: map[string]float64{"streams_unplaced": 1}},
		{name: "without an event nothing is made in it", terms: standing, control: control,
			events: line(slices.Concat(placedIn(0.1)[:2], placedIn(0.1)[4:])), want: Safe,
			got: "4 streams made with a consumer each; the slowest of one replica took 50ms (after the event, asked for at n2; control 100ms)"},
		{name: "the first streams wait for the first leader", terms: stall, control: control, events: line(placedIn(0.1)[2:], made(9, placedBefore, 1, 8), made(9, placedBefore, 3, 8.6)), want: Safe,
			got: "6 streams made with a consumer each; the slowest of one replica took 100ms (during the event, asked for at n2; control 100ms)"},
		{name: "each cluster has its own", terms: joined, control: line(both, both), events: line(both, both), want: Safe,
			got: "12 streams made with a consumer each; the slowest of one replica took 100ms (during the event, asked for at n2; control 100ms)"},
		{name: "streams of one cluster of two are no answer", terms: joined, control: line(both, both), events: both, want: Skipped, got: "nobody made all streams before the event"},
		{name: "an empty history is none", terms: stall, control: control, want: Skipped, got: "nobody made all streams before the event"},
	})
}

// mirrored is a run in which mirror and source have all of so many messages, the mirror behind by so much.
func mirrored(n int, behind float64, more ...any) []Event {
	has := func(name, at string, digest string) Event {
		return on(50, Client, "copied", stream("COPY-"+name), node(at), how(name), many(n), ofWhat(digest))
	}
	return line(append([]any{strike(5, 6), has("origin", "n1", "d"), has("mirror", "m1", "d"), has("source", "m2", "d"),
		on(60, Client, "followed", stream("COPY-mirror"), node("m1"), how("mirror"), many(n), took(behind)),
		on(60, Client, "followed", stream("COPY-source"), node("m2"), how("source"), many(n), took(0.1))}, more...)...)
}

// copying is a timeline in which what one copy holds is something else.
func copying(events []Event, which string, n int, digest string) []Event {
	all := slices.Clone(events)
	for i, e := range all {
		if e.Kind == "copied" && e.How == which {
			all[i].Count, all[i].What = n, digest
		}
	}
	return all
}

func TestMirrorCatchesUp(t *testing.T) {
	terms, control := twoClusters(), mirrored(90, 0.4)
	crash := hit(terms, "restart=crash")
	crash.Reconnect = 2100 * time.Millisecond
	judgeAll(t, "jetstream/mirror-catches-up", []judged{
		{name: "a pause of applications excuses no server", terms: crash, control: control, events: mirrored(100, 2.4), want: Risky, marginal: true,
			got: "everything there in the end, but behind for 2.4s (mirror; control 400ms)"},
		{name: "who follows closely is safe", terms: terms, control: control, events: mirrored(100, 0.5), want: Safe,
			got: "mirror and source have all 100 messages; never further behind than 500ms (mirror; control 400ms)", measured: map[string]float64{"acked": 100, "longest_behind": 0.5}},
		{name: "who follows late is risky", terms: terms, control: control, events: mirrored(100, 11), want: Risky,
			got: "everything there in the end, but behind for 11s (mirror; control 400ms)"},
		{name: "a little late is marginal", terms: terms, control: control, events: mirrored(100, 2.4), want: Risky, marginal: true,
			got: "everything there in the end, but behind for 2.4s (mirror; control 400ms)"},
		{name: "as late as the control is no cost", terms: terms, control: mirrored(90, 10.8), events: mirrored(100, 11), want: Safe,
			got: "mirror and source have all 100 messages; never further behind than 11s (mirror; control 11s)"},
		{name: "who never gets everything is unsafe", terms: terms, control: control, events: copying(mirrored(100, 35), "source", 60, "e"), want: Unsafe,
			got: "the source at m2 has 60 of 100 messages 45s after the end"},
		{name: "who has something else is unsafe", terms: terms, control: control, events: copying(mirrored(100, 0.5), "mirror", 100, "e"), want: Unsafe,
			got: "the mirror at m1 has as many messages as its origin, but not the same, or in another order"},
		{name: "one that cannot be made is unsafe", terms: terms, control: control, events: line(on(31, Client, "no-copy-stream", stream("COPY-mirror"), node("m1"), why("no suitable peers"))), want: Unsafe,
			got: "stream COPY-mirror could not be made at m1 within 30 s: no suitable peers"},
		{name: "and so is one that cannot be read", terms: terms, control: control, events: line(on(90, Client, "copy-unreadable", stream("COPY-mirror"), node("m1"), why("timeout"))), want: Unsafe,
			got: "stream COPY-mirror could not be read back within 30 s: timeout"},
		{name: "an origin that lost something is another one's subject", terms: terms, control: control, events: copying(mirrored(100, 0.5), "origin", 99, "d"), want: Skipped,
			got: "the origin itself holds 99 of 100 acknowledged messages"},
		{name: "nothing acknowledged is no answer", terms: terms, control: control, events: mirrored(0, 0), want: Skipped, got: "nothing was acknowledged, so nothing could follow"},
		{name: "an empty history is none", terms: terms, control: control, want: Skipped, got: "nobody saw the streams to the end"},
		{name: "nor are copies that nobody read", terms: terms, control: control, events: without(mirrored(100, 0.5), "copied"), want: Skipped, got: "nobody saw the streams to the end"},
	})
}

// weighedWith is a run that has two connections carry so many kilobytes each, of which one is the system account's, for
// a hundred of payload.
func weighedWith(kilobytes int64, connections int) []Event {
	all := []Event{on(2, Server, "carries", addr("10.0.0.9:1"), account("SYS")), on(2, Server, "carries", addr("10.0.0.9:2"))}
	for i := range connections {
		all = append(all, on(30, Balancer, "end", front("n2"), addr([]string{"10.0.0.9:1", "10.0.0.9:2"}[i%2]), took(29),
			func(e *Event) { e.Up, e.Down = kilobytes*600, kilobytes*400 }))
	}
	return line(all, on(29, Client, "weighed", seq(100), many(100), func(e *Event) { e.Bytes = 100_000 }), on(30, Balancer, "end", front(CanaryFront), func(e *Event) { e.Up = 1 << 40 }))
}

// weighedOnce is one connection, without which nothing is weighed.
func weighedOnce() []Event {
	return line(on(29, Client, "weighed", seq(100), many(100), func(e *Event) { e.Bytes = 100_000 }), on(30, Balancer, "end", front("n2"), func(e *Event) { e.Up = 300_000 }))
}

func TestResyncOverhead(t *testing.T) {
	terms, control := threeNodes(), weighedWith(150, 2)
	judgeAll(t, "links/resync-overhead", []judged{
		{name: "what crosses without a balancer may cross with one", terms: terms, control: control, events: weighedWith(160, 2), want: Safe,
			got:      "3.2 bytes crossed for each that was acknowledged (control 3.0); of these 1.6 in the system account (Raft and replication); 2 connections",
			measured: map[string]float64{"wire_per_payload": 3.2, "wire_per_payload_control": 3, "payload": 100, "wire": 320, "wire_system": 160, "wire_accounts": 160, "connections": 2}},
		{name: "a third more is not", terms: terms, control: control, events: weighedWith(200, 2), want: Risky, marginal: true,
			got: "4.0 bytes crossed for each that was acknowledged (control 3.0); of these 2.0 in the system account (Raft and replication); 2 connections"},
		{name: "twice as much is not marginal", terms: terms, control: control, events: weighedWith(150, 4), want: Risky,
			got: "6.0 bytes crossed for each that was acknowledged (control 3.0); of these 3.0 in the system account (Raft and replication); 4 connections"},
		{name: "gateways and leaf nodes tell no accounts apart", terms: terms, control: control, events: without(weighedWith(150, 2), "carries"), want: Safe,
			got: "3.0 bytes crossed for each that was acknowledged (control 3.0); 2 connections", measured: map[string]float64{"wire_system": 0, "wire_accounts": 0}},
		{name: "nothing acknowledged has no weight", terms: terms, control: control, events: line(on(29, Client, "weighed", seq(100))), want: Skipped, got: "none of 100 messages was acknowledged"},
		{name: "streams that cannot be used are others' subject", terms: terms, control: control, events: line(on(29, Client, "no-stream", stream("B1"), why("no leader"))), want: Skipped,
			got: "nothing was published, as a stream could not be used: no leader"},
		{name: "connections that nobody saw end are not weighed", terms: terms, control: control, events: without(weighedWith(150, 2), "end"), want: Skipped,
			got: "the balancer counted no connection between servers to its end"},
		{name: "an empty history is no answer", terms: terms, control: control, want: Skipped, got: "nobody weighed what was published"},
	})
}

func TestSitesAreWhereStreamsLive(t *testing.T) {
	nodes := func(sites []site) (all [][]string) {
		for _, s := range sites {
			all = append(all, s.Nodes, s.beyond)
		}
		return all
	}
	alone := threeNodes().sites()
	if diff := cmp.Diff([][]string{{"n1", "n2", "n3"}, {"n2", "n3", "n1"}}, nodes(alone)); diff != "" || alone[0].placement() != nil || alone[0].domain != "" {
		t.Errorf("one cluster: %s", diff)
	}
	joined := twoClusters().sites()
	if diff := cmp.Diff([][]string{{"n1", "n2", "n3"}, {"m1", "m2", "m3"}, {"m1", "m2", "m3"}, {"n1", "n2", "n3"}}, nodes(joined)); diff != "" || joined[1].placement().Cluster != "west" {
		t.Errorf("a supercluster: %s", diff)
	}
	leafy := Terms{Nodes: []string{"h1", "h2", "h3", "l1", "l2"}, Clusters: []Group{{Name: "hub", Nodes: []string{"h1", "h2", "h3"}}, {Name: "leaf", Nodes: []string{"l1", "l2"}, LeafOf: "hub"}}}
	hub := leafy.sites()
	if diff := cmp.Diff([][]string{{"h1", "h2", "h3"}, {"l1", "l2"}}, nodes(hub)); diff != "" || hub[0].domain != "hub" || hub[0].placement() != nil {
		t.Errorf("leaf nodes: %s", diff)
	}
	r := &replicated{t: Target{Terms: leafy}, sites: hub}
	if r.home(4) != "h2" || r.neighbour(4) != "l1" || r.reader(4) != "h3" {
		t.Errorf("stream 4 is led by %s, published to at %s, read at %s", r.home(4), r.neighbour(4), r.reader(4))
	}
	if got := leafy.copies(); len(got) != 2 || got[0].node != "l1" || got[1].config().Sources[0].External.APIPrefix != "$JS.hub.API" {
		t.Errorf("copies on leaf nodes: %+v", got)
	}
	if got := twoClusters().copies(); got[0].node != "m1" || got[0].replicas != 3 || got[0].config().Mirror.External != nil {
		t.Errorf("copies in the other cluster: %+v", got)
	}
	if got := threeNodes().copies(); got != nil {
		t.Errorf("copies of a cluster that is alone: %+v", got)
	}
}
