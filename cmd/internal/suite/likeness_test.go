package suite

import (
	"strings"
	"testing"
	"time"

	"github.com/lbtest/lbtest/assertions"
	"github.com/lbtest/lbtest/topologies/embedded"
)

// quiet is a quiet connection as Lulling writes it down.
func quiet(lasted time.Duration, end string, keepalive time.Duration) assertions.Event {
	return assertions.Event{From: assertions.Client, Kind: "rested", Silence: &assertions.Silence{Lasted: lasted, AtMost: lasted, End: end, Keepalive: keepalive}}
}

func plainly() assertions.Event {
	return assertions.Event{From: assertions.Client, Kind: "greeting", How: "listening", Info: &assertions.Info{ID: "A"}}
}

func TestALimitLooksLikeSomeLoadBalancer(t *testing.T) {
	const s, p = time.Second, time.Second
	for _, c := range []struct {
		name   string
		events []assertions.Event
		like   string
		lab    string // after --set
	}{
		{"350 s, reset on use, probes count", []assertions.Event{plainly(), quiet(348*s, "alive", 0), quiet(351*s, "rst-on-next", 0), quiet(400*s, "alive", p)}, "aws-nlb-tcp", "idle-timeout=5m50s --set idle-expiry=rst-on-next --set idle-keepalive=counts"},
		{"240 s, silent, probes count", []assertions.Event{plainly(), quiet(238*s, "alive", 0), quiet(241*s, "silent", 0), quiet(280*s, "alive", p)}, "azure-lb-standard", "idle-timeout=4m0s --set idle-expiry=silent --set idle-keepalive=counts"},
		{"600 s, FIN, probes do not", []assertions.Event{plainly(), quiet(590*s, "alive", 0), quiet(600*s, "fin", 0), quiet(600*s, "fin", p)}, "nginx-stream", "idle-timeout=10m0s --set idle-expiry=fin --set idle-keepalive=ignored"},
		{"no limit", []assertions.Event{plainly(), quiet(600*s, "alive", 0)}, "", ""},
		{"PINGs hide it", []assertions.Event{plainly(), quiet(239*s, "pinged", 0)}, "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := assertions.History{Events: c.events}
			if got := likeness(h); !strings.Contains(got, c.like) || (c.like == "") != (got == "") {
				t.Errorf("looks like %q, want %q", got, c.like)
			} else {
				t.Log(got)
			}
			want := ""
			if c.lab != "" {
				want = "lbtest --topology clients-behind-lb --set " + c.lab
			}
			got := reproduction(h)
			if got != want {
				t.Errorf("in the lab: %q, want %q", got, want)
			}
			if got == "" {
				return
			}
			// What is advised must be accepted.
			var set []string
			for _, word := range strings.Fields(got) {
				if strings.Contains(word, "=") {
					set = append(set, word)
				}
			}
			rt := embedded.New(embedded.Options{})
			defer rt.Close()
			if _, err := NewPlan(Options{Topologies: []string{"clients-behind-lb"}, Set: set, Runtime: rt}); err != nil {
				t.Error(err)
			}
		})
	}
}
