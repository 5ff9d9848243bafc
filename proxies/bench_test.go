package proxies

import (
	"io"
	"net"
	"slices"
	"testing"
	"time"

	"github.com/Shopify/toxiproxy/v2"
	"github.com/rs/zerolog"
)

// paths are the ways from a client to a backend that the benchmarks compare; each answers with the
// address to dial.
var paths = []struct {
	name string
	to   func(b *testing.B, backend string) string
}{
	{"direct", func(_ *testing.B, backend string) string { return backend }},
	{"plain", func(b *testing.B, backend string) string { return through(b, Direct(), backend) }},
	{"plain-watched", func(b *testing.B, backend string) string { return through(b, with(b, "idle-timeout=1h"), backend) }},
	{"stall", func(b *testing.B, backend string) string { return through(b, with(b, "stall=1h"), backend) }},
	{"toxiproxy", stock},
}

func through(b *testing.B, p Profile, backend string) string {
	lb, err := Listen(p, []Front{{Name: "n1"}}, func(Event) {})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { lb.Close() })
	if err := lb.Serve(map[string][]Backend{"n1": {{Name: "b1", Addr: backend}}}); err != nil {
		b.Fatal(err)
	}
	return lb.Addr("n1")
}

// stock is toxiproxy's own proxy without a toxic.
func stock(b *testing.B, backend string) string {
	p := toxiproxy.NewProxy(toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop()), "stock", "127.0.0.1:0", backend)
	if err := p.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(p.Stop)
	return p.Listen
}

// BenchmarkThroughput writes in pieces of one size; the backend discards.
func BenchmarkThroughput(b *testing.B) {
	for _, size := range []struct {
		name  string
		bytes int
	}{{"1KB", 1 << 10}, {"64KB", 64 << 10}} {
		for _, path := range paths {
			b.Run(size.name+"/"+path.name, func(b *testing.B) {
				read := make(chan int64)
				c := dialPath(b, path.to, func(c net.Conn) {
					n, _ := io.CopyBuffer(struct{ io.Writer }{io.Discard}, struct{ io.Reader }{c}, make([]byte, 256<<10))
					read <- n
				})
				piece := make([]byte, size.bytes)
				b.SetBytes(int64(size.bytes))
				written := int64(0)
				for b.Loop() {
					n, err := c.Write(piece)
					if err != nil {
						b.Fatal(err)
					}
					written += int64(n)
				}
				c.CloseWrite()
				if got := <-read; got != written {
					b.Fatalf("%d bytes arrived of %d", got, written)
				}
			})
		}
	}
}

// BenchmarkRoundTrip sends 128 bytes and waits for the echo.
func BenchmarkRoundTrip(b *testing.B) {
	for _, path := range paths {
		b.Run(path.name, func(b *testing.B) {
			c := dialPath(b, path.to, func(c net.Conn) { io.CopyBuffer(struct{ io.Writer }{c}, struct{ io.Reader }{c}, make([]byte, 128)) })
			message := make([]byte, 128)
			for b.Loop() {
				if _, err := c.Write(message); err != nil {
					b.Fatal(err)
				}
				if _, err := io.ReadFull(c, message); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkConnect opens a connection, waits for the backend's first byte and resets it.
func BenchmarkConnect(b *testing.B) {
	for _, path := range paths {
		b.Run(path.name, func(b *testing.B) {
			addr := path.to(b, benchBackend(b, func(c net.Conn) { io.WriteString(c, "I") }))
			first := make([]byte, 1)
			for b.Loop() {
				c, err := net.Dial("tcp", addr)
				if err != nil {
					b.Fatal(err)
				}
				if _, err := io.ReadFull(c, first); err != nil {
					b.Fatal(err)
				}
				c.(*net.TCPConn).SetLinger(0)
				c.Close()
			}
		})
	}
}

// dialPath connects through a path to a backend that serves each connection in that way.
func dialPath(b *testing.B, path func(*testing.B, string) string, serve func(net.Conn)) *net.TCPConn {
	c, err := net.Dial("tcp", path(b, benchBackend(b, serve)))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { c.Close() })
	return c.(*net.TCPConn)
}

func benchBackend(b *testing.B, serve func(net.Conn)) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				serve(c)
			}()
		}
	}()
	return l.Addr().String()
}

// BenchmarkIdleLateness measures how late idle connections are ended: from just before their last byte
// was sent to the expiry, less the timeout. The byte's way there and back is in it.
func BenchmarkIdleLateness(b *testing.B) {
	const timeout, connections = 300 * time.Millisecond, 200
	var late []time.Duration
	for b.Loop() {
		last := map[string]time.Time{} // by the client's address
		expired := make(chan Event, connections)
		lb, err := Listen(with(b, "idle-timeout="+timeout.String()), []Front{{Name: "n1"}}, func(e Event) {
			if e.Kind == KindExpired {
				expired <- e
			}
		})
		if err != nil {
			b.Fatal(err)
		}
		if err := lb.Serve(map[string][]Backend{"n1": {{Name: "b1", Addr: benchBackend(b, func(c net.Conn) { io.Copy(c, c) })}}}); err != nil {
			b.Fatal(err)
		}
		for range connections {
			c, err := net.Dial("tcp", lb.Addr("n1"))
			if err != nil {
				b.Fatal(err)
			}
			defer c.Close()
			last[c.LocalAddr().String()] = time.Now()
			c.Write([]byte("."))
			io.ReadFull(c, make([]byte, 1))
		}
		for range connections {
			e := <-expired
			late = append(late, e.At.Sub(last[e.ClientAddr])-timeout)
		}
		lb.Close()
	}
	slices.Sort(late)
	for name, at := range map[string]int{"min-µs": 0, "p50-µs": len(late) / 2, "p99-µs": len(late) * 99 / 100} {
		b.ReportMetric(float64(late[at].Microseconds()), name)
	}
}
