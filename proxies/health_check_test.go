package proxies

import (
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

func TestHealth(t *testing.T) {
	for _, c := range []struct {
		what   string
		fall   int
		checks string // + good, - failed
		want   string // u up, d down, after each check
	}{
		{"a healthy backend stays up", 3, "++++", "uuuu"},
		{"failures in a row take it out", 3, "---", "uud"},
		{"a good check in between starts the count again", 3, "--+--+---", "uuuuuuuud"},
		{"two good ones in a row bring it back", 2, "--++", "uddu"},
		{"one good one does not", 2, "--+-+-", "uddddd"},
		{"it falls again as before", 2, "--++--", "udduud"},
		{"a fall of one is quick", 1, "-++-", "ddud"},
	} {
		h := health{fall: c.fall, rise: 2}
		got := ""
		for _, check := range c.checks {
			h.hears(check == '+')
			got += map[bool]string{true: "d", false: "u"}[h.down]
		}
		if got != c.want {
			t.Errorf("%s: got %s, want %s", c.what, got, c.want)
		}
	}
}

// healthy is a monitoring port whose answer can be changed; 0 is none.
func healthy(t *testing.T) (addr string, answer *atomic.Int32, asked *atomic.Int32) {
	t.Helper()
	answer, asked = new(atomic.Int32), new(atomic.Int32)
	answer.Store(http.StatusOK)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		if r.URL.Path != "/healthz" || r.Method != http.MethodGet {
			t.Errorf("asked for %s %s", r.Method, r.URL.Path)
		}
		status := int(answer.Load())
		if status == 0 {
			<-r.Context().Done()
			return
		}
		if status == http.StatusFound {
			w.Header().Set("Location", "/")
		}
		w.WriteHeader(status)
	}))
	t.Cleanup(server.Close)
	return server.Listener.Addr().String(), answer, asked
}

// monitored starts a balancer over two backends, the first of which has a monitoring port.
func monitored(t *testing.T, p Profile) (l *lab, answer, asked *atomic.Int32) {
	t.Helper()
	if testing.Short() {
		t.Skip("uses the network")
	}
	l = listen(t, p, bothBehindOne)
	first, answer, asked := healthy(t)
	second, _, _ := healthy(t)
	l.backends["vip"][0].Monitor, l.backends["vip"][1].Monitor = first, second
	if err := l.Serve(l.backends); err != nil {
		t.Fatal(err)
	}
	return l, answer, asked
}

func TestABackendThatIsNotHealthyLeavesTheRotationAndComesBack(t *testing.T) {
	for name, status := range map[string]int{"an error": 503, "a redirect": 302, "silence": 0} {
		t.Run(name, func(t *testing.T) {
			l, answer, _ := monitored(t, with(t, "health-check=http", "health-interval=20ms", "health-fall=2"))
			client, server := l.dial("vip"), l.reached("b1")
			answer.Store(int32(status))
			down := l.event(KindDown)
			if down.Backend != "b1" || !strings.HasPrefix(down.What, "2 http checks in a row failed: ") {
				t.Errorf("got %+v", down)
			}
			for range 2 {
				say(t, l.dial("vip"), l.reached("b2"), "the one that is left")
			}
			say(t, client, server, "kept")
			answer.Store(200)
			if up := l.event(KindUp); up.Backend != "b1" || up.What != "2 http checks in a row were good" {
				t.Errorf("got %+v", up)
			}
			l.dial("vip")
			l.dial("vip")
			l.reached("b1")
			l.tells("", "down", "up")
		})
	}
}

func TestOnDownEndsLiveConnections(t *testing.T) {
	for manner, want := range map[string][3]string{
		"close": {eof, "expired fin on-down", "end fin on-down"},
		"reset": {rst, "expired rst on-down", "end rst on-down"},
	} {
		t.Run(manner, func(t *testing.T) {
			l, answer, _ := monitored(t, with(t, "health-check=http", "health-interval=20ms", "on-down="+manner))
			client, server := l.dial("vip"), l.reached("b1")
			other, behind := l.dial("vip"), l.reached("b2")
			answer.Store(500)
			expect(t, "client", client, want[0])
			expect(t, "server", server, want[0])
			l.tells("vip#1", "begin", want[1], want[2])
			say(t, other, behind, "not concerned")
		})
	}
}

func TestOnDownHeedsWhoeverSaysSo(t *testing.T) {
	l := start(t, with(t, "on-down=reset"), bothBehindOne)
	client, server := l.dial("vip"), l.reached("b1")
	l.live.pool.Down(l.backends["vip"][0], true, "somebody says so")
	expect(t, "client", client, rst)
	expect(t, "server", server, rst)
}

func TestARemovedBackendIsNotDown(t *testing.T) {
	l := start(t, with(t, "on-down=reset"), bothBehindOne)
	client, server := l.dial("vip"), l.reached("b1")
	if err := l.Remove("b1"); err != nil {
		t.Fatal(err)
	}
	expect(t, "client", client, silence)
	say(t, client, server, "still here")
}

func TestCheckingByConnectingSeesADeadBackend(t *testing.T) {
	for _, kind := range []string{"tcp", "connect"} {
		t.Run(kind, func(t *testing.T) {
			l := listen(t, with(t, "health-check="+kind, "health-interval=20ms"), bothBehindOne)
			gone, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			l.backends["vip"][0].Addr = gone.Addr().String()
			gone.Close()
			if err := l.Serve(l.backends); err != nil {
				t.Fatal(err)
			}
			down := l.event(KindDown)
			if want := "3 " + kind + " checks in a row failed: connection refused"; down.Backend != "b1" || down.What != want {
				t.Errorf("got %q of %s, want %q of b1", down.What, down.Backend, want)
			}
		})
	}
}

func TestWhatABackendSeesOfChecks(t *testing.T) {
	t.Run("connect", func(t *testing.T) {
		l := start(t, with(t, "health-check=connect", "health-interval=20ms"))
		for range 3 {
			expect(t, "the backend", l.reached("b1"), eof)
		}
	})
	t.Run("tcp", func(t *testing.T) {
		l := start(t, with(t, "health-check=tcp", "health-interval=5ms"))
		seen := 0
		quiet := time.After(300 * time.Millisecond) // some 50 checks
		for over := false; !over; {
			select {
			case c := <-l.accepted["b1"]:
				seen++
				c.Close()
			case <-quiet:
				over = true
			}
		}
		// A check that was not scheduled for 40 ms or more completes its handshake: the kernel sends the ACK.
		if seen > 10 {
			t.Errorf("%d checks were accepted", seen)
		}
	})
}

func TestTheFirstCheckComesAtOnce(t *testing.T) {
	l, _, asked := monitored(t, with(t, "health-check=http", "health-interval=1h"))
	until(t, "the first check", func() (bool, string) { return asked.Load() == 1, "not asked" })
	if err := l.Close(); err != nil {
		t.Error(err)
	}
}

func TestABackendWithoutAMonitorFailsItsHTTPChecks(t *testing.T) {
	l := start(t, with(t, "health-check=http", "health-interval=5ms"))
	if got, want := l.event(KindDown).What, "3 http checks in a row failed: its monitoring address is not known"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	expect(t, "a client with no backend left", l.dial("n1"), eof)
}

func TestHealthIsForgottenAndLearntAgain(t *testing.T) {
	for _, kind := range []string{"crash", "reload"} {
		t.Run(kind, func(t *testing.T) {
			l, answer, _ := monitored(t, with(t, "health-check=http", "health-interval=20ms", "restart="+kind))
			answer.Store(500)
			l.event(KindDown)
			if err := l.Strike(t.Context()); err != nil {
				t.Fatal(err)
			}
			until(t, "the new instance to find out", func() (bool, string) {
				got := l.story("")
				return slices.Equal(got[max(0, len(got)-1):], []string{"down"}), strings.Join(got, ", ")
			})
		})
	}
}

func TestNothingIsCheckedInAStall(t *testing.T) {
	l, answer, asked := monitored(t, with(t, "health-check=http", "health-interval=10ms", "stall=300ms"))
	until(t, "some checks", func() (bool, string) { return asked.Load() > 2, "few" })
	struck := make(chan error)
	go func() { struck <- l.Strike(t.Context()) }()
	l.event(KindStall)
	answer.Store(500)
	if err := <-struck; err != nil {
		t.Fatal(err)
	}
	if down, resumed := l.event(KindDown), l.event(KindResume); down.At.Before(resumed.At) {
		t.Error("a backend was found to be down in a stall")
	}
}

func TestClosingWhileACheckWaits(t *testing.T) {
	l, answer, asked := monitored(t, with(t, "health-check=http", "health-interval=10ms", "health-fall=1000"))
	answer.Store(0)
	before := asked.Load()
	until(t, "a check that gets no answer", func() (bool, string) { return asked.Load() > before, "not asked" })
	if err := l.Close(); err != nil {
		t.Error(err)
	}
}
