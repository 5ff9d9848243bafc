package embedded

import (
	"fmt"
	"net"
	"syscall"
)

// hold finds a free port and keeps it until release is called, for a listener that comes, goes and
// comes back meanwhile.
//
// It does so with a socket that is bound with SO_REUSEADDR and never listens. The kernel gives such a
// port neither to a bind that asks for any port nor to an outgoing connection, and nobody in a lab asks
// for a port by number but the node the port is for. That node's listener has SO_REUSEADDR too, as every
// listener of Go's, and may therefore share the port with a socket that does not listen.
func hold(host string) (port int, release func(), err error) {
	ip := net.ParseIP(host).To4()
	if ip == nil {
		return 0, nil, fmt.Errorf("holding a port of %s: not an IPv4 address", host)
	}
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, nil, fmt.Errorf("holding a port of %s: %w", host, err)
	}
	release = func() { syscall.Close(fd) }
	if err := syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 1); err != nil {
		release()
		return 0, nil, fmt.Errorf("holding a port of %s: %w", host, err)
	}
	if err := syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte(ip)}); err != nil {
		release()
		return 0, nil, fmt.Errorf("holding a port of %s: %w", host, err)
	}
	bound, err := syscall.Getsockname(fd)
	if err != nil {
		release()
		return 0, nil, fmt.Errorf("holding a port of %s: %w", host, err)
	}
	return bound.(*syscall.SockaddrInet4).Port, release, nil
}
