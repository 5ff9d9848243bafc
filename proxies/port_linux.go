package proxies

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// holdPort binds an address without listening at it, for the balancer's whole life. With
// SO_REUSEADDR on both, Linux lets one bound socket and one listening socket share a port, so the
// listener can come and go while nobody else is given the port, and connecting is refused meanwhile.
// It answers with the address that listeners are to use. A shared port is others' as well.
func holdPort(listen string, shared bool) (addr string, hold io.Closer, err error) {
	at, err := net.ResolveTCPAddr("tcp", listen)
	if err != nil {
		return "", nil, err
	}
	var family int
	var sockaddr unix.Sockaddr
	switch {
	case at.IP == nil: // every address of both families, as net.Listen has it
		family, sockaddr = unix.AF_INET6, &unix.SockaddrInet6{Port: at.Port}
	case at.IP.To4() != nil:
		family, sockaddr = unix.AF_INET, &unix.SockaddrInet4{Port: at.Port, Addr: [4]byte(at.IP.To4())}
	default:
		family, sockaddr = unix.AF_INET6, &unix.SockaddrInet6{Port: at.Port, Addr: [16]byte(at.IP.To16())}
	}
	fd, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return "", nil, fmt.Errorf("making a socket: %w", err)
	}
	held := socket(fd)
	sharing := 0
	if shared {
		sharing = 1
	}
	if err := errors.Join(
		unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1),
		unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEPORT, sharing),
		unix.Bind(fd, sockaddr),
	); err != nil {
		return "", nil, errors.Join(fmt.Errorf("binding %s: %w", listen, err), held.Close())
	}
	name, err := unix.Getsockname(fd)
	if err != nil {
		return "", nil, errors.Join(fmt.Errorf("asking for the port of %s: %w", listen, os.NewSyscallError("getsockname", err)), held.Close())
	}
	switch n := name.(type) {
	case *unix.SockaddrInet4:
		at.Port = n.Port
	case *unix.SockaddrInet6:
		at.Port = n.Port
	}
	return at.String(), held, nil
}

// sharePort lets other processes listen where this socket does.
func sharePort(_, _ string, c syscall.RawConn) error {
	var err error
	if failed := c.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEPORT, 1) }); failed != nil {
		return failed
	}
	return err
}

// socket is a socket that is only held.
type socket int

func (s socket) Close() error { return unix.Close(int(s)) }
