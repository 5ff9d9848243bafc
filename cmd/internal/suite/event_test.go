package suite

import (
	"slices"
	"strings"
	"testing"
	"time"
)

func TestWhatANodesFateIsWhereNothingIsSaid(t *testing.T) {
	const clients = "clients-behind-lb"
	for _, c := range []struct {
		topology, set, want string
		strikes             []string
		lasts               time.Duration
	}{
		{clients, "health-check=http", "vanish", []string{"node-fault=vanish"}, 11 * time.Second}, // (3 + 1) × 2 s, and 3 s
		{clients, "health-check=http health-interval=1s on-down=close", "vanish", []string{"node-fault=vanish"}, 7 * time.Second},
		{clients, "drain=5s", "remove", []string{"node-fault=remove", "drain"}, 8 * time.Second},
		{clients, "drain=keep health-check=tcp", "remove", []string{"node-fault=remove", "drain"}, 3 * time.Second},
		{clients, "health-check=tcp node-fault=kill", "kill", []string{"node-fault=kill"}, 11 * time.Second},
		{clients, "health-check=tcp node-fault=none", "none", nil, 0},
		{clients, "node-fault=lame-duck", "lame-duck", []string{"node-fault=lame-duck"}, leaving + 3*time.Second},
		{clients, "latency=1ms", "none", nil, 0},
		{routes, "health-check=tcp", "none", nil, 0},
		{routes, "drain=5s", "remove", []string{"node-fault=remove", "drain"}, 8 * time.Second},
	} {
		s := planned(t, Options{Topologies: []string{c.topology}, Set: strings.Fields(c.set)}).scenarios[0]
		if got := s.profile.Value("node-fault"); got != c.want {
			t.Errorf("%s on %s: got node-fault=%s, want %s", c.set, c.topology, got, c.want)
		}
		struck := slices.ContainsFunc(s.labs, func(l lab) bool {
			terms := l.terms()
			return slices.Equal(terms.Strikes, c.strikes) && terms.Event == c.lasts
		})
		if !struck {
			t.Errorf("%s on %s: no lab is struck by %v for %s", c.set, c.topology, c.strikes, c.lasts)
		}
	}
}

func TestRoutesAreNotJudgedThroughTheLossOfANode(t *testing.T) {
	s := planned(t, Options{Topologies: []string{routes}, Set: []string{"node-fault=kill"}}).scenarios[0]
	if !strings.Contains(s.skip, "clients-behind-lb") {
		t.Errorf("got %q", s.skip)
	}
}
