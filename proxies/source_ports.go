package proxies

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"
)

// SourcePorts bounds the ports that a balancer has for its own connections to each backend.
type SourcePorts struct {
	Count int           // towards each backend; 0 is Linux's 28232
	Rest  time.Duration // how long a port rests after the balancer closed first; 0 is 60s
	How   Ending        // of connections without a port, Close or Vanish; "" is Close

	// system leaves ports to the system, whose network has as many; see Profile.SystemPorts.
	system bool
}

const (
	sourcePorts    = "source-ports"
	portReuseDelay = "port-reuse-delay"
	portExhaustion = "port-exhaustion"

	swallow = "swallow"

	// linuxPorts is how many ports net.ipv4.ip_local_port_range has by default, 32768 to 60999.
	linuxPorts = 28232
	// timeWait is how long Linux keeps a port whose connection it closed first.
	timeWait = 60 * time.Second
)

func init() { register(17, SourcePorts{}) }

// Settings implements Behaviour.
func (SourcePorts) Settings() []Setting {
	return []Setting{{
		Name: sourcePorts, Default: "28232", Values: "COUNT",
		About: "source ports towards each backend",
		Explain: "Whoever forwards from an address of its own has at most 65535 ports towards each backend, and every live or resting connection takes one: 28232 on Linux by default, " +
			"which HAProxy and nginx share unless they are told otherwise; 55000 for each address of AWS NLB and NAT gateway; 64512 of the Azure NAT gateway, but 1024 down to 32 a machine for Azure's outbound rules; " +
			"64 a machine for Google's Cloud NAT. " +
			"Here the ports are bound for real, so backends see them, in turn and the one that was freed first before others; a port that somebody else on this machine has is passed over and another one taken. " +
			"Numbers begin at a random one between 10000 and 32767, outside of what Linux gives to those who ask for any port, so that balancers side by side rarely meet; the rest is used when these are spent. " +
			"When the setting is not given at all, the operating system chooses.",
	}, {
		Name: portReuseDelay, Default: "60s", Values: "DURATION",
		About: "how long a port rests after the balancer closed first",
		Explain: "Who closes first keeps the port in TIME_WAIT: 60s on Linux, 120s in Google's Cloud NAT, 65s after a FIN in the Azure NAT gateway. A proxy that passes a client's FIN on has closed first towards the backend. " +
			"Here a port rests for that long after the balancer sent the first FIN to the backend, is free at once when the backend was first or when the connection was reset, " +
			"and resting ports outlive a crash, an outage and a reload, as the kernel's do. " +
			"A connection that fell silent keeps its port until both ends have gone, where a NAT would have forgotten it. The time stands still while the balancer is stalled.",
	}, {
		Name: portExhaustion, Default: toClose, Values: "close, swallow",
		About: "what happens to a connection for which no port is free: end of stream at once, or an unanswered SYN",
		Explain: "close: a proxy such as HAProxy or nginx has accepted the client already, cannot connect, and closes. swallow: a NAT such as AWS's NAT gateway (ErrorPortAllocation), Azure's or Linux's drops the SYN, " +
			"and the client waits until its own connect timeout (2s in nats.go). " +
			"Here the TCP connect succeeds in both, and with swallow nothing ever comes, so that a client waits for its INFO just as long.",
	}}
}

// Value implements Behaviour.
func (s SourcePorts) Value(setting string) string {
	switch setting {
	case portReuseDelay:
		return formatDuration(s.rest())
	case portExhaustion:
		if s.How == Vanish {
			return swallow
		}
		return toClose
	}
	return formatCount(s.count(), "")
}

// With implements Behaviour.
func (s SourcePorts) With(setting, value string) (Behaviour, error) {
	var err error
	switch setting {
	case sourcePorts:
		s.Count, err = parseCount(setting, value, "", portNumbers)
	case portReuseDelay:
		s.Rest, err = parseDurationOr(setting, value, "")
	case portExhaustion:
		value, err = parseWord(setting, value, toClose, swallow)
		s.How = map[string]Ending{toClose: Close, swallow: Vanish}[value]
	}
	return s, err
}

// Scaled implements Behaviour.
func (s SourcePorts) Scaled(float64) Behaviour { return s }

// Start implements Behaviour.
func (s SourcePorts) Start() Policy {
	if s.system {
		return systemPorts{how: cmp.Or(s.How, Close), count: s.count()}
	}
	return &ports{count: s.count(), rest: s.rest(), how: cmp.Or(s.How, Close), portBook: &portBook{pools: map[Backend]*portPool{}}}
}

func (s SourcePorts) count() int          { return cmp.Or(s.Count, linuxPorts) }
func (s SourcePorts) rest() time.Duration { return cmp.Or(s.Rest, timeWait) }

// ports gives each connection a port to dial from.
type ports struct {
	admitsAll
	count int
	rest  time.Duration
	how   Ending

	*portBook
}

// portBook is what outlives an instance: its heirs write in the same one.
type portBook struct {
	mu    sync.Mutex
	pools map[Backend]*portPool
}

// Inherit implements Heir.
func (p *ports) Inherit(before Policy) { p.portBook = before.(*ports).portBook }

// Route implements Router.
func (p *ports) Route(_ context.Context, f *Flow) error {
	pool := p.pool(f.Backend())
	from := sourceIP(f.Backend().Addr)
	var port uint16 // 0 while it has none
	foreign := 0    // ports that somebody else has, met by this connection
	f.DialFrom(func() (*net.TCPAddr, error) {
		p.mu.Lock()
		defer p.mu.Unlock()
		if port != 0 {
			foreign++
			pool.replace(port)
			port = 0
		}
		var ok bool
		if foreign < portNumbers {
			port, ok = pool.take(f.clock.now(), p.count)
		}
		if !ok {
			return nil, &Refusal{p.how, sourcePorts, pool.state(p.count, foreign)}
		}
		return &net.TCPAddr{IP: from, Port: int(port)}, nil
	})
	f.OnEnd(func(closedFirst bool) {
		p.mu.Lock()
		defer p.mu.Unlock()
		switch {
		case port == 0:
		case closedFirst:
			pool.give(port, f.clock.now()+p.rest)
		default:
			pool.give(port, 0)
		}
	})
	return nil
}

func (p *ports) pool(b Backend) *portPool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.pools[b] == nil {
		// Chance that does not follow the run's seed: two runs with one seed would meet at each port, and
		// nothing but the number depends on it.
		p.pools[b] = newPortPool(rand.Uint32())
	}
	return p.pools[b]
}

// sourceIP is the address to bind a port at for a backend. On loopback it is that of the family, which no
// listener elsewhere stands in the way of; towards any other backend, named ones included, it is unspecified,
// nil, and the system chooses address and family by the route.
func sourceIP(backend string) net.IP {
	at, err := netip.ParseAddrPort(backend)
	switch {
	case err != nil || !at.Addr().Unmap().IsLoopback():
		return nil
	case at.Addr().Unmap().Is4():
		return net.IPv4(127, 0, 0, 1)
	}
	return net.IPv6loopback
}

// portNumbers is how many numbers a pool can draw from: all that need no privilege, 1024 to 65535.
const portNumbers = 64512

// drawOrder is the zones that numbers are drawn from, one after the other. Linux gives 32768 to 60999 to those
// who ask for any port, other systems 49152 and up: they come last. Below 10000 is where services listen by habit.
var drawOrder = []struct{ from, to int }{{10000, 32767}, {61000, 65535}, {1024, 9999}, {32768, 60999}}

// portPool is the source ports towards one backend. A port that is given back rests, as the kernel's TIME_WAIT would
// have it, or is free at once.
type portPool struct {
	start  uint32   // turns the numbers within each zone
	drawn  int      // numbers that were drawn so far
	others []uint16 // drawn, but somebody else's at the time; the longest ago first
	free   []uint16 // ours and used before; the longest ago first
	rests  []rest   // the first to be free first
	live   int
	size   int // free, resting and live
}

type rest struct {
	port  uint16
	until time.Duration
}

func newPortPool(start uint32) *portPool { return &portPool{start: start} }

// take gives a port, or false if count are in use or resting at that time.
func (p *portPool) take(at time.Duration, count int) (port uint16, ok bool) {
	p.wake(at)
	if p.live+len(p.rests) >= count {
		return 0, false
	}
	// Each of the count has its turn before one is used again.
	if p.size < count || len(p.free) == 0 {
		if port, ok = p.draw(); ok {
			p.size++
			p.live++
			return port, true
		}
	}
	if len(p.free) == 0 {
		return 0, false
	}
	port, p.free = p.free[0], p.free[1:]
	p.live++
	return port, true
}

// give takes a port back that rests until a time.
func (p *portPool) give(port uint16, until time.Duration) {
	p.live--
	if until == 0 {
		p.free = append(p.free, port)
		return
	}
	// At the end, unless a reload has made the rest shorter.
	n, _ := slices.BinarySearchFunc(p.rests, until+1, func(r rest, until time.Duration) int { return cmp.Compare(r.until, until) })
	p.rests = slices.Insert(p.rests, n, rest{port, until})
}

// replace takes a port back that could not be bound.
func (p *portPool) replace(port uint16) {
	p.live--
	p.size--
	p.others = append(p.others, port)
}

// wake frees the ports that have rested.
func (p *portPool) wake(at time.Duration) {
	for len(p.rests) > 0 && p.rests[0].until <= at {
		p.free = append(p.free, p.rests[0].port)
		p.rests = p.rests[1:]
	}
}

// draw gives a number that is not the pool's yet: a new one, or failing that one that was somebody else's.
func (p *portPool) draw() (port uint16, ok bool) {
	n := p.drawn
	for _, zone := range drawOrder {
		size := zone.to - zone.from + 1
		if n < size {
			p.drawn++
			return uint16(zone.from + (n+int(p.start%uint32(size)))%size), true
		}
		n -= size
	}
	if len(p.others) == 0 {
		return 0, false
	}
	port, p.others = p.others[0], p.others[1:]
	return port, true
}

// state says why there is no port.
func (p *portPool) state(count, foreign int) string {
	if p.live+len(p.rests) < count {
		return fmt.Sprintf("no port is free on this machine: %d are in use and %d rest of %d, %d are somebody else's", p.live, len(p.rests), count, max(foreign, len(p.others)))
	}
	return fmt.Sprintf("no port is free: %d are in use and %d rest of %d", p.live, len(p.rests), count)
}
