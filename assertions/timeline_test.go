package assertions

import (
	"fmt"
	"math"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// Timelines are typed by hand: seconds on the lab's clock, and what happened then.

func secs(s float64) time.Duration { return time.Duration(math.Round(s*1e6)) * time.Microsecond }

// on is one event; more sets its other fields.
func on(at float64, from Source, kind string, more ...func(*Event)) Event {
	e := Event{At: secs(at), From: from, Kind: kind}
	for _, set := range more {
		set(&e)
	}
	return e
}

func node(n string) func(*Event)    { return func(e *Event) { e.Node = n } }
func peer(n string) func(*Event)    { return func(e *Event) { e.Peer = n } }
func stream(n string) func(*Event)  { return func(e *Event) { e.Stream = n } }
func conn(n string) func(*Event)    { return func(e *Event) { e.Conn = n } }
func front(n string) func(*Event)   { return func(e *Event) { e.Front = n } }
func backend(n string) func(*Event) { return func(e *Event) { e.Backend = n } }
func addr(a string) func(*Event)    { return func(e *Event) { e.Addr = a } }
func dial(a string) func(*Event)    { return func(e *Event) { e.Dial = a } }
func how(h string) func(*Event)     { return func(e *Event) { e.How = h } }
func why(w string) func(*Event)     { return func(e *Event) { e.Why = w } }
func seq(n int) func(*Event)        { return func(e *Event) { e.Seq = n } }
func many(n int) func(*Event)       { return func(e *Event) { e.Count = n } }
func term(n uint64) func(*Event)    { return func(e *Event) { e.Term = n } }
func took(s float64) func(*Event)   { return func(e *Event) { e.Took = secs(s) } }
func account(a string) func(*Event) { return func(e *Event) { e.Account = a } }

// line puts events and groups of them in the order of time.
func line(parts ...any) []Event {
	var all []Event
	for _, p := range parts {
		switch p := p.(type) {
		case Event:
			all = append(all, p)
		case []Event:
			all = append(all, p...)
		default:
			panic(fmt.Sprintf("%T on a timeline", p))
		}
	}
	slices.SortStableFunc(all, func(a, b Event) int { return int(a.At - b.At) })
	for i := range all {
		all[i].ID = fmt.Sprintf("e%d", i+1)
	}
	return all
}

// without is a timeline in which events of one kind are missing.
func without(events []Event, kind string) []Event {
	return slices.DeleteFunc(slices.Clone(events), func(e Event) bool { return e.Kind == kind })
}

func threeNodes() Terms {
	return Terms{Topology: "routes-behind-lb", Nodes: []string{"n1", "n2", "n3"}, Fronts: "per-node", PoolSize: 3, Dedicated: 1,
		Factor: 1, LinkPing: 30 * time.Second, PingMax: 2, Expiry: "fin", Probe: 15 * time.Second, Settings: map[string]string{}}
}

func struckBy(event string, lasts float64) Terms {
	t := threeNodes()
	t.Strikes, t.Event = []string{event}, secs(lasts)
	return t
}

func idleFor(s float64, expiry string) Terms {
	t := threeNodes()
	t.Idle, t.Expiry = secs(s), expiry
	t.Settings = map[string]string{"idle-timeout": fmt.Sprintf("%gs", s)}
	return t
}

// scaledBy divides what a factor divides.
func scaledBy(t Terms, factor float64) Terms {
	t.Factor = factor
	for _, d := range []*time.Duration{&t.LinkPing, &t.Idle, &t.Lifetime, &t.Probe} {
		*d = time.Duration(float64(*d) / factor)
	}
	return t
}

// judged is one timeline and what its judge must say.
type judged struct {
	name     string
	terms    Terms
	events   []Event
	control  []Event // nil for the control itself
	want     Verdict
	got      string
	marginal bool
	measured map[string]float64 // those that matter here
}

func judgeAll(t *testing.T, name string, cases []judged) {
	t.Helper()
	a, ok := registry[name]
	if !ok {
		t.Fatalf("no assertion %s", name)
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			h := History{Terms: c.terms, Events: c.events}
			if c.control != nil {
				h.Control = &History{Terms: threeNodes(), Events: c.control}
			}
			findings := a.Judge(h)
			if len(findings) != 1 {
				t.Fatalf("%d findings: %+v", len(findings), findings)
			}
			f := findings[0]
			if f.Verdict != c.want || f.Close() != c.marginal {
				t.Errorf("%s (marginal %v), want %s (marginal %v): %s", f.Verdict, f.Close(), c.want, c.marginal, f.Got)
			}
			if diff := cmp.Diff(c.got, f.Got); diff != "" {
				t.Errorf("the sentence (-want +got):\n%s", diff)
			}
			wellSaid(t, f)
			got := map[string]float64{}
			for _, m := range f.Measured {
				if _, wanted := c.measured[m.Name]; wanted {
					got[m.Name] = m.Value
				}
			}
			if diff := cmp.Diff(c.measured, got); len(c.measured) > 0 && diff != "" {
				t.Errorf("measured (-want +got):\n%s", diff)
			}
			if again := a.Judge(h); cmp.Diff(findings, again) != "" {
				t.Errorf("judging again says something else: %s", cmp.Diff(findings, again))
			}
		})
	}
}

var wrongPlural = regexp.MustCompile(`(^|[^.\d])1 (messages|ways|routes|pairs|streams|elections|Raft groups|spells|closes|(route|gateway|leafnode) connections|requests|addresses|advisories)\b`)

// units of the measures, by their names: a number that changes its unit breaks whoever reads reports.
var units = map[string]string{
	"unencrypted": "connections", "returns": "connections", "addresses_refused": "addresses", "strangers_believed": "connections",
	"connects": "connections", "failed": "connections", "slowest_connect": "s",
	"info_after": "s", "known_by_another_address": "connections", "complaints_per_minute": "1/min", "servers_deceived": "servers", "phantoms_per_minute": "1/min",
	"cuts": "cuts", "clients_cut": "clients", "unconnected": "clients", "silent_cuts": "clients", "client_knew_after": "s", "lost_meanwhile": "messages",
	"reconnects": "connections", "longest_reconnect": "s", "gave_up": "clients", "event": "s",
	"messages_refused": "messages", "requests_lost": "requests", "requests_sent": "requests", "requests_refused": "requests",
	"mesh_full_after": "s", "incomplete_pairs": "pairs",
	"closes": "closes", "watched": "s", "closes_per_minute": "1/min",
	"silent_ends": "routes", "noticed_after": "s", "messages_lost": "messages", "messages_sent": "messages", "longest_gap": "s", "slowest_delivery": "s",
	"raft_groups": "groups", "groups_moved": "groups", "groups_without_quorum": "groups", "availability": "%", "streams_placed": "streams", "streams_unplaced": "streams", "slowest_placement": "s", "longest_behind": "s",
	"wire_per_payload": "B/B", "wire_per_payload_control": "B/B", "payload": "kB", "wire": "kB", "wire_system": "kB", "wire_accounts": "kB", "connections": "connections", "sync_interval": "s",
	"writes_failed": "messages", "writes_failed_stored": "messages", "writes_retried": "messages", "retries_stored_twice": "messages",
	"acked": "messages", "acked_lost": "messages", "streams_unreadable": "streams", "streams_disagreeing": "streams",
	"longest_ack_gap": "s", "elections": "terms", "longest_without_leader": "s", "quorum_lost_advisories": "advisories",
	"addresses_learnt": "addresses", "back_after": "s", "connections_past_the_balancer": "connections",
	"clients": "clients", "clients_unconnected": "clients", "clients_turned_away": "clients", "clients_left_hanging": "clients", "clients_missing": "clients",
	"clients_on_fullest_node": "clients", "clients_on_emptiest_node": "clients", "connections_lost": "connections", "last_back_after": "s",
	"published": "messages", "publishes_failed": "messages", "publishes_repeated": "messages", "stored_twice": "messages",
	"consumers": "consumers", "undelivered": "messages", "out_of_order": "messages", "keys_outdated": "keys", "redelivered": "messages", "longest_delivery_gap": "s",
	"connections_ended": "connections", "longest_without_service": "s", "messages_missed": "messages", "clients_unserved": "clients",
	"all_connected_after": "s", "connections_missing": "connections", "connections_ended_silently": "connections", "interest_after": "s",
	"longest_gap_plain": "s", "longest_gap_queue": "s", "longest_gap_request": "s",
	"steps": "restarts",
	"burst": "MiB", "burst_took": "s", "memory_used": "MiB", "memory_limit": "MiB", "jetstream_may_use": "MiB", "stored": "MiB", "throttled": "periods",
	"publishes_unacknowledged": "messages", "streams_unusable": "streams", "routes_past_the_balancer": "routes",
}

// wellSaid checks what holds for every finding.
func wellSaid(t *testing.T, f Finding) {
	t.Helper()
	if f.Got == "" || wrongPlural.MatchString(f.Got) || strings.Contains(f.Got, "%!") {
		t.Errorf("no sentence for an operator: %q", f.Got)
	}
	for _, m := range f.Measured {
		if want, known := units[m.Name]; !known || m.Unit != want {
			t.Errorf("measured %s in %q, want %q", m.Name, m.Unit, want)
		}
		if math.IsNaN(m.Value) || math.IsInf(m.Value, 0) || m.Value < 0 {
			t.Errorf("measured %s is %v", m.Name, m.Value)
		}
	}
	for _, e := range f.Evidence {
		if e.Kind == "" {
			t.Errorf("evidence that never happened: %+v", f.Evidence)
		}
	}
}

// The shortest timelines that are safe under each assertion: nothing can be left out at their ends.
func safeTimelines() map[string]History {
	quiet := idleFor(35, "fin")
	return map[string]History{
		"auth/identity-survives-reconnect":  {Terms: secured(InfoFirst), Events: line(believed(1, 0), believed(2, 1), believed(3, 2), on(4, Client, "returned", many(2)))},
		"tls/connects":                      {Terms: secured(InfoFirst), Events: line(on(1, Client, "greeted", how("TLS 1.3")))},
		"tls/identity-arrives":              {Terms: secured(InfoFirst), Events: line(shows(0.5), believed(1, 0))},
		"tls/name-matches-after-reconnect":  {Terms: secured(InfoFirst), Events: line(on(2, Client, "reconnected"), on(3, Client, "reconnected"), on(4, Client, "returned", many(2)))},
		"tls/refuses-wrong-ca":              {Terms: secured(InfoFirst), Events: line(refusal(1), refusal(2), refusal(3), refusal(4))},
		"client/connects":                   {Terms: threeNodes(), Events: line(on(1, Client, "greeted"))},
		"health/server-log-quiet":           {Terms: applications(), Events: leftAlone(2)},
		"inspection/first-bytes-pass":       {Terms: applications(), Events: line(on(1, Client, "informed", took(0.01)))},
		"proxy/address-arrives":             {Terms: applications(), Events: line(presentedAs(0, "10.0.0.1:4000"))},
		"proxy/header-understood":           {Terms: asked(applications(), "proxy-protocol", "v2"), Events: line(headerSent(0.9), presentedAs(0, "10.0.0.1:4000")[:1])},
		"drain/moves-clients":               {Terms: removedFor("keep"), Events: tenanted(6, 0.06)},
		"drain/rolling-restart":             {Terms: bypassed("off"), Events: rolled(3, 2.1)},
		"client/stays-behind-lb":            {Terms: bypassed("refused"), Events: bereft(2, "n2", true)},
		"client/herd-recovers":              {Terms: crowdStruck(3), Events: crashed(3, 2.1)},
		"client/spread-over-nodes":          {Terms: crowdOf(3), Events: line(came(3, 0.01), dispersed(9))},
		"ports/all-connect":                 {Terms: crowdOf(3), Events: line(came(3, 0.01), dispersed(9))},
		"ports/full-is-clear":               {Terms: crowdOf(3), Events: line(came(3, 0.01), dispersed(9))},
		"ports/recover-after-churn":         {Terms: crowdOf(3), Events: churned(3, 0.1)},
		"proxy/not-forgeable":               {Terms: asked(applications(), "bypass", "open"), Events: forgeries("nobody", "nobody", "nobody")},
		"client/stays-connected-when-quiet": {Terms: idleClients(125, "fin"), Events: line(on(1, Lab, "watching"), restedSpells(5), endedWell(90, "resting"))},
		"client/notices-silence":            {Terms: idleClients(125, "silent"), Events: line(restedSpells(5), endedWell(90, "resting"))},
		"client/reconnects":                 {Terms: clientsStruckBy("outage", 5), Events: line(on(1, Client, "connected", called("receiver-1")), strike(5, 10), endedWell(90, "working"))},
		"client/survives-outage":            {Terms: clientsStruckBy("outage", 5), Events: line(on(1, Client, "connected", called("receiver-1")), strike(5, 10), endedWell(90, "working"))},
		"core/no-silent-loss":               {Terms: clientsStruckBy("stall", 1), Events: line(carried(ofMessages, "receiver-1", 40, 0.1), endedWell(90, "working"))},
		"request/answered":                  {Terms: clientsStruckBy("stall", 1), Events: line(carried(ofRequests, "caller-1", 40, 0.1), endedWell(90, "working"))},
		"routes/full-mesh-forms":            {Terms: struckBy("stall", 1), Events: wholeAtBothEnds()},
		"routes/stay-behind-lb":             {Terms: threeNodes(), Events: line(crossing(0.5), seenRoute(0.9, "n1", "n2", "10.0.0.2:6222"), wholeAtBothEnds())},
		"routes/stay-up-when-quiet":         {Terms: quiet, Events: line(on(1, Server, "mesh-full"), watching(2, 62), on(70, Client, "healed", seq(1)))},
		"routes/notice-silence":             {Terms: idleFor(35, "silent"), Events: line(spells(5))},
		"core/no-loss-when-quiet-then-busy": {Terms: quiet, Events: line(spells(5))},
		"core/delivery-between-all-nodes":   {Terms: struckBy("stall", 1), Events: line(on(1, Server, "mesh-full"), strike(5, 6), talked(5.5, 600, 0.1), on(10, Client, "healed"))},
		"jetstream/quorum-holds":            {Terms: struckBy("stall", 1), Events: quorum(5, 6)},
		"jetstream/publish-acked":           {Terms: struckBy("restart=crash", 0), Events: acking(0.1, 10)},
		"jetstream/no-duplicates-with-ids":  {Terms: struckBy("outage", 5), Events: line(acks("P1", 1, 20, 0.1), repeats("P1", 20), readBackOf("P1", 20))},
		"jetstream/consumer-resumes":        {Terms: struckBy("restart=crash", 0), Events: eared(inOrder())},
		"gateways/connect":                  {Terms: hit(superCluster(), "stall"), Events: wholeAtBothEnds()},
		"gateways/stay-behind-lb":           {Terms: superCluster(), Events: line(crossing(0.5), linkSeen(0.9, "e1", "west", "10.0.0.2:6222"), learnt(0.9, "e1", "west", "vip:7522", "front"), wholeAtBothEnds())},
		"gateways/stay-up-when-quiet":       {Terms: idling(superCluster(), 20, "fin"), Events: line(on(1, Server, "mesh-full"), watching(2, 62), on(70, Client, "healed", seq(1)))},
		"gateways/interest-restored":        {Terms: hit(superCluster(), "stall"), Events: line(carried(ofMessages, "queue e1→west", 100, 0.1), endedWell(90, "across"))},
		"gateways/reply-crosses":            {Terms: hit(superCluster(), "stall"), Events: line(carried(ofRequests, "request e1→west", 100, 0.1), endedWell(90, "across"))},
		"leafnodes/connect":                 {Terms: hit(hubAndLeaves(), "stall"), Events: wholeAtBothEnds()},
		"leafnodes/stay-behind-lb":          {Terms: hubAndLeaves(), Events: partedFrom(1.1, "10.0.0.2:6222")},
		"leafnodes/stay-up-when-quiet":      {Terms: idling(hubAndLeaves(), 130, "fin"), Events: line(on(1, Server, "mesh-full"), watching(2, 62), on(70, Client, "healed", seq(1)))},
		"leafnodes/messages-cross":          {Terms: hit(hubAndLeaves(), "stall"), Events: line(carried(ofMessages, "plain h1→l1", 100, 0.1), endedWell(90, "across"))},
		"leafnodes/silent-loss":             {Terms: idling(hubAndLeaves(), 130, "silent"), Events: line(spells(5))},
		"jetstream/no-acked-loss":           {Terms: struckBy("stall", 1), Events: line(acks("S1", 1, 20, 0.5), readBackOf("S1", 20), replicasOf("S1", 20, 20, 20), copiesOf("S1", 20, "a", "a", "a"))},
		"jetstream/placement-works":         {Terms: struckBy("stall", 1), Events: placedIn(0.1)},
		"jetstream/mirror-catches-up":       {Terms: twoClusters(), Events: mirrored(100, 0.5)},
		"links/resync-overhead":             {Terms: struckBy("stall", 1), Events: weighedOnce()},
		"jetstream/meta-leader-stable":      {Terms: struckBy("stall", 1), Events: line(led(1, "_meta_", 1), strike(5, 6), on(12, Client, "flowing"))},
		"resources/survives-burst":          {Terms: limitedTo(64), Events: bursts(64, on(4, Client, "arrived", node("n1"), mib(64), took(2)))},
		"resources/jetstream-fits-limit":    {Terms: limitedTo(64), Events: fills(36, on(9, Client, "refused", node("n2"), mib(36), why("insufficient resources")))},
		"websocket/upgrades":                {Terms: threeNodes(), Events: line(on(1, Client, "upgraded"))},
		"websocket/frames-arrive-whole":     {Terms: threeNodes(), Events: framesOf(10)},
	}
}

// A safe that was not earned is the worst mistake there is: whatever is missing, it must not make a run safe.
func TestNothingThatIsMissingMakesAnythingSafe(t *testing.T) {
	timelines := safeTimelines()
	for _, a := range All() {
		h, ok := timelines[a.Name]
		if !ok {
			t.Errorf("%s has no safe timeline", a.Name)
			continue
		}
		verdict := func(events []Event, control *History) Verdict {
			findings := a.Judge(History{Terms: h.Terms, Events: events, Control: control})
			for _, f := range findings {
				wellSaid(t, f)
			}
			worst := Skipped
			for _, f := range findings {
				if f.Verdict.Worse(worst) {
					worst = f.Verdict
				}
			}
			return worst
		}
		control := &History{Terms: h.Terms, Events: h.Events}
		for _, c := range []*History{nil, control} {
			if v := verdict(h.Events, c); v != Safe {
				t.Errorf("%s: its safe timeline is %s: %v", a.Name, v, a.Judge(h)[0].Got)
			}
			if v := verdict(nil, c); v == Safe {
				t.Errorf("%s: safe although nothing happened", a.Name)
			}
			for n := range h.Events {
				if v := verdict(h.Events[:n], c); v == Safe {
					t.Errorf("%s: safe although cut short after %d of %d events", a.Name, n, len(h.Events))
				}
			}
			// What only times or explains something: without it a judge is stricter, or has less to say.
			harmless := []string{"serving", "strike-begin", "strike-over", "pool", "quiet-begin"}
			if a.Name == "jetstream/quorum-holds" {
				harmless = []string{"mesh-full", "strike-over", "group"}
			}
			if strings.HasPrefix(a.Name, "core/") {
				harmless = append(harmless, "mesh-full")
			}
			if a.Name == "routes/notice-silence" || a.Name == "leafnodes/silent-loss" {
				harmless = append(harmless, "said", "heard") // messages only tell what a silence costs
			}
			for kind := range kindsOf(h.Events) {
				if v := verdict(without(h.Events, kind), c); v == Safe && !slices.Contains(harmless, kind) {
					t.Errorf("%s: safe without a single %s", a.Name, kind)
				}
			}
		}
	}
}

func kindsOf(events []Event) map[string]bool {
	kinds := map[string]bool{}
	for _, e := range events {
		kinds[e.Kind] = true
	}
	return kinds
}

func TestEveryAssertionPromisesInASentenceAndSpeaksOfItsHostileVariant(t *testing.T) {
	for _, a := range All() {
		if !strings.HasSuffix(a.Promise, ".") || strings.ContainsAny(a.Promise, "\n\t") {
			t.Errorf("%s promises in no sentence: %q", a.Name, a.Promise)
		}
		for _, setting := range a.Hostile {
			name, _, _ := strings.Cut(setting, "=")
			if !strings.Contains(setting, "=") || !strings.HasPrefix(setting, "nats:") && !strings.HasPrefix(setting, "client:") && !strings.HasPrefix(setting, "node:") && !a.SpeaksOf(name) {
				t.Errorf("%s does not speak of its own hostile variant %s", a.Name, setting)
			}
		}
	}
}

func wholeAtBothEnds() []Event {
	return line(on(0.1, Lab, "serving"), on(1, Server, "mesh-full"), strike(5, 6), on(40, Server, "mesh-full"))
}

func strike(begin, over float64) []Event {
	return line(on(begin, Lab, "strike-begin"), on(over, Lab, "strike-over"))
}

func watching(begin, end float64) []Event {
	return line(on(begin, Lab, "watch-begin"), on(end, Lab, "watch-end"))
}

// talked is one round through an event that everybody heard.
func talked(at float64, messages int, slowest float64) []Event {
	return line(on(at, Client, "said", many(messages), why("event")), on(at+slowest, Client, "heard", many(messages), took(slowest), why("event")))
}

// spell is quiet spell n, a hundred seconds each, and the round of 18 messages after it.
func spell(n int, slowest float64) []Event {
	at := float64(n) * 100
	return line(on(at, Lab, "quiet-begin", seq(n)), on(at+70, Lab, "quiet-end", seq(n)),
		on(at+70, Client, "said", many(18), seq(n), why("spell")), on(at+70+slowest, Client, "heard", many(18), seq(n), took(slowest), why("spell")),
		on(at+90, Client, "healed", seq(n)))
}

func spells(n int) []Event {
	var all []Event
	for i := range n {
		all = append(all, spell(i+1, 0.002)...)
	}
	return all
}

// crossing is a connection that the balancer forwards to n2.
func crossing(at float64) Event {
	return on(at, Balancer, "begin", conn("c1"), front("n2"), backend("n2"), addr("10.0.0.9:40000"), dial("10.0.0.2:6222"))
}

func seenRoute(at float64, from, to, a string) Event {
	return on(at, Server, "route", node(from), peer(to), addr(a))
}

// acks acknowledges n messages of a stream, apart seconds from each other.
func acks(name string, at float64, n int, apart float64) []Event {
	var all []Event
	for i := range n {
		all = append(all, on(at+float64(i)*apart, Client, "acked", stream(name), seq(i+1)))
	}
	return all
}

func readBackOf(name string, n int) []Event {
	var all []Event
	for i := range n {
		all = append(all, on(50, Client, "read", stream(name), seq(i+1), many(i+1)))
	}
	return all
}

// replicasOf says how many messages the copies on n1, n2 and n3 hold.
func replicasOf(name string, messages ...int) []Event {
	var all []Event
	for i, n := range messages {
		all = append(all, on(60, Server, "replica", stream(name), node(fmt.Sprintf("n%d", i+1)), many(n), seq(n)))
	}
	return all
}

// follows is one node's view of a Raft group.
func follows(at float64, group, who, state, leader string, t uint64) Event {
	return on(at, Server, "raft", stream(group), node(who), how(state), peer(leader), term(t), many(2))
}

// led is a group whose three members agree that n1 leads it.
func led(at float64, group string, t uint64) []Event {
	return line(follows(at, group, "n1", "LEADER", "n1", t), follows(at, group, "n2", "FOLLOWER", "n1", t), follows(at, group, "n3", "FOLLOWER", "n1", t))
}

// quorum is a run in which nothing happens to JetStream.
func quorum(begin, over float64) []Event {
	return line(on(0.5, Server, "mesh-full"), ownedBy("S-R3F-a", "stream S1"), led(1, "_meta_", 1), led(1, "S-R3F-a", 1), acks("S1", 1, 20, 0.5), strike(begin, over),
		on(12, Client, "flowing"), on(13, Client, "published", stream("S1"), many(20)))
}

// ownedBy says whose Raft group one is.
func ownedBy(group, name string) Event {
	return on(0.9, Server, "group", stream(group), ofWhat(name))
}

// copiesOf is what was read of a stream's replicas on n1, n2 and n3, each with its sum.
func copiesOf(name string, n int, sums ...string) []Event {
	all := []Event{on(49, Server, "sync", node("n1"), how("interval"), took(120))}
	for i, sum := range sums {
		all = append(all, on(70, Client, "copy", stream(name), node(fmt.Sprintf("n%d", i+1)), many(n), seq(n), ofWhat(sum)))
	}
	return all
}
