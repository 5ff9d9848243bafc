package proxies

import (
	"context"
	"errors"
	"maps"
	"testing"
)

func TestSourcePortsAreLeftToTheSystemWhereItCanHaveThem(t *testing.T) {
	for _, c := range []struct {
		name string
		set  map[string]string
		want map[string]string
	}{
		{"nothing is said of them", map[string]string{"idle-timeout": "5s"}, nil},
		{"an even number", map[string]string{"source-ports": "20"},
			map[string]string{"net.ipv4.ip_local_port_range": "32768 32787", "net.ipv4.ip_local_reserved_ports": "", "net.ipv4.tcp_tw_reuse": "0"}},
		{"an odd one, the last of a longer range reserved", map[string]string{"source-ports": "21"},
			map[string]string{"net.ipv4.ip_local_port_range": "32768 32789", "net.ipv4.ip_local_reserved_ports": "32789", "net.ipv4.tcp_tw_reuse": "0"}},
		{"one", map[string]string{"source-ports": "1"},
			map[string]string{"net.ipv4.ip_local_port_range": "32768 32768", "net.ipv4.ip_local_reserved_ports": "", "net.ipv4.tcp_tw_reuse": "0"}},
		{"all that need no privilege", map[string]string{"source-ports": "64512"},
			map[string]string{"net.ipv4.ip_local_port_range": "1024 65535", "net.ipv4.ip_local_reserved_ports": "", "net.ipv4.tcp_tw_reuse": "0"}},
		{"reuse after a second", map[string]string{"source-ports": "20", "port-reuse-delay": "1s"},
			map[string]string{"net.ipv4.ip_local_port_range": "32768 32787", "net.ipv4.ip_local_reserved_ports": "", "net.ipv4.tcp_tw_reuse": "1"}},
		{"a rest that no kernel has", map[string]string{"source-ports": "20", "port-reuse-delay": "120s"}, nil},
	} {
		p := Direct()
		for setting, value := range c.set {
			var err error
			if p, err = p.With(setting, value); err != nil {
				t.Fatal(err)
			}
		}
		changed, got := p.SystemPorts()
		if !maps.Equal(got, c.want) || (got == nil) != (c.want == nil) {
			t.Errorf("%s: got %v, want %v", c.name, got, c.want)
		}
		for setting, value := range c.set {
			if changed.Value(setting) != value {
				t.Errorf("%s: %s became %s", c.name, setting, changed.Value(setting))
			}
		}
	}
}

func TestWhoeverHasNoPortOfTheSystemsIsRefused(t *testing.T) {
	p, err := Direct().With("port-exhaustion", "swallow")
	if err != nil {
		t.Fatal(err)
	}
	if p, err = p.With("source-ports", "20"); err != nil {
		t.Fatal(err)
	}
	p, _ = p.SystemPorts()
	var f Flow
	if err := p.Behaviours[0].Start().(Router).Route(context.Background(), &f); err != nil {
		t.Fatal(err)
	}
	if from, err := f.dialFrom(); from != nil || err != nil {
		t.Errorf("the first dial is from %v, %v; want any address", from, err)
	}
	var refusal *Refusal
	if _, err := f.dialFrom(); !errors.As(err, &refusal) || refusal.How != Vanish {
		t.Errorf("the second dial: got %v", err)
	}
}
