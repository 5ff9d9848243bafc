package assertions

import (
	"context"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// endedAt is an end that a canary saw.
func endedAt(name, end, manner string, after float64) Event {
	return on(1+after, Probe, "ended", conn(name), node(end), how(manner), took(after))
}

func said(name, met string) Event { return on(30, Probe, "spoke", conn(name), how(met)) }

func TestProved(t *testing.T) {
	fin, silent := idleFor(20, "fin"), idleFor(20, "silent")
	both := func(manner string, after float64) []Event {
		return line(endedAt("silent", "near", manner, after), endedAt("silent", "far", manner, after))
	}
	expired := func(after float64) Event { return on(1+after, Balancer, "expired", front(CanaryFront), took(after)) }
	life := threeNodes()
	life.Lifetime = 10 * time.Second
	rare := fin
	rare.Probe = 20 * time.Second
	stall, outage := struckBy("stall", 3), struckBy("outage", 5)
	crash, reload, plain := struckBy("restart=crash", 0), struckBy("restart=reload", 0), threeNodes()
	dead, back := endedAt("chatting", "", "fin", 2), on(9, Probe, "connected")
	survived := on(9, Probe, "survived", conn("chatting"))
	to := func(f, b string) Event { return on(1, Balancer, "begin", front(f), backend(b)) }
	calls := func(caller string, e Event) Event { e.Caller = caller; return e }
	for _, c := range []struct {
		name, setting, value string
		terms                Terms
		events               []Event
		want                 string // why it is not proved
	}{
		{"a FIN at both ends in time", "idle-timeout", "20s", fin, both("fin", 20), ""},
		{"an RST at both ends in time", "idle-expiry", "rst", idleFor(20, "rst"), both("rst", 20), ""},
		{"as early as two ends may begin apart", "idle-timeout", "20s", fin, both("fin", 19.98), ""},
		{"too early", "idle-timeout", "20s", fin, both("fin", 19.979), "the canary's connection ended after 20s, due after 20s at the near end"},
		{"as late as a busy machine", "idle-timeout-client", "20s", fin, both("fin", 25.5), ""},
		{"too late", "idle-timeout-client", "20s", fin, both("fin", 25.501), "the canary's connection ended after 26s, due after 20s at the near end"},
		{"in the wrong manner", "idle-timeout-server", "20s", fin, both("rst", 20), "the canary's connection ended by rst, not fin at the near end"},
		{"never", "idle-timeout", "20s", fin, nil, "the canary's connection was not ended (due after 20s) at the near end"},
		{"at the near end only", "idle-timeout", "20s", fin, line(endedAt("silent", "near", "fin", 20)), "the canary's connection was not ended (due after 20s) at the far end"},
		{"another canary's end", "idle-timeout", "20s", fin, line(endedAt("probed", "near", "fin", 20), endedAt("probed", "far", "fin", 20)),
			"the canary's connection was not ended (due after 20s) at the near end"},

		{"silence, and what is said vanishes", "idle-expiry", "silent", silent, line(expired(20), said("silent", "silent")), ""},
		{"silence, and what is said draws an RST", "idle-expiry", "rst-on-next", idleFor(20, "rst-on-next"), line(expired(20), said("silent", "rst-on-next")), ""},
		{"silence that draws an RST is not silent", "idle-expiry", "silent", silent, line(expired(20), said("silent", "rst-on-next")),
			"what the silent canary said met rst-on-next, not silent"},
		{"a connection that lives on", "idle-expiry", "silent", silent, line(said("silent", "alive")), "the balancer did not end the silent canary"},
		{"a silence that came too early", "idle-expiry", "silent", silent, line(expired(19.9), said("silent", "silent")), "the balancer ended the silent canary after 20s, due after 20s"},
		{"a silence that came too late", "idle-expiry", "silent", silent, line(expired(26), said("silent", "silent")), "the balancer ended the silent canary after 26s, due after 20s"},
		{"a silence that was heard", "idle-expiry", "silent", silent, line(expired(20), both("fin", 20)), "the silent canary was ended before it spoke"},

		{"probes that count keep a connection", "idle-keepalive", "counts", fin, line(said("probed", "alive")), ""},
		{"probes that count and did not", "idle-keepalive", "counts", fin, line(endedAt("probed", "near", "fin", 20)), "the canary whose keepalive probes count was ended all the same"},
		{"probes that are ignored do not", "idle-keepalive", "ignored", fin, line(endedAt("probed", "near", "fin", 20)), ""},
		{"probes that are ignored, and a silent end", "idle-keepalive", "ignored", silent, line(said("probed", "silent")), ""},
		{"probes that are ignored and kept it", "idle-keepalive", "ignored", fin, line(said("probed", "alive")), "the canary whose keepalive probes are ignored was kept"},
		{"probes as rare as the timeout do not keep it", "idle-keepalive", "counts", rare, line(endedAt("probed", "near", "fin", 20)), ""},
		{"probes as rare as the timeout that kept it", "idle-keepalive", "counts", rare, line(said("probed", "alive")),
			"the canary was kept although its probes are rarer than the idle timeout"},
		{"counting probes that nobody saw", "idle-keepalive", "counts", rare, nil, "nobody saw what became of the canary with keepalive probes"},
		{"ignored probes that nobody saw", "idle-keepalive", "ignored", fin, both("fin", 20), "nobody saw what became of the canary with keepalive probes"},

		{"a lifetime that ends a chat", "max-lifetime", "10s", life, line(endedAt("chatting", "", "fin", 10)), ""},
		{"a lifetime that was too short", "max-lifetime", "10s", life, line(endedAt("chatting", "", "fin", 9)), "the canary's connection ended after 9s, due after 10s"},
		{"a lifetime that ended in a reset", "max-lifetime", "10s", life, line(endedAt("chatting", "", "rst", 10)), "the canary's connection ended by rst, not fin"},
		{"a lifetime that never came", "max-lifetime", "10s", life, line(survived), "the canary's connection was not ended (due after 10s)"},

		{"a byte held through the stall", "stall", "3s", stall, line(on(9, Probe, "held", took(2.9))), ""},
		{"one held too briefly", "stall", "3s", stall, line(on(9, Probe, "held", took(2.899)), on(9, Probe, "held", took(0.2))), "no byte of the canary was held for 3s"},
		{"none held", "stall", "3s", stall, nil, "no byte of the canary was held for 3s"},

		{"an outage: ended, refused, back", "outage", "5s", outage, line(dead, on(4, Probe, "refused"), back), ""},
		{"an outage that it outlived", "outage", "5s", outage, line(survived), "the canary's connection outlived it"},
		{"an outage that refused nobody", "outage", "5s", outage, line(dead, back), "no connection of the canary was refused"},
		{"an outage without an end", "outage", "5s", outage, line(dead, on(4, Probe, "refused")), "the canary never came back"},

		{"a crash: ended and back", "restart", "crash", crash, line(dead, on(3, Balancer, "crash"), back), ""},
		{"a crash that it outlived", "restart", "crash", crash, line(survived, on(3, Balancer, "crash"), back), "the canary's connection outlived the crash"},
		{"an end without a crash", "restart", "crash", crash, line(dead, back), "the balancer did not restart"},
		{"a crash after which nothing goes through", "restart", "crash", crash, line(dead, on(3, Balancer, "crash")), "the canary never came back"},
		{"a reload: alive, and new ones go through", "restart", "reload", reload, line(survived, on(3, Balancer, "reload"), back), ""},
		{"a reload that ended it", "restart", "reload", reload, line(dead, on(3, Balancer, "reload"), back), "the canary's connection did not outlive the reload"},
		{"a reload that did not happen", "restart", "reload", reload, line(survived, back), "the balancer did not restart"},

		{"one frontend a node", "frontends", "per-node", plain, line(to("n1", "n1"), to("n2", "n2"), to(CanaryFront, "x"), to(CanaryFront, "y")), ""},
		{"a node's frontend that leads to two", "frontends", "per-node", plain, line(to("n1", "n1"), to("n1", "n2")), "frontend n1 led to 2 nodes"},
		{"one frontend for all", "frontends", "shared", plain, line(to("vip", "n1"), to("vip", "n2")), ""},
		{"one that reached a single node", "frontends", "shared", plain, line(to("vip", "n1")), "connections to the one frontend did not reach several nodes"},
		{"several that were to be one", "frontends", "shared", plain, line(to("n1", "n1"), to("n2", "n2")), "connections to the one frontend did not reach several nodes"},
		{"frontends that nobody used", "frontends", "per-node", plain, line(to(CanaryFront, "x")), "no connection crossed the balancer"},

		{"turns that reach several", "balance", "round-robin", plain, line(to("vip", "n1"), to("vip", "n2")), ""},
		{"turns that reach one", "balance", "random", plain, line(to("vip", "n1"), to("vip", "n1")), "connections did not reach several nodes"},
		{"a hash that reaches one", "balance", "source-hash", plain, line(to("vip", "n1"), to(CanaryFront, "x")), ""},
		{"a hash that reaches two", "balance", "source-hash", plain, line(to("vip", "n1"), to("vip", "n2")), "one source address reached 2 nodes"},
		{"a hash of two addresses", "balance", "source-hash", plain, line(calls("10.0.0.1:1", to("vip", "n1")), calls("10.0.0.2:1", to("vip", "n2")), calls("10.0.0.2:2", to("vip", "n2"))), ""},
		{"a hash of an address and not of its port", "balance", "source-hash", plain, line(calls("10.0.0.1:1", to("vip", "n1")), calls("10.0.0.1:2", to("vip", "n2"))), "one source address reached 2 nodes"},
		{"a hash without the node that it led to", "balance", "source-hash", plain, line(to("vip", "n1"), on(2, Lab, "node-lost", node("n1"), how("kill")), on(3, Balancer, "begin", front("vip"), backend("n2"))), ""},
		{"a hash that changed before a node was lost", "balance", "source-hash", plain, line(to("vip", "n1"), to("vip", "n2"), on(2, Lab, "node-lost", node("n1"), how("kill"))), "one source address reached 2 nodes"},
		{"a kernel with an entry", "engine", "kernel", plain, line(to("vip", "n1"), on(1, Balancer, "applied", front("vip"), why("engine"))), ""},
		{"a kernel that has none", "engine", "kernel", plain, line(to("vip", "n1")), "no connection was in the kernel's table"},
		{"a simulation", "engine", "simulated", plain, line(to("vip", "n1")), ""},
		{"a dead backend whose connection was closed", "on-down", "close", plain, line(on(5, Balancer, "down"), endedAt(orphan, "", "fin", 4)), ""},
		{"one whose connection was kept", "on-down", "keep", plain, line(on(5, Balancer, "down"), on(6, Probe, "kept", conn(orphan))), ""},
		{"one that was to be closed and was kept", "on-down", "close", plain, line(on(5, Balancer, "down"), on(6, Probe, "kept", conn(orphan))), "the canary's connection outlived its backend"},
		{"one that was to be kept and was closed", "on-down", "keep", plain, line(on(5, Balancer, "down"), endedAt(orphan, "", "fin", 4)), "the canary's connection ended with its backend"},
		{"one that was to be reset and was closed", "on-down", "reset", plain, line(on(5, Balancer, "down"), endedAt(orphan, "", "fin", 4)), "the canary's connection ended by fin, not rst"},
		{"one with a connection that nobody watched", "on-down", "close", plain, line(on(5, Balancer, "down")), "nobody saw what became of a connection to a backend that was down"},
		{"a backend that never died", "on-down", "close", plain, nil, "no backend was found to be down"},

		{"a burst that a route used up", "burst", "1MB", plain, line(on(5, Balancer, "applied", front("n1"), why("burst"))), ""},
		{"a burst that only a canary used up", "burst", "1MB", plain, line(on(5, Balancer, "applied", front(CanaryFront), why("burst")), on(1, Balancer, "applied", front("n1"), why("bandwidth"))),
			"no route used it up, so that none met the bandwidth; what happens then shows with a smaller burst"},

		{"one frontend a cluster", "frontends", "shared", superCluster(), line(to("east", "e1"), to("east", "e2"), to("west", "w1"), to("west", "w2")), ""},
		{"a cluster whose frontend nobody dialled", "frontends", "shared", superCluster(), line(to("east", "e1"), to("east", "e2")), "1 of 2 shared frontends were dialled"},
		{"one that reached a single node of its cluster", "frontends", "shared", superCluster(), line(to("east", "e1"), to("east", "e2"), to("west", "w1"), to("west", "w1")),
			"connections to frontend west did not reach several nodes"},
		{"one frontend for the hub", "frontends", "shared", hubAndLeaves(), line(to("vip", "h1"), to("vip", "h2")), ""},
		{"one for the hub that reached a single node", "frontends", "shared", hubAndLeaves(), line(to("vip", "h1"), to("vip", "h1")), "connections to the one frontend did not reach several nodes"},
		{"lots that a few connections may all lose", "balance", "random", hubAndLeaves(), line(to("vip", "h1"), to("vip", "h1")), ""},
		{"turns are no lots", "balance", "round-robin", hubAndLeaves(), line(to("vip", "h1"), to("vip", "h1")), "connections did not reach several nodes"},
		{"two clusters that are a node each say nothing about turns", "balance", "round-robin", superCluster(), line(to("east", "e1"), to("west", "w1")), "connections did not reach several nodes"},
		{"a hash that leads each cluster's to one node", "balance", "source-hash", superCluster(), line(to("east", "e1"), to("west", "w1")), ""},
		{"lots that nobody drew", "balance", "random", hubAndLeaves(), nil, "connections did not reach several nodes"},
		{"a burst that no gateway used up", "burst", "1MB", superCluster(), line(on(1, Balancer, "applied", front("east"), why("bandwidth"))),
			"no gateway connection used it up, so that none met the bandwidth; what happens then shows with a smaller burst"},

		{"balancing that nobody saw", "balance", "least-connections", plain, nil, "connections did not reach several nodes"},
	} {
		t.Run(c.setting+"/"+c.name, func(t *testing.T) {
			c.terms.Settings = map[string]string{c.setting: c.value}
			var want []string
			if c.want != "" {
				want = []string{c.setting + "=" + c.value + ": " + c.want}
			}
			if diff := cmp.Diff(want, Proved(History{Terms: c.terms, Events: c.events})); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func TestWhatAnInspectionLetsNobodyReachIsNotBalanced(t *testing.T) {
	terms := idleFor(20, "fin")
	terms.Settings = map[string]string{"balance": "round-robin", "inspection": "client-first"}
	for _, why := range Proved(History{Terms: terms}) {
		if strings.HasPrefix(why, "balance") {
			t.Errorf("got %s", why)
		}
	}
	terms.Settings["inspection"] = "none"
	if got := Proved(History{Terms: terms}); !slices.ContainsFunc(got, func(why string) bool { return strings.HasPrefix(why, "balance") }) {
		t.Errorf("without an inspection: got %q", got)
	}
	silent := line(on(2, Balancer, "refused", front("vip"), why("tls")))
	for _, why := range Proved(History{Terms: terms, Events: silent}) {
		if strings.HasPrefix(why, "balance") {
			t.Errorf("clients that spoke no TLS to who ends it: got %s", why)
		}
	}
	silent[0].Front = CanaryFront
	if got := Proved(History{Terms: terms, Events: silent}); !slices.ContainsFunc(got, func(why string) bool { return strings.HasPrefix(why, "balance") }) {
		t.Errorf("a canary that spoke no TLS: got %q", got)
	}
}

func TestProvedNamesEachSetting(t *testing.T) {
	terms := idleFor(20, "fin")
	terms.Settings = map[string]string{"idle-timeout": "20s", "weather": "fine"}
	got := Proved(History{Terms: terms})
	slices.Sort(got)
	want := []string{"idle-timeout=20s: the canary's connection was not ended (due after 20s) at the near end", "weather: nothing can prove it"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	terms.Settings = nil
	if got := Proved(History{Terms: terms}); len(got) > 0 {
		t.Errorf("what was not given needs no proof: %v", got)
	}
}

// Nothing that was seen proves nothing, whatever the setting.
func TestNothingIsProvedByNothing(t *testing.T) {
	terms := idleFor(20, "fin")
	terms.Lifetime, terms.Event = time.Minute, time.Second
	values := map[string][]string{"idle-keepalive": {"counts", "ignored"}, "restart": {"crash", "reload"}, "frontends": {"shared", "per-node"},
		"balance": {"round-robin", "source-hash"}}
	for name := range proofs {
		for _, value := range append(values[name], "1s") {
			for _, expiry := range []string{"fin", "rst", "silent", "rst-on-next"} {
				terms.Expiry, terms.Settings = expiry, map[string]string{name: value}
				if len(Proved(History{Terms: terms})) == 0 {
					t.Errorf("%s=%s (%s) is proved by nothing", name, value, expiry)
				}
			}
		}
	}
}

// forwarder is the least there is between two ends of a connection: it copies both ways until it is told
// how to end.
type forwarder struct {
	listener net.Listener
	inner    [2]*net.TCPConn // towards the near end, and towards the far
}

// pairOf returns both ends of a connection through a forwarder on loopback.
func pairOf(t *testing.T) (near, far net.Conn, f *forwarder) {
	t.Helper()
	nest, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer nest.Close()
	f = &forwarder{}
	if f.listener, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	defer f.listener.Close()
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() {
		c, err := f.listener.Accept()
		if err != nil {
			t.Error(err)
			return
		}
		f.inner[0] = c.(*net.TCPConn)
		d, err := net.Dial("tcp", nest.Addr().String())
		if err != nil {
			t.Error(err)
			return
		}
		f.inner[1] = d.(*net.TCPConn)
	})
	if near, err = net.Dial("tcp", f.listener.Addr().String()); err != nil {
		t.Fatal(err)
	}
	if far, err = nest.Accept(); err != nil {
		t.Fatal(err)
	}
	wg.Wait()
	t.Cleanup(func() {
		for _, c := range []net.Conn{near, far, f.inner[0], f.inner[1]} {
			c.Close()
		}
	})
	return near, far, f
}

// close ends both sides, with an RST if that is asked for.
func (f *forwarder) close(reset bool) {
	for _, c := range f.inner {
		if reset {
			_ = c.SetLinger(0)
		}
		c.Close()
	}
}

func TestManner(t *testing.T) {
	for _, c := range []struct {
		want string
		do   func(near net.Conn, f *forwarder)
	}{
		{"fin", func(_ net.Conn, f *forwarder) { f.close(false) }},
		{"rst", func(_ net.Conn, f *forwarder) { f.close(true) }},
		{"byte", func(_ net.Conn, f *forwarder) { _, _ = f.inner[0].Write([]byte{'x'}) }},
		{"", func(net.Conn, *forwarder) {}},
		{"read tcp", func(near net.Conn, _ *forwarder) { near.Close() }}, // our own mistake is told as it is
	} {
		t.Run("it ends in "+c.want, func(t *testing.T) {
			near, _, f := pairOf(t)
			c.do(near, f)
			soon := 5 * time.Second // a loopback is never so late
			if c.want == "" {
				soon = 20 * time.Millisecond
			}
			_ = near.SetReadDeadline(time.Now().Add(soon))
			got := manner(near)
			if got != c.want && (c.want != "read tcp" || !strings.HasPrefix(got, c.want)) {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}
}

func TestKeepSilent(t *testing.T) {
	type seen struct{ Kind, Node, How string }
	short := Terms{Idle: 40 * time.Millisecond}
	ends := func(manner string) []seen { return []seen{{"ended", "far", manner}, {"ended", "near", manner}} }
	for _, c := range []struct {
		name    string
		balance func(f *forwarder) // runs until the connections end
		want    []seen
	}{
		{"a FIN is seen at both ends", func(f *forwarder) { f.close(false) }, ends("fin")},
		{"an RST is seen at both ends", func(f *forwarder) { f.close(true) }, ends("rst")},
		{"an end at one side alone is told as such", func(f *forwarder) { f.inner[0].Close() }, []seen{{"ended", "near", "fin"}}},
		{"a connection that lives carries what is said", func(f *forwarder) { _, _ = io.Copy(f.inner[1], f.inner[0]) }, []seen{{"spoke", "", "alive"}, {"unended", "", ""}}},
		{"in a forgotten one it vanishes", func(f *forwarder) { _, _ = io.Copy(io.Discard, f.inner[0]) }, []seen{{"spoke", "", "silent"}, {"unended", "", ""}}},
		{"or draws an RST", func(f *forwarder) {
			_, _ = f.inner[0].Read(make([]byte, 1))
			f.close(true)
		}, []seen{{"spoke", "", "rst-on-next"}, {"unended", "", ""}}},
		{"or draws an end that is neither", func(f *forwarder) {
			_, _ = f.inner[0].Read(make([]byte, 1))
			f.close(false)
		}, []seen{{"spoke", "", "fin/fin"}, {"unended", "", ""}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel() // each waits most of a second
			near, far, f := pairOf(t)
			rec := NewRecorder()
			var wg sync.WaitGroup
			wg.Go(func() { c.balance(f) })
			keepSilent(t.Context(), short, rec, "silent", time.Now(), near, far)
			f.close(false)
			wg.Wait()
			var got []seen
			for _, e := range rec.Events() {
				if e.From != Probe || e.Conn != "silent" || e.Kind != "spoke" && e.Took <= 0 {
					t.Errorf("an event that Proved would not find: %+v", e)
				}
				got = append(got, seen{e.Kind, e.Node, e.How})
			}
			slices.SortFunc(got, func(a, b seen) int { return strings.Compare(a.Kind+a.Node, b.Kind+b.Node) })
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func TestKeepSilentSaysNothingOfARunThatWasInterrupted(t *testing.T) {
	near, far, _ := pairOf(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	rec := NewRecorder()
	keepSilent(ctx, Terms{Idle: time.Hour}, rec, "silent", time.Now(), near, far)
	if events := rec.Events(); len(events) > 0 {
		t.Errorf("%+v", events)
	}
}

// A balancer that lets a connection in and passes nothing on, as one at its limit does, or ends it.
func TestPairSaysThatNothingArrived(t *testing.T) {
	front, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer front.Close()
	for _, knock := range []string{"", "canary\n"} {
		limited, cancel := context.WithTimeout(t.Context(), time.Second) // in which connecting is over on a busy machine, too
		n := &nest{canary: &Canary{Knock: []byte(knock)}, accepted: make(chan net.Conn)}
		_, _, err := n.pair(limited, front.Addr().String())
		cancel()
		if err == nil || !strings.HasPrefix(err.Error(), "nothing arrived behind ") {
			t.Errorf("with %q said first: %v", knock, err)
		}
	}
}
