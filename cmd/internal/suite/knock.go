package suite

import (
	"bytes"
	"crypto/tls"
	"encoding/hex"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/lbtest/lbtest/proxies"
)

// serveHealth answers health checks as a healthy node does, for the tester's own backend.
func serveHealth(l net.Listener) (stop func()) {
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "ok") }), ReadHeaderTimeout: 10 * time.Second}
	var serving sync.WaitGroup
	serving.Go(func() { _ = server.Serve(l) })
	return func() {
		_ = server.Close()
		_ = l.Close() // where it was never served
		serving.Wait()
	}
}

// knock is what a connection has to say before a balancer of that profile goes on with it.
func knock(p proxies.Profile) []byte {
	switch p.Value("inspection") {
	case "http":
		return []byte("GET /canary HTTP/1.1\r\nHost: lbtest\r\n\r\n")
	case "tls-hello":
		return hello()
	case "client-first":
		return []byte("canary\n")
	}
	if v := p.Value("proxy-protocol"); v != "" && v != "off" {
		return []byte("canary\n")
	}
	if p.Value("health-check") == "connect" {
		return []byte("canary\n") // tells the tester's own connections from the checks, which say nothing
	}
	return nil
}

// provocation is what a balancer of that profile does not let pass unnoticed, for an inspection that waits for
// bytes which routes may never say.
func provocation(p proxies.Profile) []byte {
	for _, b := range p.Behaviours {
		i, ok := b.(proxies.Inspection)
		switch {
		case !ok || i.Limit > most:
		case i.Kind == "signature":
			if digits, isHex := strings.CutPrefix(i.Pattern, "hex:"); isHex {
				pattern, _ := hex.DecodeString(digits) // Check has seen to it
				return pattern
			}
			return []byte(i.Pattern)
		case i.Kind == "line-limit":
			return append(bytes.Repeat([]byte{'x'}, int(i.Limit)+2), '\n') // beyond the limit by more than a line's end
		case i.Kind == "hold":
			return []byte{'x'} // less than any buffer but one of a byte, which holds nothing
		}
	}
	return nil
}

// most is the longest line that the tester says to reach a limit.
const most = 16 << 20

// patience is how long such a balancer waits of its own accord.
func patience(p proxies.Profile) time.Duration {
	if p.Value("inspection") == "wait-end" {
		return p.Duration("inspection-delay")
	}
	return 0
}

// hello is the first message of any TLS client.
func hello() []byte {
	near, far := net.Pipe()
	defer near.Close()
	go func() {
		defer far.Close()
		_ = tls.Client(far, &tls.Config{ServerName: "lbtest"}).Handshake() // nobody answers; its first words are all that is wanted
	}()
	// Far more than a ClientHello has, which comes in one write.
	buf := make([]byte, 16<<10)
	n, _ := near.Read(buf)
	return buf[:n]
}
