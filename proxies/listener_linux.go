package proxies

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"sync/atomic"
	"syscall"

	"golang.org/x/sys/unix"
)

// bareListener accepts connections whose sockets Go's poller does not know: most never need it, and to enter it and
// to leave it again costs as much as accepting.
type bareListener struct {
	*os.File // the listening socket, which Go's poller does wait for
	raw      syscall.RawConn
	addr     net.Addr
	at       netip.AddrPort // where everybody arrives; not valid if there are several addresses

	closed atomic.Bool

	attempt func(fd uintptr) bool // tryAccept, bound once
	got     int
	from    unix.Sockaddr
	err     error
}

func newListener(l *net.TCPListener) (listener, error) {
	file, err := l.File() // of a copy; Go's listeners cannot be waited for but by their own Accept
	if err := errors.Join(err, l.Close()); err != nil {
		return nil, err
	}
	b := &bareListener{File: file, addr: l.Addr()}
	b.attempt = b.tryAccept
	if at := addrPort(l.Addr()); !at.Addr().IsUnspecified() {
		b.at = at
	}
	if b.raw, err = file.SyscallConn(); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	// Accepted sockets inherit it.
	failed := b.raw.Control(func(fd uintptr) { err = hurry(int(fd)) })
	if err := errors.Join(failed, err); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return b, nil
}

// hurry has a socket send what it is given at once, as Go has it with all of its own.
func hurry(fd int) error {
	return os.NewSyscallError("setsockopt", unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1))
}

func (b *bareListener) tryAccept(fd uintptr) bool {
	for {
		b.got, b.from, b.err = unix.Accept4(int(fd), unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)
		// One that was given up while it waited is not what accept is about.
		if b.err != unix.EINTR && b.err != unix.ECONNABORTED {
			return b.err != unix.EAGAIN
		}
	}
}

func (b *bareListener) accept() (*leg, error) {
	if err := b.raw.Read(b.attempt); err != nil {
		if b.closed.Load() { // which has an error of its own here, without a name
			return nil, net.ErrClosed
		}
		return nil, err
	}
	if b.err != nil {
		return nil, os.NewSyscallError("accept4", b.err)
	}
	at := b.at
	if !at.IsValid() {
		name, err := unix.Getsockname(b.got)
		if err != nil {
			return nil, errors.Join(os.NewSyscallError("getsockname", err), unix.Close(b.got))
		}
		at = fromSockaddr(name)
	}
	return newBareLeg(clientSide, b.got, at, fromSockaddr(b.from)), nil
}

func (b *bareListener) Close() error {
	b.closed.Store(true)
	return b.File.Close()
}

func (b *bareListener) Addr() net.Addr { return b.addr }

// fromSockaddr is an address as addrPort gives it.
func fromSockaddr(a unix.Sockaddr) netip.AddrPort {
	switch a := a.(type) {
	case *unix.SockaddrInet4:
		return netip.AddrPortFrom(netip.AddrFrom4(a.Addr), uint16(a.Port))
	case *unix.SockaddrInet6:
		addr := netip.AddrFrom16(a.Addr).Unmap()
		if a.ZoneId != 0 {
			if at, err := net.InterfaceByIndex(int(a.ZoneId)); err == nil {
				addr = addr.WithZone(at.Name)
			}
		}
		return netip.AddrPortFrom(addr, uint16(a.Port))
	}
	return netip.AddrPort{}
}
