package suite

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/lbtest/lbtest/assertions"
	"github.com/lbtest/lbtest/cmd/internal/report"
	"github.com/lbtest/lbtest/proxies"
)

// pinging lets servers ask every minute, so that a minute and a half of silence can be seen; the default is two.
func pinging(o *server.Options) { o.PingInterval = time.Minute }

// before puts a real balancer before servers, and dead addresses into its rotation beside them.
func before(t *testing.T, r real, dead int, servers ...*server.Server) string {
	t.Helper()
	b, err := fronted{real: r}.place(opening{profile: proxies.Direct(), factor: 1, fronts: []proxies.Front{{Name: "vip"}}}, func(proxies.Event) {})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
	var backends []proxies.Backend
	for _, s := range servers {
		backends = append(backends, proxies.Backend{Name: s.Name(), Addr: s.Addr().String(), Monitor: "127.0.0.1:8222"})
	}
	for range dead {
		backends = append(backends, proxies.Backend{Name: "dead", Addr: closed(t), Monitor: "127.0.0.1:8222"})
	}
	if err := b.Serve(map[string][]proxies.Backend{"vip": backends}); err != nil {
		t.Fatal(err)
	}
	return b.Addr("vip")
}

// told is what must be said of one real endpoint: of some promises a verdict, of some facts a part of the value.
type told struct {
	name     string
	program  string // haproxy, nginx or "" for no balancer
	at       func(t *testing.T) assertions.Access
	deep     time.Duration // --max-wait, 0 for the quick form
	limit    time.Duration // that must be measured
	exit     int
	verdicts map[string]assertions.Verdict
	facts    map[string]string
	nightly  bool
}

// TestRealEndpointsAreMeasured looks at real HAProxy and nginx before a real cluster.
func TestRealEndpointsAreMeasured(t *testing.T) {
	if testing.Short() || os.Getenv("LBTEST_LONG") == "" && os.Getenv("LBTEST_NIGHTLY") == "" {
		t.Skip("LBTEST_LONG is not set")
	}
	ca := authority(t)
	haproxy := func(front, back, line string) real {
		return real{program: "haproxy", mode: "tcp", front: front, back: back, server: line}
	}
	cluster := clustered(t, pinging)
	secure := natsd(t, ca.secured(time.Now().Add(365*24*time.Hour), false))
	knowing := natsd(t, func(o *server.Options) { o.ProxyProtocol = true })
	behind := func(r real) func(*testing.T) assertions.Access {
		return func(t *testing.T) assertions.Access { return at(before(t, r, 0, cluster...)) }
	}
	const connects, first, spread, quiet, notices, address, payloads, secured = "client/connects", "inspection/first-bytes-pass", "client/spread-over-nodes",
		"client/stays-connected-when-quiet", "client/notices-silence", "proxy/address-arrives", "inspection/payloads-pass", "tls/connects"
	type is = map[string]assertions.Verdict
	type says = map[string]string
	all := []told{
		{name: "timeout client and server 3 s", program: "haproxy", at: behind(haproxy("timeout client 3s", "timeout server 3s", "")), deep: 12 * time.Second, limit: 3 * time.Second, exit: 1,
			verdicts: is{connects: assertions.Safe, first: assertions.Safe, spread: assertions.Safe, quiet: assertions.Unsafe, notices: assertions.Skipped, payloads: assertions.Safe},
			facts:    says{"idle limit": "by FIN", "TCP keepalive": "is no activity", "in the lab": "--set idle-timeout=3s --set idle-expiry=fin --set idle-keepalive=ignored", "servers": "cluster C"}},
		{name: "timeout tunnel 10 s", program: "haproxy", at: behind(haproxy("timeout client 4s", "timeout server 4s\ntimeout tunnel 10s", "")), deep: 15 * time.Second, limit: 10 * time.Second, exit: 1,
			verdicts: is{quiet: assertions.Unsafe}, facts: says{"idle limit": "by FIN"}},
		{name: "proxy_timeout 3 s", program: "nginx", at: behind(real{program: "nginx", front: "proxy_timeout 3s;"}), deep: 12 * time.Second, limit: 3 * time.Second, exit: 1,
			verdicts: is{connects: assertions.Safe, quiet: assertions.Unsafe}, facts: says{"idle limit": "by FIN", "TCP keepalive": "is no activity"}},
		{name: "no short timeout", program: "haproxy", at: behind(haproxy("", "", "")), deep: 6 * time.Second, exit: 0,
			verdicts: is{connects: assertions.Safe, quiet: assertions.Skipped, notices: assertions.Skipped}, facts: says{"idle limit": "none up to 6"}},
		{name: "mode http", program: "haproxy", at: behind(real{program: "haproxy", mode: "http"}), exit: 1, verdicts: is{connects: assertions.Unsafe}},
		{name: "inspect-delay that waits for the client", program: "haproxy", at: behind(haproxy("tcp-request inspect-delay 5s\ntcp-request content accept if { req.len gt 0 }", "", "")), exit: 1,
			verdicts: is{connects: assertions.Unsafe, first: assertions.Unsafe}, facts: says{"in the lab": "inspection=client-first"}},
		{name: "inspect-delay that always waits", program: "haproxy", at: behind(haproxy("tcp-request inspect-delay 1s\ntcp-request content accept if WAIT_END", "", "")), exit: 0,
			verdicts: is{first: assertions.Risky}, facts: says{"first line": "INFO to a silent client in 1"}},
		{name: "ssl_preread", program: "nginx", at: behind(real{program: "nginx", front: "ssl_preread on;\npreread_timeout 2s;"}), exit: 1, verdicts: is{connects: assertions.Unsafe}},
		{name: "TLS that the balancer ends", program: "haproxy", exit: 1, verdicts: is{connects: assertions.Unsafe},
			at: func(t *testing.T) assertions.Access {
				return ca.dialling(before(t, ended(t, ca), 0, cluster...), false)
			},
			facts: says{"TLS": "ended before it reaches the server, which knows of none: no client certificate arrives", "certificate": "lbtest node"}},
		{name: "the same, and clients that speak TLS first", program: "haproxy", exit: 1, verdicts: is{secured: assertions.Safe, connects: assertions.Unsafe},
			at: func(t *testing.T) assertions.Access { return ca.dialling(before(t, ended(t, ca), 0, cluster...), true) }},
		{name: "TLS that passes", program: "haproxy", exit: 0, verdicts: is{secured: assertions.Safe, connects: assertions.Safe, payloads: assertions.Safe},
			at: func(t *testing.T) assertions.Access {
				return ca.dialling(before(t, haproxy("", "", ""), 0, secure), false)
			},
			facts: says{"TLS": "after the first line, passed through to the server"}},
		{name: "a PROXY header for servers that know none", program: "haproxy", at: behind(haproxy("", "", "send-proxy-v2")), exit: 1, verdicts: is{connects: assertions.Unsafe}},
		{name: "a PROXY header for one that does", program: "haproxy", exit: 0, verdicts: is{connects: assertions.Safe, address: assertions.Safe},
			at: func(t *testing.T) assertions.Access {
				return at(before(t, haproxy("", "", "send-proxy-v2"), 0, knowing))
			}},
		{name: "a dead backend in rotation", program: "haproxy", exit: 1, verdicts: is{connects: assertions.Unsafe},
			at: func(t *testing.T) assertions.Access {
				return at(before(t, haproxy("", "retries 0", ""), 1, cluster[:2]...))
			}},
		{name: "no balancer at all", at: func(t *testing.T) assertions.Access { return at(natsd(t, nil).Addr().String()) }, exit: 0, verdicts: is{connects: assertions.Safe, spread: assertions.Skipped}},
		{name: "the servers' PINGs hide the rest", at: func(t *testing.T) assertions.Access {
			return at(natsd(t, func(o *server.Options) { o.PingInterval = 4 * time.Second }).Addr().String())
		}, deep: time.Minute, exit: 0, verdicts: is{quiet: assertions.Skipped}, facts: says{"idle limit": "at least 7."}}, // a last word at a worse time makes it eight
		{name: "timeout tunnel 30 s", nightly: true, program: "haproxy", at: behind(haproxy("", "timeout tunnel 30s", "")), deep: 36 * time.Second, limit: 30 * time.Second, exit: 1,
			verdicts: is{quiet: assertions.Unsafe}, facts: says{"idle limit": "by FIN"}},
		{name: "proxy_timeout 30 s", nightly: true, program: "nginx", at: behind(real{program: "nginx", front: "proxy_timeout 30s;"}), deep: 36 * time.Second, limit: 30 * time.Second, exit: 1,
			verdicts: is{quiet: assertions.Unsafe}, facts: says{"idle limit": "by FIN"}},
	}
	t.Run("side by side", func(t *testing.T) {
		room := make(chan struct{}, 3) // each looks at its own machine being late
		for _, c := range all {
			if c.nightly && os.Getenv("LBTEST_NIGHTLY") == "" {
				continue
			}
			t.Run(c.name, func(t *testing.T) {
				t.Parallel()
				if c.program != "" && !installed(t, c.program) {
					return
				}
				room <- struct{}{}
				defer func() { <-room }()
				c.check(t)
			})
		}
	})
}

// ended is a HAProxy that ends TLS.
func ended(t *testing.T, ca issuer) real {
	t.Helper()
	path := ca.pair(t)
	return real{program: "haproxy", mode: "tcp", bind: "ssl crt " + path}
}

// check looks, again where this machine was too busy to tell.
func (c told) check(t *testing.T) {
	a := c.at(t)
	a.Timeout = 3 * time.Second
	o := EndpointOptions{Access: a, Command: []string{"lbtest", "validate"}}
	if c.deep > 0 {
		o.Deep = &assertions.Depth{MaxWait: c.deep, Precision: assertions.Precision{Share: 0.02}, Mode: assertions.ModeLadder}
	}
	plan, err := NewEndpointPlan(o)
	if err != nil {
		t.Fatal(err)
	}
	var wrong []string
	for range 3 {
		var h assertions.History
		plan.seen = func(seen assertions.History) { h = seen }
		began := time.Now()
		r := plan.Run(t.Context(), nil)
		wrong = c.compare(r, assertions.IdleOf(h), time.Since(began))
		if len(wrong) == 0 {
			return
		}
		if late, _ := assertions.Starved(h); late < assertions.Unpunctual {
			break
		}
	}
	t.Error(strings.Join(wrong, "\n"))
}

// compare says what is not as it must be.
func (c told) compare(r report.Report, i assertions.Idle, took time.Duration) (wrong []string) {
	for name, want := range c.verdicts {
		at := slices.IndexFunc(r.Results, func(res report.Result) bool { return res.Assertion == name })
		if at < 0 || r.Results[at].Verdict != want {
			got := report.Result{}
			if at >= 0 {
				got = r.Results[at]
			}
			wrong = append(wrong, name+" is "+string(got.Verdict)+" ("+got.Got+"), want "+string(want))
		}
	}
	for name, want := range c.facts {
		value := ""
		for _, f := range r.Scenarios[0].Facts {
			if f.Name == name {
				value = f.Value
			}
		}
		if !strings.Contains(value, want) {
			wrong = append(wrong, name+": "+value+"; want "+want)
		}
	}
	if code := r.ExitCode(report.FailOnUnsafe); code != c.exit {
		wrong = append(wrong, fmt.Sprintf("exit %d, want %d", code, c.exit))
	}
	if c.limit == 0 {
		return wrong
	}
	slack := max(c.limit/50, 100*time.Millisecond)
	if i.Low < c.limit-slack || i.High > c.limit+slack || i.High < i.Low {
		wrong = append(wrong, "the limit is between "+i.Low.String()+" and "+i.High.String()+", want "+c.limit.String())
	}
	// The quick look, a server's first PING, the limit, and a moment for probes to outlive it; some more on a busy machine.
	if most := c.limit + c.limit/10 + 8*time.Second; took > most {
		wrong = append(wrong, "it took "+took.String()+", want no more than "+most.String())
	}
	return wrong
}

// prompt is the lateness of this machine below which a wrong answer is the tester's own.
const prompt = 50 * time.Millisecond

// TestSilentBalancersAreMeasured measures limits that no byte tells of, at simulated balancers: real ones that are silent
// want a network of their own.
func TestSilentBalancersAreMeasured(t *testing.T) {
	if testing.Short() || os.Getenv("LBTEST_LONG") == "" && os.Getenv("LBTEST_NIGHTLY") == "" {
		t.Skip("LBTEST_LONG is not set")
	}
	for _, how := range []string{"silent", "rst-on-next", "rst"} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			addr, serve := standing(t, "", "idle-timeout=3s", "idle-expiry="+how)
			serve([]*server.Server{natsd(t, nil)})
			a := at(addr)
			a.Timeout = 3 * time.Second
			plan, err := NewEndpointPlan(EndpointOptions{Access: a, Deep: &assertions.Depth{MaxWait: 6 * time.Second, Precision: assertions.Precision{Time: 100 * time.Millisecond}, Mode: assertions.ModeLadder}})
			if err != nil {
				t.Fatal(err)
			}
			for range 3 { // balancer, server and tester share this process: one that was late is asked again
				var h assertions.History
				plan.seen = func(seen assertions.History) { h = seen }
				r := plan.Run(t.Context(), nil)
				i := assertions.IdleOf(h)
				const slack = 100 * time.Millisecond
				if i.Manner == how && i.Low > 3*time.Second-2*slack && i.High < 3*time.Second+2*slack && i.High-i.Low <= 2*slack && r.ExitCode(report.FailOnUnsafe) == 1 {
					return
				}
				late, _ := assertions.Starved(h)
				t.Logf("%+v, exit %d, this machine up to %s late", i, r.ExitCode(report.FailOnUnsafe), late)
				if late < prompt {
					break
				}
			}
			t.Errorf("the limit of 3s, %s, was not measured", how)
		})
	}
}

func TestAnInterruptedMeasurementTellsWhatItKnows(t *testing.T) {
	if testing.Short() {
		t.Skip("real servers")
	}
	t.Parallel() // it waits
	a := at(natsd(t, nil).Addr().String())
	a.Timeout = 3 * time.Second
	plan, err := NewEndpointPlan(EndpointOptions{Access: a, Deep: &assertions.Depth{MaxWait: 5 * time.Minute, Precision: assertions.Precision{Share: 0.02}, Mode: assertions.ModeLadder}})
	if err != nil {
		t.Fatal(err)
	}
	for range 5 { // one for which this machine was late knows nothing, and is asked again
		ctx, cancel := context.WithCancel(t.Context())
		var once sync.Once
		var h assertions.History
		plan.seen = func(seen assertions.History) { h = seen }
		r := plan.Run(ctx, func(p Progress) {
			if strings.Contains(p.Text, "quiet connections, the last") {
				once.Do(func() { time.AfterFunc(4*time.Second, cancel) })
			}
		})
		cancel()
		value := factOf(r, "idle limit")
		// Uninterrupted it takes five minutes and more.
		if r.Run.Interrupted && strings.HasPrefix(value, "none up to ") && r.Run.Took.Duration() < 2*time.Minute {
			return
		}
		late, _ := assertions.Starved(h)
		t.Logf("interrupted %t, after %s: %q; this machine up to %s late", r.Run.Interrupted, r.Run.Took.Duration(), value, late)
		if late < prompt {
			break
		}
	}
	t.Error("it does not tell what it knows")
}
