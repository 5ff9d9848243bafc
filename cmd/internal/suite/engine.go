package suite

import (
	"context"
	"fmt"
	"maps"
	"math"
	"slices"
	"time"

	"github.com/lbtest/lbtest/assertions"
	"github.com/lbtest/lbtest/proxies"
	"github.com/lbtest/lbtest/topologies"
)

// Engine is who balances where the setting engine names another than this program. It states itself what it makes of
// each setting; whoever builds the program knows those there are.
type Engine struct {
	Name string // the setting's value
	// Assumed is a profile with what this engine does anyway in the place of defaults that it cannot honour, and what that is.
	Assumed func(p proxies.Profile, given func(setting string) bool) (proxies.Profile, []proxies.Stated)
	// Refusal is why it cannot honour a profile; "" if it can.
	Refusal func(p proxies.Profile, given func(setting string) bool) string
	// Needs is what its process must have been given: capabilities, and the kernel's settings of its network.
	Needs func(p proxies.Profile) (capabilities []string, sysctls map[string]string)
	// Resolution is how finely its timers can be set, and those of TCP keepalive probes, which it sees for real.
	Resolution time.Duration
	Listen     func(p proxies.Profile, fronts []proxies.Front, note func(proxies.Event)) (Balancer, error)
}

// Balancer is what an engine runs.
type Balancer interface{ balancer }

// enginesOn are those that a runtime has a place for: a network of their own.
func (o Options) enginesOn(rt topologies.Runtime) []Engine {
	if _, ok := rt.(topologies.Host); ok {
		return o.Engines
	}
	return nil
}

// called gives the engine of a profile; nil for this program, and for one that is not there.
func called(engines []Engine, p proxies.Profile) *Engine {
	i := slices.IndexFunc(engines, func(e Engine) bool { return e.Name == p.Value("engine") })
	if i < 0 {
		return nil
	}
	return &engines[i]
}

// listen opens a balancer in this process, whoever it is.
func listen(engines []Engine, p proxies.Profile, fronts []proxies.Front, note func(proxies.Event)) (balancer, error) {
	if e := called(engines, p); e != nil {
		return e.Listen(p, fronts, note)
	}
	if name := p.Value("engine"); name != proxies.Direct().Value("engine") {
		return nil, fmt.Errorf("nobody here balances as engine=%s", name)
	}
	return proxies.Listen(p, fronts, note)
}

// assume puts what the scenario's engine does anyway in the place of defaults that it cannot honour.
func (s *scenario) assume() {
	e := called(s.engines, s.profile)
	if e == nil {
		return
	}
	var assumed []proxies.Stated
	s.profile, assumed = e.Assumed(s.profile, s.stated)
	for _, a := range assumed {
		s.settings[a.Setting] = a.Value
		s.note(fmt.Sprintf("%s=%s: engine=%s does nothing else", a.Setting, a.Value, e.Name))
	}
}

// stated reports whether somebody has said something about a setting: the profile, or whoever asks.
func (s scenario) stated(setting string) bool { return s.settings[setting] != "" }

// engineless says why the scenario's engine cannot balance what is asked; "" if it can.
func (s scenario) engineless() string {
	name := s.profile.Value("engine")
	if name == proxies.Direct().Value("engine") {
		return ""
	}
	e := called(s.engines, s.profile)
	switch {
	case e == nil:
		return fmt.Sprintf("engine=%s needs a runtime that gives the balancer a network of its own: add --runtime docker; this one has the simulated balancer only", name)
	case len(s.topology.Balanced) > 1:
		return fmt.Sprintf("engine=%s is judged where one kind of link is balanced, not several side by side", name)
	}
	return e.Refusal(s.profile, s.stated)
}

// seen leaves out what cannot be seen from between two ends: with packets dropped, each says again for minutes what nobody
// acknowledges, and that it is done comes only after that.
func (s *scenario) seen(all []assertions.Assertion) []assertions.Assertion {
	if called(s.engines, s.profile) == nil || s.profile.Value("idle-expiry") != "silent" {
		return all
	}
	return slices.DeleteFunc(slices.Clone(all), func(a assertions.Assertion) bool {
		if a.Endings {
			s.left = append(s.left, left{a, "the packet filter drops what servers say on a forgotten connection, and cannot tell when they have given it up: the simulated engine can"})
		}
		return a.Endings
	})
}

// wholly lowers a factor until the timers that the scenario's engine has for real are as it can have them.
func (s scenario) wholly(factor float64) float64 {
	e, idle := called(s.engines, s.profile), s.timers().idle
	if e == nil || idle == 0 || factor <= 1 {
		return factor
	}
	probe := s.client.Keepalive()
	for scaled := e.Resolution; scaled < idle; scaled += e.Resolution {
		f := float64(idle) / float64(scaled)
		if f <= factor && whole(float64(probe)/f/float64(e.Resolution)) {
			return f
		}
	}
	return 1
}

// whole reports whether a number is one but for what its calculation has made of it.
func whole(n float64) bool { return math.Abs(n-math.Round(n)) < 1e-9 }

// bare is the profile of a lab's control: the same engine, which only forwards.
func (l lab) bare() proxies.Profile {
	p := proxies.Direct()
	if l.engine != nil {
		if engine, err := p.With("engine", l.engine.Name); err == nil { // it is one of its words
			p = engine
		}
	}
	return p
}

// dialling is how the lab's clients dial. An engine that sees packets sees their keepalive probes, so that they have to come
// as often as the lab's clock says.
func (l lab) dialling() assertions.ClientTuning {
	client := l.client.Scaled(l.factor)
	if l.engine != nil && l.factor > 1 {
		client = client.Probing(l.scaled(client.Keepalive()))
	}
	return client
}

// ground is the runtime with what the lab's engine needs.
func (l lab) ground(rt topologies.Runtime) topologies.Runtime {
	host, ok := rt.(topologies.Host)
	if l.engine == nil || !ok {
		return rt
	}
	e := equipped{Runtime: rt, host: host}
	e.capabilities, e.sysctls = l.engine.Needs(l.profile.Scaled(l.factor))
	return e
}

// equipped is a runtime that gives programs beside its nodes what an engine needs.
type equipped struct {
	topologies.Runtime
	host         topologies.Host
	capabilities []string
	sysctls      map[string]string
}

// Run implements topologies.Host.
func (e equipped) Run(ctx context.Context, p topologies.Program) (topologies.Running, error) {
	p.Capabilities, p.Sysctls = slices.Clone(e.capabilities), maps.Clone(e.sysctls)
	return e.host.Run(ctx, p)
}
