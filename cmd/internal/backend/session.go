package backend

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"syscall"
	"time"

	"github.com/pires/go-proxyproto"
)

// session is one connection of the stand-in.
type session struct {
	b      *Backend
	at     *listener
	number uint64
	conn   net.Conn
	wire   net.Conn // what NATS is spoken on: conn, or TLS over it; belongs to run until it is greeted
	begun  time.Time

	mu     sync.Mutex
	told   Connection
	active time.Time // of the last byte in either direction
	ours   bool      // this side ended it
	subs   map[string]string

	writing sync.Mutex
}

func newSession(b *Backend, at *listener, number uint64, conn net.Conn) *session {
	now := time.Now()
	return &session{b: b, at: at, number: number, conn: conn, wire: conn, begun: now, active: now, subs: map[string]string{},
		told: Connection{ID: number, Server: at.id, From: conn.RemoteAddr().String(), at: now}}
}

// seen is the connection as it is now.
func (s *session) seen(now time.Time) Connection {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.told
	until := now
	if !c.over.IsZero() {
		until = c.over
	}
	c.Quiet = int64(until.Sub(s.active))
	return c
}

// end ends the connection from this side.
func (s *session) end() {
	s.mu.Lock()
	s.ours = true
	s.mu.Unlock()
	s.conn.Close()
}

// run serves the connection until one of both sides has enough of it.
func (s *session) run() {
	defer s.conn.Close()
	err := s.serve()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.told.over, s.told.End = time.Now(), manner(err)
	if s.ours {
		s.told.End = "closed"
	}
}

// manner is how the other side ended a connection.
func manner(err error) string {
	var timeout net.Error
	switch {
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return "rst"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "fin"
	case errors.As(err, &timeout) && timeout.Timeout():
		return "timeout"
	}
	return "closed" // what it said was no NATS
}

// information is INFO, with the names of the protocol.
type information struct {
	ID         string `json:"server_id"`
	Name       string `json:"server_name"`
	Version    string `json:"version"`
	Protocol   int    `json:"proto"`
	Host       string `json:"host"`
	Port       int    `json:"port"`
	Headers    bool   `json:"headers"`
	MaxPayload int64  `json:"max_payload"`
	ClientID   uint64 `json:"client_id"`
	ClientIP   string `json:"client_ip"`
	Nonce      string `json:"nonce"` // or clients with a key would not come in
	TLS        bool   `json:"tls_required,omitempty"`
}

// greet says INFO, which needs nothing of the client.
func (s *session) greet() error {
	local, _ := s.conn.LocalAddr().(*net.TCPAddr)
	remote, _ := s.conn.RemoteAddr().(*net.TCPAddr)
	if local == nil || remote == nil {
		return fmt.Errorf("no TCP connection: %s", s.conn.RemoteAddr())
	}
	line, err := json.Marshal(information{ID: s.at.id, Name: s.at.name, Version: Version, Protocol: 1, Host: local.IP.String(), Port: local.Port, Headers: true,
		MaxPayload: maxPayload, ClientID: s.number, ClientIP: remote.IP.String(), Nonce: s.at.id[:16],
		TLS: s.b.encrypted.Config != nil})
	if err != nil {
		return fmt.Errorf("writing INFO: %w", err)
	}
	return s.write([]byte("INFO "), line, []byte("\r\n"))
}

// stuck is how long the other side may take no bytes before the connection is given up.
const stuck = 5 * time.Second

// write sends some bytes as one piece.
func (s *session) write(parts ...[]byte) error {
	s.writing.Lock()
	defer s.writing.Unlock()
	if err := s.conn.SetWriteDeadline(time.Now().Add(stuck)); err != nil {
		return err
	}
	_, err := s.wire.Write(bytes.Join(parts, nil))
	s.touch()
	return err
}

func (s *session) touch() {
	s.mu.Lock()
	s.active = time.Now()
	s.mu.Unlock()
}

// peeked is a connection of which something has been read already.
type peeked struct {
	net.Conn
	r io.Reader
}

func (p peeked) Read(b []byte) (int, error) { return p.r.Read(b) }

// encrypt speaks TLS from here on, and reads what comes first in it.
func (s *session) encrypt(r *bufio.Reader) (*bufio.Reader, error) {
	s.mu.Lock()
	said := s.told.First
	s.mu.Unlock()
	if said != "TLS" {
		_ = s.write([]byte("-ERR 'Secure Connection - TLS Required'\r\n")) // the connection is over either way
		return nil, errors.New("no TLS came")
	}
	secure := tls.Server(peeked{s.conn, r}, s.b.encrypted.Config)
	if err := secure.Handshake(); err != nil {
		return nil, fmt.Errorf("speaking TLS: %w", err)
	}
	s.writing.Lock()
	s.wire = secure
	s.writing.Unlock()
	if s.b.encrypted.First {
		if err := s.greet(); err != nil {
			return nil, err
		}
	}
	inner := bufio.NewReaderSize(secure, 32<<10)
	return inner, s.word(inner)
}

// touching notes when bytes come.
type touching struct{ *session }

func (t touching) Read(p []byte) (int, error) {
	n, err := t.conn.Read(p)
	if n > 0 {
		t.touch()
	}
	return n, err
}

// serve greets and answers what is said. INFO comes at once, as nats-server has it: what a balancer puts ahead of the
// client's bytes comes later. Where TLS comes first it waits for that.
func (s *session) serve() error {
	r := bufio.NewReaderSize(touching{s}, 32<<10)
	secure := s.b.encrypted
	if !secure.First {
		if err := s.greet(); err != nil {
			return err
		}
	}
	if err := s.first(r); err != nil {
		return err
	}
	if secure.Config != nil {
		var err error
		if r, err = s.encrypt(r); err != nil {
			return err
		}
	}
	for {
		op, err := next(r)
		if err == nil {
			err = s.obey(op)
		}
		if err != nil {
			if manner(err) == "closed" {
				_ = s.write(fmt.Appendf(nil, "-ERR '%s'\r\n", err)) // the connection is over either way
			}
			return err
		}
	}
}

// first looks at what comes before anything else, and takes a PROXY header away.
func (s *session) first(r *bufio.Reader) error {
	if _, err := r.Peek(1); err != nil {
		return err
	}
	header, err := proxyproto.Read(r)
	if err == nil {
		s.mu.Lock()
		s.told.Header = headed(header)
		s.mu.Unlock()
		if _, err := r.Peek(1); err != nil {
			return err
		}
	} else if !errors.Is(err, proxyproto.ErrNoProxyProtocol) {
		return fmt.Errorf("reading a PROXY header: %w", err)
	}
	return s.word(r)
}

// word notes what comes first of the client's own.
func (s *session) word(r *bufio.Reader) error {
	if _, err := r.Peek(1); err != nil {
		return err
	}
	// A word is enough to tell; more may not come before we speak.
	begin, _ := r.Peek(min(r.Buffered(), 8))
	s.mu.Lock()
	s.told.First = called(begin)
	s.mu.Unlock()
	return nil
}

// headed is a PROXY header in a few words.
func headed(h *proxyproto.Header) string {
	text := fmt.Sprintf("v%d", h.Version)
	if h.Command.IsLocal() {
		return text + " LOCAL" // what balancers say of themselves, as in health checks
	}
	if h.SourceAddr == nil {
		return text + " UNKNOWN"
	}
	return text + " " + h.SourceAddr.String()
}

// called is what first bytes are.
func called(begin []byte) string {
	for _, known := range []struct{ prefix, name string }{{"CONNECT ", "CONNECT"}, {"PING", "PING"}, {"GET ", "HTTP"}, {"HEAD ", "HTTP"}, {"OPTIONS ", "HTTP"}, {"\x16\x03", "TLS"}} {
		if bytes.HasPrefix(bytes.ToUpper(begin), []byte(known.prefix)) {
			return known.name
		}
	}
	return "other"
}

// obey does what one operation asks for.
func (s *session) obey(op operation) error {
	switch op.verb {
	case "CONNECT":
		var options struct {
			Name string `json:"name"` // and nothing else: what lets somebody in is not kept
		}
		if err := json.Unmarshal(op.options, &options); err != nil {
			return errUnknown
		}
		s.mu.Lock()
		s.told.Name = options.Name[:min(len(options.Name), 64)]
		s.mu.Unlock()
	case "PING":
		return s.write([]byte("PONG\r\n"))
	case "SUB":
		s.mu.Lock()
		defer s.mu.Unlock()
		if len(s.subs) >= mostSubs {
			return errors.New("maximum subscriptions exceeded")
		}
		s.subs[op.id] = op.subject
	case "UNSUB":
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.subs, op.id)
	case "PUB", "HPUB":
		return s.published(op)
	}
	return nil
}

// mostSubs is far more than the inboxes of a tester.
const mostSubs = 1000

// message is what is delivered to subscribers.
type message struct {
	subject, reply string
	header         int // bytes of the payload
	payload        []byte
}

func (s *session) published(op operation) error {
	if op.subject != Connections {
		s.b.publish(message{op.subject, op.reply, op.header, op.payload})
		return nil
	}
	answer, err := s.b.view()
	if err != nil {
		return fmt.Errorf("telling what was seen: %w", err)
	}
	s.deliver(message{subject: op.reply, payload: answer})
	return nil
}

// deliver sends a message to the subscriptions that it matches. One that cannot be delivered shows where the
// connection is read.
func (s *session) deliver(m message) {
	s.mu.Lock()
	var ids []string
	for id, pattern := range s.subs {
		if matches(pattern, m.subject) {
			ids = append(ids, id)
		}
	}
	s.mu.Unlock()
	for _, id := range ids {
		reply := ""
		if m.reply != "" {
			reply = m.reply + " "
		}
		line := fmt.Appendf(nil, "MSG %s %s %s%d\r\n", m.subject, id, reply, len(m.payload))
		if m.header > 0 {
			line = fmt.Appendf(nil, "HMSG %s %s %s%d %d\r\n", m.subject, id, reply, m.header, len(m.payload))
		}
		if s.write(line, m.payload, []byte("\r\n")) != nil {
			return
		}
	}
}
