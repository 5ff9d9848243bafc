package proxies

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"syscall"
	"time"
)

// The kinds of inspection that keep a connection waiting before its backend is chosen.

// sight is what an inspection makes of the bytes so far.
type sight int

const (
	unclear  sight = iota // more of them will tell
	match                 // they are what it waits for
	mismatch              // they are something else
)

// wait has a client wait until its bytes decide, or the delay is over.
type wait struct {
	admitsAll
	judge      func(data []byte) sight
	wants      string // what it waits for
	delay      time.Duration
	verdict    string
	speaksHTTP bool // it tells the client by HTTP why it closes
}

type (
	// unwrapping waits for bytes as they are on the wire, inspecting for those without the balancer's own TLS.
	unwrapping struct{ wait }
	inspecting struct{ wait }
)

// Unwrap implements Unwrapper.
func (u unwrapping) Unwrap(ctx context.Context, f *Flow) error { return u.hold(ctx, f) }

// Inspect implements Inspector.
func (i inspecting) Inspect(ctx context.Context, f *Flow) error { return i.hold(ctx, f) }

// outcome is how a wait went.
type outcome struct {
	seen   sight         // unclear at the end of the delay, or of the client's stream
	ended  bool          // no more can come
	waited time.Duration // in the balancer's time
}

// hold keeps the connection until it is clear what becomes of it.
func (w wait) hold(ctx context.Context, f *Flow) error {
	o, err := w.await(ctx, f)
	switch {
	case errors.Is(err, syscall.ECONNRESET):
		return &Refusal{Reset, inspection, fmt.Sprintf("the client left after %s without %s", o.waited.Round(time.Millisecond), w.wants)}
	case err != nil:
		return fmt.Errorf("waiting for %s: %w", w.wants, err)
	}
	how, status := w.conclude(o)
	if how == "" {
		f.Applied(inspection, w.tell(o))
		return nil
	}
	if status != 0 {
		// A client that has gone meanwhile is not told, and turned away all the same.
		f.Send(Down, answer(status))
	}
	return &Refusal{How: how, Setting: inspection, What: w.tell(o)}
}

// await gives the client until the delay is over, in the balancer's time, to send what is wanted. It takes as
// much of the stream as the judge wants to see.
func (w wait) await(ctx context.Context, f *Flow) (outcome, error) {
	began := f.clock.now()
	for n := 1; ; {
		data, err := f.Peek(ctx, n, time.Now().Add(w.delay-(f.clock.now()-began)))
		// Nothing is decided in a stall: what came meanwhile is as good as what comes then.
		if !f.clock.running(ctx.Done()) || ctx.Err() != nil {
			return outcome{}, context.Cause(ctx)
		}
		o := outcome{seen: w.judge(data), ended: errors.Is(err, io.EOF), waited: f.clock.now() - began}
		late := errors.Is(err, os.ErrDeadlineExceeded)
		switch {
		case o.seen != unclear, o.ended, late && o.waited >= w.delay:
			return o, nil
		case err == nil:
			n = len(data) + 1
		case !late:
			return o, err
		}
	}
}

// conclude says how the connection is to end, if it is, and what HTTP status the client is told before.
func (w wait) conclude(o outcome) (how Ending, status int) {
	switch {
	case o.seen == match:
		return "", 0
	case w.speaksHTTP && (o.seen == mismatch || o.ended && w.verdict == verdictClose):
		return Close, http.StatusBadRequest
	case w.speaksHTTP && w.verdict == verdictClose:
		return Close, http.StatusRequestTimeout
	}
	return w.ending(), 0
}

// ending is the verdict as an Ending, "" for none.
func (w wait) ending() Ending {
	return map[string]Ending{verdictClose: Close, verdictReset: Reset}[w.verdict]
}

// tell puts an outcome into an event's words.
func (w wait) tell(o outcome) string {
	after := o.waited.Round(time.Millisecond)
	switch {
	case o.seen == match:
		return fmt.Sprintf("saw %s after %s", w.wants, after)
	case o.seen == mismatch:
		return fmt.Sprintf("what came in %s is not %s", after, w.wants)
	case o.ended:
		return fmt.Sprintf("the client's stream ended after %s without %s", after, w.wants)
	}
	return fmt.Sprintf("waited %s for %s", formatDuration(w.delay), w.wants)
}

// answer is an HTTP response without a body.
func answer(status int) []byte {
	return fmt.Appendf(nil, "HTTP/1.1 %d %s\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", status, http.StatusText(status))
}

// inspected is how much of a stream is looked at: HAProxy's buffer (tune.bufsize), which decides when it is full.
const inspected = 16 << 10

// anything matches the first byte.
func anything(data []byte) sight {
	if len(data) > 0 {
		return match
	}
	return unclear
}

// fullBuffer matches what leaves no room to wait for more.
func fullBuffer(data []byte) sight {
	if len(data) >= inspected {
		return match
	}
	return unclear
}

// recordHandshake is the first byte of a TLS handshake record (RFC 8446, 5.1).
const recordHandshake = 22

// hello matches a whole TLS ClientHello, as the TLS of Go's library reads it.
func hello(data []byte) sight {
	if len(data) == 0 {
		return unclear
	}
	if data[0] != recordHandshake {
		return mismatch // at once: a record's header is five bytes
	}
	found, said := false, &recording{data: data}
	tls.Server(said, &tls.Config{GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
		found = true
		return nil, errors.New("that was all")
	}}).Handshake()
	switch {
	case found:
		return match
	case said.ended && len(data) < inspected:
		return unclear
	}
	return mismatch
}

// recording is a connection on which nothing but data will ever be read.
type recording struct {
	net.Conn
	data  []byte
	ended bool
}

func (r *recording) Read(b []byte) (int, error) {
	n := copy(b, r.data)
	r.data = r.data[n:]
	if n == 0 {
		r.ended = true
		return 0, io.EOF
	}
	return n, nil
}

func (r *recording) Write(b []byte) (int, error) { return len(b), nil }

// preface is what a client of HTTP/2 sends first (RFC 9113, 3.4).
var preface = []byte("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")

// request matches the request line of HTTP/1, or the preface of HTTP/2.
func request(data []byte) sight {
	switch {
	case bytes.HasPrefix(data, preface):
		return match
	case bytes.HasPrefix(preface, data):
		return unclear
	}
	// Empty lines before it are ignored (RFC 9112, 2.2).
	line, _, whole := bytes.Cut(bytes.TrimLeft(data, "\r\n"), []byte("\n"))
	words := bytes.Fields(line)
	switch {
	case len(words) > 0 && !isToken(words[0]):
		return mismatch
	case !whole && len(data) < inspected:
		return unclear
	case !whole || len(words) != 3 || bytes.ContainsFunc(words[1], invisible):
		return mismatch
	}
	if major, _, ok := http.ParseHTTPVersion(string(words[2])); !ok || major != 1 {
		return mismatch
	}
	return match
}

// isToken says whether a word can be an HTTP method (RFC 9110, 5.6.2).
func isToken(word []byte) bool {
	return !bytes.ContainsFunc(word, func(c rune) bool {
		return invisible(c) || strings.ContainsRune(`"(),/:;<=>?@[\]{}`, c)
	})
}

func invisible(c rune) bool { return c <= ' ' || c > '~' }
