package assertions

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/nats-io/jsm.go/natscontext"
	"github.com/nats-io/nats.go"
)

// Access is how a real endpoint is reached: the connection flags of the nats CLI.
type Access struct {
	Servers               string // one URL or several, with commas between
	User, Password, Token string
	JWT, Seed             string
	Creds, Nkey           string // paths
	Cert, Key, CA         string // paths of PEM files
	TLSFirst              bool
	InboxPrefix           string
	Name                  string // of the connections, as servers list them; "" is the tester's own
	SocksProxy            string // "none" does without that of a context; through any other nothing is measured
	Direct                string // a URL past the load balancer, to compare with
	Context               string // by name; without it and without Servers the selected one
	NoContext             bool   // none at all
	Timeout               time.Duration
}

// Endpoint is a real address, ready to be looked at. Nothing in it that is printed holds a credential.
type Endpoint struct {
	Target Target

	doors   []door
	roots   *x509.CertPool    // nil: the system's
	certs   []tls.Certificate // presented where they are asked for
	first   bool              // TLS before anything else
	known   bool              // credentials are given
	name    string            // of its connections
	within  time.Duration     // for a connection, and again for its greeting
	secrets []string          // what is not repeated wherever it is met
	direct  *Endpoint         // the same past the load balancer; nil where none is given
}

// door is one host and port of the endpoint.
type door struct{ host, port string }

func (d door) String() string { return net.JoinHostPort(d.host, d.port) }

// Patience is the longest that anything single is waited for at a real endpoint, whatever --timeout says: the whole
// is to take less than 15 s.
const Patience = 6 * time.Second

// Open reads what the flags and a context name. Its errors are the user's, and hold no credential.
func (a Access) Open() (*Endpoint, error) {
	if a.Timeout <= 0 {
		return nil, fmt.Errorf("--timeout %s: want a duration above zero, as in 5s", a.Timeout)
	}
	c, err := a.context()
	if err != nil {
		return nil, err
	}
	a.Timeout = min(a.Timeout, Patience)
	e := &Endpoint{first: c.TLSHandshakeFirst(), name: cmp.Or(a.Name, ownName), within: a.Timeout, secrets: []string{c.Password(), c.Token(), c.UserJWT(), c.UserSeed()}}
	login, err := e.locate("-s", c.ServerURL())
	if err != nil {
		return nil, err
	}
	if err := e.papers(c); err != nil {
		return nil, err
	}
	access, err := c.NATSOptions()
	if err != nil {
		return nil, fmt.Errorf("reading the credentials: %s", e.mask(err.Error()))
	}
	e.known = login != nil || c.User()+c.Token()+c.Creds()+c.NKey()+c.UserJWT() != "" || len(e.certs) > 0
	if login != nil {
		access = append(access, login) // a URL's own credentials come before any other, as in nats.go
	}
	// What servers advertise is tried by itself: a connect that fails here is not to succeed somewhere else.
	access = append(access, nats.Timeout(a.Timeout), nats.NoReconnect(), nats.IgnoreDiscoveredServers())
	e.Target.Accounts = []Account{{Name: "given"}}
	e.Target.Client = ClientTuning{}.With(access...)
	if a.Direct != "" {
		if err := e.compare(a.Direct); err != nil {
			return nil, err
		}
	}
	e.Target.Terms = Terms{Topology: "endpoint", Links: []string{"clients"}, Factor: 1, Settings: map[string]string{}}
	return e, nil
}

// ownName is what the tester's connections call themselves.
const ownName = "lbtest validate"

// longestName is how much of a name a stand-in remembers: by it, it tells the tester's connections from others.
const longestName = 64

// Contexts lists the contexts of the nats CLI by name.
func Contexts() []string { return natscontext.KnownContexts() }

// context is what the flags say on top of a context of the nats CLI. A context that happens to be selected
// lends its credentials to no other address: it counts only where neither a server nor a context is given.
func (a Access) context() (*natscontext.Context, error) {
	switch {
	case a.NoContext && a.Context != "":
		return nil, fmt.Errorf("both --context %s and --no-context are given; leave one of them out", a.Context)
	case a.NoContext && a.Servers == "":
		return nil, errors.New("which address? With --no-context it takes -s URL, or NATS_URL in the environment")
	case len(a.Name) > longestName:
		return nil, fmt.Errorf("--connection-name: %d letters are too many; %d are the most", len(a.Name), longestName)
	}
	if a.Servers == "" && a.Context == "" && natscontext.SelectedContext() == "" {
		return nil, errors.New("which address? Give -s URL, NATS_URL in the environment, or a --context of the nats CLI")
	}
	if a.User != "" && a.Password == "" {
		a.User, a.Token = "", a.User // as the nats CLI has it
	}
	options := []natscontext.Option{natscontext.WithServerURL(a.Servers), natscontext.WithUser(a.User), natscontext.WithPassword(a.Password),
		natscontext.WithToken(a.Token), natscontext.WithCreds(a.Creds), natscontext.WithNKey(a.Nkey), natscontext.WithCertificate(a.Cert),
		natscontext.WithKey(a.Key), natscontext.WithCA(a.CA), natscontext.WithUserJWT(a.JWT), natscontext.WithUserSeed(a.Seed), natscontext.WithInboxPrefix(a.InboxPrefix), natscontext.WithSocksProxy(a.SocksProxy)}
	if a.TLSFirst {
		options = append(options, natscontext.WithTLSHandshakeFirst())
	}
	c, err := natscontext.New(a.Context, a.Context != "" || a.Servers == "", options...)
	if err != nil {
		return nil, fmt.Errorf("reading the nats context: %w", err)
	}
	if c.SocksProxy() != "" {
		by := "--socks-proxy or NATS_SOCKS_PROXY"
		if a.SocksProxy == "" {
			by = "context " + c.Name
		}
		return nil, fmt.Errorf("%s: the way goes through a SOCKS proxy, behind which neither addresses nor times nor idle limits can be told from the proxy's own; look from where the address is reached without it (--socks-proxy none)", by)
	}
	return c, nil
}

// locate reads the URLs and takes their credentials out of them. A URL that cannot be read is not repeated:
// there may be a password in it.
func (e *Endpoint) locate(flag, urls string) (login nats.Option, err error) {
	for i, text := range strings.Split(urls, ",") {
		text = strings.TrimSpace(text)
		if !strings.Contains(text, "://") {
			text = "nats://" + text
		}
		u, err := url.Parse(text)
		if err != nil || u.Hostname() == "" || strings.ContainsAny(u.Hostname(), " \t") {
			return nil, fmt.Errorf("%s: URL %d is none: want nats://HOST:PORT or tls://HOST:PORT", flag, i+1)
		}
		switch u.Scheme {
		case "nats", "tls":
		case "ws", "wss":
			return nil, fmt.Errorf("%s %s://%s: websocket endpoints are not measured; give the nats:// or tls:// address", flag, u.Scheme, u.Host)
		default:
			return nil, fmt.Errorf("%s %s://%s: want nats:// or tls://", flag, u.Scheme, u.Host)
		}
		d := door{host: u.Hostname(), port: u.Port()}
		if d.port == "" {
			d.port = "4222" // nats.go's
		}
		e.doors = append(e.doors, d)
		e.Target.URLs = append(e.Target.URLs, u.Scheme+"://"+d.String())
		if u.User == nil {
			continue
		}
		password, both := u.User.Password()
		if both {
			login = nats.UserInfo(u.User.Username(), password)
			e.secrets = append(e.secrets, password)
		} else {
			login = nats.Token(u.User.Username())
			e.secrets = append(e.secrets, u.User.Username())
		}
	}
	return login, nil
}

// papers reads the files that credentials and TLS name, so that a wrong path is bad usage and not a finding.
func (e *Endpoint) papers(c *natscontext.Context) error {
	if (c.Certificate() == "") != (c.Key() == "") {
		return errors.New("--tlscert and --tlskey go together: one of them is missing")
	}
	if c.Certificate() != "" {
		pair, err := tls.LoadX509KeyPair(c.Certificate(), c.Key())
		if err != nil {
			return fmt.Errorf("reading --tlscert and --tlskey: %w", err)
		}
		e.certs = append(e.certs, pair)
	}
	if c.CA() != "" {
		pem, err := os.ReadFile(c.CA())
		if err != nil {
			return fmt.Errorf("reading --tlsca: %w", err)
		}
		e.roots = x509.NewCertPool()
		if !e.roots.AppendCertsFromPEM(pem) {
			return fmt.Errorf("reading --tlsca %s: there is no PEM certificate in it", c.CA())
		}
	}
	if path := c.Creds(); path != "" && !strings.Contains(path, "://") {
		if err := readable("--creds", path, "-----BEGIN NATS USER JWT-----"); err != nil {
			return err
		}
	}
	if path := c.NKey(); path != "" && !strings.Contains(path, "://") {
		return readable("--nkey", path, "SU")
	}
	return nil
}

func readable(flag, path, marked string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("reading %s: %w", flag, err)
	}
	if !strings.Contains(string(text), marked) {
		return fmt.Errorf("reading %s %s: there are no credentials in it", flag, path)
	}
	return nil
}

// Secrets are what is not to be repeated, wherever it is met. One or two letters are not among them: they are met by
// chance everywhere, and nobody learns them from that.
func (e *Endpoint) Secrets() []string {
	return slices.DeleteFunc(slices.Clone(e.secrets), func(secret string) bool { return len(secret) <= 2 })
}

// mask takes credentials out of a text that others wrote.
func (e *Endpoint) mask(text string) string {
	for _, secret := range e.Secrets() {
		text = strings.ReplaceAll(text, secret, "***")
	}
	return text
}

// plenty is many times what a connection of the tester has to read here, all echoes together. An endpoint
// that sends without end is cut off there.
const plenty = 8 << 20

// bounded dials connections that end with the looking and after plenty of bytes: a client library collects a line
// that never ends.
type bounded struct {
	ctx    context.Context
	within time.Duration
}

// Dial is what nats.go calls.
func (b bounded) Dial(network, address string) (net.Conn, error) {
	c, err := (&net.Dialer{Timeout: b.within}).DialContext(b.ctx, network, address)
	if err != nil {
		return nil, err
	}
	return &boundedConn{Conn: c, release: context.AfterFunc(b.ctx, func() { c.Close() })}, nil
}

type boundedConn struct {
	net.Conn
	release func() bool
	read    atomic.Int64
}

// Close forgets the looking's end as well.
func (c *boundedConn) Close() error {
	c.release()
	return c.Conn.Close()
}

// Read ends with an error beyond plenty.
func (c *boundedConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if c.read.Add(int64(n)) > plenty {
		return n, fmt.Errorf("more than %d bytes came: %w", plenty, io.ErrShortBuffer)
	}
	return n, err
}
