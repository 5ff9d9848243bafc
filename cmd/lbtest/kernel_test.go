package main

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/lbtest/lbtest/assertions"
)

// TestVerdictsBehindTheKernel asks for the verdicts that the simulated balancer gets in the same manner of expiry.
func TestVerdictsBehindTheKernel(t *testing.T) {
	someone, _ := inContainers(t)
	for _, c := range []struct {
		args    string
		want    assertions.Verdict
		by      string // the assertion that must say so
		nightly bool   // only where LBTEST_NIGHTLY is set
	}{
		{"--topology routes-behind-lb --set idle-timeout=20s", assertions.Unsafe, "core/no-loss-when-quiet-then-busy", false},
		// Clients send a probe each 15 s, which is a packet like any other.
		{"--topology clients-behind-lb --set idle-timeout=50s --assert client/stays-connected-when-quiet", assertions.Safe, "client/stays-connected-when-quiet", false},
		{"--topology clients-behind-lb --set idle-timeout=50s --client tcp-keepalive=off --assert client/stays-connected-when-quiet", assertions.Unsafe, "client/stays-connected-when-quiet", true},
		{"--topology routes-behind-lb --set frontends=per-node", assertions.Safe, "routes/full-mesh-forms", true},
		{"--topology routes-behind-lb --set frontends=shared", assertions.Unsafe, "routes/full-mesh-forms", true},
	} {
		t.Run(c.args, func(t *testing.T) {
			if c.nightly && os.Getenv("LBTEST_NIGHTLY") == "" {
				t.Skip("LBTEST_NIGHTLY is not set")
			}
			u := user{someone.program, t.TempDir()}
			got, r := u.judged(t, append(strings.Fields(c.args), "--runtime", "docker", "--set", "engine=kernel", "--json")...)
			t.Logf("%s after %s", r.Verdict, got.took.Round(time.Second))
			found := false
			for _, result := range r.Results {
				if result.Assertion == c.by {
					found = true
					if result.Verdict != c.want || !result.FaultProved {
						t.Errorf("%s is %s, its fault proved: %v; want %s: %s", c.by, result.Verdict, result.FaultProved, c.want, result.Got)
					}
				}
			}
			if !found || r.Verdict != c.want {
				t.Errorf("got %s, want %s\n%s\n%s", r.Verdict, c.want, got.stderr, got.stdout)
			}
			u.nothingLeft(t, time.Now(), nil)
		})
	}
}
