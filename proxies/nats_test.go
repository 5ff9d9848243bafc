package proxies

import (
	"slices"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
)

// beforeNATS runs a balancer before a real nats-server, as backend b1 of frontend n1.
func beforeNATS(t *testing.T, p Profile, options *server.Options) (*lab, *server.Server) {
	t.Helper()
	l := listen(t, p, front{Front: Front{Name: "n1"}})
	s := natsServer(t, options)
	if err := l.Serve(map[string][]Backend{"n1": {{Name: "b1", Addr: s.Addr().String()}}}); err != nil {
		t.Fatal(err)
	}
	return l, s
}

// natsServer runs a real nats-server at a free port until the test's end.
func natsServer(t *testing.T, options *server.Options) *server.Server {
	t.Helper()
	options.Host, options.Port, options.NoSigs, options.NoLog = "127.0.0.1", server.RANDOM_PORT, true, true
	s, err := server.NewServer(options)
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(func() {
		s.Shutdown()
		s.WaitForShutdown()
	})
	if !s.ReadyForConnections(patience) {
		t.Fatalf("nats-server is not ready after %s", patience)
	}
	return s
}

// natsClient connects a NATS client to a frontend and says how long that took, whatever came of it.
func (l *lab) natsClient(front string, options ...nats.Option) (*nats.Conn, time.Duration, error) {
	l.t.Helper()
	began := time.Now()
	c, err := nats.Connect("nats://"+l.Addr(front), slices.Concat([]nats.Option{nats.NoReconnect()}, options)...)
	took := time.Since(began)
	if err == nil {
		l.t.Cleanup(c.Close)
	}
	return c, took, err
}

// echoes holds that what a NATS client publishes comes back.
func echoes(t *testing.T, c *nats.Conn, payload []byte) {
	t.Helper()
	sub, err := c.SubscribeSync("echo")
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Publish("echo", payload); err != nil {
		t.Fatal(err)
	}
	m, err := sub.NextMsg(patience)
	if err != nil {
		t.Fatalf("published %d bytes: %v", len(payload), err)
	}
	if !slices.Equal(m.Data, payload) {
		t.Errorf("published %d bytes, got %d others back", len(payload), len(m.Data))
	}
}
