package suite

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/lbtest/lbtest/assertions"
	"github.com/lbtest/lbtest/cmd/internal/report"
	"github.com/lbtest/lbtest/topologies"
	"github.com/lbtest/lbtest/topologies/embedded"
)

// row is one command and the answer that it must give.
type row struct {
	name     string
	topology string // "": routes-behind-lb
	client   string // KEY=VALUE KEY=VALUE …
	clients  int
	set      string // SETTING=VALUE SETTING=VALUE …
	nats     string
	assert   string
	auth     string               // how clients log in; "": by password
	want     []assertions.Verdict // any of them
	by       string               // the assertion that must have that verdict; "" for the scenario
	says     string               // in what was got; times without their unit, since a busy machine adds tenths
	long     bool                 // only where LBTEST_LONG is set: what others cover more quickly
	nightly  bool                 // only where LBTEST_NIGHTLY is set: what differs little from others
	real     bool                 // in real time, which is nightly
}

var (
	isSafe   = []assertions.Verdict{assertions.Safe}
	isRisky  = []assertions.Verdict{assertions.Risky}
	isUnsafe = []assertions.Verdict{assertions.Unsafe}
	notSafe  = []assertions.Verdict{assertions.Risky, assertions.Unsafe}
)

// more is rows of other topologies, from files of their own.
var more []row

// scenario is what lbtest makes of the row's command.
func (r row) scenario(t *testing.T) scenario {
	t.Helper()
	if r.assert == "" {
		return r.asking(t)
	}
	return r.asking(t, r.assert)
}

// asking is the row's scenario with those assertions, or with all that speak of its settings.
func (r row) asking(t *testing.T, names ...string) scenario {
	t.Helper()
	var nats []topologies.KeyValue
	for _, kv := range strings.Fields(r.nats) {
		parsed, err := topologies.ParseKeyValue(kv)
		if err != nil {
			t.Fatal(err)
		}
		nats = append(nats, parsed)
	}
	client, err := assertions.ParseClientTuning(strings.Fields(r.client))
	if err != nil {
		t.Fatal(err)
	}
	var chosen []assertions.Assertion
	for _, name := range names {
		chosen = append(chosen, judgedBy(t, name))
	}
	factor := float64(fastest)
	if r.storing() || r.real {
		factor = 1
	}
	top, ok := topologies.Find(cmp.Or(r.topology, routes))
	if !ok {
		t.Fatalf("there is no topology %s", r.topology)
	}
	s, err := newScenario(top, origin{}, strings.Fields(r.set), common{nats, client, cmp.Or(r.clients, usualClients), cmp.Or(topologies.AuthMode(r.auth), topologies.Password), topologies.Limits{}, nil}, chosen, factor, 1)
	if err != nil {
		t.Fatal(err)
	}
	s.name = r.name // what is reported by name must be unique
	return s
}

// storing reports whether the row asks about streams, which are judged in real time only.
func (r row) storing() bool { return strings.HasPrefix(r.assert, "jetstream/") }

// due are the rows whose turn has come: all of them every night, those that are neither long nor nightly always, and of
// the long ones the first for each verdict on each promise, and on each setting where no promise is named.
func due(rows []row, long, nightly bool) []row {
	if nightly {
		return rows
	}
	seen := map[string]bool{}
	return slices.DeleteFunc(slices.Clone(rows), func(r row) bool {
		setting, _, _ := strings.Cut(r.set, "=")
		key := fmt.Sprint(cmp.Or(r.by, r.topology+" "+setting), r.want)
		if r.nightly || r.real || r.long && (!long || seen[key]) {
			return true
		}
		seen[key] = true
		return false
	})
}

func TestLongRowsSayEachVerdictOfEachPromiseOnce(t *testing.T) {
	rows := []row{
		{name: "quick", by: "a/b", want: isSafe}, {name: "as a quick one", by: "a/b", want: isSafe, long: true}, {name: "another verdict", by: "a/b", want: isUnsafe, long: true},
		{name: "again", by: "a/b", want: isUnsafe, long: true}, {name: "another promise", by: "a/c", want: isUnsafe, long: true}, {name: "at night", by: "a/d", want: isSafe, nightly: true},
		{name: "in real time", by: "a/d", want: isSafe, real: true}, {name: "a setting", set: "stall=1s", want: isSafe, long: true}, {name: "its other value", set: "stall=2s", want: isSafe, long: true},
		{name: "quick all the same", by: "a/b", want: isSafe},
	}
	for _, c := range []struct {
		long, nightly bool
		want          string
	}{
		{false, false, "quick, quick all the same"},
		{true, false, "quick, another verdict, another promise, a setting, quick all the same"},
		{true, true, "quick, as a quick one, another verdict, again, another promise, at night, in real time, a setting, its other value, quick all the same"},
	} {
		var names []string
		for _, r := range due(rows, c.long, c.nightly) {
			names = append(names, r.name)
		}
		if got := strings.Join(names, ", "); got != c.want {
			t.Errorf("long %v, nightly %v: got %s, want %s", c.long, c.nightly, got, c.want)
		}
	}
}

// command is what rows have in common that one run can answer.
func (r row) command() row {
	return row{topology: cmp.Or(r.topology, routes), client: strings.TrimSpace(r.client), clients: r.clients, set: strings.TrimSpace(r.set), nats: strings.TrimSpace(r.nats), auth: r.auth, real: r.real}
}

// question is one scenario, and the rows that its answer is held against.
type question struct {
	scenario scenario
	rows     []row
}

// questions puts rows together that ask about the same command: a lab is started once, whoever looks at it.
func questions(t *testing.T, rows []row) []question {
	t.Helper()
	type run struct {
		command row
		storing bool
	}
	var whole, chosen []question
	wholes, chosens := map[string]int{}, map[string]int{}
	rows = slices.Clone(rows)
	for i, r := range rows {
		rows[i].assert = cmp.Or(r.assert, r.by) // what else speaks of its settings is not asked
		rows[i].by = cmp.Or(r.by, r.assert)
	}
	for _, r := range rows {
		if r.assert != "" {
			continue
		}
		key := fmt.Sprint(r.command())
		i, ok := wholes[key]
		if !ok {
			i = len(whole)
			wholes[key] = i
			whole = append(whole, question{scenario: r.scenario(t)})
		}
		whole[i].rows = append(whole[i].rows, r)
	}
	for _, r := range rows {
		if r.assert == "" {
			continue
		}
		if i, ok := wholes[fmt.Sprint(r.command())]; ok && slices.ContainsFunc(whole[i].scenario.assertions(), func(a assertions.Assertion) bool { return a.Name == r.assert }) {
			whole[i].rows = append(whole[i].rows, r)
			continue
		}
		key := fmt.Sprint(run{r.command(), r.storing()})
		i, ok := chosens[key]
		if !ok {
			i = len(chosen)
			chosens[key] = i
			chosen = append(chosen, question{})
		}
		chosen[i].rows = append(chosen[i].rows, r)
	}
	for i, q := range chosen {
		var names []string
		for _, r := range q.rows {
			if !slices.Contains(names, r.assert) {
				names = append(names, r.assert)
			}
		}
		chosen[i].scenario = q.rows[0].asking(t, names...)
	}
	return append(whole, chosen...)
}

// observed is what NATS was seen to do behind real balancers (nats-server 2.15.2; HAProxy 2.6, nginx 1.22).
func observed() []row {
	rows := []row{
		{name: "the only route URL is one VIP over all nodes: the full mesh never forms", set: "frontends=shared", want: isUnsafe, by: "routes/full-mesh-forms", says: "no full mesh within 30 s", long: true},
		{name: "one frontend a node", set: "frontends=per-node", want: isSafe},
		{name: "20 s with default pings", set: "idle-timeout=20s", want: notSafe},
		{name: "20 s with pings of 8 s", set: "idle-timeout=20s", nats: "cluster.ping_interval=8s", want: isSafe},
		{name: "5 s silently with pings of 2 s", set: "idle-timeout=5s idle-expiry=silent", nats: "cluster.ping_interval=2s", want: isSafe, long: true},
		{name: "35 s silently", set: "idle-timeout=35s idle-expiry=silent", want: isSafe, long: true},
		{name: "balancer killed and restarted at once", set: "restart=crash", want: isRisky, long: true},
		{name: "reload: nothing at all", set: "restart=reload", want: isSafe, long: true},
		{name: "a stall that no election timer notices", set: "stall=1s", want: isSafe, long: true},
		{name: "a stall that loses quorum and no acknowledged message", set: "stall=12s", want: isUnsafe, by: "jetstream/quorum-holds", says: "quorum lost", long: true},
		{name: "a PROXY header, which nobody expects on routes", set: "proxy-protocol=v1", want: isUnsafe, by: "routes/full-mesh-forms", long: true},
		{name: "a balancer that waits for the client, who speaks", set: "inspection=client-first", want: isSafe, long: true},
		{name: "a balancer that speaks HTTP only", set: "inspection=http", want: isUnsafe, by: "routes/full-mesh-forms", long: true},
		{name: "a balancer that always waits", set: "inspection=wait-end inspection-delay=2s", want: isRisky, by: "routes/full-mesh-forms", long: true},
		{name: "two source ports for eight routes to a node", set: "source-ports=2", want: isUnsafe, by: "routes/full-mesh-forms", long: true},
		{name: "a hundred source ports", nightly: true, set: "source-ports=100", want: isSafe, long: true},
		{name: "eight connections for twelve routes", set: "max-connections=8", want: isUnsafe, by: "routes/full-mesh-forms", long: true},
		{name: "a hundred connections", nightly: true, set: "max-connections=100 connection-limit=close", want: isSafe, long: true},
		{name: "a backend that never meets itself", set: "hairpin=denied frontends=shared", want: isUnsafe, by: "routes/full-mesh-forms", long: true},
		{name: "health checks that nobody notices", nightly: true, set: "health-check=tcp health-interval=1s", want: isSafe, long: true},
		{name: "a drained node keeps its routes", nightly: true, set: "drain=keep", want: isSafe, long: true},
		{name: "a drained node loses its routes after a while", set: "drain=2s", want: isRisky, long: true},
		{name: "twenty milliseconds each way", nightly: true, set: "latency=20ms", want: isSafe, long: true},
		{name: "and no acknowledged message", set: "stall=12s", want: isSafe, by: "jetstream/no-acked-loss", assert: "jetstream/no-acked-loss", long: true},
	}
	// One manner of each is long, all are nightly.
	for i, how := range []string{"fin", "rst", "silent", "rst-on-next"} {
		rows = append(rows,
			row{name: "5 s, " + how, set: "idle-timeout=5s idle-expiry=" + how, want: notSafe, nightly: i != 2},
			row{name: "20 s, " + how, set: "idle-timeout=20s idle-expiry=" + how, want: notSafe, nightly: i != 3},
			row{name: "5 s with pings of 2 s, " + how, set: "idle-timeout=5s idle-expiry=" + how, nats: "cluster.ping_interval=2s", want: isSafe, nightly: true},
			row{name: "20 s with pings of 8 s, " + how, set: "idle-timeout=20s idle-expiry=" + how, nats: "cluster.ping_interval=8s", want: isSafe, nightly: i != 1},
			row{name: "35 s, " + how, set: "idle-timeout=35s idle-expiry=" + how, want: isSafe, nightly: i != 3},
			row{name: "60 s, " + how, set: "idle-timeout=60s idle-expiry=" + how, want: isSafe, nightly: i != 1},
			row{name: "350 s, " + how, set: "idle-timeout=350s idle-expiry=" + how, want: isSafe, nightly: i != 0})
	}
	for i := range rows {
		rows[i].long = rows[i].long || strings.Contains(rows[i].set, "idle-expiry") && rows[i].name != "5 s silently with pings of 2 s"
	}
	// The values next to a boundary, in real time: what is scaled elsewhere is held against what it stands for.
	return append(rows,
		row{name: "20 s with default pings, in real time", set: "idle-timeout=20s", want: notSafe, real: true},
		row{name: "35 s, in real time", set: "idle-timeout=35s", want: isSafe, real: true},
		row{name: "20 s with pings of 8 s, in real time", set: "idle-timeout=20s", nats: "cluster.ping_interval=8s", want: isSafe, real: true},
		row{name: "20 s silently, in real time", set: "idle-timeout=20s idle-expiry=silent", want: isUnsafe, real: true})
}

// noWorse are the promises whose breach the contract calls risky at most: a bypass, a crowd on
// one node, a long reconnect, a cost that only servers see, what a direct peer could forge, an
// address that cannot be used while another one can.
var noWorse = []string{"routes/stay-behind-lb", "client/stays-behind-lb", "client/spread-over-nodes", "drain/rolling-restart", "health/server-log-quiet", "proxy/not-forgeable",
	"tls/name-matches-after-reconnect", "gateways/stay-behind-lb", "leafnodes/stay-behind-lb", "links/resync-overhead"}

// hostile is each assertion behind its own hostile variant: a judge that has never said no is not
// trusted. They are for the long suite: those that are quick are observed rows as well.
func hostile() []row {
	var rows []row
	for _, a := range assertions.All() {
		if a.Unbroken != "" || strings.HasPrefix(a.Hostile[0], "node:") {
			continue // broken by hand: TestALostMessageIsMissed; or in containers alone: TestNodesInContainersMeetTheirLimits
		}
		r := row{name: "hostile to " + a.Name, assert: a.Name, by: a.Name, want: isUnsafe, long: true}
		if slices.Contains(noWorse, a.Name) {
			r.want = isRisky
		}
		for _, h := range a.Hostile {
			if key, ok := strings.CutPrefix(h, "nats:"); ok {
				r.nats += " " + key
			} else if key, ok := strings.CutPrefix(h, "client:"); ok {
				r.client += " " + key
			} else {
				r.set += " " + h
			}
		}
		if !slices.Contains(a.Links, string(topologies.Routes)) {
			r.topology = a.Links[0] + "-behind-lb"
		}
		rows = append(rows, r)
	}
	return rows
}

// TestVerdictsOnRealNATS runs all rows side by side, as one run of lbtest would, and so judges the
// controls too: behind nothing, every assertion must be safe, or everything is errored.
func TestVerdictsOnRealNATS(t *testing.T) {
	if testing.Short() {
		t.Skip("integration: starts clusters")
	}
	t.Parallel() // it mostly waits
	long := os.Getenv("LBTEST_LONG") != ""
	rows := due(slices.Concat(observed(), more, hostile()), long, os.Getenv("LBTEST_NIGHTLY") != "")
	rt := embedded.New(embedded.Options{})
	// Fewer side by side than usual: the race detector makes lbtest itself want more CPU, and other packages'
	// tests run at the same time. The long suites have neither.
	plan := Plan{options: Options{Runtime: rt, Parallel: 8}, seed: 1}
	if long {
		plan.options.Parallel = 20
	}
	asked := questions(t, rows)
	for _, q := range asked {
		plan.scenarios = append(plan.scenarios, q.scenario)
	}
	var mu sync.Mutex
	told := map[string]int{}
	answers := plan.Run(t.Context(), func(p Progress) {
		if p.Kind == "finished" {
			mu.Lock()
			told[p.Scenario]++
			mu.Unlock()
		}
		if p.Kind != "started" {
			t.Logf("%6.1fs %-8s %s: %s", p.At.Seconds(), p.Verdict, p.Scenario, p.Text)
		}
	})
	alone := plan
	alone.options.Parallel = 1
	for i, q := range asked {
		if n := told[q.scenario.name]; n != 1 {
			t.Errorf("the verdict on %s was told %d times", q.scenario.name, n)
		}
		for _, r := range q.rows {
			t.Run(r.name, func(t *testing.T) {
				alarm, err := r.check(answers, answers.Scenarios[i])
				if alarm {
					// What twenty labs do to each other is no balancer's doing. A verdict that is too good has no excuse.
					t.Logf("a false alarm beside others, asked again alone: %v", err)
					alone.scenarios = []scenario{q.scenario}
					again := alone.Run(t.Context(), nil)
					_, err = r.check(again, again.Scenarios[0])
				}
				if err != nil {
					t.Error(err)
				}
			})
		}
	}
	if err := rt.Close(); err != nil {
		t.Errorf("ending the runtime: %v", err)
	}
}

// check says what is wrong with the row's answer, and whether that is only that something was worse, or slower, than it
// has to be, or could not be judged.
func (r row) check(answers report.Report, s report.Scenario) (alarm bool, err error) {
	got, said := s.Verdict, strings.Join(s.Because, "\n")
	for _, res := range answers.Results {
		if res.Scenario != s.Name {
			continue
		}
		if res.Verdict == assertions.Safe && !res.FaultProved {
			return false, fmt.Errorf("%s is safe and its fault was not proved", res.Assertion)
		}
		if r.by == res.Assertion {
			got, said = res.Verdict, res.Got
		}
	}
	if slices.Contains(r.want, got) {
		if !strings.Contains(said, r.says) {
			return true, fmt.Errorf("got %q, which does not say %q", said, r.says)
		}
		return false, nil
	}
	better := got != assertions.Skipped && slices.ContainsFunc(r.want, func(want assertions.Verdict) bool { return want.Worse(got) })
	return !better, fmt.Errorf("got %s, want %v: %s %s", got, r.want, said, s.Reason)
}

// TestALostMessageIsMissed takes acknowledged messages out of a stream behind lbtest's back: no balancer is
// known that does, and a judge that has never said no is not trusted.
func TestALostMessageIsMissed(t *testing.T) {
	a := judgedBy(t, "jetstream/no-acked-loss")
	const taken = 3
	h := watchedLab(t, routes, "stall=1s", &assertions.Observation{Name: "saboteur", Aside: true, Watch: func(ctx context.Context, target assertions.Target, rec *assertions.Recorder) error {
		rec.Await(ctx, 0, func(e assertions.Event) bool { return e.Kind == "strike-over" })
		nc, err := nats.Connect(target.Nodes[0].URL, nats.UserInfo("js", "js"), nats.Timeout(30*time.Second))
		if err != nil {
			return err
		}
		defer nc.Close()
		js, err := jetstream.New(nc)
		if err != nil {
			return err
		}
		stream, err := js.Stream(ctx, "S1")
		if err != nil {
			return err
		}
		for seq := range taken {
			if err := stream.DeleteMsg(ctx, uint64(seq+1)); err != nil {
				return err
			}
		}
		return nil
	}}, a)
	f := a.Judge(h.Of(a.Observe))[0]
	if want := "3 of "; f.Verdict != assertions.Unsafe || !strings.HasPrefix(f.Got, want) {
		t.Errorf("got %s: %s; want unsafe: %s…", f.Verdict, f.Got, want)
	}
}
