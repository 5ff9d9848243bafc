package suite

import (
	"bytes"
	"context"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v4"

	"github.com/lbtest/lbtest/assertions"
	"github.com/lbtest/lbtest/topologies"
)

// cellsOf lays out a matrix that stands in a text.
func cellsOf(t *testing.T, text string, change func(*MatrixOptions)) (MatrixPlan, error) {
	t.Helper()
	m, err := parseMatrix("m.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	o := MatrixOptions{Options: Options{Runtime: paper{}, Seed: 7}, Matrix: m}
	if change != nil {
		change(&o)
	}
	return NewMatrixPlan(o)
}

func TestACellIsOneValueOfEachAxis(t *testing.T) {
	for _, c := range []struct {
		name, text string
		want       []string
	}{
		{"axes are multiplied, the first changes slowest", "axes:\n  topology: [routes-behind-lb, leafnodes-behind-lb]\n  idle-timeout: [60s, 350s]\n",
			[]string{"routes-behind-lb/idle-timeout=60s", "routes-behind-lb/idle-timeout=350s", "leafnodes-behind-lb/idle-timeout=60s", "leafnodes-behind-lb/idle-timeout=350s"}},
		{"names by a pattern, and a setting on top", "axes:\n  topology: routes-behind-lb\n  profile: ['cisco-*']\n  stall: [default, 1s]\n",
			[]string{"routes-behind-lb/cisco-asa", "routes-behind-lb/cisco-asa,stall=1s", "routes-behind-lb/cisco-asa-reset", "routes-behind-lb/cisco-asa-reset,stall=1s"}},
		{"what servers and clients are told", "axes:\n  topology: clients-behind-lb\n  idle-timeout: 50s\n  nats.ping_interval: [20s]\n  client.ping-interval: 1m\n  auth: nkey\n  clients: 30\n",
			[]string{"clients-behind-lb/idle-timeout=50s,ping_interval=20s,ping-interval=1m,auth:nkey,clients=30"}},
		{"what is included besides, once", "axes:\n  topology: routes-behind-lb\n  stall: 1s\ninclude:\n  - {topology: leafnodes-behind-lb, stall: [1s, 3s]}\n  - {topology: routes-behind-lb, stall: 1s}\n",
			[]string{"routes-behind-lb/stall=1s", "leafnodes-behind-lb/stall=1s", "leafnodes-behind-lb/stall=3s"}},
		{"what is excluded, a profile's own settings included", "axes:\n  topology: [clients-behind-lb, websocket-behind-lb]\n  profile: [aws-alb, f5-tcp]\nexclude:\n  - {topology: clients-behind-lb, inspection: http}\n",
			[]string{"clients-behind-lb/f5-tcp", "websocket-behind-lb/aws-alb", "websocket-behind-lb/f5-tcp"}},
		{"a setting of one link", "axes:\n  topology: all-behind-lb\n  gateways:idle-timeout: 8s\n", []string{"all-behind-lb/gateways:idle-timeout=8s"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			p, err := cellsOf(t, c.text, nil)
			if err != nil {
				t.Fatal(err)
			}
			if got := p.Scenarios(); !slices.Equal(got, c.want) {
				t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(c.want, "\n"))
			}
		})
	}
}

func TestWhatIsWrongWithAMatrixIsSaidWithItsPlace(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"an unknown key", "axis:\n  topology: routes-behind-lb\n", `m.yaml:1:1: axis: unknown key "axis": did you mean axes?`},
		{"an unknown axis", "axes:\n  topolgy: routes-behind-lb\n", `m.yaml:2:3: axes.topolgy: unknown axis "topolgy": did you mean topology?`},
		{"an axis like no other", "axes:\n  zzz: 1\n", `unknown axis "zzz": an axis is topology, profile, a setting`},
		{"no topology", "axes:\n  stall: 1s\n", "m.yaml:1:1: axes: has no topology"},
		{"an unknown topology", "axes:\n  topology: routes\n", `m.yaml:2:13: axes.topology: unknown topology "routes": did you mean routes-behind-lb?`},
		{"an unknown profile", "axes:\n  topology: '*'\n  profile: [aws-alb, aws-nlb-tpc]\n", `m.yaml:3:22: axes.profile[1]: unknown profile "aws-nlb-tpc": did you mean aws-nlb-tcp`},
		{"a pattern for nothing", "axes:\n  topology: '*'\n  profile: 'xyz*'\n", `m.yaml:3:12: axes.profile: "xyz*" stands for no profile`},
		{"a bad value", "axes:\n  topology: '*'\n  idle-timeout: [30]\n", "m.yaml:3:18: axes.idle-timeout[0]: idle-timeout=30: a duration needs a unit: 30s?"},
		{"a value twice", "axes:\n  topology: '*'\n  stall: [1s, 1s]\n", "m.yaml:3:15: axes.stall[1]: 1s is given twice"},
		{"no value", "axes:\n  topology: '*'\n  stall: []\n", "m.yaml:3:10: axes.stall: has no value"},
		{"a key of clients that does not exist", "axes:\n  topology: '*'\n  client.ping: 3s\n", `axes.client.ping: unknown axis "client.ping": did you mean client.ping-interval`},
		{"a bad value of servers", "axes:\n  topology: '*'\n  nats.a..b: 1\n", "m.yaml:3:14: axes.nats.a..b: "},
		{"a link that nobody balances", "axes:\n  topology: '*'\n  foo:stall: 1s\n", `"foo" before the colon is no link`},
		{"too few clients", "axes:\n  topology: '*'\n  clients: 0\n", `axes.clients: "0": want a number of client connections from 1 up`},
		{"a way to log in that does not exist", "axes:\n  topology: '*'\n  auth: magic\n", "m.yaml:3:9: axes.auth: "},
		{"axes in a list", "axes: [topology]\n", "m.yaml:1:7: axes: want a mapping from axes to values"},
		{"an exclusion of nothing", "axes:\n  topology: '*'\nexclude: [{}]\n", "m.yaml:3:11: exclude[0]: is empty"},
		{"an include that is no list", "include:\n  topology: x\n", "include: want a list of further axes"},
		{"no axes", "about: x\n", "m.yaml:1:1: axes: is missing"},
		{"an assertion that does not exist", "axes:\n  topology: '*'\nassert: nope/*\n", "m.yaml:3:9: assert: "},
		{"a limit without a unit", "axes:\n  topology: '*'\nlimit: 5\n", `m.yaml:3:8: limit: "5": want a duration above zero`},
		{"one ping", "axes:\n  topology: '*'\npings: 1\n", `m.yaml:3:8: pings: "1": want a number of pings from 2 up`},
		{"nothing", "\n", "m.yaml: the file is empty; a matrix has at least axes"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := parseMatrix("m.yaml", []byte(c.text))
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got  %v\nwant %s", err, c.want)
			}
		})
	}
}

func TestTheSchemaOfAMatrixTakesWhatTheReaderTakes(t *testing.T) {
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(MatrixSchema()))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("matrix.json", doc); err != nil {
		t.Fatal(err)
	}
	schema, err := c.Compile("matrix.json")
	if err != nil {
		t.Fatal(err)
	}
	texts := map[string]bool{
		"axes:\n  topology: '*'\n  gateways:idle-timeout: [8s, default]\n  nats.hub:ping_interval: 20s\n  clients: 30\nassert: 'core/*'\n": true,
		"axes:\n  stall: 1s\n":                             false,
		"axes:\n  topology: '*'\n  idle-timout: 1s\n":      false,
		"axes:\n  topology: '*'\nlimit: 5\n":               false,
		"axes:\n  topology: '*'\npings: 1\n":               false,
		"about: nothing\n":                                 false,
		"axes:\n  topology: '*'\nexclude:\n  - {}\n":       false,
		"include:\n  - topology: routes-behind-lb\nx: y\n": false,
	}
	for _, m := range Suites() {
		text, _ := SuiteText(m.Suite)
		texts[text] = true
	}
	for text, want := range texts {
		var value any
		if err := yaml.Unmarshal([]byte(text), &value); err != nil {
			t.Fatal(err)
		}
		refused := schema.Validate(value)
		_, err := parseMatrix("m.yaml", []byte(text))
		if (refused == nil) != want || (err == nil) != want {
			t.Errorf("the schema says %v and the reader %v, want %t of\n%s", refused, err, want, text)
		}
	}
}

func TestCellsThatCannotBeAreRefusedBeforeAnythingStarts(t *testing.T) {
	const axes = "axes:\n  topology: routes-behind-lb\n  stall: [1s, 3s]\n"
	for _, c := range []struct {
		name, text string
		change     func(*MatrixOptions)
		want       []string
	}{
		{"settings that contradict each other", "axes:\n  topology: routes-behind-lb\n  idle-expiry: rst\n", nil, []string{"m.yaml: the cell routes-behind-lb, idle-expiry=rst", "idle-timeout"}},
		{"what the servers refuse", axes, func(o *MatrixOptions) { o.Runtime = paper{refused: context.Canceled} }, []string{"the cell routes-behind-lb", "canceled"}},
		{"an exclusion that leaves out nothing", axes + "exclude:\n  - {stall: 5s}\n", nil, []string{"m.yaml:5:5: exclude[0]: leaves out no cell"}},
		{"everything left out", axes + "exclude:\n  - {topology: routes-behind-lb}\n", nil, []string{"every cell is left out"}},
		{"a pattern of no cell", axes, func(o *MatrixOptions) { o.Only = []string{"clients*"} }, []string{`--only "clients*" names no cell`, "routes-behind-lb/stall=1s"}},
		{"a shard that is none", axes, func(o *MatrixOptions) { o.Shard = "3/2" }, []string{`--shard "3/2"`, "2/3"}},
		{"half a shard", axes, func(o *MatrixOptions) { o.Shard = "1" }, []string{`--shard "1"`}},
		{"more shards than cells", axes, func(o *MatrixOptions) { o.Shard = "3/3" }, []string{"too few cells"}},
		{"fewer than no retries", axes, func(o *MatrixOptions) { o.Retries = -1 }, []string{"--retries -1"}},
		{"a baseline that is not there", axes, func(o *MatrixOptions) { o.Baseline = "nowhere.yaml" }, []string{"nowhere.yaml", "--write-baseline"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := cellsOf(t, c.text, c.change)
			if err == nil {
				t.Fatal("accepted")
			}
			for _, want := range c.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("got %q, which does not say %q", err, want)
				}
			}
		})
	}
}

func TestProfilesOfAMatrixAreBesideIt(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{"mine.yaml": "name: mine\nextends: aws-alb\n", "m.yaml": "axes:\n  topology: routes-behind-lb\n  profile: ./mine.yaml\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	m, err := ReadMatrix(filepath.Join(dir, "m.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	p, err := NewMatrixPlan(MatrixOptions{Options: Options{Runtime: paper{}}, Matrix: m})
	if err != nil || !slices.Equal(p.Scenarios(), []string{"routes-behind-lb/mine"}) {
		t.Errorf("got %v and %v", p.Scenarios(), err)
	}
}

func TestACellThatWouldTakeTooLongIsSkippedAsAWhole(t *testing.T) {
	p, err := cellsOf(t, "axes:\n  topology: routes-behind-lb\n  idle-timeout: [30s, 60s]\nlimit: 1m\n", nil)
	if err != nil {
		t.Fatal(err)
	}
	long, short := p.scenarios[0], p.scenarios[1]
	if len(long.labs)+len(long.left) > 0 || !strings.Contains(long.skip, "cannot be shortened further") || !strings.Contains(long.skip, "1m0s") {
		t.Errorf("got %d labs, %d left out and the reason %q", len(long.labs), len(long.left), long.skip)
	}
	if short.skip != "" || len(short.labs) == 0 {
		t.Errorf("a short one has %d labs and the reason %q", len(short.labs), short.skip)
	}
}

func TestATimeoutOfManyPingsIsSimulatedAsOfFewWhereTheMatrixSaysSo(t *testing.T) {
	const text = "axes:\n  topology: routes-behind-lb\n  profile: [f5-fastl4, aws-clb-tcp]\n"
	for _, c := range []struct{ more, far, near string }{{"", "300s", "60s"}, {"pings: 3\n", "90s", "60s"}} {
		p, err := cellsOf(t, text+c.more, nil)
		if err != nil {
			t.Fatal(err)
		}
		far, near := p.scenarios[0], p.scenarios[1]
		if far.profile.Value("idle-timeout") != c.far || near.profile.Value("idle-timeout") != c.near || far.settings["idle-timeout"] != "300s" {
			t.Errorf("%q: got %s and %s", c.more, far.profile.Value("idle-timeout"), near.profile.Value("idle-timeout"))
		}
		if told := strings.Contains(strings.Join(far.notes, ""), "simulated as 90s, 3 pings"); told != (c.more != "") {
			t.Errorf("%q: the notes are %q", c.more, far.notes)
		}
	}
	p, err := cellsOf(t, "axes:\n  topology: routes-behind-lb\n  profile: f5-fastl4\n  idle-timeout: 350s\npings: 3\n", nil)
	if err != nil || p.scenarios[0].profile.Value("idle-timeout") != "350s" {
		t.Errorf("what is given is simulated as it is: got %v", err)
	}
}

func TestOnlyALabThatProvesIdleEndsWaitsForThem(t *testing.T) {
	p, err := cellsOf(t, "axes:\n  topology: clients-behind-lb\n  profile: nginx-stream\n", nil)
	if err != nil {
		t.Fatal(err)
	}
	waits := 0
	for _, l := range p.scenarios[0].labs {
		terms := l.terms()
		if terms.ProvesIdle() {
			waits++
		} else if terms.Idle > 0 && l.length() >= terms.Idle {
			t.Errorf("%s takes %s of an idle timeout of %s that it does not prove", l, l.length(), terms.Idle)
		}
	}
	if waits != 1 {
		t.Errorf("%d of %d labs prove the idle timeout, want one", waits, len(p.scenarios[0].labs))
	}
}

func TestShardsAreAllCellsOnce(t *testing.T) {
	const text = "axes:\n  topology: [routes-behind-lb, leafnodes-behind-lb]\n  profile: '*'\n"
	whole, err := cellsOf(t, text, nil)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]int{}
	for _, which := range []string{"1/3", "2/3", "3/3"} {
		part, err := shard(whole.scenarios, which)
		if err != nil {
			t.Fatal(err)
		}
		if len(part) < len(whole.scenarios)/6 {
			t.Errorf("shard %s has %d of %d cells", which, len(part), len(whole.scenarios))
		}
		for _, s := range part {
			seen[s.name]++
		}
	}
	part, _ := shard(whole.scenarios, "2/3")
	again, err := cellsOf(t, text, func(o *MatrixOptions) { o.Shard, o.Seed = "2/3", 8 })
	if err != nil || !slices.EqualFunc(part, again.scenarios, func(a, b scenario) bool { return a.name == b.name }) {
		t.Errorf("shard 2/3 is another one where the seed is: %v", err)
	}
	for _, s := range whole.Scenarios() {
		if seen[s] != 1 {
			t.Errorf("%s is in %d shards", s, seen[s])
		}
	}
}

func TestOnlySomeCells(t *testing.T) {
	p, err := cellsOf(t, "axes:\n  topology: [routes-behind-lb, leafnodes-behind-lb]\n  stall: [1s, 3s]\n", func(o *MatrixOptions) { o.Only = []string{"*/stall=1s", "leaf*"} })
	want := []string{"routes-behind-lb/stall=1s", "leafnodes-behind-lb/stall=1s", "leafnodes-behind-lb/stall=3s"}
	if err != nil || !slices.Equal(p.Scenarios(), want) {
		t.Errorf("got %v and %v", p.Scenarios(), err)
	}
}

func TestARuntimeOfItsOwnIsPartOfACell(t *testing.T) {
	other := other{}
	p, err := cellsOf(t, "axes:\n  topology: routes-behind-lb\n  stall: 1s\n  runtime: [default, other]\n", func(o *MatrixOptions) { o.Runtimes = map[string]topologies.Runtime{"other": other} })
	if err != nil {
		t.Fatal(err)
	}
	a, b := p.scenarios[0], p.scenarios[1]
	if a.name != "routes-behind-lb/stall=1s" || b.name != "routes-behind-lb/stall=1s,runtime=other" {
		t.Errorf("got %s and %s", a.name, b.name)
	}
	if got := b.reproduce(p.options, 7); !strings.Contains(got, "--runtime other") || a.labs[0].key() == b.labs[0].key() || len(p.runtimes()) != 2 {
		t.Errorf("got %s, on %v", got, p.runtimes())
	}
}

// other is another runtime that starts nothing.
type other struct{ paper }

func (other) Name() string { return "other" }

func TestLabsThatDifferInNameAloneAreOne(t *testing.T) {
	p, err := cellsOf(t, "axes:\n  topology: routes-behind-lb\n  profile: [aws-ec2-conntrack, linux-conntrack, cilium, cilium-old, cisco-asa, fortinet]\n", nil)
	if err != nil {
		t.Fatal(err)
	}
	alike := map[string][]string{}
	for _, s := range p.scenarios {
		alike[s.labs[0].likeness()] = append(alike[s.labs[0].likeness()], s.from.given)
	}
	got := slices.Sorted(func(yield func(string) bool) {
		for _, names := range alike {
			if !yield(strings.Join(names, " ")) {
				return
			}
		}
	})
	// Five days and six hours are simulated as ten minutes alike; whether a probe counts and in which manner they end is not alike.
	if want := []string{"aws-ec2-conntrack", "cisco-asa", "fortinet", "linux-conntrack cilium cilium-old"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestALabThatCellsShareProvesWhatEachOfThemStates(t *testing.T) {
	p, err := cellsOf(t, "axes:\n  topology: clients-behind-lb\n  profile: [traefik-tcp, hetzner-lb]\nassert: client/herd-recovers\n", nil)
	if err != nil {
		t.Fatal(err)
	}
	duties := map[string]bool{}
	for _, s := range p.scenarios {
		proved := slices.Sorted(maps.Keys(p.cells.duties[s.labs[0].likeness()]))
		duties[strings.Join(proved, " ")] = true
		for name := range s.labs[0].proves {
			if !slices.Contains(proved, name) {
				t.Errorf("%s states %s, and the lab proves %q", s.name, name, proved)
			}
		}
	}
	if len(duties) != 1 || !duties["balance hairpin"] {
		t.Errorf("got labs that prove %v, want one that proves balance and hairpin", slices.Collect(maps.Keys(duties)))
	}
}

func TestALabThatCellsShareIsReadAsEachPutIt(t *testing.T) {
	l := lab{proves: map[string]string{"idle-timeout": "24h"}}
	shared := outcome{histories: []assertions.History{{Terms: assertions.Terms{Settings: map[string]string{"idle-timeout": "1h"}}}}}
	if got := l.read(shared).histories[0].Terms.Settings["idle-timeout"]; got != "24h" || shared.histories[0].Terms.Settings["idle-timeout"] != "1h" {
		t.Errorf("got %s, and the other cell %s", got, shared.histories[0].Terms.Settings["idle-timeout"])
	}
}

func TestWhatThereWasNoTimeForIsSkippedAndCounted(t *testing.T) {
	p, err := cellsOf(t, "axes:\n  topology: routes-behind-lb\n  stall: [1s, 3s]\n", func(o *MatrixOptions) {
		o.RunTimeout, o.Runtime = 50*time.Millisecond, slow{}
	})
	if err != nil {
		t.Fatal(err)
	}
	r := p.Run(t.Context(), nil)
	if r.Summary.Skipped != 2 || r.Matrix == nil || r.ExitCode("never") != 3 {
		t.Errorf("got %+v, exit %d", r.Summary, r.ExitCode("never"))
	}
	for _, s := range r.Scenarios {
		if !strings.Contains(s.Reason, "run timeout of 50ms") {
			t.Errorf("%s: got %s", s.Name, s.Reason)
		}
	}
}

// slow is a runtime whose nodes never come up.
type slow struct{ paper }

func (slow) Start(ctx context.Context, _ topologies.Build) (topologies.Deployment, error) {
	<-ctx.Done()
	return nil, context.Cause(ctx)
}

func TestWhatFailedIsRunAgainUntilItIsAsItShouldBe(t *testing.T) {
	a := assertions.All()[0]
	of := func(is, last assertions.Verdict) verdict {
		return verdict{scenario: scenario{name: "t/a"}, last: last, results: []result{{assertion: a, finding: assertions.Finding{Verdict: is}}}}
	}
	against := cells{file: "b.yaml", expected: map[string]assertions.Verdict{"t/a": assertions.Risky}}
	for _, c := range []struct {
		cells    cells
		is, last assertions.Verdict
		want     bool
	}{
		{cells{}, assertions.Unsafe, "", true},
		{cells{}, assertions.Unsafe, assertions.Unsafe, true},
		{cells{}, assertions.Unsafe, assertions.Safe, false},
		{cells{}, assertions.Risky, "", false},
		{against, assertions.Risky, "", false},
		{against, assertions.Unsafe, "", true},
		{against, assertions.Safe, "", true},
		{against, assertions.Unsafe, assertions.Risky, false},
		{against, assertions.Errored, "", false},
		{against, assertions.Skipped, "", false},
	} {
		if got := c.cells.failed(of(c.is, c.last)); got != c.want {
			t.Errorf("%s, last %q, against %v: got %t", c.is, c.last, c.cells.expected, got)
		}
	}
}

func TestAPassOnRetryIsFlakyAndNeverSafe(t *testing.T) {
	a := assertions.All()[0]
	of := func(v assertions.Verdict) verdict {
		return verdict{scenario: scenario{name: "t/a"}, results: []result{{assertion: a, finding: assertions.Finding{Verdict: v}}}}
	}
	v := merge(of(assertions.Unsafe), of(assertions.Safe))
	if v.worst() != assertions.Unsafe || !v.flaky || v.last != assertions.Safe {
		t.Errorf("got %s, flaky %t, last %s", v.worst(), v.flaky, v.last)
	}
}

// embedding is a runtime whose nodes are children of this process.
type embedding struct{ paper }

func (embedding) Name() string { return defaultRuntime }

func TestTheCostOfCellsThatRunElsewhereIsNotAllCounted(t *testing.T) {
	runs, left := scenario{name: "runs"}, scenario{name: "left", skip: "not here"}
	for _, c := range []struct {
		name  string
		cells []scenario
		want  bool
	}{
		{"all of them children", []scenario{runs}, false},
		{"one elsewhere", []scenario{runs, runs.placed(paper{})}, true},
		{"one elsewhere that is skipped", []scenario{runs, left.placed(paper{})}, false},
	} {
		p := MatrixPlan{Plan: Plan{options: Options{Runtime: embedding{}}, scenarios: c.cells}}
		if got := p.apart(); got != c.want {
			t.Errorf("%s: got %t", c.name, got)
		}
	}
}

func TestBuiltInSuitesAreAsLargeAsTheySay(t *testing.T) {
	for _, m := range Suites() {
		p, err := NewMatrixPlan(MatrixOptions{Options: Options{Runtime: paper{}}, Matrix: m})
		if err != nil {
			t.Fatal(err)
		}
		judged, topologies, named := 0, map[string]bool{}, map[string]bool{}
		for _, s := range p.scenarios {
			topologies[s.topology.Name] = true
			named[s.from.given] = true
			if s.skip == "" {
				judged++
			}
		}
		t.Logf("%s: %d cells, %d to be judged, on %d topologies with %d profiles", m.Suite, len(p.scenarios), judged, len(topologies), len(named))
		switch {
		case m.About == "":
			t.Errorf("%s does not say what it is for", m.Suite)
		case m.Suite == "regression" && (judged < 120 || len(topologies) < 5 || len(named) < 75):
			t.Errorf("regression judges %d cells of %d topologies and %d profiles", judged, len(topologies), len(named))
		case m.Suite == "smoke" && judged < len(p.scenarios):
			t.Errorf("smoke judges %d of %d cells", judged, len(p.scenarios))
		}
	}
	if _, err := FindSuite("smok"); err == nil || !strings.Contains(err.Error(), "did you mean smoke") {
		t.Errorf("got %v", err)
	}
}
