package proxies

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"sync"
	"time"
)

// HealthCheck asks backends whether they are up, and ends the connections of those that are not.
type HealthCheck struct {
	Kind   string        // tcp, connect or http; "" for none
	Every  time.Duration // 0 is 2s
	Fall   int           // failures in a row that take a backend out; 0 is 3
	OnDown Ending        // of live connections, Close or Reset; "" keeps them

	given string // the last of health-interval and health-fall that With was given
}

const (
	healthCheck    = "health-check"
	healthInterval = "health-interval"
	healthFall     = "health-fall"
	onDown         = "on-down"

	off      = "off"
	tcp      = "tcp"
	connect  = "connect"
	overHTTP = "http"

	// checkEvery, checkFall and checkRise are HAProxy's inter, fall and rise by default.
	checkEvery = 2 * time.Second
	checkFall  = 3
	checkRise  = 2
)

func init() { register(23, HealthCheck{}) }

// Settings implements Behaviour.
func (HealthCheck) Settings() []Setting {
	return []Setting{{
		Name: healthCheck, Default: off, Values: "off, tcp, connect, http",
		About: "how backends are asked whether they are up: SYN then RST, a full connect and close, /healthz on the monitoring port",
		Explain: "tcp: HAProxy's plain check sends a SYN and answers the SYN-ACK with an RST, which leaves no trace in nats-server and does not see a hung one, since the kernel answers for it. " +
			"connect: AWS NLB and CLB, Azure Load Balancer and DigitalOcean open a connection and close it, which a NATS server logs as a client that left. " +
			"http: nearly all can ask an HTTP path, which for NATS is /healthz on the monitoring port; any 2xx is up. " +
			"Here each instance checks each backend by itself, first as soon as it serves, from a port of the system's choice; a backend is up until checks say otherwise and comes back after 2 good ones in a row, HAProxy's rise. " +
			"A check has failed without an answer in health-interval, as in HAProxy, but not before 250ms. On Linux the tcp check's handshake is never completed, so that the server's accept does not see it; elsewhere it may. " +
			"A backend without a monitoring address fails http checks. Nothing is checked while the balancer is stalled.",
	}, {
		Name: healthInterval, Default: "2s", Values: "DURATION", Scaled: true,
		About: "how often a backend is checked",
		Explain: "HAProxy and Alibaba's CLB check every 2s, DigitalOcean every 3s, Google and Azure every 5s, OCI's NLB every 10s, AWS NLB and CLB every 30s. Here it is the time from the beginning of one check to the next; " +
			"one that takes longer delays the next.",
	}, {
		Name: healthFall, Default: "3", Values: "COUNT",
		About: "how many failed checks in a row take a backend out of rotation",
		Explain: "HAProxy's fall is 3, DigitalOcean's 3, AWS NLB's 2 to 10, Google's 2. Here a backend that has never passed a check needs as many failures as any, where HAProxy is content with one. " +
			"When all backends are down, new connections get an end of stream, as from HAProxy; AWS NLB and Google would send them anywhere.",
	}, {
		Name: onDown, Default: keep, Values: "keep, close, reset",
		About: "what happens to live connections of a backend that is down",
		Explain: "keep: HAProxy, Envoy, Azure Load Balancer and Google's passthrough balancer leave them alone by default. close: HAProxy with on-marked-down shutdown-sessions, Envoy with close_connections_on_host_health_failure. " +
			"reset: AWS NLB by default. Here they end at both sides as soon as the backend is taken out, and so does one that comes into being later, within an interval. " +
			"Connections that a reload left with the instance before are kept, since nobody checks backends for it any more.",
	}}
}

// Value implements Behaviour.
func (h HealthCheck) Value(setting string) string {
	switch setting {
	case healthInterval:
		return formatDuration(h.every())
	case healthFall:
		return formatCount(h.fall(), "")
	case onDown:
		return map[Ending]string{"": keep, Close: toClose, Reset: toReset}[h.OnDown]
	}
	return cmp.Or(h.Kind, off)
}

// With implements Behaviour.
func (h HealthCheck) With(setting, value string) (Behaviour, error) {
	var err error
	switch setting {
	case healthCheck:
		h.Kind, err = parseWord(setting, value, off, tcp, connect, overHTTP)
		if h.Kind == off {
			h.Kind = ""
		}
	case healthInterval:
		h.given = setting + "=" + value
		h.Every, err = parseDurationOr(setting, value, "")
	case healthFall:
		h.given = setting + "=" + value
		h.Fall, err = parseCount(setting, value, "", math.MaxInt16)
	case onDown:
		value, err = parseWord(setting, value, keep, toClose, toReset)
		h.OnDown = map[string]Ending{toClose: Close, toReset: Reset}[value]
	}
	return h, err
}

// check refuses what would silently do nothing. What happens on-down may be for another's finding than a check's.
func (h HealthCheck) check() error {
	if h.given == "" || h.Kind != "" {
		return nil
	}
	return fmt.Errorf("%s has no effect without a health check: add one, such as %s=http", h.given, healthCheck)
}

// Scaled implements Behaviour.
func (h HealthCheck) Scaled(factor float64) Behaviour {
	h.Every = scaled(h.every(), factor)
	return h
}

// Start implements Behaviour.
func (h HealthCheck) Start() Policy {
	if h.Kind == "" && h.OnDown == "" {
		return admitsAll{}
	}
	return physician{HealthCheck: h}
}

func (h HealthCheck) every() time.Duration { return cmp.Or(h.Every, checkEvery) }
func (h HealthCheck) fall() int            { return cmp.Or(h.Fall, checkFall) }

// physician looks after the backends of one instance.
type physician struct{ HealthCheck }

// Admit implements Policy.
func (physician) Admit(*Flow) error { return nil }

// Run implements Runner.
func (p physician) Run(ctx context.Context, pool *Pool) {
	clock := pool.in.balancer.clock
	var checks sync.WaitGroup
	defer checks.Wait()
	known := map[Backend]bool{}
	for clock.running(ctx.Done()) && ctx.Err() == nil {
		changed := pool.Changed()
		again := time.Duration(0)
		for _, b := range pool.Backends() {
			if p.Kind != "" && !known[b] {
				known[b] = true
				checks.Go(func() { p.watch(ctx, pool, b) })
			}
			if p.OnDown != "" && pool.isDown(b) {
				for _, f := range pool.Flows(b) {
					f.End(p.OnDown, onDown)
				}
				again = p.every() // for those whose dial was under way
			}
		}
		pause(ctx, again, changed)
	}
}

// watch checks one backend until the context ends.
func (p physician) watch(ctx context.Context, pool *Pool, b Backend) {
	clock := pool.in.balancer.clock
	record := health{fall: p.fall(), rise: checkRise}
	for clock.running(ctx.Done()) && ctx.Err() == nil {
		began := clock.now()
		err := p.ask(ctx, pool, b)
		if !clock.running(ctx.Done()) || ctx.Err() != nil {
			return
		}
		if record.hears(err == nil) {
			pool.Down(b, record.down, record.why(p.Kind, err))
		}
		pause(ctx, max(p.every()-(clock.now()-began), 1), nil)
	}
}

// leastCheck is what a check is given at least, however short a scaled interval is: on a machine that is busy with
// other labs, an answer that takes well under a millisecond was seen to take tens.
const leastCheck = 250 * time.Millisecond

// ask checks a backend once.
func (p physician) ask(ctx context.Context, pool *Pool, b Backend) error {
	ctx, cancel := context.WithTimeout(ctx, max(p.every(), leastCheck))
	defer cancel()
	err := pool.in.balancer.unplugged.answered(ctx, b, 2*max(p.every(), leastCheck)) // the context ends first
	if err == nil {
		err = p.visit(ctx, b)
	}
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return fmt.Errorf("no answer in %s", formatDuration(max(p.every(), leastCheck)))
	}
	return err
}

func (p physician) visit(ctx context.Context, b Backend) error {
	if p.Kind == overHTTP {
		return healthz(ctx, b)
	}
	dialer := net.Dialer{KeepAlive: -1}
	if p.Kind == tcp {
		dialer.Control = unacknowledged
	}
	c, err := dialer.DialContext(ctx, "tcp", b.Addr)
	if err != nil {
		return errors.New(reason(context.Background(), err))
	}
	if p.Kind == tcp {
		c.(*net.TCPConn).SetLinger(0)
	}
	c.Close()
	return nil
}

// healthz asks a NATS server's monitoring, on a connection of its own.
func healthz(ctx context.Context, b Backend) error {
	if b.Monitor == "" {
		return errors.New("its monitoring address is not known")
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+b.Monitor+"/healthz", nil)
	if err != nil {
		return err
	}
	transport := &http.Transport{DisableKeepAlives: true} // and no proxy, whatever the environment says
	defer transport.CloseIdleConnections()
	answer, err := transport.RoundTrip(request) // which does not follow redirects
	if err != nil {
		return errors.New(reason(context.Background(), err))
	}
	defer answer.Body.Close()
	if answer.StatusCode/100 != 2 {
		return errors.New(answer.Status)
	}
	_, err = io.Copy(io.Discard, io.LimitReader(answer.Body, chunk))
	return err
}

// health decides from one backend's checks whether it is up.
type health struct {
	fall, rise int
	down       bool
	against    int // checks in a row that say otherwise
}

// hears takes the next check's result, and says whether that is a change.
func (h *health) hears(good bool) (change bool) {
	if good != h.down {
		h.against = 0
		return false
	}
	h.against++
	needed := h.fall
	if h.down {
		needed = h.rise
	}
	if h.against < needed {
		return false
	}
	h.down, h.against = !h.down, 0
	return true
}

// why says what the checks were that made a change.
func (h *health) why(kind string, last error) string {
	if h.down {
		return fmt.Sprintf("%d %s checks in a row failed: %v", h.fall, kind, last)
	}
	return fmt.Sprintf("%d %s checks in a row were good", h.rise, kind)
}
