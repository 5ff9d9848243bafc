package suite

import (
	"bytes"
	"cmp"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nkeys"

	"github.com/lbtest/lbtest/assertions"
	"github.com/lbtest/lbtest/cmd/internal/report"
	"github.com/lbtest/lbtest/proxies"
)

// natsd is a real server at a free port until the test's end.
func natsd(t *testing.T, change func(*server.Options)) *server.Server {
	t.Helper()
	o := &server.Options{Host: "127.0.0.1", Port: server.RANDOM_PORT, NoSigs: true, NoLog: true}
	if change != nil {
		change(o)
	}
	s, err := server.NewServer(o)
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(func() {
		s.Shutdown()
		s.WaitForShutdown()
	})
	if !s.ReadyForConnections(10 * time.Second) {
		t.Fatal("nats-server is not ready")
	}
	return s
}

// clustered are three real servers with routes to each other.
func clustered(t *testing.T, change func(*server.Options)) []*server.Server {
	t.Helper()
	var all []*server.Server
	for _, name := range []string{"n1", "n2", "n3"} {
		all = append(all, natsd(t, func(o *server.Options) {
			o.ServerName = name
			o.Cluster = server.ClusterOpts{Name: "C", Host: "127.0.0.1", Port: server.RANDOM_PORT}
			for _, s := range all {
				o.Routes = append(o.Routes, &url.URL{Scheme: "nats", Host: s.ClusterAddr().String()})
			}
			if change != nil {
				change(o)
			}
		}))
	}
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		if !slices.ContainsFunc(all, func(s *server.Server) bool { return s.NumRemotes() < 2 }) {
			return all
		}
		if time.Now().After(end) {
			t.Fatal("the cluster does not form")
		}
	}
}

// standing listens at an address of the loopback; serve puts servers behind it.
func standing(t *testing.T, listen string, settings ...string) (addr string, serve func([]*server.Server)) {
	t.Helper()
	p := proxies.Direct()
	for _, s := range settings {
		name, value, _ := strings.Cut(s, "=")
		var err error
		if p, err = p.With(name, value); err != nil {
			t.Fatal(err)
		}
	}
	b, err := proxies.Listen(p, []proxies.Front{{Name: "vip", Listen: listen}}, func(proxies.Event) {})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	return b.Addr("vip"), func(servers []*server.Server) {
		var backends []proxies.Backend
		for _, s := range servers {
			backends = append(backends, proxies.Backend{Name: s.Name(), Addr: s.Addr().String()})
		}
		if err := b.Serve(map[string][]proxies.Backend{"vip": backends}); err != nil {
			t.Fatal(err)
		}
	}
}

// behind is a cluster behind a balancer whose address it advertises.
func behind(t *testing.T, listen string, settings ...string) string {
	addr, serve := standing(t, listen, settings...)
	serve(clustered(t, func(o *server.Options) { o.ClientAdvertise = addr }))
	return addr
}

// looked is what came of a look at an endpoint.
type looked struct {
	report.Report
	text string // both renderings
	took time.Duration
	// events are the lines of the artefact.
	events string
}

func look(t *testing.T, a assertions.Access) looked {
	t.Helper()
	a.Timeout = cmp.Or(a.Timeout, 3*time.Second)
	var kept bytes.Buffer
	plan, err := NewEndpointPlan(EndpointOptions{Access: a, Command: []string{"lbtest", "validate", "-s", a.Servers, "--user", a.User, "--password=" + a.Password, "--token", a.Token}, Events: &kept})
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	r := plan.Run(t.Context(), nil)
	l := looked{Report: r, took: time.Since(began), events: kept.String()}
	for _, name := range []string{"text", "json"} {
		f, _ := report.Find(name)
		var b bytes.Buffer
		if err := f.Write(&b, r, report.Style{Width: 140, Verbose: true}); err != nil {
			t.Fatal(err)
		}
		l.text += b.String()
		if name == "text" {
			t.Log(b.String())
		}
	}
	if l.took > 15*time.Second {
		t.Errorf("it took %s", l.took)
	}
	return l
}

// of is the verdict of one check and its sentence.
func (l looked) of(name string) (assertions.Verdict, string) {
	for _, r := range l.Results {
		if r.Assertion == name {
			return r.Verdict, r.Got
		}
	}
	return "", ""
}

// seen is one endpoint and what must be said of it.
type seen struct {
	name  string
	at    func(t *testing.T) assertions.Access
	exit  int
	by    string // the check that must say so
	want  assertions.Verdict
	says  string
	fact  string // in the rendering
	quick bool   // not more than its waiting
	long  bool   // waits for what others wait for as well: only where LBTEST_LONG is set
	also  []answer
}

// answer is what another check says of the same look.
type answer struct {
	by   string
	want assertions.Verdict
	says string
}

// operated is a server in operator mode, and the credentials file of its one user.
func operated(t *testing.T) (change func(*server.Options), creds string) {
	t.Helper()
	operator, account, user := pair(t, nkeys.CreateOperator), pair(t, nkeys.CreateAccount), pair(t, nkeys.CreateUser)
	signer := jwt.NewOperatorClaims(operator.public)
	resolver := &server.MemAccResolver{}
	signed, err := jwt.NewAccountClaims(account.public).Encode(operator.KeyPair)
	if err != nil {
		t.Fatal(err)
	}
	if err := resolver.Store(account.public, signed); err != nil {
		t.Fatal(err)
	}
	token, err := jwt.NewUserClaims(user.public).Encode(account.KeyPair)
	if err != nil {
		t.Fatal(err)
	}
	text, err := jwt.FormatUserConfig(token, user.seed)
	if err != nil {
		t.Fatal(err)
	}
	creds = filepath.Join(t.TempDir(), "app.creds")
	if err := os.WriteFile(creds, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return func(o *server.Options) {
		o.TrustedOperators, o.AccountResolver = []*jwt.OperatorClaims{signer}, resolver
	}, creds
}

// pair is a key pair and its two halves.
func pair(t *testing.T, create func() (nkeys.KeyPair, error)) (p struct {
	nkeys.KeyPair
	public string
	seed   []byte
}) {
	t.Helper()
	var err error
	if p.KeyPair, err = create(); err != nil {
		t.Fatal(err)
	}
	p.public, _ = p.PublicKey() // of a pair that was just made
	p.seed, _ = p.Seed()
	return p
}

func at(addr string) assertions.Access { return assertions.Access{Servers: "nats://" + addr} }

func TestARealEndpointIsJudged(t *testing.T) {
	if testing.Short() {
		t.Skip("real servers")
	}
	const connects, firstBytes, spread, tlsConnects, address, stays, request, payloads = "client/connects", "inspection/first-bytes-pass", "client/spread-over-nodes",
		"tls/connects", "proxy/address-arrives", "client/stays-behind-lb", "request/answered", "inspection/payloads-pass"
	ca := authority(t)
	for _, c := range []seen{
		{name: "a cluster behind a balancer that does nothing", exit: 0, by: connects, want: assertions.Safe, says: "12 connects", fact: "cluster C",
			at: func(t *testing.T) assertions.Access { return at(behind(t, "")) },
			also: []answer{
				{spread, assertions.Safe, "led to 3 servers"},
				{stays, assertions.Safe, "this endpoint alone"},
				{request, assertions.Safe, "20 requests answered"},
				{payloads, assertions.Safe, "12 payloads came back"}}},
		{name: "a server on its own", exit: 0, by: spread, want: assertions.Skipped, says: "nothing says that there are others", fact: "2.15.2",
			at: func(t *testing.T) assertions.Access { return at(natsd(t, nil).Addr().String()) }},
		{name: "a node of a cluster, without a balancer", exit: 0, by: stays, want: assertions.Skipped, says: "no balancer that could be passed",
			at: func(t *testing.T) assertions.Access { return at(clustered(t, nil)[0].Addr().String()) }},
		{name: "nodes that advertise themselves", exit: 0, by: stays, want: assertions.Risky, says: "leave the balancer for 127.0.0.1:",
			at: func(t *testing.T) assertions.Access {
				addr, serve := standing(t, "")
				serve(clustered(t, nil))
				return at(addr)
			}},
		{name: "nodes that advertise what cannot be reached", exit: 0, by: stays, want: assertions.Risky, says: "try in vain 127.0.0.1:9 (loopback; connection refused)",
			at: func(t *testing.T) assertions.Access {
				addr, serve := standing(t, "")
				serve(clustered(t, func(o *server.Options) { o.ClientAdvertise = "127.0.0.1:9" }))
				return at(addr)
			}},
		{name: "a balancer that waits for the client", exit: 1, by: connects, want: assertions.Unsafe, says: "waits for the client to speak first",
			at: func(t *testing.T) assertions.Access { return at(behind(t, "", "inspection=client-first")) }},
		{name: "the same by its first bytes", long: true, exit: 1, by: firstBytes, want: assertions.Unsafe, says: "nothing came until the tester spoke",
			at: func(t *testing.T) assertions.Access { return at(behind(t, "", "inspection=client-first")) }},
		{name: "a balancer that always waits a while", long: true, exit: 1, by: firstBytes, want: assertions.Unsafe, says: "came after 2.",
			at: func(t *testing.T) assertions.Access {
				return at(behind(t, "", "inspection=wait-end", "inspection-delay=2500ms"))
			}},
		{name: "and one that waits a little", exit: 0, by: firstBytes, want: assertions.Risky, says: "came after 1",
			at: func(t *testing.T) assertions.Access {
				return at(behind(t, "", "inspection=wait-end", "inspection-delay=1s"))
			}},
		{name: "a balancer by source address", exit: 0, by: spread, want: assertions.Risky, says: "all 12 connections led to n",
			at: func(t *testing.T) assertions.Access { return at(behind(t, "", "balance=source-hash")) }},
		{name: "a balancer with an address of its own", exit: 0, by: address, want: assertions.Risky, says: "servers see 127.0.0.1 in the place of ::1",
			at: func(t *testing.T) assertions.Access { return at(behind(t, "[::1]:0")) }},
		{name: "a PROXY header that is understood", exit: 0, by: address, want: assertions.Safe, says: "own address in 12 connections",
			at: func(t *testing.T) assertions.Access {
				addr, serve := standing(t, "[::1]:0", "proxy-protocol=v2")
				serve([]*server.Server{natsd(t, func(o *server.Options) { o.ProxyProtocol = true })})
				return at(addr)
			}},
		{name: "a PROXY header that is not", exit: 1, by: connects, want: assertions.Unsafe, says: "12 of 12 connects failed",
			at: func(t *testing.T) assertions.Access { return at(behind(t, "", "proxy-protocol=v1")) }},
		{name: "an inspection that drops what it dislikes", exit: 1, by: payloads, want: assertions.Unsafe, says: "an HTTP request (",
			at: func(t *testing.T) assertions.Access {
				return at(behind(t, "", "inspection=signature", "inspection-pattern=/etc/passwd", "inspection-verdict=reset"))
			}},
		{name: "TLS whose authority is known", exit: 0, by: tlsConnects, want: assertions.Safe, says: "TLS 1.3, the certificate of CN=lbtest node",
			at: func(t *testing.T) assertions.Access {
				return ca.at(natsd(t, ca.secured(time.Now().Add(365*24*time.Hour), false)))
			}},
		{name: "TLS whose authority is not", exit: 1, by: tlsConnects, want: assertions.Unsafe, says: "unknown authority",
			at: func(t *testing.T) assertions.Access {
				a := authority(t).at(natsd(t, ca.secured(time.Now().Add(365*24*time.Hour), false)))
				return a
			}},
		{name: "a certificate that has expired", exit: 1, by: tlsConnects, want: assertions.Unsafe, says: "expired",
			at: func(t *testing.T) assertions.Access {
				return ca.at(natsd(t, ca.secured(time.Now().Add(-24*time.Hour), false)))
			}},
		{name: "a certificate that will soon", exit: 0, by: tlsConnects, want: assertions.Risky, says: "expires in 2 days",
			at: func(t *testing.T) assertions.Access {
				return ca.at(natsd(t, ca.secured(time.Now().Add(3*24*time.Hour-time.Hour), false)))
			}},
		{name: "TLS first, and a client that does not", exit: 1, by: connects, want: assertions.Unsafe, says: "only after a TLS handshake",
			at: func(t *testing.T) assertions.Access {
				return ca.at(natsd(t, ca.secured(time.Now().Add(365*24*time.Hour), true)))
			}},
		{name: "TLS first, and a client that does", exit: 0, by: connects, want: assertions.Safe, says: "12 connects", fact: "before the first line",
			at: func(t *testing.T) assertions.Access {
				a := ca.at(natsd(t, ca.secured(time.Now().Add(365*24*time.Hour), true)))
				a.TLSFirst = true
				return a
			}},
		{name: "a balancer that ends TLS, and a client that speaks TLS first", exit: 1, by: tlsConnects, want: assertions.Unsafe, says: "unknown authority", fact: "ended before it reaches the server",
			at: func(t *testing.T) assertions.Access {
				a := at(behind(t, "", "tls=terminate"))
				a.TLSFirst = true
				return a
			}},
		{name: "a balancer that ends TLS, and a client that does not", exit: 1, by: connects, want: assertions.Unsafe, says: "it speaks only after a TLS handshake",
			long: true, at: func(t *testing.T) assertions.Access { return at(behind(t, "", "tls=terminate")) }},
		{name: "a client certificate is asked for, and given", exit: 0, by: connects, want: assertions.Safe, says: "12 connects", fact: "a client certificate is asked for",
			at: func(t *testing.T) assertions.Access {
				a := ca.at(natsd(t, ca.verifying))
				a.Cert, a.Key = ca.client(t)
				return a
			}},
		{name: "a client certificate is asked for, and missing", exit: 1, by: connects, want: assertions.Unsafe, says: "12 of 12 connects failed", fact: "a certificate with --tlscert and --tlskey where one is asked for",
			at: func(t *testing.T) assertions.Access { return ca.at(natsd(t, ca.verifying)) }},
		{name: "the right nkey", exit: 0, by: connects, want: assertions.Safe, says: "12 connects",
			at: func(t *testing.T) assertions.Access {
				user := pair(t, nkeys.CreateUser)
				a := at(natsd(t, func(o *server.Options) { o.Nkeys = []*server.NkeyUser{{Nkey: user.public}} }).Addr().String())
				a.Nkey = filepath.Join(t.TempDir(), "app.nk")
				if err := os.WriteFile(a.Nkey, user.seed, 0o600); err != nil {
					t.Fatal(err)
				}
				return a
			}},
		{name: "the right credentials, in operator mode", exit: 0, by: connects, want: assertions.Safe, says: "12 connects",
			at: func(t *testing.T) assertions.Access {
				change, creds := operated(t)
				a := at(natsd(t, change).Addr().String())
				a.Creds = creds
				return a
			}},
		{name: "credentials of an operator that the server does not know", exit: 3, by: connects, want: assertions.Errored, says: "the servers let nobody in (nats: Authorization Violation)",
			at: func(t *testing.T) assertions.Access {
				change, _ := operated(t)
				_, creds := operated(t)
				a := at(natsd(t, change).Addr().String())
				a.Creds = creds
				return a
			}},
		{name: "the right token", exit: 0, by: connects, want: assertions.Safe, says: "12 connects",
			at: func(t *testing.T) assertions.Access {
				a := at(natsd(t, func(o *server.Options) { o.Authorization = "hidden-token" }).Addr().String())
				a.User = "hidden-token" // as the nats CLI has it
				return a
			}},
		{name: "a name with an address that does not answer", exit: 0, by: connects, want: assertions.Risky, says: "[::1]:",
			at: func(t *testing.T) assertions.Access {
				if all, err := net.LookupHost("localhost"); err != nil || !slices.Contains(all, "::1") || !slices.Contains(all, "127.0.0.1") {
					t.Skip("localhost has one address here")
				}
				_, port, _ := net.SplitHostPort(natsd(t, nil).Addr().String())
				return at("localhost:" + port)
			}},
		{name: "the right password", exit: 0, by: connects, want: assertions.Safe, says: "12 connects",
			at: func(t *testing.T) assertions.Access {
				a := at(natsd(t, locked).Addr().String())
				a.User, a.Password = "app", "hidden-password"
				return a
			}},
		{name: "the right password in the URL", exit: 0, by: connects, want: assertions.Safe, says: "12 connects",
			at: func(t *testing.T) assertions.Access {
				return at("app:hidden-password@" + natsd(t, locked).Addr().String())
			}},
		{name: "the wrong password", exit: 3, by: connects, want: assertions.Errored, says: "the servers let nobody in (nats: Authorization Violation)",
			at: func(t *testing.T) assertions.Access {
				a := at(natsd(t, locked).Addr().String())
				a.User, a.Password = "app", "hidden-other"
				return a
			}},
		{name: "no password", exit: 3, by: connects, want: assertions.Errored, says: "or none were given",
			at: func(t *testing.T) assertions.Access { return at(natsd(t, locked).Addr().String()) }},
		{name: "a user who may use no inbox", exit: 0, by: request, want: assertions.Skipped, says: "may not use inboxes",
			at: func(t *testing.T) assertions.Access {
				a := at(natsd(t, func(o *server.Options) {
					o.Users = []*server.User{{Username: "app", Password: "hidden-password", Permissions: &server.Permissions{
						Subscribe: &server.SubjectPermission{Deny: []string{"_INBOX.>"}}}}}
				}).Addr().String())
				a.User, a.Password = "app", "hidden-password"
				return a
			}},

		{name: "no such host", exit: 3, by: connects, want: assertions.Errored, says: "no-such-host.invalid:4222 has no address",
			at: func(*testing.T) assertions.Access { return at("no-such-host.invalid") }},
		{name: "a closed port", exit: 1, by: connects, want: assertions.Unsafe, says: "connection refused", quick: true,
			at: func(t *testing.T) assertions.Access { return at(closed(t)) }},
		{name: "HTTP", exit: 1, by: connects, want: assertions.Unsafe, says: "it speaks HTTP (HTTP/1.1 400 Bad Request)",
			at: func(t *testing.T) assertions.Access {
				s := httptest.NewServer(http.NotFoundHandler())
				t.Cleanup(s.Close)
				return at(s.Listener.Addr().String())
			}},
		{name: "HTTPS", long: true, exit: 1, by: connects, want: assertions.Unsafe, says: "TLS, but no NATS behind it",
			at: func(t *testing.T) assertions.Access {
				s := httptest.NewTLSServer(http.NotFoundHandler())
				s.Config.ErrorLog = nil
				t.Cleanup(s.Close)
				return at(s.Listener.Addr().String())
			}},
		{name: "SSH", exit: 1, by: connects, want: assertions.Unsafe, says: "it speaks SSH (SSH-2.0-OpenSSH_9.2)", quick: true,
			at: func(t *testing.T) assertions.Access { return at(says(t, "SSH-2.0-OpenSSH_9.2\r\n", false)) }},
		{name: "garbage", exit: 1, by: connects, want: assertions.Unsafe, says: "it does not speak NATS (.....[31mred", quick: true,
			at: func(t *testing.T) assertions.Access { return at(says(t, "\x00\xff\x07\x08\x1b[31mred\n", false)) }},
		{name: "an INFO that is none", exit: 1, by: connects, want: assertions.Unsafe, says: "its INFO cannot be read", quick: true,
			at: func(t *testing.T) assertions.Access { return at(says(t, "INFO {\"server_id\":7}\r\n", false)) }},
		{name: "silence", long: true, exit: 1, by: connects, want: assertions.Unsafe, says: "nothing came within 3s",
			at: func(t *testing.T) assertions.Access { return at(says(t, "", false)) }},
		{name: "endless bytes", exit: 1, by: connects, want: assertions.Unsafe, says: "on and on", quick: true,
			at: func(t *testing.T) assertions.Access { return at(says(t, "x", true)) }},
		{name: "an INFO, and then endless bytes", long: true, exit: 1, by: connects, want: assertions.Unsafe, says: "12 of 12 connects failed",
			at: func(t *testing.T) assertions.Access {
				return at(says(t, `INFO {"server_id":"X","server_name":"x","version":"2.0.0","max_payload":1024}`+"\r\n", true))
			}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.long && os.Getenv("LBTEST_LONG") == "" {
				t.Skip("LBTEST_LONG is not set")
			}
			t.Parallel()
			l := look(t, c.at(t))
			for range 2 { // a machine that is too busy to tell is asked again
				if !strings.Contains(l.text, "too busy to tell") {
					break
				}
				l = look(t, c.at(t))
			}
			for _, a := range append([]answer{{c.by, c.want, c.says}}, c.also...) {
				if v, got := l.of(a.by); v != a.want || !strings.Contains(got, a.says) {
					t.Errorf("%s is %s: %s; want %s: %s", a.by, v, got, a.want, a.says)
				}
			}
			if code := l.ExitCode(report.FailOnUnsafe); code != c.exit {
				t.Errorf("exit %d, want %d", code, c.exit)
			}
			if !strings.Contains(l.text, c.fact) {
				t.Errorf("the report lacks %q", c.fact)
			}
			if strings.Contains(l.text, "hidden") {
				t.Error("the report holds a credential")
			}
			if strings.Contains(l.events, "hidden") {
				t.Error("the events hold a credential")
			}
			for _, r := range l.Results {
				for _, id := range r.Evidence {
					if !strings.Contains(l.events, `{"id":"`+id+`",`) {
						t.Errorf("%s rests on %s, which is not among the events", r.Assertion, id)
					}
				}
			}
			if c.quick && l.took > 10*time.Second {
				t.Errorf("it took %s", l.took)
			}
		})
	}
}

// locked wants a user and a password.
func locked(o *server.Options) { o.Username, o.Password = "app", "hidden-password" }

// closed is an address at which nobody listens.
func closed(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// says is an address at which whoever comes is told that, once or without end.
func says(t *testing.T, text string, endless bool) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	t.Cleanup(func() {
		l.Close()
		all.Wait()
	})
	all.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			all.Go(func() {
				defer c.Close()
				_, err := io.WriteString(c, text)
				for more := bytes.Repeat([]byte("x"), 4096); endless && err == nil; {
					_, err = c.Write(more)
				}
				_, _ = io.Copy(io.Discard, c) // until the other side has enough
			})
		}
	})
	return l.Addr().String()
}

// issuer signs certificates for the loopback.
type issuer struct {
	t    *testing.T
	path string // of its own certificate
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func authority(t *testing.T) issuer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	cert := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "lbtest authority"}, NotBefore: time.Now().Add(-1000 * time.Hour),
		NotAfter: time.Now().Add(10000 * time.Hour), IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	der, err := x509.CreateCertificate(rand.Reader, cert, cert, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	if cert, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return issuer{t, path, cert, key}
}

// node is a certificate for the loopback that ends at a time.
func (i issuer) node(until time.Time) ([]byte, *ecdsa.PrivateKey) {
	i.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		i.t.Fatal(err)
	}
	leaf := &x509.Certificate{SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "lbtest node"}, NotBefore: time.Now().Add(-100 * time.Hour), NotAfter: until,
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, DNSNames: []string{"localhost"}}
	der, err := x509.CreateCertificate(rand.Reader, leaf, i.cert, &key.PublicKey, i.key)
	if err != nil {
		i.t.Fatal(err)
	}
	return der, key
}

// pair is a certificate for the loopback and its key, as one file.
func (i issuer) pair(t *testing.T) string {
	t.Helper()
	der, key := i.node(time.Now().Add(365 * 24 * time.Hour))
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "pair.pem")
	text := append(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret})...)
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// dialling is the access of a client that knows the authority.
func (i issuer) dialling(addr string, first bool) assertions.Access {
	return assertions.Access{Servers: "nats://" + addr, CA: i.path, TLSFirst: first}
}

// secured gives a server a certificate that ends at a time.
func (i issuer) secured(until time.Time, first bool) func(*server.Options) {
	return func(o *server.Options) {
		der, key := i.node(until)
		o.TLS, o.TLSTimeout, o.TLSHandshakeFirst = true, 2, first
		o.TLSConfig = &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}, MinVersion: tls.VersionTLS12}
	}
}

// verifying wants a certificate of the client.
func (i issuer) verifying(o *server.Options) {
	i.secured(time.Now().Add(365*24*time.Hour), false)(o)
	o.TLSVerify = true
	o.TLSConfig.ClientAuth, o.TLSConfig.ClientCAs = tls.RequireAndVerifyClientCert, x509.NewCertPool()
	o.TLSConfig.ClientCAs.AddCert(i.cert)
}

// client is a client's certificate and key, as files.
func (i issuer) client(t *testing.T) (cert, key string) {
	t.Helper()
	pair, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	leaf := &x509.Certificate{SerialNumber: big.NewInt(3), Subject: pkix.Name{CommonName: "lbtest client"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, leaf, i.cert, &pair.PublicKey, i.key)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(pair)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for path, block := range map[string]*pem.Block{cert: {Type: "CERTIFICATE", Bytes: der}, key: {Type: "PRIVATE KEY", Bytes: secret}} {
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return cert, key
}

func (i issuer) at(s *server.Server) assertions.Access {
	return assertions.Access{Servers: "nats://" + s.Addr().String(), CA: i.path}
}

func TestWhatTheFlagsSayIsReadBeforeAnythingIsDialled(t *testing.T) {
	dir := t.TempDir()
	empty := filepath.Join(dir, "empty")
	if err := os.WriteFile(empty, []byte("hidden"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("XDG_CONFIG_HOME", dir) // no context is selected there
	for _, c := range []struct {
		access assertions.Access
		want   string
	}{
		{assertions.Access{}, "which address? Give -s URL"},
		{assertions.Access{Servers: "nats://app:hidden@h:x:y"}, "-s: URL 1 is none"},
		{assertions.Access{Servers: "nats://a,http://app:hidden@h"}, "-s http://h: want nats:// or tls://"},
		{assertions.Access{Servers: "wss://app:hidden@h"}, "websocket endpoints are not measured"},
		{assertions.Access{Servers: "nats://"}, "URL 1 is none"},
		{assertions.Access{Servers: "a", Cert: empty}, "--tlscert and --tlskey go together"},
		{assertions.Access{Servers: "a", Cert: empty, Key: empty}, "reading --tlscert and --tlskey"},
		{assertions.Access{Servers: "a", CA: filepath.Join(dir, "none")}, "reading --tlsca"},
		{assertions.Access{Servers: "a", CA: empty}, "there is no PEM certificate in it"},
		{assertions.Access{Servers: "a", Creds: empty}, "there are no credentials in it"},
		{assertions.Access{Servers: "a", Nkey: empty}, "there are no credentials in it"},
		{assertions.Access{Context: "none"}, `unknown context "none"`},
	} {
		c.access.Timeout = time.Second
		_, err := NewEndpointPlan(EndpointOptions{Access: c.access})
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "hidden") {
			t.Errorf("%+v: got %v, want %s", c.access, err, c.want)
		}
	}
	if _, err := NewEndpointPlan(EndpointOptions{Access: assertions.Access{Servers: "a"}}); err == nil {
		t.Error("no time at all was accepted")
	}
}

func TestAContextOfTheNATSCLI(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("XDG_CONFIG_HOME", dir)
	if err := os.MkdirAll(filepath.Join(dir, "nats", "context"), 0o700); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"lb": `{"url":"nats://127.0.0.1:4333","user":"app","password":"hidden"}`, "far": `{"url":"nats://a","socks_proxy":"b"}`} {
		if err := os.WriteFile(filepath.Join(dir, "nats", "context", name+".json"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	plan, err := NewEndpointPlan(EndpointOptions{Access: assertions.Access{Context: "lb", Timeout: time.Second}})
	if err != nil || plan.name != "endpoint/127.0.0.1:4333" || plan.reproduce() != "lbtest validate --context lb" {
		t.Errorf("got %q, %q, %v", plan.name, plan.reproduce(), err)
	}
	for _, c := range []struct {
		a    assertions.Access
		want string // "" where nothing is wrong
	}{
		{assertions.Access{Context: "far"}, "context far: the way goes through a SOCKS proxy"},
		{assertions.Access{Context: "far", SocksProxy: "none"}, ""},
		{assertions.Access{Servers: "a", SocksProxy: "socks5://b"}, "--socks-proxy or NATS_SOCKS_PROXY: the way goes through a SOCKS proxy"},
		{assertions.Access{Servers: "a", SocksProxy: "none"}, ""},
		{assertions.Access{Servers: "a", NoContext: true}, ""},
		{assertions.Access{NoContext: true}, "With --no-context it takes -s URL"},
		{assertions.Access{Servers: "a", NoContext: true, Context: "lb"}, "both --context lb and --no-context"},
		{assertions.Access{Servers: "a", Name: strings.Repeat("x", 65)}, "--connection-name: 65 letters are too many"},
	} {
		c.a.Timeout = time.Second
		_, err := NewEndpointPlan(EndpointOptions{Access: c.a})
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: got %v, want %q", c.a, err, c.want)
		}
	}
	named, err := NewEndpointPlan(EndpointOptions{Access: assertions.Access{Servers: "a", Name: "my tester", NoContext: true, Timeout: time.Second}})
	if err != nil || named.reproduce() != "lbtest validate -s nats://a:4222 --connection-name 'my tester' --no-context" {
		t.Errorf("got %q, %v", named.reproduce(), err)
	}
}

func TestCommandsAreSparedTheirCredentials(t *testing.T) {
	for given, want := range map[string]string{
		"validate -s nats://u:p@h:1,nats://t@h:2 --user u --password=p --token t": "validate -s nats://h:1,nats://h:2 --user *** --password=*** --token ***",
		"validate --server=u:p@h --tlsca a@b.pem":                                 "validate --server=h --tlsca b.pem",
		"validate -snats://u:p@@h":                                                "validate -snats://h",
		"validate -s nats://h:4222 --json":                                        "validate -s nats://h:4222 --json",
	} {
		if got := strings.Join(spared(strings.Fields(given)), " "); got != want {
			t.Errorf("%s: got %s, want %s", given, got, want)
		}
	}
}

// TestEventsOfAnEndpointHoldNoCredential has an endpoint repeat what it was shown, in every field that an event takes
// from others.
func TestEventsOfAnEndpointHoldNoCredential(t *testing.T) {
	seed := string(pair(t, nkeys.CreateUser).seed)
	for _, a := range []assertions.Access{
		{Servers: "nats://app:hidden-password@h"}, {Servers: "nats://hidden-token@h"}, {Servers: "h", User: "app", Password: "hidden-password"}, {Servers: "h", User: "hidden-token"},
		{Servers: "h", Token: "hidden-token"}, {Servers: "h", JWT: "eyJ0eXAiOiJKV1QifQ.hidden.c2lnbmF0dXJl", Seed: seed},
	} {
		a.Timeout = time.Second
		var kept bytes.Buffer
		plan, err := NewEndpointPlan(EndpointOptions{Access: a, Events: &kept})
		if err != nil {
			t.Fatal(err)
		}
		secrets := plan.endpoint.Secrets()
		if len(secrets) == 0 {
			t.Errorf("%+v has no secret", a)
		}
		for _, secret := range append(secrets, "nats://app:hidden@10.0.0.1:4222", seed) {
			text := "it said " + secret + " and " + secret
			plan.keep(assertions.History{Events: []assertions.Event{{ID: "e1", Kind: "complained", Why: text, What: text, Node: text, Peer: text, Addr: text,
				Info: &assertions.Info{Name: text, URLs: []string{text}}, TLS: &assertions.Handshake{Subject: text}, Far: &assertions.FarEnd{Name: text}}}}, time.Now(), nil)
		}
		if got := kept.String(); strings.Contains(got, "hidden") || strings.Contains(got, seed) || !strings.Contains(got, `{"id":"e1",`) {
			t.Errorf("%+v: %s", a, got)
		}
	}
}

func TestAnInterruptedLookReportsWhatItSaw(t *testing.T) {
	plan, err := NewEndpointPlan(EndpointOptions{Access: assertions.Access{Servers: says(t, "", false), Timeout: time.Minute}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	time.AfterFunc(time.Second, func() { cancel(errors.New("enough")) }) // something was seen by then
	began := time.Now()
	r := plan.Run(ctx, nil)
	if !r.Run.Interrupted || len(r.Scenarios[0].Facts) == 0 || time.Since(began) > 30*time.Second { // uninterrupted it waits a minute and more
		t.Errorf("after %s: %+v", time.Since(began), r)
	}
}
