package suite

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lbtest/lbtest/assertions"
	"github.com/lbtest/lbtest/proxies/profiles"
)

func planned(t *testing.T, o Options) Plan {
	t.Helper()
	if o.Runtime = (paper{}); len(o.Topologies) == 0 {
		o.Topologies = []string{routes}
	}
	p, err := NewPlan(o)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestEachProfileIsAScenario(t *testing.T) {
	p := planned(t, Options{Profiles: []string{"aws-nlb-tcp", "haproxy-tcp"}, Set: []string{"idle-timeout=60s"}, Seed: 7})
	if p.Sweep() {
		t.Error("who asks about load balancers by name asks whether they are safe, not which settings are")
	}
	want := []string{routes + "/aws-nlb-tcp,idle-timeout=60s", routes + "/haproxy-tcp,idle-timeout=60s"}
	if got := p.Scenarios(); !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	s := p.scenarios[0]
	if s.settings["idle-timeout"] != "60s" || s.settings["idle-expiry"] != "rst-on-next" {
		t.Errorf("got %v", s.settings)
	}
	if got, want := s.reproduce(p.options, 7), "lbtest --topology routes-behind-lb --runtime paper --profile aws-nlb-tcp --set idle-timeout=60s --seed 7"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	changed, err := s.with(assertions.Advice{Set: map[string]string{"idle-timeout": "75s", "stall": "1s"}}, fastest, 1)
	if err != nil {
		t.Fatal(err)
	}
	if want := routes + "/aws-nlb-tcp,idle-timeout=75s,stall=1s"; changed.name != want || changed.settings["idle-expiry"] != "rst-on-next" {
		t.Errorf("an advice makes of it %s with %v, want %s", changed.name, changed.settings, want)
	}
}

func TestAProfileThatCannotBeMeantIsRefused(t *testing.T) {
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for _, c := range []struct {
		name     string
		profiles []string
		set      []string
		says     []string
	}{
		{"an unknown name", []string{"aws-nlb-tsp"}, nil, []string{`unknown profile "aws-nlb-tsp"`, "did you mean", "aws-nlb-tcp"}},
		{"twice", []string{"aws-alb", "aws-alb"}, nil, []string{"--profile aws-alb is given twice"}},
		{"two of one name", []string{file("a.yaml", "name: x\nextends: aws-alb\n"), file("b.yaml", "name: x\nextends: aws-alb\n")}, nil, []string{"a.yaml", "b.yaml", "both called x"}},
		{"a file with a slip", []string{file("my-lb.yaml", "name: my-lb\nsettings:\n  idle-timout: 5s\n")}, nil,
			[]string{"my-lb.yaml:3:3: settings.idle-timout: unknown setting \"idle-timout\": did you mean idle-timeout?"}},
		{"a manner on top where nothing expires", []string{"haproxy-tcp"}, []string{"idle-expiry=rst"}, []string{"idle-expiry=rst", "idle-timeout"}},
		{"a setting on top twice", []string{"aws-alb"}, []string{"stall=1s", "stall=2s"}, []string{"stall", "twice"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := NewPlan(Options{Topologies: []string{routes}, Runtime: paper{}, Profiles: c.profiles, Set: c.set})
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

func TestWhatIsSetOnTopMayTurnOffWhatAProfileNeeds(t *testing.T) {
	s := planned(t, Options{Profiles: []string{"aws-nlb-tcp"}, Set: []string{"idle-timeout=none"}}).scenarios[0]
	if s.profile.Duration("idle-timeout") != 0 || len(s.labs) == 0 {
		t.Errorf("got %v and %d labs", s.settings, len(s.labs))
	}
}

func TestAMannerThatNobodyKnowsIsTriedInEachForm(t *testing.T) {
	manners := func(s scenario) (tried []string) {
		for _, l := range s.labs {
			if l.quiet() {
				tried = append(tried, l.manner)
				if l.manner != "" && (l.proves["idle-expiry"] != l.manner || l.profile.Value("idle-expiry") != l.manner) {
					t.Errorf("%s: the lab of %s proves %v with %s", s.name, l.manner, l.proves, l.profile.Value("idle-expiry"))
				}
			}
		}
		return tried
	}
	for _, c := range []struct {
		set  []string
		want []string
	}{
		{nil, []string{"fin", "rst", "silent", "rst-on-next"}},
		{[]string{"idle-expiry=silent"}, []string{""}},
		{[]string{"idle-timeout=none"}, []string{""}},
		{[]string{"idle-timeout=5s"}, []string{"fin", "rst", "silent", "rst-on-next"}},
	} {
		s := planned(t, Options{Profiles: []string{"aws-clb-tcp"}, Set: c.set}).scenarios[0]
		if got := manners(s); !slices.Equal(got, c.want) {
			t.Errorf("%v: got %q, want %q", c.set, got, c.want)
		}
		if _, doubt := s.unverified()["idle-expiry"]; doubt == slices.Contains(c.set, "idle-expiry=silent") {
			t.Errorf("%v: the doubt about idle-expiry: %t", c.set, doubt)
		}
	}
}

func TestOfSeveralMannersTheWorstIsToldAndNamed(t *testing.T) {
	stay, loss := assertions.Assertion{Name: "stay"}, assertions.Assertion{Name: "loss"}
	answer := func(a assertions.Assertion, v assertions.Verdict, got, manner string) result {
		return result{assertion: a, finding: assertions.Finding{Verdict: v, Got: got}, manner: manner, took: time.Second}
	}
	slow := answer(stay, assertions.Safe, "all stayed", "silent")
	slow.took, slow.marginal = time.Minute, true
	got := gravest([]result{
		answer(loss, assertions.Safe, "none", "fin"), answer(stay, assertions.Safe, "stayed", "fin"),
		answer(loss, assertions.Unsafe, "118 lost", "silent"), slow,
		answer(loss, assertions.Risky, "late", "rst"),
		{assertion: assertions.Assertion{Name: "mesh"}, finding: assertions.Finding{Verdict: assertions.Safe, Got: "formed"}},
	})
	want := []struct {
		name    string
		verdict assertions.Verdict
		got     string
	}{
		{"loss", assertions.Unsafe, "118 lost (with idle-expiry=silent, the worst of the four manners)"},
		{"stay", assertions.Safe, "stayed (with idle-expiry=fin; safe in each of the four manners)"},
		{"mesh", assertions.Safe, "formed"},
	}
	if len(got) != len(want) {
		t.Fatalf("got %d results", len(got))
	}
	for i, w := range want {
		if g := got[i]; g.assertion.Name != w.name || g.finding.Verdict != w.verdict || g.finding.Got != w.got {
			t.Errorf("got %s %s %q, want %v", g.assertion.Name, g.finding.Verdict, g.finding.Got, w)
		}
	}
	if !got[1].marginal || got[1].took != time.Minute {
		t.Error("what one manner leaves open is left open, and the longest counts")
	}
}

func TestAnIdleTimeoutThatNobodyKnowsIsNotCalledSafe(t *testing.T) {
	s := planned(t, Options{Profiles: []string{"cloudflare-spectrum"}}).scenarios[0]
	v := verdict{scenario: s}
	if len(s.labs) > 0 || v.worst() != assertions.Skipped || !strings.Contains(v.reason(), "the idle timeout of cloudflare-spectrum is not documented") {
		t.Errorf("got %d labs, %s: %s", len(s.labs), v.worst(), v.reason())
	}
	s = planned(t, Options{Profiles: []string{"cloudflare-spectrum"}, Set: []string{"idle-timeout=60s"}}).scenarios[0]
	if len(s.labs) == 0 || slices.ContainsFunc(s.left, func(l left) bool { return strings.Contains(l.why, "documented") }) {
		t.Error("once it is given it is judged")
	}
	s = planned(t, Options{Profiles: []string{"cloudflare-spectrum"}, Assert: []string{"routes/stay-up*"}}).scenarios[0]
	if len(s.labs) > 0 || len(s.left) != 1 {
		t.Errorf("asked for by name: got %d labs, %d left out", len(s.labs), len(s.left))
	}
}

func TestAProfileThatNeverExpiresIsJudged(t *testing.T) {
	s := planned(t, Options{Profiles: []string{"haproxy-tcp"}}).scenarios[0]
	if !slices.ContainsFunc(s.assertions(), func(a assertions.Assertion) bool { return a.Name == "routes/stay-up-when-quiet" }) {
		t.Error("that it never ends an idle connection is what one wants to hear")
	}
}

func TestWhatAVendorWouldNotTakeIsNoted(t *testing.T) {
	s := planned(t, Options{Profiles: []string{"aws-nlb-tls"}, Set: []string{"idle-timeout=60s"}}).scenarios[0]
	if !slices.Contains(s.notes, "idle-timeout=60s cannot be set on aws-nlb-tls, which fixes it at 350s") {
		t.Errorf("got %q", s.notes)
	}
}

func TestAWaitWithoutEndIsShortened(t *testing.T) {
	s := planned(t, Options{Profiles: []string{"linux-conntrack"}}).scenarios[0]
	if s.settings["idle-timeout"] != "120h" || s.labs[0].profile.Duration("idle-timeout") != beyond {
		t.Errorf("got %s, simulated as %s", s.settings["idle-timeout"], s.labs[0].profile.Value("idle-timeout"))
	}
	if !slices.ContainsFunc(s.notes, func(n string) bool { return strings.Contains(n, "idle-timeout=120h is simulated as 600s") }) {
		t.Errorf("got %q", s.notes)
	}
	for what, o := range map[string]Options{
		"in real time": {Profiles: []string{"linux-conntrack"}, TimeScale: "1"},
		"given on top": {Profiles: []string{"linux-conntrack"}, Set: []string{"idle-timeout=120h"}},
		"given alone":  {Set: []string{"idle-timeout=120h"}},
	} {
		if s := planned(t, o).scenarios[0]; s.labs[0].profile.Duration("idle-timeout") != 120*time.Hour {
			t.Errorf("%s: simulated as %s", what, s.labs[0].profile.Value("idle-timeout"))
		}
	}
}

func TestWhatAProfileSetsWithoutEffectIsNotedAndNeedsNoProof(t *testing.T) {
	p := planned(t, Options{Profiles: []string{"aws-nlb-tcp"}})
	s := p.scenarios[0]
	for _, l := range s.labs {
		if l.proves["balance"] != "" {
			t.Error("nothing can prove how one backend is chosen")
		}
	}
	if s.skip != "" || !slices.ContainsFunc(s.notes, func(n string) bool { return strings.HasPrefix(n, "balance=random has no effect here") }) {
		t.Errorf("got %q, skipped: %q", s.notes, s.skip)
	}
	// Who sets it asks for it.
	s = planned(t, Options{Profiles: []string{"aws-nlb-tcp"}, Set: []string{"balance=random"}}).scenarios[0]
	if !strings.Contains(s.skip, "frontends=shared") {
		t.Errorf("skipped: %q", s.skip)
	}
	s = planned(t, Options{Profiles: []string{"aws-nlb-tcp"}, Set: []string{"frontends=shared"}}).scenarios[0]
	if s.skip != "" || !slices.ContainsFunc(s.labs, func(l lab) bool { return l.proves["balance"] == "random" }) {
		t.Errorf("with one address over all nodes it matters: %q", s.skip)
	}
}

func TestEveryProfileHasAPlan(t *testing.T) {
	for _, s := range planned(t, Options{Profiles: profiles.Names()}).scenarios {
		v := verdict{scenario: s}
		if len(s.labs) == 0 && v.reason() == "" {
			t.Errorf("%s: nothing is judged, without a reason", s.name)
		}
		// The longest are those whose timeout is as long as the ping interval, which no factor keeps apart.
		if s.length() > 7*time.Minute {
			t.Errorf("%s takes %s", s.name, s.length())
		}
	}
}
