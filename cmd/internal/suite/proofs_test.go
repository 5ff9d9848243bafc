package suite

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/lbtest/lbtest/proxies"
)

func TestOnlyALimitNeedsNoProofForBeingLarge(t *testing.T) {
	s := planned(t, Options{Set: []string{"slice=4096", "max-connections=5000", "latency=1ms"}}).scenarios[0]
	for _, l := range s.labs {
		if l.proves["slice"] != "4096" || l.proves["latency"] != "1ms" || l.proves["max-connections"] != "" {
			t.Errorf("proves %v", l.proves)
		}
	}
	if !slices.ContainsFunc(s.notes, func(n string) bool { return strings.HasPrefix(n, "max-connections=5000 has no effect here") }) {
		t.Errorf("what cannot show is not said: %v", s.notes)
	}
}

func TestOnDownWithoutHealthChecksIsSkipped(t *testing.T) {
	if s := planned(t, Options{Set: []string{"on-down=close"}}).scenarios[0]; !strings.Contains(s.skip, "add --set health-check=tcp") {
		t.Errorf("got %q", s.skip)
	}
	s := planned(t, Options{Set: []string{"on-down=close", "health-check=tcp"}}).scenarios[0]
	if s.skip != "" || !slices.ContainsFunc(s.notes, func(n string) bool { return strings.HasPrefix(n, "no node fails in this run") }) {
		t.Errorf("skip %q, notes %v", s.skip, s.notes)
	}
}

// A connection of the tester to itself that is let in looks like any other of its own, and was taken for one of them: the lab
// then waited for a minute for a byte that somebody else had got.
func TestTheTesterIsBalancedBackToItselfOnlyWhereThatIsDenied(t *testing.T) {
	for value, want := range map[string]bool{"denied": true, "allowed": false} {
		s := planned(t, Options{Set: []string{"frontends=shared", "hairpin=" + value}}).scenarios[0]
		if !slices.ContainsFunc(s.labs, func(l lab) bool { return l.proves["hairpin"] == value }) {
			t.Errorf("hairpin=%s: no lab has it", value)
		}
		if slices.ContainsFunc(s.labs, lab.meetsItself) != want {
			t.Errorf("hairpin=%s: met %v, want %v", value, !want, want)
		}
	}
}

func TestProvocationIsWhatTheInspectionActsOn(t *testing.T) {
	for _, c := range []struct {
		inspection proxies.Inspection
		want       string
	}{
		{proxies.Inspection{Kind: "signature", Pattern: "EICAR"}, "EICAR"},
		{proxies.Inspection{Kind: "signature", Pattern: "hex:0d0a"}, "\r\n"},
		{proxies.Inspection{Kind: "line-limit", Limit: 3}, "xxxxx\n"},
		{proxies.Inspection{Kind: "hold", Limit: 4096}, "x"},
		{proxies.Inspection{Kind: "client-first"}, ""},
		{proxies.Inspection{Kind: "line-limit", Limit: most + 1}, ""},
	} {
		p := proxies.Direct()
		p.Behaviours = []proxies.Behaviour{c.inspection}
		if got := provocation(p); !bytes.Equal(got, []byte(c.want)) {
			t.Errorf("%+v: %q, want %q", c.inspection, got, c.want)
		}
	}
}
