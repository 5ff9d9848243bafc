package assertions

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"
	"unicode"
)

// Info is what a server says of itself in its first line; the names are those of the protocol.
type Info struct {
	ID           string   `json:"server_id,omitempty"`
	Name         string   `json:"server_name,omitempty"`
	Version      string   `json:"version,omitempty"`
	Cluster      string   `json:"cluster,omitempty"`
	ClientIP     string   `json:"client_ip,omitempty"`
	URLs         []string `json:"connect_urls,omitempty"`
	AuthRequired bool     `json:"auth_required,omitempty"`
	TLSRequired  bool     `json:"tls_required,omitempty"`
	TLSAvailable bool     `json:"tls_available,omitempty"`
	TLSVerify    bool     `json:"tls_verify,omitempty"`
	Headers      bool     `json:"headers,omitempty"`
	JetStream    bool     `json:"jetstream,omitempty"`
	LameDuck     bool     `json:"ldm,omitempty"`
	MaxPayload   int64    `json:"max_payload,omitempty"`
}

// Handshake is what a TLS handshake showed.
type Handshake struct {
	Version   string        `json:"version,omitempty"`
	Subject   string        `json:"subject,omitempty"`
	Issuer    string        `json:"issuer,omitempty"`
	Names     []string      `json:"names,omitempty"`
	Expires   time.Time     `json:"expires,omitzero"`
	Left      time.Duration `json:"left,omitempty"`      // until then
	Untrusted string        `json:"untrusted,omitempty"` // why the certificate does not verify
	Asks      bool          `json:"asks,omitempty"`      // for a client certificate
	First     bool          `json:"first,omitempty"`     // before any byte of NATS
	Print     string        `json:"print,omitempty"`     // of the certificate: its SHA-256
}

const (
	// clientPatience is how long nats.go waits for the first line unless it is told otherwise.
	clientPatience = 2 * time.Second
	// spokenFor is how long an answer to the tester's own first bytes is waited for: a balancer that waited for them
	// goes on at once.
	spokenFor = 1500 * time.Millisecond
	// mostAddresses is how many addresses of the endpoint are knocked at: a name with more of them is alike all over.
	mostAddresses = 8
	// lineLimit is where a first line ends that has no end; an INFO with a hundred URLs takes a few kilobytes.
	lineLimit = 256 << 10
)

// The ways of knocking, as events tell them.
const (
	listened = "listening" // nothing was said: an application of NATS waits for the server
	spokeUp  = "speaking"  // the tester spoke first
	tlsFirst = "tls-first" // a TLS handshake came first
)

// knocking tries every address of the endpoint once by hand: can it be reached, who speaks first, and what.
func (e *Endpoint) knocking(ctx context.Context, rec *Recorder) {
	var all sync.WaitGroup
	left := mostAddresses
	for _, d := range e.doors {
		lookup, cancel := context.WithTimeout(ctx, 3*time.Second) // resolvers retry after some seconds; nobody waits longer for a name
		hosts, err := net.DefaultResolver.LookupHost(lookup, d.host)
		cancel()
		if err != nil {
			rec.Add(Event{From: Client, Kind: "unresolved", Dial: d.String(), Why: unresolved(err)})
			continue
		}
		for _, ip := range hosts {
			addr := net.JoinHostPort(ip, d.port)
			rec.Add(Event{From: Client, Kind: "resolved", Dial: d.String(), Addr: addr})
			if left--; left >= 0 {
				all.Go(func() { e.knock(ctx, d, addr, rec) })
			}
		}
	}
	all.Wait()
}

func unresolved(err error) string {
	var dns *net.DNSError
	if errors.As(err, &dns) {
		return dns.Err
	}
	return err.Error()
}

// knock tries one address. Where nothing comes in a usual client's time, the tester speaks first on a second
// connection and in TLS on a third, while the first goes on listening.
func (e *Endpoint) knock(ctx context.Context, d door, addr string, rec *Recorder) {
	if e.first {
		e.greet(ctx, d, addr, tlsFirst, e.within, rec)
		return
	}
	over := make(chan struct{})
	var all sync.WaitGroup
	defer all.Wait()
	all.Go(func() {
		defer close(over)
		e.greet(ctx, d, addr, listened, e.within, rec)
	})
	select {
	case <-over:
		if !rec.SawAny(func(e Event) bool { return e.Kind == "greeting" && e.Addr == addr && e.Info == nil && e.Caller != "" }) {
			return // greeted, or not even connected
		}
	case <-time.After(clientPatience):
		if !rec.SawAny(func(e Event) bool { return e.Kind == "dialled" && e.Addr == addr }) {
			return // still connecting
		}
	case <-ctx.Done():
		return
	}
	all.Go(func() { e.greet(ctx, d, addr, spokeUp, spokenFor, rec) })
	all.Go(func() { e.greet(ctx, d, addr, tlsFirst, spokenFor, rec) })
}

// greet makes one connection and writes down what came of it: dialled, then greeting. A greeting without an Info
// is none, and Why says what came instead.
func (e *Endpoint) greet(ctx context.Context, d door, addr, how string, within time.Duration, rec *Recorder) {
	began := time.Now()
	conn, err := (&net.Dialer{Timeout: e.within}).DialContext(ctx, "tcp", addr)
	took := time.Since(began)
	if err != nil {
		if how == listened || e.first {
			rec.Add(Event{From: Client, Kind: "undialled", Dial: d.String(), Addr: addr, Took: took, Why: unreached(err)})
		}
		return
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	caller := conn.LocalAddr().String()
	if how == listened || e.first {
		rec.Add(Event{From: Client, Kind: "dialled", Dial: d.String(), Addr: addr, Took: took, Caller: caller})
	}
	began = time.Now()
	_ = conn.SetDeadline(began.Add(within))
	told := Event{From: Client, Kind: "greeting", Dial: d.String(), Addr: addr, How: how, Caller: caller}
	switch how {
	case spokeUp:
		_, _ = conn.Write([]byte("PING\r\n")) // what a client may say at any time; an error shows in what is read
	case tlsFirst:
		secured, shown, err := e.shake(conn, d, true)
		if err != nil {
			told.Took, told.Why = time.Since(began), unread(nil, err, within)
			rec.Add(told)
			return
		}
		told.TLS, conn = shown, secured
	}
	r := bufio.NewReaderSize(conn, 4<<10)
	line, err := firstLine(r)
	told.Took = time.Since(began)
	if told.Info = infoOf(line); told.Info == nil {
		told.Why = e.mask(unread(line, err, within))
		rec.Add(told)
		return
	}
	rec.Add(told)
	if told.TLS == nil && (told.Info.TLSRequired || told.Info.TLSAvailable) {
		e.upgrade(conn, d, addr, rec)
	}
}

// upgrade goes on in TLS where the server offered it, as clients do after INFO.
func (e *Endpoint) upgrade(conn net.Conn, d door, addr string, rec *Recorder) {
	_ = conn.SetDeadline(time.Now().Add(clientPatience)) // the server's own tls.timeout is 2 s as well
	_, shown, err := e.shake(conn, d, false)
	told := Event{From: Client, Kind: "secured", Dial: d.String(), Addr: addr, TLS: shown}
	if err != nil {
		told.Kind, told.Why = "unsecured", unread(nil, err, clientPatience)
	}
	rec.Add(told)
}

// shake performs a TLS handshake with whoever is there, and verifies the certificate afterwards: a wrong one is
// to be described.
func (e *Endpoint) shake(conn net.Conn, d door, first bool) (net.Conn, *Handshake, error) {
	shown := &Handshake{First: first}
	c := tls.Client(conn, &tls.Config{ServerName: d.host, InsecureSkipVerify: true, MinVersion: tls.VersionTLS12,
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			shown.Asks = true
			if len(e.certs) > 0 {
				return &e.certs[0], nil
			}
			return &tls.Certificate{}, nil
		}})
	if err := c.Handshake(); err != nil {
		return nil, nil, err
	}
	state := c.ConnectionState()
	shown.Version = tls.VersionName(state.Version)
	if len(state.PeerCertificates) == 0 {
		return c, shown, nil
	}
	leaf := state.PeerCertificates[0]
	shown.Subject, shown.Issuer, shown.Names = leaf.Subject.String(), leaf.Issuer.String(), leaf.DNSNames
	shown.Print = fmt.Sprintf("%x", sha256.Sum256(leaf.Raw))
	for _, ip := range leaf.IPAddresses {
		shown.Names = append(shown.Names, ip.String())
	}
	shown.Expires, shown.Left = leaf.NotAfter, time.Until(leaf.NotAfter).Round(time.Minute)
	between := x509.NewCertPool()
	for _, c := range state.PeerCertificates[1:] {
		between.AddCert(c)
	}
	if _, err := leaf.Verify(x509.VerifyOptions{Roots: e.roots, DNSName: d.host, Intermediates: between}); err != nil {
		shown.Untrusted = strings.TrimPrefix(err.Error(), "x509: ")
	}
	return c, shown, nil
}

// firstLine reads up to the end of a line, or as far as anything comes.
func firstLine(r *bufio.Reader) ([]byte, error) {
	var line []byte
	for len(line) < lineLimit {
		part, err := r.ReadSlice('\n')
		line = append(line, part...)
		if err == nil || !errors.Is(err, bufio.ErrBufferFull) {
			return line, err
		}
	}
	return line, bufio.ErrBufferFull
}

// infoOf is a first line as a NATS server sends it, nil for any other.
func infoOf(line []byte) *Info {
	rest, ok := bytes.CutPrefix(line, []byte("INFO "))
	if !ok {
		return nil
	}
	var told Info
	if json.Unmarshal(bytes.TrimSpace(rest), &told) != nil || told.ID == "" {
		return nil
	}
	return &told
}

// unread says what came in the place of an INFO.
func unread(line []byte, err error, within time.Duration) string {
	said := printable(line)
	var alert *net.OpError // an alert of the other side
	var record tls.RecordHeaderError
	switch {
	case bytes.HasPrefix(line, []byte("HTTP/")):
		return "it speaks HTTP (" + said + ")"
	case bytes.HasPrefix(line, []byte("SSH-")):
		return "it speaks SSH (" + said + ")"
	case len(line) > 2 && line[0] >= 20 && line[0] <= 23 && line[1] == 3: // a record's type and version
		return "it speaks TLS"
	case bytes.HasPrefix(line, []byte("INFO ")):
		return "its INFO cannot be read (" + said + ")"
	case bytes.HasPrefix(line, []byte("-ERR")):
		return "it answered " + said
	case errors.Is(err, bufio.ErrBufferFull):
		return fmt.Sprintf("it sends on and on without an end of line (%s …)", said)
	case len(line) > 0:
		return "it does not speak NATS (" + said + ")"
	case errors.As(err, &record):
		return "it does not speak TLS (" + printable(record.RecordHeader[:]) + ")"
	case errors.As(err, &alert) && alert.Op == "remote error":
		return "it refused the TLS handshake (" + alert.Err.Error() + ")"
	case errors.Is(err, os.ErrDeadlineExceeded):
		return "nothing came within " + spoken(within)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, net.ErrClosed):
		return "it closed the connection without a word"
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return "it reset the connection without a word"
	}
	return fmt.Sprint(err)
}

// unreached says in few words why a connection did not come about.
func unreached(err error) string {
	var timeout net.Error
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return "connection refused"
	case errors.As(err, &timeout) && timeout.Timeout():
		return "no answer to the TCP connect"
	}
	var op *net.OpError
	if errors.As(err, &op) {
		return op.Err.Error()
	}
	return err.Error()
}

// printable is the beginning of foreign bytes as one may put it on a terminal.
func printable(b []byte) string {
	const enough = 40 // a status line, a banner
	text := strings.TrimSpace(string(b[:min(len(b), enough)]))
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) || r == unicode.ReplacementChar {
			return '.'
		}
		return r
	}, text)
}
