package fidelity

import (
	"fmt"
	"net"
	"testing"
	"time"

	natsd "github.com/nats-io/nats-server/v2/server"
)

// server is what kind of nats-server stands behind a balancer, and how many of them.
type server struct {
	count    int  // 0 is one
	proxied  bool // it expects PROXY headers
	tls      bool
	first    bool // TLS before anything else
	plainToo bool // TLS, or none
	bare     bool // no nats-server at all: a listener of the test's own
}

type natsServer struct {
	*natsd.Server
	name, addr string
	bare       net.Listener
}

func (s server) start(t *testing.T) []*natsServer {
	t.Helper()
	var all []*natsServer
	for i := range max(1, s.count) {
		name := fmt.Sprintf("s%d", i+1)
		if s.bare {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { l.Close() })
			all = append(all, &natsServer{name: name, addr: l.Addr().String(), bare: l})
			continue
		}
		o := &natsd.Options{ServerName: name, Host: "127.0.0.1", Port: -1, NoLog: true, NoSigs: true,
			// Pings of its own would only blur what the balancer's timers do.
			PingInterval: time.Hour, ProxyProtocol: s.proxied}
		if s.tls {
			o.TLSConfig, o.TLSTimeout = certificate.server(), 2
			o.TLSHandshakeFirst, o.AllowNonTLS = s.first, s.plainToo
		}
		n, err := natsd.NewServer(o)
		if err != nil {
			t.Fatal(err)
		}
		n.Start()
		if !n.ReadyForConnections(30 * time.Second) {
			t.Fatal("the server is not ready")
		}
		t.Cleanup(func() {
			n.Shutdown()
			n.WaitForShutdown()
		})
		all = append(all, &natsServer{Server: n, name: name, addr: n.Addr().String()})
	}
	return all
}

// known is the address of a client as its server knows it; "" for one it does not know.
func (n *natsServer) known(id uint64) string {
	c, err := n.Connz(&natsd.ConnzOptions{State: natsd.ConnAll, CID: id})
	if err != nil || len(c.Conns) == 0 {
		return ""
	}
	return fmt.Sprintf("%s:%d", c.Conns[0].IP, c.Conns[0].Port)
}

// farewell is why the server says that a client's connection ended.
func (n *natsServer) farewell(id uint64) string {
	for range 100 { // a second in all: it is written down a moment after the socket is gone
		c, err := n.Connz(&natsd.ConnzOptions{State: natsd.ConnClosed, CID: id})
		if err == nil && len(c.Conns) > 0 {
			return c.Conns[0].Reason
		}
		time.Sleep(10 * time.Millisecond)
	}
	return "still open"
}
