package proxies

import (
	"context"
	"io"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// The two sides of a connection, as an event's Why names them.
const (
	clientSide = "client"
	serverSide = "server"
)

// leg is one side of a flow: its socket and what the balancer knows about it.
type leg struct {
	side string

	// The socket is Go's, or kept by somebody else.
	conn *net.TCPConn
	raw  syscall.RawConn
	kept keeper

	local, remote netip.AddrPort

	layer net.Conn   // what is read and written instead, such as TLS; nil for the bare socket
	under *transport // what the layer reads and writes; nil for the bare socket
	ahead []byte     // what was read before forwarding began

	sent atomic.Int64 // bytes delivered to this side
	last atomic.Int64 // the balancer's time (ns) at the last byte read from or written to this side

	// Guarded by the flow's mu.
	heardEnd bool // its FIN was read
	told     bool // a FIN was sent to it
	gaveUp   bool // it ended after a silent expiry
	muted    bool // it fell silent: not even a layer's goodbye is said

	*attempts // nil while the socket is kept
}

// attempts is what reading and writing through Go's poller need.
type attempts struct {
	attempt func(fd uintptr) bool // tryRead, bound once so that reading does not allocate
	got     []byte                // what it read, in a pooled buffer
	err     error                 // or why it did not

	attemptWrite func(fd uintptr) bool // tryWrite, likewise
	out          []byte                // what it is still to write
	outErr       error
	clock        *clock
}

// keeper has a leg's socket while Go's poller has not. Its methods are called with the flow's mu held.
type keeper interface {
	reset(*leg)
	finish(*leg)
	closeWrite(*leg)
	wasReset(*leg) bool
	unblock()
	socket() int // -1 if it is not to be had
}

func newLeg(side string, conn *net.TCPConn) (*leg, error) {
	l := &leg{side: side, local: addrPort(conn.LocalAddr()), remote: addrPort(conn.RemoteAddr())}
	return l, l.adopt(conn)
}

func addrPort(a net.Addr) netip.AddrPort {
	p := a.(*net.TCPAddr).AddrPort()
	return netip.AddrPortFrom(p.Addr().Unmap(), p.Port())
}

// adopt makes a connection of Go's the leg's socket.
func (l *leg) adopt(conn *net.TCPConn) (err error) {
	l.conn = conn
	l.attempts = &attempts{attempt: l.tryRead, attemptWrite: l.tryWrite}
	l.raw, err = conn.SyscallConn()
	return err
}

func (l *leg) touch(now time.Duration) { l.last.Store(int64(now)) }

// chunk is how much is read at once: what nats-server flushes in one write at most, and where proxies
// were measured to stop gaining on bulk data.
const chunk = 64 << 10

var chunks = sync.Pool{New: func() any { return new([chunk]byte) }}

// release gives the bytes of a read back.
func release(b []byte) { chunks.Put((*[chunk]byte)(b[:chunk])) }

// read waits for bytes without holding a buffer, so that idle connections cost next to nothing. The
// caller gives the bytes back with release. Its errors are io.EOF, the socket's, and those of a leg
// that was unblocked or closed.
func (l *leg) read() ([]byte, error) {
	if l.layer != nil {
		return l.readLayer()
	}
	if len(l.ahead) > 0 {
		buf := chunks.Get().(*[chunk]byte)
		n := copy(buf[:], l.ahead)
		if l.ahead = l.ahead[n:]; len(l.ahead) == 0 {
			l.ahead = nil
		}
		return buf[:n], nil
	}
	return l.readBare()
}

// readBare reads the socket itself.
func (l *leg) readBare() ([]byte, error) {
	if err := l.raw.Read(l.attempt); err != nil {
		return nil, err
	}
	got, err := l.got, l.err
	l.got, l.err = nil, nil
	return got, err
}

// readLayer waits for the first byte with a buffer of one, and takes what else there is without waiting: many
// records are passed on by one write.
func (l *leg) readLayer() ([]byte, error) {
	if len(l.ahead) > 0 {
		buf := chunks.Get().(*[chunk]byte)
		n := copy(buf[:], l.ahead)
		l.ahead = l.ahead[n:]
		return buf[:n], nil
	}
	if n, err := l.layer.Read(l.under.one[:]); n == 0 {
		return nil, err
	}
	buf := chunks.Get().(*[chunk]byte)
	buf[0] = l.under.one[0]
	n := 1
	l.under.eager = true
	for n < len(buf) {
		more, err := l.layer.Read(buf[n:])
		n += more
		if err != nil {
			break // one that lasts comes again
		}
	}
	l.under.eager = false
	return buf[:n], nil
}

// writeSome writes for as long as the clock runs, and says how much that was.
func (l *leg) writeSome(data []byte, c *clock) (n int, err error) {
	if l.layer != nil {
		return l.layer.Write(data)
	}
	l.out, l.clock = data, c
	err = l.raw.Write(l.attemptWrite)
	n, failed := len(data)-len(l.out), l.outErr
	l.out, l.outErr = nil, nil
	if err == nil {
		err = failed
	}
	return n, err
}

// tryWrite writes what fits, and stops when the clock does; false means that nothing fits any more.
func (l *leg) tryWrite(fd uintptr) bool {
	for len(l.out) > 0 && !l.clock.stands() {
		n, err := writeSocket(fd, l.out)
		if err == syscall.EAGAIN {
			return false
		}
		if err != nil {
			l.outErr = err
			return true
		}
		l.out = l.out[n:]
	}
	return true
}

// writeSocket writes to a socket that does not block.
func writeSocket(fd uintptr, data []byte) (int, error) {
	for {
		n, err := syscall.Write(int(fd), data)
		if err != syscall.EINTR {
			return max(n, 0), err
		}
	}
}

func (l *leg) write(data []byte) (int, error) {
	if l.layer != nil {
		return l.layer.Write(data)
	}
	return l.conn.Write(data)
}

// lastWord is how long a connection that is being ended waits for room for its layer's goodbye. Other
// connections may wait with it, so a far end that does not read goes without.
const lastWord = 10 * time.Millisecond

// closeWrite says to the far end that no more will come.
func (l *leg) closeWrite() {
	if l.layer != nil && !l.muted {
		l.conn.SetWriteDeadline(time.Now().Add(lastWord))
		l.farewell()
	}
	if l.kept != nil {
		l.kept.closeWrite(l)
		return
	}
	l.conn.CloseWrite()
}

// farewell is a layer's own goodbye, of TLS a close_notify. It waits for a far end that is slow to read. Once
// said it is not said again.
func (l *leg) farewell() {
	if half, ok := l.layer.(interface{ CloseWrite() error }); ok {
		half.CloseWrite()
	}
}

// peek: see Flow.Peek.
func (l *leg) peek(ctx context.Context, n int, deadline time.Time) ([]byte, error) {
	if err := l.native(); err != nil {
		return nil, err
	}
	l.conn.SetReadDeadline(deadline)
	stop := context.AfterFunc(ctx, l.unblock)
	defer func() {
		if stop() {
			l.readAgain()
		}
	}()
	for len(l.ahead) < n {
		had := l.ahead
		l.ahead = nil
		data, err := l.read()
		l.ahead = append(had, data...)
		if err != nil {
			return l.ahead, err
		}
		release(data)
	}
	return l.ahead, nil
}

// layerable is the socket for a layer to be put on it, with what was read ahead in front.
func (l *leg) layerable() *transport {
	l.under = &transport{TCPConn: l.conn, leg: l, first: l.ahead}
	l.ahead = nil
	return l.under
}

// transport is a leg's socket as a layer has it. Its deadlines are the leg's alone: those that crypto/tls sets
// around its own messages would undo the one that ends a connection.
type transport struct {
	*net.TCPConn
	leg   *leg
	first []byte  // what was read before
	eager bool    // reading does not wait: there is something or errNothing
	one   [1]byte // the leg's, to wait with
}

func (t *transport) Read(b []byte) (n int, err error) {
	switch {
	case len(t.first) > 0:
		n = copy(b, t.first)
		t.first = t.first[n:]
		return n, nil
	case !t.eager:
		return t.TCPConn.Read(b)
	}
	if failed := t.leg.raw.Read(func(fd uintptr) bool { n, err = readSocket(fd, b); return true }); failed != nil {
		return 0, failed
	}
	switch {
	case err == syscall.EAGAIN:
		return 0, errNothing{}
	case err != nil:
		return 0, err
	case n == 0:
		return 0, io.EOF
	}
	return n, nil
}

func (*transport) SetDeadline(time.Time) error      { return nil }
func (*transport) SetReadDeadline(time.Time) error  { return nil }
func (*transport) SetWriteDeadline(time.Time) error { return nil }

// errNothing is a net.Error that passes, after which a layer can be read again.
type errNothing struct{}

func (errNothing) Error() string   { return "nothing to read" }
func (errNothing) Timeout() bool   { return true }
func (errNothing) Temporary() bool { return true }

// swallowed is how much a vanished flow takes from each side before it stops reading. A box that
// drops packets lets the sender's buffer fill; what is taken here stands for that of the sender's
// path, so that small writers notice nothing for long and bulk writers block soon.
const swallowed = 256 << 10

// swallow takes what a far end sends and drops it until that end has gone, and says how it went. A layer
// means nothing any more: packets are dropped whole.
func (l *leg) swallow() Ending {
	for taken := 0; taken < swallowed; {
		data, err := l.readBare()
		if err != nil {
			return endingOf(err)
		}
		taken += len(data)
		release(data)
	}
	how, _ := l.waitHangup()
	return how
}

// tryRead reads what there is; false means nothing yet.
func (l *leg) tryRead(fd uintptr) bool {
	buf := chunks.Get().(*[chunk]byte)
	n, err := readSocket(fd, buf[:])
	switch {
	case n > 0:
		l.got = buf[:n]
		return true
	case err == nil:
		l.err = io.EOF
	case err != syscall.EAGAIN:
		l.err = err
	}
	chunks.Put(buf)
	return l.err != nil
}

// readSocket reads a socket that does not block.
func readSocket(fd uintptr, buf []byte) (int, error) {
	for {
		n, err := syscall.Read(int(fd), buf)
		if err != syscall.EINTR {
			return n, err
		}
	}
}

// reset ends this side with an RST. What was not delivered yet is lost, as it is on the wire.
func (l *leg) reset() {
	if l.kept != nil {
		l.kept.reset(l)
		return
	}
	l.conn.SetLinger(0)
	l.conn.Close()
}

// finish ends this side with a FIN. Bytes that wait unread are read first, since closing a socket
// over them would send an RST.
func (l *leg) finish() {
	if l.kept != nil {
		l.kept.finish(l)
		return
	}
	l.closeWrite()
	l.raw.Control(takeUnread)
	l.conn.Close()
}

// takeUnread takes what waits unread in a socket.
func takeUnread(fd uintptr) {
	buf := chunks.Get().(*[chunk]byte)
	defer chunks.Put(buf)
	for read := 0; read < drained; {
		n, err := readSocket(fd, buf[:])
		if n <= 0 || err != nil {
			return
		}
		read += n
	}
}

// drained is how much waits unread at most: the largest receive buffer Linux gives by default
// (tcp_rmem, 6 MiB). A peer that sends faster than it is read gets the RST it would get anyway.
const drained = 6 << 20

// unblock makes whoever reads or writes this leg return at once, and everyone after that.
func (l *leg) unblock() {
	if l.kept != nil {
		l.kept.unblock()
		return
	}
	l.conn.SetDeadline(time.Unix(1, 0))
}

// interrupt makes whoever reads or writes this leg return, until uninterrupt. A layer's write goes on, since
// one that was interrupted could not be taken up again.
func (l *leg) interrupt() {
	if l.layer != nil {
		l.conn.SetReadDeadline(time.Unix(1, 0))
		return
	}
	l.unblock()
}

func (l *leg) uninterrupt() { l.conn.SetDeadline(time.Time{}) }

// readAgain lets an unblocked leg be read again; writing stays impossible.
func (l *leg) readAgain() { l.conn.SetReadDeadline(time.Time{}) }
