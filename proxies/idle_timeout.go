package proxies

import (
	"fmt"
	"time"
)

// IdleTimeout ends connections on which nothing moves.
type IdleTimeout struct {
	After          time.Duration // without a byte in either direction; 0 for never
	Client, Server time.Duration // one side's own timers; 0 for none
	How            Ending        // "" is Close

	// CountsKeepalives is for boxes that look at packets: a TCP keepalive probe refreshes them.
	// Proxies answer probes in the kernel and never learn of them.
	CountsKeepalives bool

	given string // the last of idle-expiry and idle-keepalive that With was given
}

const (
	idleTimeout       = "idle-timeout"
	idleTimeoutClient = "idle-timeout-client"
	idleTimeoutServer = "idle-timeout-server"
	idleExpiry        = "idle-expiry"
	idleKeepalive     = "idle-keepalive"

	ignored = "ignored"
	counts  = "counts"
)

func init() { register(1, IdleTimeout{}) }

// Settings implements Behaviour.
func (IdleTimeout) Settings() []Setting {
	return []Setting{{
		Name: idleTimeout, Default: none, Values: "none, DURATION", Scaled: true,
		About: "no byte in either direction for this long ends the connection",
		Explain: "Nearly every balancer, NAT and firewall ends or forgets connections on which nothing moves: AWS NLB after 350s (60 to 6000), " +
			"AWS CLB and ALB after 60s, Azure Load Balancer after 240s, the Google proxy NLB after 30s, OpenStack Octavia after 50s, nginx stream after 600s, " +
			"Envoy and Istio after 1h, F5 after 300s, Linux conntrack after 5 days, and HAProxy never unless it is told to. " +
			"Here any byte that is read from or written to either side starts the time again; it is never up early and late by about a millisecond. " +
			"It stands still while the balancer is stalled.",
	}, {
		Name: idleTimeoutClient, Default: none, Values: "none, DURATION", Scaled: true,
		About: "the client side's own idle timer; the shorter of the timers ends the connection",
		Explain: "HAProxy's timeout client and NetScaler's cltTimeout time the two sides of a connection separately. " +
			"Here any byte read from or written to the client starts the time again, as in HAProxy without independent-streams, " +
			"so bytes in either direction refresh it unless one side no longer takes them.",
	}, {
		Name: idleTimeoutServer, Default: none, Values: "none, DURATION", Scaled: true,
		About: "the server side's own idle timer; the shorter of the timers ends the connection",
		Explain: "HAProxy's timeout server and NetScaler's svrTimeout. Here any byte read from or written to the backend starts the time again; " +
			"a TCP keepalive probe of the dialling side does not, since it never reaches this side of a proxy.",
	}, {
		Name: idleExpiry, Default: string(Close), Values: "fin, rst, silent, rst-on-next",
		About: "the manner in which an idle connection is ended",
		Explain: "fin: HAProxy, nginx and Squid close both sides. rst: F5 FastL4 resets both, as do Azure Load Balancer with TCP reset enabled and FortiGate with timeout-send-rst. " +
			"silent: Azure Load Balancer by default, Cisco ASA and FortiGate drop their state without a packet, and both ends believe in the connection until their pings go unanswered. " +
			"rst-on-next: AWS NLB and the Azure NAT gateway send nothing at expiry and answer whoever sends next with an RST. " +
			"Here each is done on the sockets: FIN; RST by a zero linger time; both sockets left open with up to 256 KiB taken from each side and dropped before reading stops; " +
			"or silence until a side sends, which resets that side alone.",
	}, {
		Name: idleKeepalive, Default: ignored, Values: "ignored, counts",
		About: "whether a TCP keepalive probe counts as activity",
		Explain: "Boxes that look at packets count probes: AWS NLB, Azure Load Balancer, Google's VPC, Linux conntrack. Proxies never see them: HAProxy, AWS CLB and ALB (whose documentation says so), Cloudflare. " +
			"The operating system of a balancer in user space answers probes without telling it, so they are modelled: nats.go sends one each 15s (Go's default), nats-server sends none on routes, gateways and leafnodes. " +
			"With counts, a link whose probes come more often than the idle timeout never expires, and after an rst-on-next expiry the link's next probe draws the RST. " +
			"With ignored, the balancer does not know that probes exist.",
	}}
}

// Value implements Behaviour.
func (i IdleTimeout) Value(setting string) string {
	switch setting {
	case idleTimeout:
		return formatDuration(i.After)
	case idleTimeoutClient:
		return formatDuration(i.Client)
	case idleTimeoutServer:
		return formatDuration(i.Server)
	case idleExpiry:
		return string(i.how())
	case idleKeepalive:
		if i.CountsKeepalives {
			return counts
		}
		return ignored
	}
	return ""
}

// With implements Behaviour.
func (i IdleTimeout) With(setting, value string) (Behaviour, error) {
	var err error
	switch setting {
	case idleTimeout:
		i.After, err = parseDuration(setting, value)
	case idleTimeoutClient:
		i.Client, err = parseDuration(setting, value)
	case idleTimeoutServer:
		i.Server, err = parseDuration(setting, value)
	case idleExpiry:
		i.given = setting + "=" + value
		value, err = parseWord(setting, value, string(Close), string(Reset), string(Vanish), string(ResetOnNext))
		i.How = Ending(value)
	case idleKeepalive:
		i.given = setting + "=" + value
		value, err = parseWord(setting, value, ignored, counts)
		i.CountsKeepalives = value == counts
	}
	return i, err
}

// check refuses what would silently do nothing. A profile may well state the manner of an expiry that
// a flag has turned off, so only what was asked for counts.
func (i IdleTimeout) check() error {
	if i.given == "" || i.After+i.Client+i.Server > 0 {
		return nil
	}
	return fmt.Errorf("%s has no effect without an idle timeout: add one, such as %s=60s", i.given, idleTimeout)
}

// Scaled implements Behaviour.
func (i IdleTimeout) Scaled(factor float64) Behaviour {
	i.After, i.Client, i.Server = scaled(i.After, factor), scaled(i.Client, factor), scaled(i.Server, factor)
	return i
}

// Start implements Behaviour.
func (i IdleTimeout) Start() Policy { return i }

// Admit implements Policy: nothing is remembered from one connection to the next.
func (i IdleTimeout) Admit(f *Flow) error {
	c := idleClock{after: i.After, client: i.Client, server: i.Server, how: i.how()}
	if i.CountsKeepalives {
		c.probe = f.Front().Keepalive
	}
	f.Watch(func(q Quiet) time.Duration {
		next := c.ask(q)
		switch {
		case next.expire != "":
			f.End(c.how, next.expire)
		case next.probe:
			f.Probe()
		}
		return next.wait
	})
	return nil
}

func (i IdleTimeout) how() Ending {
	if i.How == "" {
		return Close
	}
	return i.How
}

// idleClock decides for one connection when it has been idle for too long.
type idleClock struct {
	after, client, server time.Duration // 0: never
	probe                 time.Duration // how often probes come that count; 0: none do
	how                   Ending
	drawn                 time.Duration // after an rst-on-next expiry: the client's quiet time at its next probe
}

// idleStep is what to do now, and how long until asked again (0: never).
type idleStep struct {
	expire string // the setting whose time is up
	probe  bool   // the dialling side's probe arrives
	wait   time.Duration
}

func (c *idleClock) ask(q Quiet) idleStep {
	if c.drawn > 0 {
		if q.Client >= c.drawn {
			return idleStep{probe: true}
		}
		return idleStep{wait: c.drawn - q.Client}
	}
	var step idleStep
	shortest := time.Duration(0)
	for _, timer := range []struct {
		setting      string
		limit, quiet time.Duration
		probed       bool // the dialling side's probes refresh it
	}{
		{idleTimeout, c.after, min(q.Client, q.Server), true},
		{idleTimeoutClient, c.client, q.Client, true},
		{idleTimeoutServer, c.server, q.Server, false},
	} {
		switch {
		case timer.limit == 0, timer.probed && c.probe > 0 && c.probe < timer.limit:
		case timer.quiet >= timer.limit:
			if step.expire == "" || timer.limit < shortest {
				step.expire, shortest = timer.setting, timer.limit
			}
		case step.wait == 0 || timer.limit-timer.quiet < step.wait:
			step.wait = timer.limit - timer.quiet
		}
	}
	if step.expire == "" {
		return step
	}
	step.wait = 0
	if c.how == ResetOnNext && c.probe > 0 {
		// Probes come at each multiple of their interval after the client's last byte.
		c.drawn = (q.Client/c.probe + 1) * c.probe
		step.wait = c.drawn - q.Client
	}
	return step
}
