package suite

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lbtest/lbtest/assertions"
	"github.com/lbtest/lbtest/topologies"
)

// paper is a runtime that starts nothing.
type paper struct{ unusable, refused error }

func (paper) Name() string                   { return "paper" }
func (p paper) Usable(context.Context) error { return p.unusable }
func (p paper) Check(topologies.Build) error { return p.refused }
func (paper) Close() error                   { return nil }
func (paper) Start(context.Context, topologies.Build) (topologies.Deployment, error) {
	return nil, errors.New("there is no paper")
}

const routes = "routes-behind-lb"

func TestAPlanRefusesWhatItCannotMean(t *testing.T) {
	for _, c := range []struct {
		name    string
		options Options
		says    []string
	}{
		{"no topology", Options{}, []string{"no --topology", routes}},
		{"an unknown topology", Options{Topologies: []string{"routes"}}, []string{`"routes"`, routes}},
		{"a topology twice", Options{Topologies: []string{routes, routes}}, []string{"twice"}},
		{"a setting without a value", Options{Set: []string{"idle-timeout"}}, []string{"idle-timeout", "SETTING=VALUE"}},
		{"an unknown setting", Options{Set: []string{"idle-timeot=5s"}}, []string{"idle-timeot", "did you mean", "idle-timeout"}},
		{"a bad value", Options{Set: []string{"idle-timeout=30"}}, []string{"30", "30s"}},
		{"a setting twice", Options{Set: []string{"stall=1s", "stall=2s"}}, []string{"stall", "twice", "1s", "2s"}},
		{"a manner without a timeout", Options{Set: []string{"idle-expiry=rst"}}, []string{"idle-expiry", "idle-timeout"}},
		{"a key of nats-server without a value", Options{Nats: []string{"ping_interval"}}, []string{"ping_interval"}},
		{"a client key that does not exist", Options{Client: []string{"ping=3"}}, []string{"ping", "ping-interval"}},
		{"an assertion that does not exist", Options{Assert: []string{"nope/*"}}, []string{"nope/*", "routes/full-mesh-forms"}},
		{"a factor below one", Options{TimeScale: "0.5"}, []string{"0.5", "auto"}},
		{"fewer than no labs", Options{Parallel: -1}, []string{"-1"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := c.options
			o.Runtime = paper{}
			if o.Topologies == nil && c.name != "no topology" {
				o.Topologies = []string{routes}
			}
			_, err := NewPlan(o)
			if err == nil {
				t.Fatal("accepted")
			}
			for _, want := range c.says {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("got %q, which does not say %q", err, want)
				}
			}
		})
	}
}

func TestTheServersOwnParserIsAskedBeforeAnythingStarts(t *testing.T) {
	_, err := NewPlan(Options{Topologies: []string{routes}, Runtime: paper{refused: errors.New("unknown field")}})
	if err == nil || !strings.Contains(err.Error(), "unknown field") {
		t.Errorf("got %v", err)
	}
}

func TestWithoutSettingsAPlanSweepsBothSidesOfEachBoundary(t *testing.T) {
	p, err := NewPlan(Options{Topologies: []string{routes}, Runtime: paper{}})
	if err != nil {
		t.Fatal(err)
	}
	if !p.Sweep() {
		t.Error("not a sweep")
	}
	names := p.Scenarios()
	for _, want := range []string{"frontends=shared", "frontends=per-node", "idle-timeout=5s", "idle-timeout=20s,idle-expiry=silent",
		"idle-timeout=35s,idle-expiry=rst", "idle-timeout=60s", "idle-timeout=350s,idle-expiry=rst-on-next",
		"stall=1s", "stall=3s", "stall=6s", "stall=12s", "restart=reload", "restart=crash", "outage=5s"} {
		if !slices.Contains(names, routes+"/"+want) {
			t.Errorf("the sweep lacks %s", want)
		}
	}
	slices.Sort(names)
	if len(slices.Compact(names)) != len(p.Scenarios()) {
		t.Error("the sweep has a scenario twice")
	}
}

func TestEachScenarioHasTheLabsThatItsAssertionsNeed(t *testing.T) {
	type want struct {
		quiet, jetStream bool
		factor           float64
	}
	for _, c := range []struct {
		name string
		set  []string
		o    Options
		want []want
		left int // assertions left out
	}{
		{"an idle timeout waits, scaled and without JetStream", []string{"idle-timeout=35s"}, Options{}, []want{{true, false, 10}}, 5},
		{"in real time JetStream is judged too, in labs of its own", []string{"idle-timeout=35s"}, Options{TimeScale: "1"}, []want{{true, false, 1}, {false, true, 1}, {false, true, 1}}, 0},
		{"an event takes place in real time", []string{"stall=3s"}, Options{}, []want{{false, true, 1}}, 0},
		{"both together", []string{"idle-timeout=35s", "stall=3s"}, Options{}, []want{{true, false, 10}, {false, true, 1}, {false, true, 1}}, 0},
		{"one assertion, one lab", []string{"idle-timeout=35s"}, Options{Assert: []string{"core/no-loss*"}}, []want{{true, false, 10}}, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.o.Topologies, c.o.Runtime, c.o.Set = []string{routes}, paper{}, c.set
			p, err := NewPlan(c.o)
			if err != nil {
				t.Fatal(err)
			}
			s := p.scenarios[0]
			var got []want
			for _, l := range s.labs {
				got = append(got, want{l.quiet(), l.jetStream(), l.factor})
			}
			if !slices.Equal(got, c.want) || len(s.left) != c.left {
				t.Errorf("got %v and %d left out, want %v and %d", got, len(s.left), c.want, c.left)
			}
		})
	}
}

func TestEverySettingIsProvedInOneOfTheLabs(t *testing.T) {
	p, err := NewPlan(Options{Topologies: []string{routes}, Runtime: paper{}, Set: []string{"idle-timeout=35s", "idle-expiry=rst", "stall=3s", "frontends=per-node"}})
	if err != nil {
		t.Fatal(err)
	}
	proved := map[string]bool{}
	for _, l := range p.scenarios[0].labs {
		for name := range l.proves {
			proved[name] = true
		}
		if l.quiet() && l.profile.Strikes() {
			t.Error("an event would break the quiet")
		}
	}
	for _, name := range p.scenarios[0].order {
		if !proved[name] {
			t.Errorf("nothing proves %s", name)
		}
	}
}

func TestLabsThatDifferOnlyInTheBalancerShareTheirControl(t *testing.T) {
	keys := map[string][]string{}
	p, err := NewPlan(Options{Topologies: []string{routes}, Runtime: paper{}})
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range p.scenarios {
		for _, l := range s.labs {
			c := l.control()
			keys[c.key()] = append(keys[c.key()], s.name)
			if c.profile.Name != "direct" || len(c.profile.Behaviours) > 0 {
				t.Errorf("the control of %s has behaviours", s.name)
			}
			for _, a := range l.judged {
				if !slices.Contains(c.observations(), a.Observe) {
					t.Errorf("the control of %s does not watch what %s needs", s.name, a.Name)
				}
			}
		}
	}
	if len(keys) != 4 { // quiet; busy with one cut; busy without; weighed with one cut
		t.Errorf("got %d controls, want 4: %v", len(keys), keys)
	}
}

func TestAControlIsShortenedThoughItsLabCannotBe(t *testing.T) {
	p, err := NewPlan(Options{Topologies: []string{"gateways-behind-lb"}, Runtime: paper{}, Profiles: []string{"traefik-tcp-shared"}})
	if err != nil {
		t.Fatal(err)
	}
	found := false
	for _, l := range p.scenarios[0].labs {
		if !l.quiet() {
			continue
		}
		found = true
		// Servers miss the pings of a connection that the balancer has not forwarded yet; behind nothing there is none.
		if c := l.control(); l.factor != 1 || c.factor < 10 {
			t.Errorf("the lab is shortened %g times and its control %g times, want 1 and 10 or more", l.factor, c.factor)
		}
		// Without an idle timeout the spells are as long as two pings.
		if spells := time.Duration(assertions.Spells) * l.terms().Quiet(); l.length() < spells {
			t.Errorf("the lab is to take %s, and its quiet spells alone take %s", l.length(), spells)
		}
	}
	if !found {
		t.Error("there is no quiet lab")
	}
}

func TestASettingThatCannotMatterIsSkippedWithTheReason(t *testing.T) {
	p, err := NewPlan(Options{Topologies: []string{routes}, Runtime: paper{}, Set: []string{"balance=random"}})
	if err != nil {
		t.Fatal(err)
	}
	if s := p.scenarios[0]; len(s.labs) > 0 || !strings.Contains(s.skip, "frontends=shared") {
		t.Errorf("got %d labs and %q", len(s.labs), s.skip)
	}
}

func TestTheCommandThatReproducesAScenarioSurvivesAShell(t *testing.T) {
	o := Options{Topologies: []string{routes}, Runtime: paper{}, Set: []string{"idle-timeout=35s"}, Nats: []string{"cluster.ping_interval=8s"},
		Client: []string{"timeout=3s"}, Assert: []string{"core/*"}, TimeScale: "2"}
	p, err := NewPlan(o)
	if err != nil {
		t.Fatal(err)
	}
	const want = "lbtest --topology routes-behind-lb --runtime paper --set idle-timeout=35s --nats cluster.ping_interval=8s --client timeout=3s --assert 'core/*' --time-scale 2 --seed 7"
	if got := p.scenarios[0].reproduce(o, 7); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestAdviceChangesJustWhatItNames(t *testing.T) {
	p, err := NewPlan(Options{Topologies: []string{routes}, Runtime: paper{}, Set: []string{"idle-timeout=5s", "idle-expiry=rst"}, Nats: []string{"cluster.ping_interval=20s"}})
	if err != nil {
		t.Fatal(err)
	}
	changed, err := p.scenarios[0].with(assertions.Advice{Set: map[string]string{"idle-timeout": "75s"}, Nats: map[string]string{"cluster.ping_interval": "2s"}}, fastest, 1)
	if err != nil {
		t.Fatal(err)
	}
	if got := changed.name; got != routes+"/idle-timeout=75s,idle-expiry=rst" {
		t.Errorf("settings: got %s", got)
	}
	if got := changed.nats; len(got) != 1 || got[0].String() != "cluster.ping_interval=2s" {
		t.Errorf("keys: got %v", got)
	}
}

func TestASweepsRowMayConfigureTheServers(t *testing.T) {
	p, err := NewPlan(Options{Topologies: []string{"clients-behind-lb"}, Nats: []string{"ping_max=3", "proxy_protocol=false"}, Runtime: paper{}, Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	const name = "clients-behind-lb/proxy-protocol=v1,proxy_protocol=true"
	i := slices.Index(p.Scenarios(), name)
	if i < 0 {
		t.Fatalf("no %s in %v", name, p.Scenarios())
	}
	const want = "lbtest --topology clients-behind-lb --runtime paper --set proxy-protocol=v1 --nats ping_max=3 --nats proxy_protocol=true --seed 1"
	if got := p.scenarios[i].reproduce(p.options, 1); got != want {
		t.Errorf("reproduced by %s, want %s", got, want)
	}
	if twice := slices.Compact(slices.Sorted(slices.Values(p.Scenarios()))); len(twice) != len(p.Scenarios()) {
		t.Errorf("two rows share a name: %v", p.Scenarios())
	}
}

func TestWhatChanceDecidesIsLookedAtMoreThanOnce(t *testing.T) {
	for _, c := range []struct {
		topology, set string
		lucky         bool
	}{
		{routes, "frontends=shared", true},
		{routes, "frontends=per-node", false},
		{"gateways-behind-lb", "bypass=closed", true},
		{"gateways-behind-lb", "bypass=open", false},
		{"leafnodes-behind-lb", "bypass=closed", false},
	} {
		for _, l := range laidOut(t, c.topology, nil, c.set).labs {
			forms := slices.ContainsFunc(l.judged, func(a assertions.Assertion) bool { return a.Observe == assertions.Forming })
			if want := c.lucky && (forms || c.topology == routes); (l.starts == luckyStarts) != want {
				t.Errorf("%s %s: a lab starts %d times, want more than once: %v", c.topology, c.set, l.starts, want)
			}
		}
	}
}
