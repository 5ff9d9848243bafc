package suite

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"strconv"
	"syscall"
	"time"
)

// unreachable takes an address of this machine that refuses connections, or leaves their SYNs unanswered, until it is
// released. host is an IPv4 address of this machine that it can dial itself at, or 0.0.0.0 for all of them.
//
// A port that is bound and not listened on refuses, and nobody else gets it. A listener that nobody accepts from drops
// every SYN once its queue is full, which with a backlog of none is after the first connection.
func unreachable(host string, refuses bool) (addr string, release func(), err error) {
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return "", nil, os.NewSyscallError("socket", err)
	}
	var filling []net.Conn
	release = func() {
		for _, c := range filling {
			c.Close()
		}
		syscall.Close(fd)
	}
	defer func() {
		if err != nil {
			release()
		}
	}()
	if err := syscall.Bind(fd, &syscall.SockaddrInet4{Addr: netip.MustParseAddr(host).As4()}); err != nil {
		return "", nil, os.NewSyscallError("bind", err)
	}
	bound, err := syscall.Getsockname(fd)
	if err != nil {
		return "", nil, os.NewSyscallError("getsockname", err)
	}
	addr = net.JoinHostPort(host, strconv.Itoa(bound.(*syscall.SockaddrInet4).Port))
	if refuses {
		return addr, release, nil
	}
	if err := syscall.Listen(fd, 0); err != nil {
		return "", nil, os.NewSyscallError("listen", err)
	}
	// A tenth of a second: on loopback a SYN that is answered is answered at once.
	const answered = 100 * time.Millisecond
	for range 8 { // several times what Linux lets in
		c, err := net.DialTimeout("tcp", addr, answered)
		if err != nil {
			return addr, release, nil
		}
		filling = append(filling, c)
	}
	return "", nil, fmt.Errorf("%s answers although nobody accepts", addr)
}
