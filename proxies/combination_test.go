package proxies

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"
)

// rereader is a connection whose first bytes were read by somebody else.
type rereader struct {
	net.Conn
	from io.Reader
}

func (r rereader) Read(b []byte) (int, error) { return r.from.Read(b) }

// TestBehavioursActInTheDocumentedOrder puts everything that may precede the first forwarded byte into one
// balancer, together with what acts afterwards.
func TestBehavioursActInTheDocumentedOrder(t *testing.T) {
	const delay, quiet = 30 * time.Millisecond, 2 * time.Second
	l := start(t, with(t, "idle-timeout="+quiet.String(), "max-connections=10", "inspection=client-first", "inspection-verdict=close",
		"tls=re-encrypt", "proxy-protocol=v1", "latency="+delay.String(), "bandwidth=1MB/s", "slice=1KB"))
	raw := l.dial("n1")
	client := tls.Client(raw, l.trusted())
	if err := client.Handshake(); err != nil {
		t.Fatal("TLS with the client comes before inspection and dialling:", err)
	}
	select {
	case <-l.accepted["b1"]:
		t.Fatal("a backend was dialled though the client has not spoken under its TLS")
	case <-time.After(50 * time.Millisecond):
	}
	sent := time.Now()
	if _, err := io.WriteString(client, "first"); err != nil {
		t.Fatal(err)
	}

	behind := l.reached("b1")
	behind.SetReadDeadline(time.Now().Add(patience))
	wire := bufio.NewReader(behind)
	header, err := wire.ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	from := raw.LocalAddr().(*net.TCPAddr)
	if want := fmt.Sprintf("PROXY TCP4 %s %s %d ", from.IP, "127.0.0.1", from.Port); !strings.HasPrefix(header, want) {
		t.Errorf("got %q ahead of the handshake, want it to begin with %q", header, want)
	}
	const handshake = 0x16
	if next, err := wire.Peek(1); err != nil || next[0] != handshake {
		t.Fatalf("got % x and %v behind the PROXY header, want a ClientHello", next, err)
	}
	server := tls.Server(rereader{behind, wire}, &tls.Config{Certificates: foreign(t).Certificates})
	hears(t, server, "first")
	if took := time.Since(sent); took < delay {
		t.Errorf("the first bytes took %s, want at least %s", took, delay)
	}
	back := time.Now()
	say(t, server, client, "and back")
	if took := time.Since(back); took < delay {
		t.Errorf("the answer took %s, want at least %s", took, delay)
	}

	var ends sync.WaitGroup
	for who, c := range map[string]net.Conn{"client": client, "server": server} {
		ends.Go(func() { expect(t, who, c, eof) })
	}
	ends.Wait()
	l.tells("n1#1",
		"applied  tls", "applied  inspection", "applied  proxy-protocol", "applied  tls", "applied  latency", "applied  bandwidth", "applied  slice",
		"begin", "expired fin idle-timeout", "end fin idle-timeout")
}

// TestAHelloIsInspectedBeforeTheBalancersOwnTLS: what looks at a ClientHello sees it as it came.
func TestAHelloIsInspectedBeforeTheBalancersOwnTLS(t *testing.T) {
	l := start(t, with(t, "inspection=tls-hello", ever, "inspection-verdict=close", "tls=terminate"))
	client := tls.Client(l.dial("n1"), l.trusted())
	if err := client.Handshake(); err != nil {
		t.Fatal(err)
	}
	say(t, client, l.reached("b1"), "hello")
	l.tells("n1#1", "applied  inspection", "applied  tls", "begin")
}
