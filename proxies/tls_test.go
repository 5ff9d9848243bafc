package proxies

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
)

// trusted is a client's configuration that trusts what a balancer shows.
func (l *lab) trusted() *tls.Config {
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(l.Authority()) {
		l.t.Error("the authority is no certificate")
	}
	return &tls.Config{RootCAs: pool, ServerName: "localhost"}
}

// foreign is an identity that does not come from the balancer under test.
func foreign(t *testing.T) *throwAway {
	t.Helper()
	id, err := newThrowAway(nil)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// tlsEnds gives both ends of a connection through a balancer with TLS in each mode, layered as that mode has it.
func (l *lab) tlsEnds(mode string) (client, server net.Conn) {
	l.t.Helper()
	raw := l.dial("n1")
	c := tls.Client(raw, l.trusted())
	var greeting sync.WaitGroup
	greeting.Go(func() {
		if err := c.Handshake(); err != nil {
			l.t.Error("client:", err)
		}
	})
	defer greeting.Wait()
	behind := l.reached("b1")
	if mode == terminate {
		return c, behind
	}
	s := tls.Server(behind, &tls.Config{Certificates: foreign(l.t).Certificates})
	greeting.Go(func() {
		if err := s.Handshake(); err != nil {
			l.t.Error("server:", err)
		}
	})
	return c, s
}

// abort ends one end of a connection by an RST.
func abort(c net.Conn) {
	if layer, ok := c.(*tls.Conn); ok {
		c = layer.NetConn()
	}
	c.(*net.TCPConn).SetLinger(0)
	c.Close()
}

// inEachMode runs a test with TLS at the client and at both ends, in both lanes.
func inEachMode(t *testing.T, test func(t *testing.T, p Profile, mode string)) {
	for _, mode := range []string{terminate, reEncrypt} {
		bothLanes(t, mode, func(t *testing.T, lane Profile) { test(t, add(t, lane, "tls="+mode), mode) })
	}
}

func TestBytesArriveThroughTLS(t *testing.T) {
	inEachMode(t, func(t *testing.T, p Profile, mode string) {
		l := start(t, p)
		client, server := l.tlsEnds(mode)
		const size = 4 << 20
		sent := bytes.Repeat([]byte("0123456789abcde\n"), size/16)
		var traffic sync.WaitGroup
		for _, way := range []struct {
			name     string
			from, to net.Conn
		}{{"up", client, server}, {"down", server, client}} {
			traffic.Go(func() {
				if _, err := way.from.Write(sent); err != nil {
					t.Error(way.name, err)
				}
			})
			traffic.Go(func() {
				way.to.SetReadDeadline(time.Now().Add(2 * patience))
				hash := sha256.New()
				if _, err := io.CopyN(hash, way.to, size); err != nil {
					t.Error(way.name, err)
				}
				if want := sha256.Sum256(sent); !bytes.Equal(hash.Sum(nil), want[:]) {
					t.Errorf("%s: what arrived is not what was sent", way.name)
				}
			})
		}
		traffic.Wait()
		say(t, client, server, "and on")
		say(t, server, client, "and back")
	})
}

func TestTLSIsEndedAsItsConnectionIs(t *testing.T) {
	inEachMode(t, func(t *testing.T, p Profile, mode string) {
		t.Run("half-close, the answer comes later", func(t *testing.T) {
			l := start(t, p)
			client, server := l.tlsEnds(mode)
			say(t, client, server, "question")
			if err := client.(*tls.Conn).CloseWrite(); err != nil {
				t.Fatal(err)
			}
			expect(t, "server", server, eof)
			say(t, server, client, "answer")
			server.Close()
			expect(t, "client, by a close_notify and not by a bare FIN,", client, eof)
		})
		t.Run("a backend that only sends a FIN", func(t *testing.T) {
			l := start(t, p)
			client, server := l.tlsEnds(mode)
			say(t, server, client, "last words")
			if layer, ok := server.(*tls.Conn); ok {
				server = layer.NetConn()
			}
			server.Close()
			expect(t, "client", client, eof)
			client.Close()
			if got := l.event(KindEnd); got.How != string(Close) || got.Why != serverSide {
				t.Errorf("got end %s %s, want fin server", got.How, got.Why)
			}
		})
		for _, who := range []string{clientSide, serverSide} {
			t.Run("an RST of the "+who, func(t *testing.T) {
				l := start(t, p)
				client, server := l.tlsEnds(mode)
				say(t, client, server, "hello")
				near, far := client, server
				if who == serverSide {
					near, far = server, client
				}
				abort(near)
				expect(t, "the other", far, rst)
				if got := l.event(KindEnd); got.How != string(Reset) || got.Why != who {
					t.Errorf("got end %s %s, want rst %s", got.How, got.Why, who)
				}
			})
		}
	})
}

func TestIdleConnectionsUnderTLSEndInTheMannerSet(t *testing.T) {
	inEachMode(t, func(t *testing.T, p Profile, mode string) {
		for _, c := range []struct {
			how   string
			after func(t *testing.T, client, server net.Conn)
		}{
			{"fin", func(t *testing.T, client, server net.Conn) {
				expect(t, "client", client, eof)
				expect(t, "server", server, eof)
			}},
			{"rst", func(t *testing.T, client, server net.Conn) {
				expect(t, "client", client, rst)
				expect(t, "server", server, rst)
			}},
			{"silent", func(t *testing.T, client, server net.Conn) {
				io.WriteString(client, "into the void")
				io.WriteString(server, "into the void")
				expect(t, "client", client, silence)
				expect(t, "server", server, silence)
				client.Close()
				expect(t, "server, after the client has given up,", server, silence)
				abort(server)
			}},
			{"rst-on-next", func(t *testing.T, client, server net.Conn) {
				expect(t, "client", client, silence)
				io.WriteString(server, "?")
				expect(t, "server, having spoken,", server, rst)
				expect(t, "client, who has not,", client, silence)
				io.WriteString(client, "?")
				expect(t, "client, having spoken,", client, rst)
			}},
		} {
			t.Run(c.how, func(t *testing.T) {
				l := start(t, add(t, p, "idle-timeout="+idle.String(), "idle-expiry="+c.how))
				client, server := l.tlsEnds(mode)
				say(t, client, server, "hello")
				if got := l.event(KindExpired); got.How != c.how || got.Why != idleTimeout {
					t.Errorf("got expired %s %s", got.How, got.Why)
				}
				c.after(t, client, server)
				if got := l.event(KindEnd); got.How != c.how {
					t.Errorf("got end %s, want %s", got.How, c.how)
				}
			})
		}
	})
}

func TestTheThrowAwayCertificateCoversWhatIsDialled(t *testing.T) {
	l := start(t, with(t, "tls=terminate"))
	for _, name := range []string{"localhost", "127.0.0.1", "::1"} {
		config := l.trusted()
		config.ServerName = name
		c := tls.Client(l.dial("n1"), config)
		if err := c.Handshake(); err != nil {
			t.Errorf("as %s: %v", name, err)
		}
		c.Close()
	}
	before := l.Authority()
	if err := l.Reload(with(t, "tls=re-encrypt")); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(before, l.Authority()) {
		t.Error("a reload made another authority")
	}
}

func TestAnIdentityIsShownAndVerifies(t *testing.T) {
	ours, theirs := foreign(t), foreign(t)
	authorities := func(id *throwAway) *x509.CertPool {
		pool := x509.NewCertPool()
		pool.AppendCertsFromPEM(id.authority)
		return pool
	}
	for _, c := range []struct {
		what     string
		backends *x509.CertPool
		mode     string
		asks     tls.ClientAuthType // of the backend
		refused  string
		expired  string
	}{
		{"any backend where none is verified", nil, reEncrypt, tls.NoClientCert, "", ""},
		{"a backend whose authority is trusted", authorities(theirs), reEncrypt, tls.NoClientCert, "", ""},
		{"a backend whose authority is not", authorities(ours), reEncrypt, tls.NoClientCert, "server: tls: failed to verify certificate", ""},
		{"the balancer's own certificate", nil, reEncryptMTLS, tls.RequireAndVerifyClientCert, "", ""},
		{"none where the backend wants one", nil, reEncrypt, tls.RequireAndVerifyClientCert, "", "remote error: tls: certificate required"},
	} {
		t.Run(c.what, func(t *testing.T) {
			p := with(t, "tls="+c.mode)
			p.Identity = &Identity{Certificates: ours.Certificates, Client: ours.Client, Backends: c.backends}
			l := start(t, p)
			if l.Authority() != nil {
				t.Error("an authority was made beside the identity given")
			}
			client := tls.Client(l.dial("n1"), &tls.Config{RootCAs: authorities(ours), ServerName: "localhost"})
			var handshake sync.WaitGroup
			handshake.Go(func() {
				if err := client.Handshake(); err != nil {
					t.Error("client:", err)
				}
			})
			behind := tls.Server(l.reached("b1"), &tls.Config{Certificates: theirs.Certificates, ClientAuth: c.asks, ClientCAs: authorities(ours)})
			err := behind.Handshake()
			handshake.Wait()
			switch {
			case c.refused != "":
				client.Close() // it need not wait for as long as retries take
				if got := l.event(KindRefused); got.Why != endsTLS || !strings.HasPrefix(got.What, c.refused) {
					t.Errorf("got %s %q, want it to begin with %q", got.Why, got.What, c.refused)
				}
			case c.expired != "":
				if got := l.event(KindExpired); got.Why != endsTLS || !strings.Contains(got.What, c.expired) {
					t.Errorf("got %s %q, want it to say %q", got.Why, got.What, c.expired)
				}
				expect(t, "client", client, eof)
			case err != nil:
				t.Error("server:", err)
			default:
				say(t, client, behind, "hello")
				if shown := behind.ConnectionState().PeerCertificates; c.mode == reEncryptMTLS && shown[0].Subject.CommonName != "lbtest-balancer" {
					t.Errorf("the backend saw %s", shown[0].Subject)
				}
			}
		})
	}
	p := with(t, "tls=re-encrypt-mtls")
	for want, id := range map[string]*Identity{
		"no certificate to show to clients":         {},
		"no client certificate to show to backends": {Certificates: ours.Certificates},
	} {
		p.Identity = id
		if _, err := Listen(p, []Front{{Name: "n1"}}, func(Event) {}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want it to say %s", err, want)
		}
	}
}

func TestWhoSpeaksNoTLSIsTurnedAway(t *testing.T) {
	for _, c := range []struct {
		what   string
		client func(c *net.TCPConn)
		want   string
	}{
		{"a client that speaks plainly", func(c *net.TCPConn) { io.WriteString(c, "CONNECT {}\r\n") }, `client: no TLS: it begins with "CONNE"`},
		{"a client that waits to be greeted and gives up", func(c *net.TCPConn) { c.CloseWrite() }, "without having spoken; a NATS client waits for a greeting"},
		{"a client that is gone in its handshake", func(c *net.TCPConn) { io.WriteString(c, "\x16\x03\x01\x02\x00"); c.CloseWrite() }, "client: closed in the TLS handshake"},
	} {
		t.Run(c.what, func(t *testing.T) {
			l := start(t, with(t, "tls=terminate"))
			client := l.dial("n1")
			c.client(client)
			if got := l.event(KindRefused); got.Why != endsTLS || !strings.HasPrefix(got.What, "client: ") || !strings.Contains(got.What, c.want) {
				t.Errorf("got %s %q, want %q", got.Why, got.What, c.want)
			}
		})
	}
	t.Run("a backend that greets first", func(t *testing.T) {
		l := start(t, with(t, "tls=re-encrypt"))
		client := tls.Client(l.dial("n1"), l.trusted())
		var waiting sync.WaitGroup
		waiting.Go(func() {
			if err := client.Handshake(); err != nil {
				t.Error(err)
			}
		})
		io.WriteString(l.reached("b1"), "INFO {}\r\n")
		waiting.Wait()
		expect(t, "client, for as long as retries take,", client, silence)
		client.Close()
		if got := l.event(KindRefused); !strings.HasPrefix(got.What, `server: no TLS: it begins with "INFO "; a NATS server greets before TLS`) {
			t.Errorf("got %q", got.What)
		}
	})
}

// natsTLS is a real server's TLS options with a certificate of its own.
func natsTLS(t *testing.T, first, plainToo bool) *server.Options {
	return &server.Options{
		TLSConfig: &tls.Config{Certificates: foreign(t).Certificates, ClientAuth: tls.NoClientCert},
		TLS:       true, TLSTimeout: 2, TLSHandshakeFirst: first, AllowNonTLS: plainToo,
	}
}

// TestNATSBehindTLS holds what was observed with HAProxy, nats-server v2.15.2 and nats.go v1.55.0.
func TestNATSBehindTLS(t *testing.T) {
	timesOut := func(took time.Duration, err error) string {
		var timeout net.Error
		if !errors.Is(err, nats.ErrTimeout) && !(errors.As(err, &timeout) && timeout.Timeout()) {
			return fmt.Sprintf("got %v after %s, want a timeout", err, took)
		}
		if took < 1900*time.Millisecond {
			return fmt.Sprintf("timed out after %s, want 2s", took)
		}
		return ""
	}
	works := func(_ time.Duration, err error) string {
		if err != nil {
			return "got " + err.Error()
		}
		return ""
	}
	says := func(want string) func(time.Duration, error) string {
		return func(_ time.Duration, err error) string {
			if err == nil || !strings.Contains(err.Error(), want) {
				return fmt.Sprintf("got %v, want %s", err, want)
			}
			return ""
		}
	}
	plain := func(*testing.T) *server.Options { return &server.Options{} }
	for _, c := range []struct {
		what     string
		mode     string
		server   func(*testing.T) *server.Options
		tlsFirst bool
		want     func(time.Duration, error) string
	}{
		{"passthrough, INFO first", passthrough, func(t *testing.T) *server.Options { return natsTLS(t, false, false) }, false, works},
		{"passthrough, TLS first on both sides", passthrough, func(t *testing.T) *server.Options { return natsTLS(t, true, false) }, true, works},
		{"terminate before a plain server, an ordinary client", terminate, plain, false, timesOut},
		{"terminate before a plain server, a TLS-first client", terminate, plain, true, says("secure connection not available")},
		{"terminate before a server with allow_non_tls, a TLS-first client", terminate, func(t *testing.T) *server.Options { return natsTLS(t, false, true) }, true, works},
		{"re-encrypt to an INFO-first server, an ordinary client", reEncrypt, func(t *testing.T) *server.Options { return natsTLS(t, false, false) }, false, timesOut},
		{"re-encrypt to an INFO-first server, a TLS-first client", reEncrypt, func(t *testing.T) *server.Options { return natsTLS(t, false, false) }, true, timesOut},
		{"re-encrypt to a TLS-first server, a TLS-first client", reEncrypt, func(t *testing.T) *server.Options { return natsTLS(t, true, false) }, true, works},
	} {
		t.Run(c.what, func(t *testing.T) {
			l, _ := beforeNATS(t, with(t, "tls="+c.mode), c.server(t))
			config := &tls.Config{InsecureSkipVerify: true} // end to end the server shows a certificate of its own
			if c.mode != passthrough {
				config = l.trusted()
			}
			options := []nats.Option{nats.Secure(config)}
			if c.tlsFirst {
				options = append(options, nats.TLSHandshakeFirst())
			}
			nc, took, err := l.natsClient("n1", options...)
			if wrong := c.want(took, err); wrong != "" {
				t.Error(wrong)
			}
			if err == nil {
				echoes(t, nc, bytes.Repeat([]byte("x"), 600_000))
				nc.Close()
			}
		})
	}
}

func TestALargeAnswerAndAGoodbyeReachASlowReader(t *testing.T) {
	inEachMode(t, func(t *testing.T, p Profile, mode string) {
		l := start(t, p)
		client, server := l.tlsEnds(mode)
		const size = 8 << 20 // more than fits into the buffers on the way
		var sending sync.WaitGroup
		sending.Go(func() {
			server.Write(make([]byte, size))
			server.Close()
		})
		until(t, "the way to the client to be full", func() (bool, string) {
			f := l.flow("n1#1")
			before := f.client.sent.Load()
			<-time.After(50 * time.Millisecond)
			return before > 0 && f.client.sent.Load() == before, "bytes move"
		})
		client.SetReadDeadline(time.Now().Add(2 * patience))
		got, err := io.Copy(io.Discard, client)
		sending.Wait()
		if got != size || err != nil {
			t.Errorf("got %d bytes and %v, want %d and a goodbye", got, err, size)
		}
	})
}

func TestManyRecordsAreReadAtOnce(t *testing.T) {
	// A leg whose far end has sent 64 records of 1,000 bytes reads them in few pieces.
	l := start(t, with(t, "tls=terminate"))
	client, behind := l.tlsEnds(terminate)
	var sizes []int
	l.stall()
	for range 64 {
		if _, err := client.Write(make([]byte, 1000)); err != nil {
			t.Fatal(err)
		}
	}
	l.resume()
	behind.SetReadDeadline(time.Now().Add(patience))
	buf := make([]byte, 1<<20)
	for total := 0; total < 64_000; {
		n, err := behind.Read(buf)
		if err != nil {
			t.Fatal(err)
		}
		total += n
		sizes = append(sizes, n)
	}
	if len(sizes) > 16 {
		t.Errorf("64 records came in %d pieces: %d", len(sizes), sizes)
	}
	if i := slices.IndexFunc(l.all(), func(e Event) bool { return e.Kind == KindApplied && e.Why == endsTLS }); i < 0 {
		t.Error("no TLS was noted as applied")
	}
}

func TestWhatFellSilentUnderTLSSaysNoGoodbyeEither(t *testing.T) {
	l := start(t, with(t, "tls=terminate", "idle-timeout="+idle.String(), "idle-expiry=silent"))
	client, behind := l.tlsEnds(terminate)
	say(t, client, behind, "hello")
	l.event(KindExpired)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	expect(t, "client, below its TLS,", client.(*tls.Conn).NetConn(), eof)
}

// reserved is a behaviour that puts a layer on the client's side which is slow to say goodbye.
type reserved struct {
	staged
	asked, goodbye chan struct{}
}

func (r reserved) Start() Policy { return r }
func (r reserved) Unwrap(ctx context.Context, f *Flow) error {
	return f.Wrap(ctx, Down, patience, func(c net.Conn) (net.Conn, error) { return slowGoodbye{c, r}, nil })
}

type slowGoodbye struct {
	net.Conn
	reserved
}

func (s slowGoodbye) CloseWrite() error {
	select {
	case s.asked <- struct{}{}:
	default: // said once already
	}
	<-s.goodbye
	return nil
}

func TestALayersGoodbyeHoldsUpNobodyElse(t *testing.T) {
	slow := reserved{asked: make(chan struct{}, 1), goodbye: make(chan struct{})}
	l := start(t, Profile{Behaviours: []Behaviour{slow}})
	client, behind := l.connect()
	f := l.flow("n1#1")
	behind.CloseWrite()
	<-slow.asked
	noted := make(chan struct{})
	go func() { f.Applied("test", "while the goodbye waits"); close(noted) }()
	select {
	case <-noted:
		say(t, client, behind, "and the other direction goes on")
	case <-time.After(patience):
		t.Error("the flow is locked while its layer says goodbye")
	}
	close(slow.goodbye)
	expect(t, "client", client, eof)
}
