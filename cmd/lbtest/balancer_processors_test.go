package main

import (
	goruntime "runtime"
	"testing"

	"github.com/lbtest/lbtest/proxies"
)

func TestABalancerWithToxicsUsesOneProcessor(t *testing.T) {
	t.Setenv("GOMAXPROCS", "") // what Go has found at the start stays
	goruntime.SetDefaultGOMAXPROCS()
	t.Cleanup(goruntime.SetDefaultGOMAXPROCS)
	found := goruntime.GOMAXPROCS(0)
	for _, c := range []struct {
		settings map[string]string
		want     int
	}{
		{map[string]string{"idle-timeout": "60s"}, found},
		{map[string]string{"latency": "5ms"}, 1},
		{map[string]string{"latency": "5ms", "tls": "terminate"}, found},
		{map[string]string{"bandwidth": "1MB/s"}, 1},
		{map[string]string{"latency": "none"}, found}, // as after a reload that takes them away
	} {
		p := proxies.Direct()
		for name, value := range c.settings {
			var err error
			if p, err = p.With(name, value); err != nil {
				t.Fatal(err)
			}
		}
		setProcessors(p)
		if got := goruntime.GOMAXPROCS(0); got != c.want {
			t.Errorf("%v: got %d, want %d", c.settings, got, c.want)
		}
	}
	t.Setenv("GOMAXPROCS", "3")
	p, err := proxies.Direct().With("latency", "5ms")
	if err != nil {
		t.Fatal(err)
	}
	if setProcessors(p); goruntime.GOMAXPROCS(0) != found { // Go itself read the variable at the start
		t.Errorf("with GOMAXPROCS in the environment: got %d, want %d", goruntime.GOMAXPROCS(0), found)
	}
}
