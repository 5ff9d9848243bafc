package proxies

import (
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"net"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// changes are toxics that a frontend's connections are given one after another under traffic.
var changes = [][]StagedToxic{
	{at(Down, "latency", map[string]int{"latency": 3, "jitter": 1})},
	{at(Down, "latency", map[string]int{"latency": 3, "jitter": 1}), at(Up, "slicer", map[string]int{"average_size": 20_000, "size_variation": 5000})},
	{at(Up, "slicer", map[string]int{"average_size": 20_000, "size_variation": 5000}), at(Down, "noop", nil)},
	{},
	{at(Up, "bandwidth", map[string]int{"rate": 1_000_000}), at(Up, "latency", map[string]int{"latency": 1}), at(Up, "slow_close", map[string]int{"delay": 20})},
	{at(Up, "latency", map[string]int{"latency": 1}), at(Up, "bandwidth", map[string]int{"rate": 2_000_000}), at(Down, "slicer", map[string]int{"average_size": 9000})},
	{at(Up, "latency", map[string]int{"latency": 2}), at(Down, "slicer", map[string]int{"average_size": 9000}), at(Down, "latency", map[string]int{"latency": 2})},
	{},
}

func at(d Direction, kind string, attributes any) StagedToxic {
	return StagedToxic{Toxic: Toxic{kind, attributes}, Direction: d, Toxicity: 1}
}

func (l *lab) set(toxics ...StagedToxic) {
	l.t.Helper()
	if err := l.SetToxics("n1", toxics); err != nil {
		l.t.Error(err)
	}
}

// changed waits until all connections have the toxics that were set last, and says how long that took.
func (l *lab) changed(toxics ...StagedToxic) time.Duration {
	l.t.Helper()
	began := time.Now()
	l.set(toxics...)
	done := make(chan struct{})
	go func() { l.door("n1").toxics.adapting.Wait(); close(done) }()
	select {
	case <-done:
	case <-time.After(patience):
		l.t.Fatalf("a change to %d toxics took longer than %s", len(toxics), patience)
	}
	return time.Since(began)
}

func TestToxicsComeAndGoUnderTraffic(t *testing.T) {
	size := int64(256 << 20)
	if raceEnabled {
		size = 32 << 20
	}
	l := start(t, Direct())
	done := make(chan struct{})
	var changing sync.WaitGroup
	var times atomic.Int64
	changing.Go(func() {
		chance := rand.New(rand.NewPCG(1, 0))
		for {
			l.set(changes[int(times.Load())%len(changes)]...)
			times.Add(1)
			select {
			case <-done:
				return
			case <-time.After(time.Duration(chance.IntN(6)) * time.Millisecond):
			}
		}
	})
	late := time.Now().Add(2 * patience)
	// Each of them at the least once: on a busy machine all bytes of a connection may have moved before.
	for n, enough := 1, false; !enough && !t.Failed(); n++ {
		client, server := l.connect()
		var both sync.WaitGroup
		both.Go(func() { carries(t, client, server, size, 1) })
		both.Go(func() { carries(t, server, client, size, 2) })
		both.Wait()
		if end := l.find(KindEnd, fmt.Sprintf("n1#%d", n)); end.Up != size+5 || end.Down != size {
			t.Errorf("got %d bytes up and %d down, want %d and %d", end.Up, end.Down, size+5, size)
		}
		enough = int(times.Load()) >= len(changes)
		if !enough && time.Now().After(late) {
			t.Errorf("the toxics changed %d times while bytes moved, want %d or more", times.Load(), len(changes))
		}
	}
	close(done)
	changing.Wait()
	t.Logf("%d changes", times.Load())
}

// quick holds that a byte can take less than a latency that would hold up every one of them. A busy machine holds up one or
// another, so that it is tried until one is quick.
func quick(t *testing.T, from io.Writer, to net.Conn, late time.Duration) {
	t.Helper()
	until(t, fmt.Sprintf("a byte that takes less than %s", late), func() (bool, string) {
		took := takes(t, from, to)
		return took < late, fmt.Sprintf("the last took %s", took)
	})
}

// takes is how long one byte takes from one end to the other.
func takes(t *testing.T, from io.Writer, to net.Conn) time.Duration {
	t.Helper()
	began := time.Now()
	say(t, from, to, ".")
	return time.Since(began)
}

func TestAToxicActsOnLiveConnectionsUntilItIsTakenOff(t *testing.T) {
	const late = 300 * time.Millisecond
	l := start(t, Direct())
	client, server := l.connect()
	other, _ := l.dial("n1"), l.reached("b1")
	l.set(at(Down, "latency", map[string]int{"latency": int(late.Milliseconds())}))
	if took := takes(t, server, client); took < late {
		t.Errorf("a byte took %s with a latency of %s", took, late)
	}
	quick(t, client, server, late) // in the other direction
	l.set(at(Down, "latency", map[string]int{"latency": int(time.Hour.Milliseconds())}))
	server.Write([]byte("x")) // held by the toxic when that is taken off
	expect(t, "client", client, silence)
	l.set()
	hears(t, client, "x")
	quick(t, server, client, late)
	other.Close()
	if got := l.event(KindToxics); got.Front != "n1" || got.What != `latency_downstream latency {"latency":300}` {
		t.Errorf("got the event %+v", got)
	}
}

func TestToxicsAreForConnectionsToComeToo(t *testing.T) {
	const late = 100 * time.Millisecond
	l := start(t, Direct(), front{Front{Name: "n1"}, []string{"b1"}}, front{Front{Name: "n2"}, []string{"b2"}})
	l.set(at(Up, "latency", map[string]int{"latency": int(late.Milliseconds())}))
	client, server := l.dial("n1"), l.reached("b1")
	if took := takes(t, client, server); took < late {
		t.Errorf("a byte took %s with a latency of %s", took, late)
	}
	client, server = l.dial("n2"), l.reached("b2")
	quick(t, client, server, late)
}

func TestAStagedToxicStaysWhenOthersComeAndGo(t *testing.T) {
	const late = 100 * time.Millisecond
	l := start(t, withToxics(Toxic{"latency", map[string]int{"latency": int(late.Milliseconds())}}))
	client, server := l.connect()
	for range 3 {
		l.set(at(Up, "noop", nil))
		l.set()
		if took := takes(t, client, server); took < late {
			t.Errorf("a byte took %s with a latency of %s", took, late)
		}
	}
}

func TestAToxicThatStaysRemembers(t *testing.T) {
	l := start(t, Direct())
	limit := at(Up, "limit_data", map[string]int{"bytes": 10})
	l.set(limit)
	client, server := l.dial("n1"), l.reached("b1")
	say(t, client, server, "123456")
	l.set(limit, at(Up, "noop", nil))
	io.WriteString(client, "7890abc")
	hears(t, server, "7890")
	expect(t, "server", server, eof)
	expect(t, "client", client, eof)
	l.tells("n1#1", "begin", "expired fin limit_data", "end fin limit_data")
}

func TestTimeoutDropsAndEndsTheConnection(t *testing.T) {
	const timeout = 100 * time.Millisecond
	l := start(t, Direct())
	client, server := l.connect()
	began := time.Now() // the time runs from when the toxic is there, which is before this is told so
	l.set(at(Up, "timeout", map[string]int{"timeout": int(timeout.Milliseconds())}))
	io.WriteString(client, "dropped")
	expect(t, "server", server, eof)
	if took := time.Since(began); took < timeout {
		t.Errorf("ended after %s, want %s", took, timeout)
	}
	expect(t, "client", client, eof)
	l.tells("n1#1", "begin", "expired fin timeout", "end fin timeout")
}

func TestTakingATimeoutOffEndsTheConnection(t *testing.T) {
	l := start(t, Direct())
	client, server := l.connect()
	l.set(at(Down, "timeout", map[string]int{"timeout": 0}))
	for range 100 {
		server.Write(make([]byte, 100_000)) // dropped, and kept by nobody
	}
	expect(t, "client", client, silence)
	l.set()
	expect(t, "client", client, eof)
	expect(t, "server", server, eof)
	l.tells("n1#1", "begin", "expired fin timeout", "end fin timeout")
}

func TestResetPeerResetsBothEndsAfterItsTime(t *testing.T) {
	const timeout = 100 * time.Millisecond
	for _, how := range []string{"staged", "set", "changed meanwhile"} {
		t.Run(how, func(t *testing.T) {
			toxic := Toxic{"reset_peer", map[string]int{"timeout": int(timeout.Milliseconds())}}
			p := Direct()
			if how == "staged" {
				p = withToxics(toxic)
			}
			l := start(t, p)
			client, server := l.dial("n1"), l.reached("b1")
			l.tells("n1#1", "begin")
			set := StagedToxic{Toxic: toxic, Direction: Up, Toxicity: 1}
			if how != "staged" {
				l.set(set)
			}
			began := time.Now()
			io.WriteString(client, "dropped")
			for how == "changed meanwhile" && time.Since(began) < timeout/2 {
				l.set(set, at(Up, "noop", nil))
				l.set(set)
			}
			expect(t, "server", server, rst)
			if took := time.Since(began); took < timeout {
				t.Errorf("reset after %s, want %s", took, timeout)
			}
			expect(t, "client", client, rst)
			l.tells("n1#1", "begin", "expired rst reset_peer", "end rst reset_peer")
		})
	}
}

func TestToxicityIsDrawnOnceForAConnection(t *testing.T) {
	const connections = 200
	l := listen(t, Profile{Seed: 7})
	if err := l.Serve(l.backends); err != nil {
		t.Fatal(err)
	}
	half := at(Down, "latency", map[string]int{"latency": 1})
	half.Toxicity = 0.5
	chosen := func() (which string) {
		n := 0
		l.set(half)
		for c := range connections {
			got := len(l.flow(fmt.Sprintf("n1#%d", c+1)).orders()[Down])
			which, n = which+fmt.Sprint(got), n+got
		}
		// Further off than 6 standard deviations of 200 tosses of a coin.
		if math.Abs(float64(n-connections/2)) > 42 {
			t.Errorf("%d of %d connections have the toxic", n, connections)
		}
		return which
	}
	for range connections {
		l.dial("n1")
		l.reached("b1")
	}
	before := chosen()
	half.Attributes = map[string]int{"latency": 2}
	if after := chosen(); after != before {
		t.Error("the toxic went to other connections when it was changed")
	}
	half.Name = "another"
	if other := chosen(); other == before {
		t.Error("another toxic went to the same connections")
	}
	half.Toxicity = 0
	l.set(half)
	if n := len(l.flow("n1#1").orders()[Down]); n != 0 {
		t.Error("a toxicity of 0 chose a connection")
	}
}

func TestAClientThatDoesNotReadHoldsUpNoChange(t *testing.T) {
	l := start(t, Direct())
	client, server := l.connect()
	talker, talked := l.dial("n1"), l.reached("b1")
	const size = 64 << 20 // more than all buffers hold
	var flooding sync.WaitGroup
	flooding.Go(func() { server.Write(make([]byte, size)); server.CloseWrite() })
	f, sent, same := l.flow("n1#1"), int64(0), 0
	until(t, "the flood to stand", func() (bool, string) {
		before := sent
		if sent = f.client.sent.Load(); sent == before && sent > 0 {
			same++
		} else {
			same = 0
		}
		return same == 50, fmt.Sprintf("%d bytes sent, %d times in a row", sent, same)
	})
	for n := range 3 * len(changes) {
		l.changed(changes[n%len(changes)]...)
		say(t, talker, talked, "not held up")
	}
	client.SetReadDeadline(time.Now().Add(4 * patience))
	if n, err := io.Copy(io.Discard, client); n != size || err != nil {
		t.Errorf("got %d bytes and %v, want %d", n, err, size)
	}
	flooding.Wait()
}

func TestWhatWaitsBehindTheEndOfAStreamOutlastsChanges(t *testing.T) {
	l := start(t, Direct())
	client, server := l.connect()
	a, b, c := at(Down, "noop", nil), at(Down, "noop", nil), at(Down, "noop", nil)
	a.Name, b.Name, c.Name = "a", "b", "c"
	l.changed(a, b, c)
	const size = 16 << 20 // more than all buffers hold
	var flooding sync.WaitGroup
	flooding.Go(func() { server.Write(make([]byte, size)); server.CloseWrite() })
	f, read := l.flow("n1#1"), 0
	f.mu.Lock()
	chain := f.lane.(*toxicLane).chains[Down]
	f.mu.Unlock()
	buf := make([]byte, chunk)
	until(t, "the end of the stream to go in", func() (bool, string) {
		if chain.enter.TryLock() { // feed holds it while there is no room
			fed := chain.fed
			chain.enter.Unlock()
			if fed {
				return true, ""
			}
		}
		client.SetReadDeadline(time.Now().Add(time.Millisecond))
		n, _ := client.Read(buf)
		read += n
		return false, fmt.Sprintf("%d bytes read of %d", read, size)
	})
	// The chain is full, its first toxic has seen the end and the last has not: in the middle, in front and at the back
	// toxics go, come and stay.
	for _, toxics := range [][]StagedToxic{{a, b}, {a}, {c}, {b, c}, {a, c}, {c, b, a}, {c}, {}, {a, b}, {a, b, c}, {b}} {
		l.changed(toxics...)
	}
	client.SetReadDeadline(time.Now().Add(4 * patience))
	if n, err := io.Copy(io.Discard, client); read+int(n) != size || err != nil {
		t.Errorf("got %d bytes and %v, want %d", read+int(n), err, size)
	}
	flooding.Wait()
}

func TestToxicsOfAThousandConnectionsChangeQuickly(t *testing.T) {
	connections := 1000
	if raceEnabled {
		connections = 100
	}
	l := start(t, Direct())
	for range connections {
		l.dial("n1")
		l.reached("b1")
	}
	for _, c := range changes {
		t.Logf("to %d toxics: %s", len(c), l.changed(c...))
	}
}

func TestMistakesInSettingToxicsAreErrors(t *testing.T) {
	l := start(t, Direct())
	twice := at(Up, "noop", nil)
	odd := at(Up, "noop", nil)
	odd.Toxicity = 1.5
	for what, toxics := range map[string][]StagedToxic{
		"an unknown type":        {at(Up, "no-such", nil)},
		"two of one name":        {twice, twice},
		"an impossible toxicity": {odd},
		"a direction":            {at(3, "noop", nil)},
		"attributes":             {at(Up, "latency", map[string]string{"latency": "long"})},
	} {
		if err := l.SetToxics("n1", toxics); err == nil {
			t.Errorf("%s: set", what)
		} else {
			t.Log(err)
		}
	}
	if err := l.SetToxics("n9", nil); err == nil {
		t.Error("set at a frontend that does not exist")
	}
	l.Close()
	if err := l.SetToxics("n1", nil); err == nil {
		t.Error("set on a closed balancer")
	}
}

func TestAToxicThatPanicsEndsItsConnectionOnly(t *testing.T) {
	l := start(t, Direct())
	client, server := l.connect()
	// A jitter whose double is beyond an int64.
	l.set(at(Up, "latency", map[string]int64{"latency": 1, "jitter": math.MaxInt64/2 + 1}))
	io.WriteString(client, ".")
	expect(t, "client", client, rst)
	expect(t, "server", server, rst)
	l.set()
	client, server = l.dial("n1"), l.reached("b1")
	say(t, client, server, "another")
}

func TestConnectionsMayEndWhileToxicsChange(t *testing.T) {
	endings := map[string]func(l *lab, conn string, client, server *net.TCPConn){
		"client resets":  func(_ *lab, _ string, c, _ *net.TCPConn) { c.SetLinger(0); c.Close() },
		"server closes":  func(_ *lab, _ string, _, s *net.TCPConn) { s.Close() },
		"cut":            func(l *lab, conn string, _, _ *net.TCPConn) { l.Cut(conn) },
		"falls silent":   func(l *lab, conn string, _, _ *net.TCPConn) { l.flow(conn).End(Vanish, "test") },
		"reset on next":  func(l *lab, conn string, _, _ *net.TCPConn) { l.flow(conn).End(ResetOnNext, "test") },
		"balancer fells": func(l *lab, conn string, _, _ *net.TCPConn) { l.flow(conn).end(Close, "test") },
	}
	for name, end := range endings {
		t.Run(name, func(t *testing.T) {
			const connections = 20
			l := start(t, Direct()) // its clean-up looks for goroutines
			done := make(chan struct{})
			var changing, talking sync.WaitGroup
			changing.Go(func() {
				for n := 0; ; n++ {
					select {
					case <-done:
						return
					default:
						l.set(changes[n%len(changes)]...)
					}
				}
			})
			for n := range connections {
				client, server := l.connect()
				for from, to := range map[*net.TCPConn]*net.TCPConn{client: server, server: client} {
					talking.Go(func() {
						for {
							if _, err := from.Write(make([]byte, 30_000)); err != nil {
								return
							}
						}
					})
					talking.Go(func() { io.Copy(io.Discard, to) })
				}
				end(l, fmt.Sprintf("n1#%d", n+1), client, server)
				if n%2 == 0 {
					client.Close()
					server.Close()
				}
			}
			close(done)
			changing.Wait()
			if err := l.Close(); err != nil {
				t.Error(err)
			}
			talking.Wait()
		})
	}
}

func TestAStalledClientMayAbortWhileToxicsChange(t *testing.T) {
	l := start(t, Direct())
	for n := range 2 * len(changes) {
		client, server := l.connect()
		var flooding sync.WaitGroup
		flooding.Go(func() { server.Write(make([]byte, 64<<20)) })
		l.changed(changes[n%len(changes)]...)
		flooded := l.flow(fmt.Sprintf("n1#%d", n+1))
		until(t, "the flood to begin", func() (bool, string) { return flooded.client.sent.Load() > 1<<20, "" })
		var changing sync.WaitGroup
		changing.Go(func() { l.changed(changes[(n+1)%len(changes)]...) })
		client.SetLinger(0)
		client.Close()
		changing.Wait()
		flooding.Wait()
		l.find(KindEnd, flooded.id)
	}
}

func TestAnAddressThatComesAgainIsAnotherConnection(t *testing.T) {
	const late = 100 * time.Millisecond
	l := start(t, Direct())
	from := &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)}
	if runtime.GOOS == "linux" { // all of 127/8 is there, and nobody else wants a port of this one
		from.IP = net.IPv4(127, 0, 0, 77)
	}
	dialled, err := (&net.Dialer{LocalAddr: from}).Dial("tcp", l.Addr("n1"))
	if err != nil {
		t.Fatal(err)
	}
	old, server := dialled.(*net.TCPConn), l.reached("b1")
	say(t, old, server, "hello")
	l.flow("n1#1").End(Vanish, "test")
	old.SetLinger(0)
	old.Close()
	l.find(KindGaveUp, "n1#1") // while the backend's side of it is still there
	var again net.Conn
	until(t, "the old address", func() (bool, string) { // somebody else on this machine may have the port for a moment
		c, err := (&net.Dialer{LocalAddr: old.LocalAddr(), Control: reuseAddress}).Dial("tcp", l.Addr("n1"))
		again = c
		return err == nil, fmt.Sprint(err)
	})
	defer again.Close()
	served := l.reached("b1")
	l.changed(at(Up, "latency", map[string]int{"latency": int(late.Milliseconds())}))
	if took := takes(t, again, served); took < late {
		t.Errorf("a byte took %s with a latency of %s", took, late)
	}
	server.Close()
	l.find(KindEnd, "n1#1")
	l.changed()
	quick(t, again, served, late) // though the older connection has ended meanwhile
}

// TestAnUpdateDoesNotRaceWithTheBytes has something to find under the race detector only.
func TestAnUpdateDoesNotRaceWithTheBytes(t *testing.T) {
	const size = 4 << 20
	l := start(t, Direct())
	c, _ := stockClient(t, l)
	proxy, err := c.Proxy("n1")
	if err != nil {
		t.Fatal(err)
	}
	for _, stream := range streams {
		if _, err := proxy.AddToxic("slow-"+stream, "latency", stream, 1, map[string]any{"latency": 1}); err != nil {
			t.Fatal(err)
		}
	}
	client, server := l.connect()
	var both sync.WaitGroup
	both.Go(func() { carries(t, client, server, size, 1) })
	both.Go(func() { carries(t, server, client, size, 2) })
	for n := range 50 {
		for _, stream := range streams {
			if _, err := proxy.UpdateToxic("slow-"+stream, 1, map[string]any{"latency": n % 3, "jitter": n % 2}); err != nil {
				t.Fatal(err)
			}
		}
	}
	both.Wait()
}

func TestToxicsComeAndGoUnderTLS(t *testing.T) {
	const late = 100 * time.Millisecond
	l := start(t, with(t, "tls=re-encrypt"))
	client, server := l.tlsEnds(reEncrypt)
	say(t, client, server, "hello")
	for range 3 {
		l.changed(at(Up, "latency", map[string]int{"latency": int(late.Milliseconds())}), at(Down, "slicer", map[string]int{"average_size": 10}))
		if took := takes(t, client, server); took < late {
			t.Errorf("a byte took %s with a latency of %s", took, late)
		}
		say(t, server, client, "more than a slice of it goes in this direction")
		l.changed()
		quick(t, client, server, late)
	}
}

func TestAStallHoldsBytesThoughToxicsChange(t *testing.T) {
	l := start(t, Direct())
	client, server := l.connect()
	l.changed(at(Up, "latency", map[string]int{"latency": 1}))
	l.stall()
	io.WriteString(client, "later")
	l.set()
	l.set(at(Up, "noop", nil))
	expect(t, "server", server, silence)
	l.resume()
	hears(t, server, "later")
}
func TestTakingAResetPeerOffThatHasDroppedBytesEndsTheConnection(t *testing.T) {
	l := start(t, Direct())
	client, server := l.connect()
	l.set(at(Up, "reset_peer", map[string]int{"timeout": int(time.Hour.Milliseconds())}))
	io.WriteString(client, "dropped")
	expect(t, "server", server, silence)
	l.set() // toxiproxy's own waits its time out, and ends the connection all the same
	expect(t, "server", server, rst)
	expect(t, "client", client, rst)
	l.tells("n1#1", "begin", "expired rst reset_peer", "end rst reset_peer")
}
