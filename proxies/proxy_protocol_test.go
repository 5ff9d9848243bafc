package proxies

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/pires/go-proxyproto"
)

func TestTheBackendLearnsWhoTheClientIs(t *testing.T) {
	for _, c := range []struct{ header, listen string }{
		{"v1", "127.0.0.1:0"}, {"v2", "127.0.0.1:0"}, {"v1", "[::1]:0"}, {"v2", "[::1]:0"},
	} {
		t.Run(c.header+" at "+c.listen, func(t *testing.T) {
			if probe, err := net.Listen("tcp", c.listen); err != nil {
				t.Skip("this machine cannot listen there:", err)
			} else {
				probe.Close()
			}
			l := start(t, with(t, "proxy-protocol="+c.header), front{Front{Name: "n1", Listen: c.listen}, []string{"b1"}})
			client, server := l.dial("n1"), l.reached("b1")
			if _, err := io.WriteString(client, "CONNECT {}\r\n"); err != nil {
				t.Fatal(err)
			}
			server.SetReadDeadline(time.Now().Add(patience))
			stream := bufio.NewReader(server)
			got, err := proxyproto.Read(stream)
			if err != nil {
				t.Fatal(err)
			}
			if want := "v" + string('0'+got.Version); want != c.header {
				t.Errorf("got a %s header, want %s", want, c.header)
			}
			if from, to := got.SourceAddr.String(), got.DestinationAddr.String(); from != client.LocalAddr().String() || to != client.RemoteAddr().String() {
				t.Errorf("the header says %s to %s, the client %s to %s", from, to, client.LocalAddr(), client.RemoteAddr())
			}
			if line, err := stream.ReadString('\n'); line != "CONNECT {}\r\n" {
				t.Errorf("after the header came %q, %v", line, err)
			}
			l.tells("n1#1", "applied  proxy-protocol", "begin")
			if got, want := l.event(KindApplied).What, "sent a "+c.header+" header, client "+client.LocalAddr().String(); got != want {
				t.Errorf("noted %q, want %q", got, want)
			}
			say(t, server, client, "INFO {}\r\n") // nothing is put before the backend's own bytes
		})
	}
}

func TestADoubledHeaderComesTwiceAndThenTheStream(t *testing.T) {
	l := start(t, with(t, "proxy-protocol=doubled"))
	client, server := l.dial("n1"), l.reached("b1")
	io.WriteString(client, "PING\r\n")
	client.CloseWrite()
	server.SetReadDeadline(time.Now().Add(patience))
	stream := bufio.NewReader(server)
	for n := range 2 {
		got, err := proxyproto.Read(stream)
		if err != nil || got.Version != 2 || got.SourceAddr.String() != client.LocalAddr().String() {
			t.Fatalf("header %d: got %+v, %v", n+1, got, err)
		}
	}
	if rest, _ := io.ReadAll(stream); string(rest) != "PING\r\n" {
		t.Errorf("after the headers came %q", rest)
	}
}

func TestAMalformedHeaderIsOneThatParsersRefuse(t *testing.T) {
	l := start(t, with(t, "proxy-protocol=malformed"))
	client, server := l.dial("n1"), l.reached("b1")
	client.CloseWrite()
	server.SetReadDeadline(time.Now().Add(patience))
	got, _ := io.ReadAll(server)
	if want := "PROXY TCP4 127.0.0.1\r\n"; string(got) != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if h, err := proxyproto.Read(bufio.NewReader(bytes.NewReader(got))); err == nil {
		t.Errorf("the parser took it for %+v", h)
	}
}

func TestAnAddressIsWrittenAsOthersKnowIt(t *testing.T) {
	front := netip.MustParseAddrPort("[::ffff:10.0.0.1]:4222")
	for client, want := range map[string]string{
		"[::ffff:192.0.2.1]:5": "PROXY TCP4 192.0.2.1 10.0.0.1 5 4222\r\n", "192.0.2.1:5": "PROXY TCP4 192.0.2.1 10.0.0.1 5 4222\r\n",
		"[fe80::1%eth0]:5": "PROXY TCP6 fe80::1 ::ffff:10.0.0.1 5 4222\r\n",
	} {
		header, what, err := proxyHeader{kind: version1}.render(netip.MustParseAddrPort(client), front)
		if string(header) != want || err != nil {
			t.Errorf("%s: got %q, %v; want %q", client, header, err, want)
		}
		if strings.Contains(what, "ffff") || strings.Contains(what, "eth0") {
			t.Errorf("%s: noted %q", client, what)
		}
		broken, _, _ := proxyHeader{kind: malformed}.render(netip.MustParseAddrPort(client), front)
		if got := strings.Fields(want)[:3]; string(broken) != strings.Join(got, " ")+"\r\n" {
			t.Errorf("%s: the malformed header is %q", client, broken)
		}
	}
}

func TestPROXYHeadersAndNATS(t *testing.T) {
	for _, c := range []struct {
		header  string
		expects bool   // proxy_protocol: true
		failure string // part of the client's error; "" for a connection
	}{
		{"off", false, ""}, {"v1", true, ""}, {"v2", true, ""},
		{"off", true, ""}, // the header is optional to nats-server
		{"v1", false, "Unknown Protocol Operation"}, {"v2", false, "Unknown Protocol Operation"},
		{"doubled", true, "Unknown Protocol Operation"}, {"malformed", true, "EOF"},
	} {
		name := c.header + " to a server that does not expect it"
		if c.expects {
			name = c.header + " to a server that expects it"
		}
		t.Run(name, func(t *testing.T) {
			l, s := beforeNATS(t, with(t, "proxy-protocol="+c.header), &server.Options{ProxyProtocol: c.expects})
			nc, _, err := l.natsClient("n1", nats.Timeout(patience))
			if c.failure != "" {
				if err == nil || !brokenBy(err, c.failure) {
					t.Errorf("got %v, want an error with %q", err, c.failure)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			echoes(t, nc, []byte("hello"))
			conns, err := s.Connz(nil)
			if err != nil || len(conns.Conns) != 1 {
				t.Fatalf("got %+v, %v", conns, err)
			}
			begun := l.event(KindBegin)
			want := begun.ClientAddr
			if c.header == "off" {
				want = begun.LocalAddr
			}
			got := netip.AddrPortFrom(netip.MustParseAddr(conns.Conns[0].IP), uint16(conns.Conns[0].Port))
			if got.String() != want {
				t.Errorf("the server sees %s, want %s", got, want)
			}
		})
	}
}

// brokenBy says whether a client's error is the one wanted, or what it becomes where the server's closing
// overtakes its error: a reset or an end of the stream.
func brokenBy(err error, want string) bool {
	for _, text := range []string{strings.ToLower(want), "eof", "reset by peer", "broken pipe"} {
		if strings.Contains(strings.ToLower(err.Error()), text) {
			return true
		}
	}
	return false
}

// FuzzPROXYHeader holds that a parser which is not this balancer's reads back what was written, whatever
// the addresses.
func FuzzPROXYHeader(f *testing.F) {
	f.Add([]byte{127, 0, 0, 1}, []byte{10, 0, 0, 1}, uint16(1), uint16(65535))
	f.Add(make([]byte, 16), []byte{10, 0, 0, 1}, uint16(0), uint16(4222))
	f.Add([]byte(net.ParseIP("::ffff:1.2.3.4").To16()), []byte(net.ParseIP("fe80::1")), uint16(5), uint16(6))
	f.Fuzz(func(t *testing.T, from, to []byte, fromPort, toPort uint16) {
		a, ok := netip.AddrFromSlice(from)
		b, fine := netip.AddrFromSlice(to)
		if !ok || !fine {
			return
		}
		client, front := netip.AddrPortFrom(a.WithZone("eth0"), fromPort), netip.AddrPortFrom(b, toPort)
		for _, kind := range []string{version1, version2, doubled} {
			header, what, err := proxyHeader{kind: kind}.render(client, front)
			if err != nil || what == "" {
				t.Fatalf("%s for %s to %s: %q, %v", kind, client, front, what, err)
			}
			stream := bufio.NewReader(bytes.NewReader(header))
			for range map[bool]int{false: 1, true: 2}[kind == doubled] {
				got, err := proxyproto.Read(stream)
				if err != nil {
					t.Fatalf("%s for %s to %s is written as %q: %v", kind, client, front, header, err)
				}
				if from, to := got.SourceAddr.(*net.TCPAddr).AddrPort(), got.DestinationAddr.(*net.TCPAddr).AddrPort(); plain(from) != plain(client) || plain(to) != plain(front) {
					t.Errorf("%s for %s to %s says %s to %s", kind, client, front, from, to)
				}
			}
			if stream.Buffered() > 0 {
				t.Errorf("%s: %d bytes too many", kind, stream.Buffered())
			}
		}
		header, _, err := proxyHeader{kind: malformed}.render(client, front)
		if got, bad := proxyproto.Read(bufio.NewReader(bytes.NewReader(header))); err != nil || bad == nil {
			t.Errorf("the parser takes %q for %+v", header, got)
		}
	})
}
