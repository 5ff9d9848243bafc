package proxies

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"
	"time"
)

// TLS says who ends it.
type TLS struct{ Mode string } // "" is passthrough

const (
	endsTLS = "tls"

	passthrough   = "passthrough"
	terminate     = "terminate"
	reEncrypt     = "re-encrypt"
	reEncryptMTLS = "re-encrypt-mtls"
)

func init() { register(15, TLS{}) }

// Settings implements Behaviour.
func (TLS) Settings() []Setting {
	return []Setting{{
		Name: endsTLS, Default: passthrough, Values: "passthrough, terminate, re-encrypt, re-encrypt-mtls",
		About: "who ends TLS: the backend, or the balancer with a certificate of its own",
		Explain: "passthrough: packet-level boxes (IPVS, Azure Load Balancer, Google's passthrough NLB) and any TCP listener leave TLS to both ends, and with it the client's certificate. " +
			"terminate: AWS NLB TLS listeners with a TCP target, Google's SSL proxy, HAProxy with bind ssl, nginx stream with listen ssl, Cloudflare Spectrum's flexible; bytes go to the backend in the clear. " +
			"re-encrypt: the same boxes with a TLS target, server ssl or proxy_ssl, Spectrum's full. re-encrypt-mtls: HAProxy's server crt and nginx's proxy_ssl_certificate show a certificate of the balancer's to the backend, which never sees the client's. " +
			"NATS greets before TLS unless handshake_first is set, so behind a terminator an ordinary client and the balancer wait for each other until the client gives up after 2s; a client that speaks TLS first needs a server that does so too (re-encrypt), " +
			"or one that speaks plainly though its clients think otherwise (terminate, with allow_non_tls). " +
			"Here both handshakes are real, TLS 1.2 or 1.3 with session tickets and no ALPN, as NLB has it by default. Without an identity of its own the balancer shows a throw-away certificate. " +
			"A backend's certificate is not verified unless the identity names authorities for it, as with NLB, HAProxy's verify none and nginx's default. " +
			"A client has 10s for its handshake. A backend that does not complete one in 5s, or answers without TLS, costs the client as long as HAProxy's three retries take, 3s in which nothing comes, and then a FIN; the retries themselves are not made. " +
			"Inspection sees what was decrypted, except for tls-hello, and a PROXY header goes ahead of the handshake with the backend. A connection is ended by a close_notify and a FIN where it ends by FIN; an RST is passed on as an RST, and an expiry in silence says nothing at all.",
	}}
}

// Value implements Behaviour.
func (t TLS) Value(string) string {
	if t.Mode == "" {
		return passthrough
	}
	return t.Mode
}

// With implements Behaviour.
func (TLS) With(setting, value string) (Behaviour, error) {
	mode, err := parseWord(setting, value, passthrough, terminate, reEncrypt, reEncryptMTLS)
	return TLS{mode}, err
}

// Scaled implements Behaviour: handshakes take what they take.
func (t TLS) Scaled(float64) Behaviour { return t }

// Start implements Behaviour.
func (t TLS) Start() Policy {
	if t.Value(endsTLS) == passthrough {
		return admitsAll{}
	}
	return &ending{mode: t.Mode}
}

// ending is a balancer that ends TLS.
type ending struct {
	admitsAll
	mode     string
	down, up *tls.Config
}

// tickets is how many sessions with backends are remembered: one a backend is used, few frontends have more
// than a dozen.
const tickets = 64

func (e *ending) certify(id *Identity) {
	// Records of full size from the first byte on, as HAProxy's default is.
	e.down = &tls.Config{Certificates: id.Certificates, DynamicRecordSizingDisabled: true}
	e.up = &tls.Config{
		RootCAs: id.Backends, InsecureSkipVerify: id.Backends == nil, DynamicRecordSizingDisabled: true,
		ClientSessionCache: tls.NewLRUClientSessionCache(tickets),
	}
	if e.mode == reEncryptMTLS {
		e.up.Certificates = []tls.Certificate{*id.Client}
	}
}

// handshakeFor is how long a client may take: what Go's servers and F5's client profiles allow, and far above the
// 2 s after which NATS clients give up.
const handshakeFor = 10 * time.Second

// Unwrap implements Unwrapper: TLS with the client.
func (e *ending) Unwrap(ctx context.Context, f *Flow) error {
	return e.shake(ctx, f, Down, handshakeFor, func(c net.Conn) *tls.Conn { return tls.Server(c, e.down) })
}

// Greet implements Greeter: TLS with the backend.
func (e *ending) Greet(ctx context.Context, f *Flow) error {
	if e.mode == terminate {
		return nil
	}
	config := e.up
	if host, _, err := net.SplitHostPort(f.Backend().Addr); err == nil {
		config = config.Clone() // shares its session cache
		config.ServerName = host
	}
	err := e.shake(ctx, f, Up, dialFor, func(c net.Conn) *tls.Conn { return tls.Client(c, config) })
	if err != nil {
		f.linger(ctx, retries)
	}
	return err
}

// retries is how long HAProxy tries again before it gives a client up: three times, a second apart.
const retries = 3 * time.Second

func (e *ending) shake(ctx context.Context, f *Flow, d Direction, within time.Duration, over func(net.Conn) *tls.Conn) error {
	began := time.Now()
	var state tls.ConnectionState
	err := f.Wrap(ctx, d, within, func(c net.Conn) (net.Conn, error) {
		layer := over(c)
		err := layer.Handshake() // Wrap sees to its end
		state = layer.ConnectionState()
		return layer, err
	})
	side := map[Direction]string{Down: clientSide, Up: serverSide}[d]
	if err != nil {
		how := Close
		if d == Down && errors.Is(err, syscall.ECONNRESET) {
			how = Reset // it was the client's end of the connection, not the balancer's
		}
		return &Refusal{how, endsTLS, side + ": " + whyNoTLS(err, d, time.Since(began))}
	}
	f.Applied(endsTLS, fmt.Sprintf("%s: %s with %s", side, tls.VersionName(state.Version), tls.CipherSuiteName(state.CipherSuite)))
	return nil
}

// whyNoTLS puts the error of a handshake into an operator's words.
func whyNoTLS(err error, d Direction, took time.Duration) string {
	var plain tls.RecordHeaderError
	switch {
	case errors.As(err, &plain) && d == Up:
		return fmt.Sprintf("no TLS: it begins with %q; a NATS server greets before TLS unless handshake_first is set", plain.RecordHeader)
	case errors.As(err, &plain):
		return fmt.Sprintf("no TLS: it begins with %q", plain.RecordHeader)
	case errors.Is(err, os.ErrDeadlineExceeded):
		return fmt.Sprintf("no TLS handshake in %s", formatDuration(took.Round(time.Second)))
	case errors.Is(err, io.EOF) && d == Down:
		return fmt.Sprintf("closed after %s without having spoken; a NATS client waits for a greeting unless TLS is first for it too", took.Round(100*time.Millisecond))
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "closed in the TLS handshake"
	case errors.Is(err, syscall.ECONNRESET):
		return "reset in the TLS handshake"
	}
	return err.Error()
}
