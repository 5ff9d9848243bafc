package proxies

import (
	"net"
	"net/netip"
	"os"

	"golang.org/x/sys/unix"
)

// bareSocket keeps a leg's socket that is nobody's at the moment; -1 for one that is closed.
type bareSocket int

func (s bareSocket) reset(l *leg)       { s.close(l, Reset) }
func (s bareSocket) finish(l *leg)      { s.close(l, Close) }
func (s bareSocket) closeWrite(*leg)    { unix.Shutdown(int(s), unix.SHUT_WR) }
func (s bareSocket) wasReset(*leg) bool { return hungUp(uintptr(s)) == Reset }
func (s bareSocket) unblock()           {}
func (s bareSocket) socket() int        { return int(s) }

func (s bareSocket) close(l *leg, how Ending) {
	if s >= 0 {
		l.kept = bareSocket(-1)
		closeSocket(int(s), how)
	}
}

// closeSocket closes a socket that is ours alone, as reset and finish have it.
func closeSocket(fd int, how Ending) {
	if how == Reset {
		unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1})
	} else {
		unix.Shutdown(fd, unix.SHUT_WR)
		takeUnread(uintptr(fd))
	}
	unix.Close(fd)
}

// newBareLeg is a leg whose socket is nobody's yet.
func newBareLeg(side string, fd int, local, remote netip.AddrPort) *leg {
	return &leg{side: side, kept: bareSocket(fd), local: local, remote: remote}
}

// writeAtOnce writes what can be written without waiting for it in Go's poller, and says how much that was; the
// rest is for Go's means, and so is the error that there may be.
func (l *leg) writeAtOnce(data []byte) (n int) {
	if l.kept != nil && l.layer == nil {
		n, _ = transmit(int32(l.kept.socket()), data)
	}
	return n
}

// bare takes a leg's socket out of the hands of Go's poller, which would be woken by it too.
func (l *leg) bare() (fd int, err error) {
	if l.kept != nil {
		if fd = l.kept.socket(); fd < 0 {
			return 0, net.ErrClosed
		}
		return fd, nil
	}
	failed := l.raw.Control(func(gos uintptr) { fd, err = unix.FcntlInt(gos, unix.F_DUPFD_CLOEXEC, 0) })
	if failed != nil {
		return 0, failed
	}
	if err != nil {
		return 0, os.NewSyscallError("fcntl", err)
	}
	l.conn.Close()
	l.conn, l.raw, l.attempts = nil, nil, nil
	l.kept = bareSocket(fd)
	return fd, nil
}

// native puts a leg's socket into the hands of Go's poller.
func (l *leg) native() error {
	if l.kept == nil {
		return nil
	}
	fd := l.kept.socket()
	if fd < 0 {
		return net.ErrClosed
	}
	file := os.NewFile(uintptr(fd), l.side)
	conn, err := net.FileConn(file) // of a copy
	if err != nil {
		return err
	}
	file.Close()
	l.kept = nil
	own := conn.(*net.TCPConn)
	own.SetKeepAlive(false) // as accepted and dialled connections have it; FileConn turns it on
	return l.adopt(own)
}
