package proxies

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"runtime"
	"sync"
	"syscall"
	"testing"
	"time"
)

// lanes are the ways in which bytes can be carried, with stock toxics of toxiproxy's among them.
var lanes = map[string]Profile{
	"copying lane":              copying(),
	"plain lane":                Direct(),
	"a toxic that does nothing": withToxics(Toxic{Type: "noop"}),
	"latency":                   withToxics(Toxic{"latency", map[string]int{"latency": 5, "jitter": 2}}),
	"slicer":                    withToxics(Toxic{"slicer", map[string]int{"average_size": 1000, "size_variation": 300}}),
	"all of them":               withToxics(Toxic{"latency", map[string]int{"latency": 1}}, Toxic{Type: "noop"}, Toxic{"slicer", map[string]int{"average_size": 9000}}),
}

func TestBytesArriveAsTheyWereSent(t *testing.T) {
	const size = 3<<20 + 17
	for name, p := range lanes {
		t.Run(name, func(t *testing.T) {
			l := start(t, p)
			client, server := l.connect()
			var both sync.WaitGroup
			both.Go(func() { carries(t, client, server, size, 1) })
			both.Go(func() { carries(t, server, client, size, 2) })
			both.Wait()
			l.tells("n1#1", "begin", "end fin "+l.event(KindEnd).Why)
			if end := l.event(KindEnd); end.Up != size+5 || end.Down != size {
				t.Errorf("got %d bytes up and %d down, want %d and %d", end.Up, end.Down, size+5, size)
			}
		})
	}
}

// carries sends random bytes in pieces of random size, half-closes, and compares what arrives by hash.
func carries(t *testing.T, from, to *net.TCPConn, size int64, seed uint64) {
	var sending sync.WaitGroup
	defer sending.Wait()
	sent := sha256.New()
	sending.Go(func() {
		chance := rand.New(rand.NewPCG(seed, 0))
		bytes := io.LimitReader(rand.NewChaCha8([32]byte{byte(seed)}), size)
		for {
			n, err := io.CopyN(io.MultiWriter(from, sent), bytes, 1+chance.Int64N(40_000))
			if n == 0 || err != nil {
				break
			}
		}
		from.CloseWrite()
	})
	to.SetReadDeadline(time.Now().Add(4 * patience))
	got := sha256.New()
	n, err := io.Copy(got, to)
	sending.Wait()
	if n != size || err != nil {
		t.Errorf("got %d bytes and %v, want %d", n, err, size)
	}
	if fmt.Sprintf("%x", got.Sum(nil)) != fmt.Sprintf("%x", sent.Sum(nil)) {
		t.Error("what arrived is not what was sent")
	}
}

// The faults of toxiproxy's own proxy that are not to be ours:
//
//	a half-close ends both directions               TestAHalfCloseLeavesTheOtherDirectionOpen
//	an RST arrives as a FIN                         TestAResetArrivesAsAReset, TestResetPeerResetsBothEndsAfterItsTime
//	a change hangs while one client does not read   TestAClientThatDoesNotReadHoldsUpNoChange
//	and for ever when that one aborts               TestAStalledClientMayAbortWhileToxicsChange
//	an aborted download leaves goroutines behind    TestAbortedDownloadsLeaveNothing
//	a backend that is silent stops all accepting    TestABackendThatDoesNotAnswerStopsNobodyElse
//	an address that comes again hides a connection  TestAnAddressThatComesAgainIsAnotherConnection
//	an update races with the bytes                  TestAnUpdateDoesNotRaceWithTheBytes
//	stopping what was never started hangs           TestNoRequestHangs

func TestAHalfCloseLeavesTheOtherDirectionOpen(t *testing.T) {
	for name, p := range lanes {
		for _, who := range []string{"client", "server"} {
			t.Run(who+" closes first through "+name, func(t *testing.T) {
				l := start(t, p)
				closes, answers := l.connect()
				if who == "server" {
					closes, answers = answers, closes
				}
				closes.CloseWrite()
				expect(t, "the other end", answers, eof)
				say(t, answers, closes, "a late answer")
				l.tells("n1#1", "begin")
				answers.CloseWrite()
				expect(t, "who closed first", closes, eof)
				l.tells("n1#1", "begin", "end fin "+who)
			})
		}
	}
}

func TestAResetArrivesAsAReset(t *testing.T) {
	for name, p := range lanes {
		for _, who := range []string{"client", "server"} {
			t.Run(who+" resets through "+name, func(t *testing.T) {
				l := start(t, p)
				resets, other := l.connect()
				if who == "server" {
					resets, other = other, resets
				}
				resets.SetLinger(0)
				resets.Close()
				expect(t, "the other end", other, rst)
				l.tells("n1#1", "begin", "end rst "+who)
			})
		}
	}
}

func TestAResetUnderTrafficIsNeverTakenForAnEndOfStream(t *testing.T) {
	bothLanes(t, "writing to who resets", func(t *testing.T, lane Profile) {
		l := start(t, lane)
		for n := range 50 {
			client, server := l.connect()
			var failed error
			var writing sync.WaitGroup
			writing.Go(func() {
				for failed == nil {
					_, failed = client.Write([]byte("more and more"))
				}
			})
			server.SetLinger(0)
			server.Close()
			found := finds(client, patience)
			writing.Wait()
			// The system reports a reset once, to the reader or to the writer; after a FIN it would be
			// reported to neither.
			if found != rst && !errors.Is(failed, syscall.ECONNRESET) {
				t.Errorf("client finds %s and %v, want %s in one of them", found, failed, rst)
			}
			l.tells(fmt.Sprintf("n1#%d", n+1), "begin", "end rst server")
		}
	})
}

func TestAbortedDownloadsLeaveNothing(t *testing.T) {
	for name, p := range lanes {
		t.Run(name, func(t *testing.T) {
			l := start(t, p) // its clean-up looks for goroutines
			var serving sync.WaitGroup
			for range 20 {
				client, server := l.connect()
				serving.Go(func() {
					for {
						if _, err := server.Write(make([]byte, 50_000)); err != nil {
							return
						}
					}
				})
				io.CopyN(io.Discard, client, 100_000)
				client.SetLinger(0)
				client.Close()
			}
			serving.Wait()
			until(t, "all connections to end", func() (bool, string) {
				ends := 0
				for _, e := range l.all() {
					if e.Kind == KindEnd {
						ends++
					}
				}
				return ends == 20, fmt.Sprintf("%d of 20 have", ends)
			})
		})
	}
}

func TestAClientThatDoesNotReadHoldsUpNobodyElse(t *testing.T) {
	for name, p := range lanes {
		t.Run(name, func(t *testing.T) {
			l := start(t, p)
			_, server := l.connect()
			server.SetWriteDeadline(time.Now().Add(patience))
			var flooding sync.WaitGroup
			flooding.Go(func() { server.Write(make([]byte, 64<<20)) }) // more than all buffers hold
			defer flooding.Wait()
			for range 3 {
				other, served := l.connect()
				say(t, served, other, "still here")
				other.Close()
			}
			began := time.Now()
			if err := l.Close(); err != nil {
				t.Error(err)
			}
			if took := time.Since(began); took > patience/2 { // far less than the flood would go on for
				t.Errorf("closing took %s while a client did not read", took)
			}
		})
	}
}

func TestABackendThatDoesNotAnswerStopsNobodyElse(t *testing.T) {
	silent := deafBackend(t)
	l := listen(t, Direct(), front{Front{Name: "n1"}, []string{"b1"}}, front{Front{Name: "n2"}, []string{"b2"}})
	l.backends["n1"] = append([]Backend{{Name: "deaf", Addr: silent}}, l.backends["n1"]...)
	if err := l.Serve(l.backends); err != nil {
		t.Fatal(err)
	}
	waits := l.dial("n1")
	until(t, "the first connection to have its backend", func() (bool, string) { // or it is not the first
		l.live.mu.Lock()
		defer l.live.mu.Unlock()
		return l.live.active[l.backends["n1"][0]] == 1, "not yet"
	})
	other := l.dial("n2")
	say(t, other, l.reached("b2"), "another frontend")
	next := l.dial("n1")
	say(t, next, l.reached("b1"), "the same frontend")
	expect(t, "who waits for the backend", waits, silence)
	began := time.Now()
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	if took := time.Since(began); took > dialFor-time.Second { // less than the dial would go on for
		t.Errorf("closing took %s while a dial was under way", took)
	}
	expect(t, "who waited for the backend", waits, eof)
	l.tells("n1#1", "refused fin close")
}

// deafBackend is an address whose backlog is full: connecting to it is not answered.
func deafBackend(t *testing.T) string {
	t.Helper()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { syscall.Close(fd) })
	if err := errors.Join(syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}), syscall.Listen(fd, 0)); err != nil {
		t.Fatal(err)
	}
	name, err := syscall.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	addr := fmt.Sprintf("127.0.0.1:%d", name.(*syscall.SockaddrInet4).Port)
	for range 10 {
		c, err := net.DialTimeout("tcp", addr, time.Second) // one that is answered takes a busy machine less
		if err != nil {
			return addr
		}
		t.Cleanup(func() { c.Close() })
	}
	if runtime.GOOS == "linux" {
		t.Fatal("the backlog does not fill") // it does on Linux, which is what CI runs on
	}
	t.Skip("this system's backlog does not fill")
	return ""
}

func TestADeadBackendEndsTheClientAtOnce(t *testing.T) {
	l := listen(t, Direct())
	dead, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	dead.Close()
	if err := l.Serve(map[string][]Backend{"n1": {{Name: "b1", Addr: dead.Addr().String()}}}); err != nil {
		t.Fatal(err)
	}
	client := l.dial("n1")
	expect(t, "client", client, eof)
	l.tells("n1#1", "refused fin connection refused")
	e := l.event(KindRefused)
	if e.Backend != "b1" || e.BackendAddr != dead.Addr().String() || e.ClientAddr != client.LocalAddr().String() {
		t.Errorf("got %+v, want the backend and both addresses", e)
	}
}

func TestNothingIsForwardedBeforeServe(t *testing.T) {
	l := listen(t, Direct())
	client := l.dial("n1")
	io.WriteString(client, "early")
	expect(t, "client", client, silence)
	if err := l.Serve(l.backends); err != nil {
		t.Fatal(err)
	}
	hears(t, l.reached("b1"), "early")
}

func TestFrontendsMayServeOneAfterAnother(t *testing.T) {
	l := listen(t, Direct(), front{Front{Name: "n1"}, []string{"b1"}}, front{Front{Name: "n2"}, []string{"b2"}})
	waits := l.dial("n2")
	serve := func(front string) error { return l.Serve(map[string][]Backend{front: l.backends[front]}) }
	if err := serve("n1"); err != nil {
		t.Fatal(err)
	}
	client, server := l.connect()
	expect(t, "who waits at the other frontend", waits, silence)
	if err := serve("n2"); err != nil {
		t.Fatal(err)
	}
	say(t, waits, l.reached("b2"), "let in")
	say(t, client, server, "undisturbed")
	if err := serve("n1"); err == nil {
		t.Error("a frontend was served twice")
	}
}

func TestCutTakesTheConnectionOfThatName(t *testing.T) {
	l := start(t, Direct(), front{Front{Name: "n1"}, []string{"b1"}}, front{Front{Name: "n2"}, []string{"b2"}})
	client, server := l.connect()
	other := l.dial("n2")
	l.tells("n2#2", "begin")
	if !l.Cut("n2#2") {
		t.Error("n2#2 was not cut")
	}
	expect(t, "who was cut", other, rst)
	say(t, client, server, "untouched")
}

func TestEventsNameTheFourEnds(t *testing.T) {
	l := start(t, Direct())
	client, server := l.connect()
	e := l.event(KindBegin)
	for _, c := range []struct{ what, got, want string }{
		{"front", e.Front, "n1"}, {"backend", e.Backend, "b1"}, {"conn", e.Conn, "n1#1"},
		{"client", e.ClientAddr, client.LocalAddr().String()}, {"frontend", e.FrontAddr, l.Addr("n1")},
		{"local", e.LocalAddr, server.RemoteAddr().String()}, {"backend's address", e.BackendAddr, server.LocalAddr().String()},
	} {
		if c.got != c.want {
			t.Errorf("%s: got %s, want %s", c.what, c.got, c.want)
		}
	}
}

func TestCutResetsBothEnds(t *testing.T) {
	bothLanes(t, "cut", func(t *testing.T, lane Profile) {
		l := start(t, lane)
		if l.Cut("n1#1") {
			t.Error("a connection was cut where there is none")
		}
		client, server := l.connect()
		otherClient, otherServer := l.connect()
		if !l.Cut("n1#1") {
			t.Error("n1#1 was not cut")
		}
		expect(t, "client", client, rst)
		expect(t, "server", server, rst)
		l.tells("n1#1", "begin", "end rst cut")
		say(t, otherClient, otherServer, "untouched")
	})
}

func TestCloseEndsEverythingByFIN(t *testing.T) {
	bothLanes(t, "close", func(t *testing.T, lane Profile) {
		l := start(t, lane)
		client, server := l.connect()
		io.WriteString(client, "unread at the time")
		if err := l.Close(); err != nil {
			t.Error(err)
		}
		io.ReadFull(server, make([]byte, len("unread at the time"))) // it may or may not have arrived
		expect(t, "client", client, eof)
		l.tells("n1#1", "begin", "end fin close")
		if c, err := net.Dial("tcp", l.Addr("n1")); err == nil {
			c.Close()
			t.Error("a closed balancer accepts")
		}
		if err := l.Close(); err != nil {
			t.Error("closing again:", err)
		}
		if err := l.Serve(l.backends); err == nil {
			t.Error("a closed balancer serves")
		}
	})
}

func TestConnectionsEndAtTheirAge(t *testing.T) {
	const age = 200 * time.Millisecond
	bothLanes(t, "busy", func(t *testing.T, lane Profile) {
		l := start(t, add(t, lane, "max-lifetime="+age.String()))
		client, server := l.connect()
		var talking sync.WaitGroup
		defer talking.Wait()
		talking.Go(func() { io.Copy(server, server) }) // an echo
		for {
			if _, err := io.WriteString(client, "."); err != nil {
				break
			}
			if got := finds(client, patience); got != `byte '.'` {
				if got != eof {
					t.Errorf("client finds %s, want %s", got, eof)
				}
				break
			}
		}
		l.tells("n1#1", "begin", "expired fin max-lifetime", "end fin max-lifetime")
		if e := l.event(KindExpired); e.Age < age {
			t.Errorf("ended at the age of %s, want %s", e.Age, age)
		}
	})
}

func TestMistakesInListeningAndServingAreErrors(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	for what, fronts := range map[string][]Front{
		"an address that is taken":    {{Name: "a"}, {Name: "b", Listen: taken.Addr().String()}},
		"an address that is none":     {{Name: "a", Listen: "nowhere"}},
		"two frontends with one name": {{Name: "a"}, {Name: "a"}},
	} {
		if b, err := Listen(Direct(), fronts, func(Event) {}); err == nil {
			t.Errorf("%s: listened", what)
			b.Close()
		}
	}
	if b, err := Listen(with(t, "idle-expiry=rst"), []Front{{Name: "a"}}, func(Event) {}); err == nil {
		t.Error("listened with settings that contradict each other")
		b.Close()
	}
	l := listen(t, Direct())
	if err := l.Strike(t.Context()); err == nil {
		t.Error("struck before serving")
	}
	if err := l.Serve(map[string][]Backend{"n1": {{Name: "b1", Addr: "127.0.0.1:1"}}, "n9": {{Name: "b1", Addr: "127.0.0.1:1"}}}); err == nil {
		t.Error("served a frontend that does not exist")
	}
}

// closing is a policy that refuses connections and is to be closed.
type closing struct {
	staged
	closed chan struct{}
}

func (c closing) Start() Policy     { return c }
func (c closing) Admit(*Flow) error { return errors.New("closing time") }
func (c closing) Close() error      { close(c.closed); return nil }

func TestAPolicyMayRefuseAndIsClosedAtTheEnd(t *testing.T) {
	c := closing{closed: make(chan struct{})}
	l := start(t, Profile{Behaviours: []Behaviour{c}})
	client := l.dial("n1")
	expect(t, "client", client, eof)
	expect(t, "server", l.reached("b1"), eof)
	l.tells("n1#1", "refused fin closing time")
	l.Close()
	select {
	case <-c.closed:
	default:
		t.Error("the policy was not closed")
	}
}

func TestAToxicThatCannotBeStagedRefusesTheConnection(t *testing.T) {
	for _, toxic := range []Toxic{
		{Type: "no-such"},
		{"latency", map[string]string{"latency": "long"}},
		{"slicer", map[string]int{"average_size": 0}}, // for which toxiproxy's own ends the process
		{"bandwidth", map[string]int{"rate": -1}},     // likewise
	} {
		t.Run(toxic.Type, func(t *testing.T) {
			l := start(t, withToxics(toxic))
			expect(t, "client", l.dial("n1"), eof)
			l.event(KindRefused)
		})
	}
}
