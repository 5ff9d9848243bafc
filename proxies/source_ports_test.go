package proxies

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestPortPool(t *testing.T) {
	// A step is what is done and, for a take, what comes of it: the how-manieth port that was ever drawn, or none.
	type step struct {
		at   int // s
		does string
		want string
	}
	for _, c := range []struct {
		what  string
		count int
		steps []step
	}{
		{"a port rests after the balancer closed first", 1,
			[]step{{0, "take", "1st"}, {1, "rest 1st", ""}, {30, "take", "none"}, {60, "take", "none"}, {61, "take", "1st"}}},
		{"a port is free at once if the backend closed first", 1,
			[]step{{0, "take", "1st"}, {1, "free 1st", ""}, {1, "take", "1st"}}},
		{"live ports are not given twice", 2,
			[]step{{0, "take", "1st"}, {0, "take", "2nd"}, {0, "take", "none"}, {900, "take", "none"}}},
		{"all have their turn before one is used again", 3,
			[]step{{0, "take", "1st"}, {0, "free 1st", ""}, {0, "take", "2nd"}, {0, "free 2nd", ""}, {0, "take", "3rd"}, {0, "take", "1st"}, {0, "take", "2nd"}}},
		{"the one that was freed first comes first", 2,
			[]step{{0, "take", "1st"}, {0, "take", "2nd"}, {1, "free 2nd", ""}, {2, "free 1st", ""}, {3, "take", "2nd"}, {3, "take", "1st"}}},
		{"a rested port is free from its time on", 2,
			[]step{{0, "take", "1st"}, {0, "take", "2nd"}, {1, "rest 1st", ""}, {2, "free 2nd", ""}, {70, "take", "2nd"}, {70, "take", "1st"}}},
		{"somebody else's port is no exhaustion", 1,
			[]step{{0, "take", "1st"}, {0, "other 1st", ""}, {0, "take", "2nd"}, {0, "take", "none"}}},
		{"a used port that somebody else has meanwhile is made up for", 1,
			[]step{{0, "take", "1st"}, {1, "free 1st", ""}, {2, "take", "1st"}, {2, "other 1st", ""}, {2, "take", "2nd"}, {3, "free 2nd", ""}, {3, "take", "2nd"}}},
	} {
		pool := newPortPool(12345)
		var drawn []uint16
		names := []string{"1st", "2nd", "3rd"}
		for n, s := range c.steps {
			at := time.Duration(s.at) * time.Second
			if s.does == "take" {
				got := "none"
				if port, ok := pool.take(at, c.count); ok {
					if !slices.Contains(drawn, port) {
						drawn = append(drawn, port)
					}
					got = names[slices.Index(drawn, port)]
				}
				if got != s.want {
					t.Errorf("%s: step %d gives %s, want %s", c.what, n, got, s.want)
				}
				continue
			}
			does, which, _ := strings.Cut(s.does, " ")
			port := drawn[slices.Index(names, which)]
			switch does {
			case "rest":
				pool.give(port, at+time.Minute)
			case "free":
				pool.give(port, 0)
			case "other":
				pool.replace(port)
			}
		}
	}
}

func TestAPoolDrawsEveryNumberOnceTheEphemeralOnesLast(t *testing.T) {
	for _, start := range []uint32{0, 1, 22767, 4294967295} {
		pool := newPortPool(start)
		seen := map[uint16]bool{}
		for n := range portNumbers {
			port, ok := pool.take(0, portNumbers)
			switch {
			case !ok || seen[port] || port < 1024:
				t.Fatalf("start %d: draw %d gives %d, %t", start, n, port, ok)
			case (port >= 32768 && port <= 60999) != (n >= portNumbers-linuxPorts):
				t.Fatalf("start %d: draw %d gives %d", start, n, port)
			}
			seen[port] = true
		}
		if port, ok := pool.take(0, portNumbers+1); ok {
			t.Errorf("start %d: one more gives %d", start, port)
		}
	}
	if a, _ := newPortPool(1).draw(); a == func() uint16 { b, _ := newPortPool(2).draw(); return b }() {
		t.Error("two pools begin at one number")
	}
}

func TestAPoolTriesOthersPortsAgainWhenNothingElseIsLeft(t *testing.T) {
	pool := newPortPool(0)
	var first uint16
	for n := range portNumbers {
		port, _ := pool.take(0, 1)
		if n == 0 {
			first = port
		}
		pool.replace(port)
	}
	if port, ok := pool.take(0, 1); !ok || port != first {
		t.Errorf("got %d, %t, want %d again", port, ok, first)
	}
	if _, ok := pool.take(0, 1); ok {
		t.Error("a pool of one has two")
	}
}

func TestARestThatAReloadMadeShorterIsOverFirst(t *testing.T) {
	pool := newPortPool(0)
	long, _ := pool.take(0, 2)
	short, _ := pool.take(0, 2)
	pool.give(long, time.Minute)
	pool.give(short, time.Second)
	if port, ok := pool.take(2*time.Second, 2); !ok || port != short {
		t.Errorf("got %d, %t, want %d", port, ok, short)
	}
	if _, ok := pool.take(59*time.Second, 2); ok {
		t.Error("the longer rest was cut short")
	}
	if _, ok := pool.take(time.Minute, 2); !ok {
		t.Error("the longer rest is not over")
	}
}

// portOf is the port that a backend sees.
func portOf(c net.Conn) int { return c.RemoteAddr().(*net.TCPAddr).Port }

func TestWithoutAFreePortAConnectionEndsInTheMannerSet(t *testing.T) {
	for manner, want := range map[string][2]string{
		"close":   {eof, "refused fin source-ports"},
		"swallow": {silence, "refused silent source-ports"},
	} {
		t.Run(manner, func(t *testing.T) {
			l := start(t, with(t, "source-ports=2", "port-exhaustion="+manner))
			first, server := l.connect()
			_, other := l.connect()
			if portOf(server) == portOf(other) {
				t.Errorf("both are dialled from port %d", portOf(server))
			}
			third := l.dial("n1")
			l.tells("n1#3", want[1])
			expect(t, "who has no port", third, want[0])
			if got, want := l.notes("n1#3"), "source-ports: no port is free: 2 are in use and 0 rest of 2"; !slices.Equal(got, []string{want}) {
				t.Errorf("got %q, want %q", got, want)
			}
			begun := l.find(KindBegin, "n1#1")
			if want := server.RemoteAddr().String(); begun.LocalAddr != want {
				t.Errorf("the balancer says it dialled from %s, the backend saw %s", begun.LocalAddr, want)
			}

			server.Close() // the backend first: the port is free when the client has gone, too
			expect(t, "client", first, eof)
			first.Close()
			l.find(KindEnd, "n1#1")
			l.untilServed("n1", "b1", portOf(server))
		})
	}
}

// untilServed connects until a connection reaches its backend, from the port given if it is not 0, and says from which.
func (l *lab) untilServed(name, backend string, from int) (port int) {
	l.t.Helper()
	until(l.t, "a connection to be served", func() (bool, string) {
		c, err := net.Dial("tcp", l.Addr(name))
		if err != nil {
			return false, err.Error()
		}
		defer c.Close()
		// What became of it is told: one that was left before it was served would let its port rest.
		var became Event
		until(l.t, "what becomes of a connection", func() (bool, string) {
			for _, e := range slices.Backward(l.all()) {
				if e.ClientAddr == c.LocalAddr().String() && (e.Kind == KindBegin || e.Kind == KindRefused) {
					became = e
					return true, ""
				}
			}
			return false, "nothing is told"
		})
		if became.Kind == KindRefused {
			return false, became.What
		}
		s := l.reached(backend)
		defer s.Close()
		port = portOf(s)
		if from != 0 && port != from {
			l.t.Errorf("the backend saw port %d, want %d", port, from)
		}
		return true, ""
	})
	return port
}

// closeFirst has a client end its connection, so that the balancer is the first to close towards the backend.
func (l *lab) closeFirst(conn string, client, server *net.TCPConn) {
	l.t.Helper()
	client.Close()
	expect(l.t, "server", server, eof)
	server.Close()
	l.find(KindEnd, conn)
}

func TestAPortRestsAfterTheBalancerClosedFirst(t *testing.T) {
	const rests = 400 * time.Millisecond
	l := start(t, with(t, "source-ports=1", "port-reuse-delay="+rests.String()))
	client, server := l.connect()
	began := time.Now()
	l.closeFirst("n1#1", client, server)
	// The kernel's own TIME_WAIT of the same port does not stand in the way.
	l.untilServed("n1", "b1", portOf(server))
	if took := time.Since(began); took < rests {
		t.Errorf("the port was used again after %s, want %s or more", took, rests)
	}
}

func TestAPortIsFreeAtOnceAfterAReset(t *testing.T) {
	l := start(t, with(t, "source-ports=1"))
	client, server := l.connect()
	client.SetLinger(0)
	client.Close()
	expect(t, "server", server, rst)
	l.untilServed("n1", "b1", portOf(server))
}

func TestEachBackendHasPortsOfItsOwn(t *testing.T) {
	l := start(t, with(t, "source-ports=1"), front{Front{Name: "n1"}, []string{"b1"}}, front{Front{Name: "n2"}, []string{"b2"}})
	l.connect()
	say(t, l.dial("n2"), l.reached("b2"), "another backend")
	expect(t, "one too many", l.dial("n2"), eof)
}

func TestPortsOutliveARestart(t *testing.T) {
	for _, kind := range []string{"crash", "reload"} {
		t.Run("resting over a "+kind, func(t *testing.T) {
			l := start(t, with(t, "source-ports=1", "restart="+kind))
			client, server := l.connect()
			l.closeFirst("n1#1", client, server)
			if err := l.Strike(t.Context()); err != nil {
				t.Fatal(err)
			}
			expect(t, "who finds the port resting", l.dial("n1"), eof)
			l.tells("n1#2", "refused fin source-ports")
		})
	}
	t.Run("ended by a crash", func(t *testing.T) {
		l := start(t, with(t, "source-ports=1", "restart=crash"))
		l.connect()
		if err := l.Strike(t.Context()); err != nil {
			t.Fatal(err)
		}
		expect(t, "who finds the port resting", l.dial("n1"), eof)
		l.tells("n1#2", "refused fin source-ports")
	})
	t.Run("live over a reload", func(t *testing.T) {
		l := start(t, with(t, "source-ports=1", "restart=reload"))
		first, server := l.connect()
		if err := l.Strike(t.Context()); err != nil {
			t.Fatal(err)
		}
		expect(t, "who finds the port in use", l.dial("n1"), eof)
		server.Close()
		expect(t, "client", first, eof)
		first.Close()
		l.find(KindEnd, "n1#1")
		l.untilServed("n1", "b1", portOf(server)) // given back by a connection of the old instance
	})
	t.Run("with more of them after a reload", func(t *testing.T) {
		l := start(t, with(t, "source-ports=1"))
		l.connect()
		if err := l.Reload(with(t, "source-ports=2")); err != nil {
			t.Fatal(err)
		}
		l.connect()
		expect(t, "one too many", l.dial("n1"), eof)
	})
}

func TestAPortThatSomebodyElseHasIsPassedOver(t *testing.T) {
	l := start(t, with(t, "source-ports=1"))
	client, server := l.connect()
	port := portOf(server)
	server.Close()
	expect(t, "client", client, eof)
	client.Close()
	l.find(KindEnd, "n1#1")
	// A listener at the port: binding it fails, whatever the options.
	squatter, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		t.Skip("the port was taken by a third party:", err)
	}
	defer squatter.Close()
	if got := l.untilServed("n1", "b1", 0); got == port {
		t.Errorf("port %d is in two hands", port)
	}
}

func TestAFailedDialGivesItsPortBack(t *testing.T) {
	l := listen(t, with(t, "source-ports=1"))
	dead := Backend{Name: "b1", Addr: l.backends["n1"][0].Addr}
	probe, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	dead.Addr = probe.Addr().String()
	probe.Close()
	if err := l.Serve(map[string][]Backend{"n1": {dead}}); err != nil {
		t.Fatal(err)
	}
	for n := range 3 {
		expect(t, "client", l.dial("n1"), eof)
		l.tells(fmt.Sprintf("n1#%d", n+1), "refused fin connection refused")
	}
}

func TestClosingWhileTheSwallowedWait(t *testing.T) {
	l := start(t, with(t, "source-ports=1", "port-exhaustion=swallow", "stall=1h"))
	l.connect()
	swallowed := l.dial("n1")
	l.find(KindRefused, "n1#2")
	ctx, cancel := context.WithCancel(t.Context())
	struck := make(chan error)
	go func() { struck <- l.Strike(ctx) }()
	l.event(KindStall)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	cancel()
	<-struck
	expect(t, "who was swallowed", swallowed, eof)
}

func TestWhereAPortIsBound(t *testing.T) {
	for backend, want := range map[string]string{
		"127.0.0.1:4222": "127.0.0.1", "127.0.0.2:4222": "127.0.0.1", "[::1]:4222": "::1", "[::ffff:127.0.0.1]:4222": "127.0.0.1",
		"10.0.0.1:4222": "<nil>", "[fd00::1]:4222": "<nil>", "n1.nats:4222": "<nil>", "localhost:4222": "<nil>",
	} {
		if got := sourceIP(backend).String(); got != want {
			t.Errorf("%s: got %s, want %s", backend, got, want)
		}
	}
}

func TestABackendOnIPv6OrByName(t *testing.T) {
	for _, host := range []string{"[::1]", "localhost"} {
		t.Run(host, func(t *testing.T) {
			at := host
			if host == "localhost" {
				at = "127.0.0.1"
			}
			l := listen(t, with(t, "source-ports=2", "port-exhaustion=close"))
			behind, err := net.Listen("tcp", at+":0")
			if err != nil {
				t.Skip("this machine has no such address:", err)
			}
			defer behind.Close()
			addr := net.JoinHostPort(strings.Trim(host, "[]"), fmt.Sprint(behind.Addr().(*net.TCPAddr).Port))
			if err := l.Serve(map[string][]Backend{"n1": {{Name: "b1", Addr: addr}}}); err != nil {
				t.Fatal(err)
			}
			client := l.dial("n1")
			server, err := behind.Accept()
			if err != nil {
				t.Fatal(err)
			}
			defer server.Close()
			say(t, client, server, "hello")
			if port := portOf(server); port >= 32768 && port <= 60999 {
				t.Errorf("dialled from %d, which is the system's choice", port)
			}
		})
	}
}
