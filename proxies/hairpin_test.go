package proxies

import (
	"net"
	"net/netip"
	"sync"
	"testing"
)

func TestWhoDialled(t *testing.T) {
	says := func(name string) func(netip.AddrPort) string { return func(netip.AddrPort) string { return name } }
	for _, c := range []struct {
		what            string
		backend, client string
		owner           func(netip.AddrPort) string
		want            bool
	}{
		{"a backend's own address", "10.0.0.1:4222", "10.0.0.1:51000", nil, true},
		{"a neighbour's address", "10.0.0.1:4222", "10.0.0.2:51000", nil, false},
		{"its own in the other notation", "10.0.0.1:4222", "[::ffff:10.0.0.1]:51000", nil, true},
		{"its own IPv6 address", "[fd00::1]:4222", "[fd00::1]:51000", nil, true},
		{"loopback, which all share", "127.0.0.1:4222", "127.0.0.1:51000", nil, false},
		{"loopback, owned by the backend", "127.0.0.1:4222", "127.0.0.1:51000", says("n1"), true},
		{"loopback, owned by another", "127.0.0.1:4222", "127.0.0.1:51000", says("n2"), false},
		{"loopback, owned by nobody known", "127.0.0.1:4222", "127.0.0.1:51000", says(""), false},
		{"its own address, owned by another", "10.0.0.1:4222", "10.0.0.1:51000", says("n2"), false},
		{"its own address, owned by nobody known", "10.0.0.1:4222", "10.0.0.1:51000", says(""), true},
		{"no address at all", "n1", "10.0.0.1:51000", nil, false},
	} {
		if got := dialledBy(t.Context(), Backend{Name: "n1", Addr: c.backend}, netip.MustParseAddrPort(c.client), c.owner); got != c.want {
			t.Errorf("%s: got %t, want %t", c.what, got, c.want)
		}
	}
}

// owners tells who made a connection.
type owners struct {
	mu sync.Mutex
	by map[netip.AddrPort]string
}

func (o *owners) of(client netip.AddrPort) string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.by[client]
}

// dial connects from a port whose owner is known before the connection is.
func (o *owners) dial(t *testing.T, l *lab, owner string) *net.TCPConn {
	t.Helper()
	d := net.Dialer{Timeout: patience, LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)}}
	// The balancer asks after the connect, so the port is noted while it is held up by this lock.
	o.mu.Lock()
	defer o.mu.Unlock()
	c, err := d.DialContext(t.Context(), "tcp", l.Addr("vip"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	o.by[c.LocalAddr().(*net.TCPAddr).AddrPort()] = owner
	return c.(*net.TCPConn)
}

func TestABackendCannotReachItselfWhereHairpinsAreDenied(t *testing.T) {
	who := &owners{by: map[netip.AddrPort]string{}}
	l := start(t, with(t, "hairpin=denied"), front{Front{Name: "vip", Owner: who.of}, []string{"b1", "b2"}})
	own := who.dial(t, l, "b1") // whose turn is b1
	l.tells("vip#1", "refused silent hairpin")
	expect(t, "b1, which dialled itself,", own, silence)
	say(t, who.dial(t, l, "b1"), l.reached("b2"), "a neighbour")
	say(t, who.dial(t, l, "b2"), l.reached("b1"), "a neighbour")
	theirs := who.dial(t, l, "b2")
	l.tells("vip#4", "refused silent hairpin")
	say(t, who.dial(t, l, ""), l.reached("b1"), "a client")
	if got := l.notes("vip#1"); len(got) != 1 || got[0] != "hairpin: b1 was balanced back to itself" {
		t.Errorf("got %q", got)
	}

	own.Close()
	if err := l.Close(); err != nil { // with one that is still swallowed
		t.Fatal(err)
	}
	expect(t, "b2, which dialled itself,", theirs, eof)
	if n := len(l.accepted["b1"]) + len(l.accepted["b2"]); n > 0 {
		t.Errorf("%d more connections reached a backend", n)
	}
}

func TestABackendReachesItselfByDefault(t *testing.T) {
	who := &owners{by: map[netip.AddrPort]string{}}
	l := start(t, Direct(), front{Front{Name: "vip", Owner: who.of}, []string{"b1"}})
	say(t, who.dial(t, l, "b1"), l.reached("b1"), "myself")
}
