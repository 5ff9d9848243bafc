package kernel

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/lbtest/lbtest/proxies"
)

func TestEverySettingHasAnAnswer(t *testing.T) {
	var want, got []string
	for _, s := range proxies.Settings() {
		want = append(want, s.Name)
	}
	for _, a := range answers {
		got = append(got, a.setting)
		if (a.why == "") == !a.any {
			t.Errorf("%s: it takes any value: %v, and cannot honour others because %q", a.setting, a.any, a.why)
		}
		for _, value := range append(slices.Clone(a.takes), a.assumes) {
			if _, err := proxies.Direct().With(a.setting, value); value != "" && err != nil {
				t.Error(err)
			}
		}
		if a.assumes != "" && !slices.Contains(a.takes, a.assumes) {
			t.Errorf("%s: it assumes %s and does not take that", a.setting, a.assumes)
		}
	}
	if slices.Sort(want); !slices.Equal(want, slices.Sorted(slices.Values(got))) {
		t.Errorf("answered are %v, settings %v", got, want)
	}
}

func given(t *testing.T, settings ...string) (proxies.Profile, func(string) bool) {
	t.Helper()
	p, said := proxies.Direct(), map[string]bool{}
	for _, s := range settings {
		name, value, _ := strings.Cut(s, "=")
		said[name] = true
		var err error
		if p, err = p.With(name, value); err != nil {
			t.Fatal(err)
		}
	}
	return p, func(name string) bool { return said[name] }
}

func TestWhatTheKernelCannotHonourIsRefused(t *testing.T) {
	for _, c := range []struct {
		settings string
		refuses  string // what the refusal names; "" for none
	}{
		{"", ""},
		{"idle-timeout=20s", ""},
		{"idle-timeout=20s idle-expiry=silent", ""},
		{"idle-timeout=20s idle-expiry=rst-on-next idle-keepalive=counts", ""},
		{"idle-timeout=20s idle-expiry=fin", "idle-expiry=fin"},
		{"idle-timeout=20s idle-expiry=rst", "idle-expiry=rst"},
		{"idle-timeout=20s idle-keepalive=ignored", "idle-keepalive=ignored"},
		{"idle-timeout=1500ms", "whole seconds"},
		{"idle-timeout-client=20s", "one timer"},
		{"max-lifetime=10m", "not how old"},
		{"balance=source-hash source-ports=20", ""},
		{"balance=least-connections", "how many connections"},
		{"source-ports=20 port-exhaustion=swallow", ""},
		{"source-ports=20 port-exhaustion=close", "port-exhaustion=close"},
		{"source-ports=20 port-reuse-delay=5s", "port-reuse-delay"},
		{"inspection=http", "read a byte"},
		{"tls=terminate", "ends no TLS"},
		{"proxy-protocol=v2", "put bytes"},
		{"latency=20ms", "speed of the network"},
		{"max-connections=8", "nobody wait"},
		{"health-check=tcp", "asks no backend"},
		{"stall=1s", "loses what arrives"},
		{"outage=5s restart=crash", ""},
		{"restart=reload frontends=shared", ""},
		{"drain=keep", ""},
		{"drain=5s", "drain=5s"},
		{"hairpin=denied", "hairpin=denied"},
	} {
		p, said := given(t, strings.Fields(c.settings)...)
		p, _ = Assumed(p, said)
		got := Refusal(p, said)
		if (got == "") != (c.refuses == "") || !strings.Contains(got, c.refuses) {
			t.Errorf("%s: got %q, want it to name %q", c.settings, got, c.refuses)
		}
	}
}

func TestWhatTheKernelDoesAnywayIsAssumed(t *testing.T) {
	for _, c := range []struct {
		settings string
		assumed  []string
	}{
		{"", nil},
		{"idle-timeout=20s", []string{"idle-expiry=rst-on-next", "idle-keepalive=counts"}},
		{"idle-timeout=20s idle-expiry=silent", []string{"idle-keepalive=counts"}},
		{"source-ports=20", []string{"port-exhaustion=swallow"}},
	} {
		p, said := given(t, strings.Fields(c.settings)...)
		p, assumed := Assumed(p, said)
		var got []string
		for _, a := range assumed {
			got = append(got, a.Setting+"="+a.Value)
			if p.Value(a.Setting) != a.Value {
				t.Errorf("%s is assumed to be %s and is %s", a.Setting, a.Value, p.Value(a.Setting))
			}
		}
		if !slices.Equal(got, c.assumed) {
			t.Errorf("%s: assumed is %v, want %v", c.settings, got, c.assumed)
		}
	}
}

func TestTheTimeoutIsAKernelSetting(t *testing.T) {
	const name = "net.netfilter.nf_conntrack_tcp_timeout_established"
	for settings, want := range map[string]string{"idle-timeout=20s": "20", "": "432000"} {
		p, _ := given(t, strings.Fields(settings)...)
		if got := Sysctls(p); got[name] != want || got["net.netfilter.nf_conntrack_tcp_loose"] != "0" {
			t.Errorf("%s: got %v", settings, slices.Sorted(maps.Values(got)))
		}
	}
	p, _ := given(t, "idle-timeout=20s")
	if got := Sysctls(p.Scaled(20.0 / 3))[name]; got != "3" {
		t.Errorf("a third of 20 s three times over is %s s", got)
	}
}
