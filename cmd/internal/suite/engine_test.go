package suite

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/lbtest/lbtest/proxies"
	"github.com/lbtest/lbtest/proxies/kernel"
	"github.com/lbtest/lbtest/topologies"
)

func theKernel() []Engine {
	return []Engine{{Name: kernel.Name, Assumed: kernel.Assumed, Refusal: kernel.Refusal, Resolution: kernel.Resolution,
		Needs: func(p proxies.Profile) ([]string, map[string]string) { return kernel.Capabilities(), kernel.Sysctls(p) }}}
}

func laidOut(t *testing.T, topology string, engines []Engine, settings string) scenario {
	t.Helper()
	top, ok := topologies.Find(topology)
	if !ok {
		t.Fatalf("there is no topology %s", topology)
	}
	s, err := newScenario(top, origin{}, strings.Fields(settings), common{clients: usualClients, auth: topologies.Password, engines: engines}, nil, fastest, 1)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestAnEngineIsAskedBeforeAnythingStarts(t *testing.T) {
	for _, c := range []struct {
		topology, settings string
		engines            []Engine
		skip               string // what the reason names; "" for none
	}{
		{"routes-behind-lb", "engine=kernel idle-timeout=20s", nil, "--runtime docker"},
		{"routes-behind-lb", "engine=simulated idle-timeout=20s", theKernel(), ""},
		{"routes-behind-lb", "engine=kernel idle-timeout=20s", theKernel(), ""},
		{"routes-behind-lb", "engine=kernel stall=1s", theKernel(), "loses what arrives"},
		{"routes-behind-lb", "engine=kernel idle-timeout=20s idle-expiry=fin", theKernel(), "idle-expiry=fin"},
		{"clients-behind-lb", "engine=kernel tls=terminate", theKernel(), "tls=terminate"},
		{"websocket-behind-lb", "engine=kernel idle-timeout=50s", theKernel(), "inspection=http"},
		{"all-behind-lb", "engine=kernel idle-timeout=20s", theKernel(), "side by side"},
	} {
		s := laidOut(t, c.topology, c.engines, c.settings)
		if (s.skip == "") != (c.skip == "") || !strings.Contains(s.skip, c.skip) {
			t.Errorf("%s with %s is skipped because %q, want %q", c.topology, c.settings, s.skip, c.skip)
		}
	}
}

func TestTimersOfAKernelAreWholeSeconds(t *testing.T) {
	for _, settings := range []string{"idle-timeout=20s", "idle-timeout=50s", "idle-timeout=350s", "idle-timeout=7s"} {
		for _, topology := range []string{"routes-behind-lb", "clients-behind-lb"} {
			s := laidOut(t, topology, theKernel(), "engine=kernel "+settings)
			for _, l := range s.labs {
				idle, probe := l.terms().Idle, l.terms().Probe
				if off := idle - idle.Round(time.Second); off.Abs() > time.Microsecond || idle < time.Second {
					t.Errorf("%s, %s: the timer is %v", topology, settings, idle)
				}
				if off := probe - probe.Round(time.Second); off.Abs() > time.Microsecond || probe < time.Second {
					t.Errorf("%s, %s: probes come each %v", topology, settings, probe)
				}
				if l.engine == nil || l.bare().Value("engine") != "kernel" || l.control().engine == nil {
					t.Errorf("%s, %s: the lab or its control has another engine", topology, settings)
				}
				if _, sysctls := l.engine.Needs(l.profile.Scaled(l.factor)); sysctls["net.netfilter.nf_conntrack_tcp_timeout_established"] == "" {
					t.Errorf("%s, %s: the network is set to %v", topology, settings, sysctls)
				}
			}
		}
	}
	if whole(math.Pi) || !whole(3+1e-12) {
		t.Error("what is whole is not, or the other way round")
	}
}

func TestInSilenceNobodySeesWhenServersGiveUp(t *testing.T) {
	s := laidOut(t, "routes-behind-lb", theKernel(), "engine=kernel idle-timeout=20s idle-expiry=silent")
	judged := s.assertions()
	for _, a := range judged {
		if a.Endings {
			t.Errorf("%s is judged", a.Name)
		}
	}
	if len(judged) == 0 || len(s.left) == 0 || !strings.Contains(s.left[0].why, "given it up") {
		t.Errorf("%d are judged, left out is %+v", len(judged), s.left)
	}
}
