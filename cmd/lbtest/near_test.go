package main

import (
	"slices"
	"testing"
)

func TestNearNames(t *testing.T) {
	known := []string{"idle-timeout", "idle-timeout-client", "idle-expiry", "stall", "restart", "frontends"}
	for given, want := range map[string][]string{
		"idle-timout":   {"idle-timeout"},
		"IDLE-TIMEOUT":  {"idle-timeout", "idle-timeout-client"},
		"idle-timeout-": {"idle-timeout", "idle-timeout-client"},
		"stal":          {"stall"},
		"restrat":       {"restart"},
		"latency":       nil,
		"":              nil,
	} {
		if got := near(given, known); !slices.Equal(got, want) {
			t.Errorf("near %q is %q, want %q", given, got, want)
		}
	}
}
