package proxies

import (
	"io"
	"net"
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
	conn *net.TCPConn
	raw  syscall.RawConn

	sent atomic.Int64 // bytes delivered to this side
	last atomic.Int64 // the balancer's time (ns) at the last byte read from or written to this side

	// Guarded by the flow's mu.
	heardEnd bool // its FIN was read
	told     bool // a FIN was sent to it
	gaveUp   bool // it ended after a silent expiry

	attempt func(fd uintptr) bool // tryRead, bound once so that reading does not allocate
	got     []byte                // what it read, in a pooled buffer
	err     error                 // or why it did not
}

func newLeg(side string, conn *net.TCPConn) (*leg, error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return nil, err
	}
	l := &leg{side: side, conn: conn, raw: raw}
	l.attempt = l.tryRead
	return l, nil
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
	if err := l.raw.Read(l.attempt); err != nil {
		return nil, err
	}
	got, err := l.got, l.err
	l.got, l.err = nil, nil
	return got, err
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
	l.conn.SetLinger(0)
	l.conn.Close()
}

// finish ends this side with a FIN. Bytes that wait unread are read first, since closing a socket
// over them would send an RST.
func (l *leg) finish() {
	l.conn.CloseWrite()
	l.raw.Control(func(fd uintptr) {
		buf := chunks.Get().(*[chunk]byte)
		defer chunks.Put(buf)
		for read := 0; read < drained; {
			n, err := readSocket(fd, buf[:])
			if n <= 0 || err != nil {
				return
			}
			read += n
		}
	})
	l.conn.Close()
}

// drained is how much waits unread at most: the largest receive buffer Linux gives by default
// (tcp_rmem, 6 MiB). A peer that sends faster than it is read gets the RST it would get anyway.
const drained = 6 << 20

// unblock makes whoever reads or writes this leg return at once, and everyone after that.
func (l *leg) unblock() { l.conn.SetDeadline(time.Unix(1, 0)) }

// readAgain lets an unblocked leg be read again; writing stays impossible.
func (l *leg) readAgain() { l.conn.SetReadDeadline(time.Time{}) }
