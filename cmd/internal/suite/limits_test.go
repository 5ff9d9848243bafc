package suite

import (
	"slices"
	"strings"
	"testing"

	"github.com/lbtest/lbtest/assertions"
	"github.com/lbtest/lbtest/topologies/embedded"
)

// Limits alone ask what such nodes bear, behind a balancer that only forwards.
func TestLimitsAloneAreOneQuestion(t *testing.T) {
	p, err := NewPlan(Options{Topologies: []string{routes}, Node: []string{"memory=64MiB", "gomemlimit=48MiB"}, Runtime: paper{}})
	if err != nil {
		t.Fatal(err)
	}
	if p.Sweep() || len(p.scenarios) != 1 {
		t.Fatalf("a sweep (%v) of %v", p.Sweep(), p.Scenarios())
	}
	s := p.scenarios[0]
	if s.name != routes+"/memory=64MiB,gomemlimit=48MiB" {
		t.Errorf("it is called %s", s.name)
	}
	var judged []string
	for _, a := range s.assertions() {
		judged = append(judged, a.Name)
	}
	if want := []string{"resources/jetstream-fits-limit", "resources/survives-burst"}; !slices.Equal(judged, want) || len(s.labs) != 1 || !s.labs[0].uncontrolled() {
		t.Errorf("judged is %v in %d labs, want %v in one without a control", judged, len(s.labs), want)
	}
	if l := s.labs[0]; l.build(nil).Limits != s.limits || l.terms().Limits.Memory != 64<<20 || l.terms().Limits.GoMemLimit != 48<<20 {
		t.Errorf("the lab has %+v, its judges %+v", l.build(nil).Limits, l.terms().Limits)
	}
	if again := s.reproduce(p.options, 1); !strings.Contains(again, "--node memory=64MiB --node gomemlimit=48MiB") {
		t.Errorf("repeated by %s", again)
	}
	changed, err := s.with(assertions.Advice{Node: map[string]string{"gomemlimit": "40MiB"}, Nats: map[string]string{"max_pending": "7MiB"}}, 1, 1)
	if err != nil || strings.Join(changed.limits.Pairs(), " ") != "memory=64MiB gomemlimit=40MiB" {
		t.Errorf("advised it has %v, %v", changed.limits.Pairs(), err)
	}
}

// Beside settings, limits hold in every lab and its control, and bring their own promises.
func TestLimitsBesideSettings(t *testing.T) {
	p, err := NewPlan(Options{Topologies: []string{routes}, Set: []string{"stall=1s"}, Node: []string{"cpus=0.5"}, Runtime: paper{}})
	if err != nil {
		t.Fatal(err)
	}
	found := false
	for _, l := range p.scenarios[0].labs {
		if l.build(nil).Limits.CPUs != 0.5 || l.control().build(nil).Limits.CPUs != 0.5 {
			t.Errorf("%s has %+v, its control %+v", l, l.build(nil).Limits, l.control().build(nil).Limits)
		}
		found = found || l.uncontrolled()
		if l.uncontrolled() && len(l.proves) > 0 && l.proves["stall"] != "" {
			t.Errorf("the stall is proved where nothing stalls: %v", l.proves)
		}
	}
	if !found {
		t.Error("nobody asks what the limit does")
	}
	// GOMEMLIMIT by itself promises nothing.
	p, err = NewPlan(Options{Topologies: []string{routes}, Node: []string{"gomemlimit=48MiB"}, Runtime: paper{}})
	if err != nil || len(p.scenarios) != 1 || len(p.scenarios[0].labs) != 0 {
		t.Errorf("%v, %v", p.Scenarios(), err)
	}
	if why := (verdict{scenario: p.scenarios[0]}).reason(); !strings.Contains(why, "gomemlimit") {
		t.Errorf("skipped because %q", why)
	}
}

func TestASweepIsNamedAndHasItsTopologies(t *testing.T) {
	for _, topology := range Sweeps()[1].Topologies() {
		p, err := NewPlan(Options{Topologies: []string{topology}, Sweep: "bandwidth", Runtime: paper{}})
		if err != nil {
			t.Fatal(err)
		}
		if !p.Sweep() || len(p.scenarios) < 3 {
			t.Errorf("%s: a sweep (%v) of %v", topology, p.Sweep(), p.Scenarios())
		}
		for _, s := range p.scenarios {
			if s.settings["bandwidth"] == "" || s.skip != "" || len(s.labs) == 0 {
				t.Errorf("%s asks nothing about bandwidth: %q", s.name, s.skip)
			}
		}
	}
	usual, err := NewPlan(Options{Topologies: []string{routes}, Runtime: paper{}})
	if err != nil {
		t.Fatal(err)
	}
	named, err := NewPlan(Options{Topologies: []string{routes}, Sweep: "settings", Runtime: paper{}})
	if err != nil || !slices.Equal(usual.Scenarios(), named.Scenarios()) {
		t.Errorf("the usual sweep by its name is another: %v", err)
	}
}

func TestOneFlagCanSetSeveral(t *testing.T) {
	s := planned(t, Options{Set: []string{"bandwidth=1MB/s,burst=8MB"}}).scenarios[0]
	if s.settings["bandwidth"] != "1MB/s" || s.settings["burst"] != "8MB" || !strings.Contains(s.reproduce(Options{Runtime: paper{}}, 1), "--set bandwidth=1MB/s --set burst=8MB") {
		t.Errorf("got %v, repeated by %s", s.settings, s.reproduce(Options{Runtime: paper{}}, 1))
	}
}

func TestLimitsAndSweepsThatCannotBeMeantAreRefused(t *testing.T) {
	for _, c := range []struct {
		options Options
		says    []string
	}{
		{Options{Node: []string{"memory=64m"}}, []string{`--node "memory=64m"`, "as in 64MiB"}},
		{Options{Node: []string{"memory=64MiB", "memory=1GiB"}}, []string{"memory was given already, as 64MiB"}},
		{Options{Node: []string{"mem=64MiB"}}, []string{`no limit called "mem"`, "memory, cpus, gomemlimit"}},
		{Options{Node: []string{"io=1MB/s"}}, []string{"disks whose credits run out are not simulated", "bandwidth"}},
		{Options{Node: []string{"memory=64MiB", "cpus=0.5"}, Runtime: embedded.New(embedded.Options{})},
			[]string{"--node memory=64MiB --node cpus=0.5: child processes share this machine", "--runtime docker"}},
		{Options{Sweep: "bandwith"}, []string{`--sweep "bandwith": no such sweep`, "settings, bandwidth"}},
		{Options{Sweep: "bandwidth", Topologies: []string{"websocket-behind-lb"}}, []string{"no question about websocket-behind-lb", routes}},
		{Options{Sweep: "bandwidth", Set: []string{"stall=1s"}}, []string{"--sweep bandwidth brings settings of its own"}},
		{Options{Set: []string{"bandwidth=1MB/s,brust=8MB"}}, []string{"brust", "burst"}},
	} {
		if c.options.Topologies == nil {
			c.options.Topologies = []string{routes}
		}
		if c.options.Runtime == nil {
			c.options.Runtime = paper{}
		}
		_, err := NewPlan(c.options)
		for _, want := range c.says {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("got %v, which does not say %q", err, want)
			}
		}
	}
}
