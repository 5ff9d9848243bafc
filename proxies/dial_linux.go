package proxies

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// dialLeg connects to a backend, without Go's poller if it answers at once; from is nil for any address. Its errors
// are those of net.Dialer.
func dialLeg(ctx context.Context, addr string, from *net.TCPAddr) (*leg, error) {
	to, err := netip.ParseAddrPort(addr)
	if err != nil || to.Addr().Zone() != "" {
		return dialNative(ctx, addr, from) // a name is looked up first, and may have several addresses
	}
	to = netip.AddrPortFrom(to.Addr().Unmap(), to.Port())
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	for again := 2; ; again-- { // as often as net.Dialer does
		far, err := dialBare(ctx, to, from)
		switch {
		case from != nil || again == 0:
		case err == nil && far.local == to:
			// Nobody listens there and the system chose that very port: it has met itself.
			far.reset()
			continue
		case errors.Is(err, unix.EADDRNOTAVAIL):
			continue // Linux says so at times though there are free ones
		}
		if err != nil {
			failed := &net.OpError{Op: "dial", Net: "tcp", Addr: net.TCPAddrFromAddrPort(to), Err: err}
			if from != nil {
				failed.Source = from
			}
			return nil, failed
		}
		return far, nil
	}
}

func dialBare(ctx context.Context, to netip.AddrPort, from *net.TCPAddr) (*leg, error) {
	family := unix.AF_INET6
	if to.Addr().Is4() {
		family = unix.AF_INET
	}
	fd, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	err = hurry(fd)
	if err == nil && from != nil {
		err = bindFrom(fd, from, family)
	}
	if err == nil {
		err = unix.Connect(fd, toSockaddr(to))
		if err == unix.EINPROGRESS {
			// On loopback the answer is there already.
			if answered, failed := isConnected(uintptr(fd)); answered {
				err = failed
			} else {
				fd, err = awaitConnected(ctx, fd)
			}
		}
		if _, plain := err.(unix.Errno); plain {
			err = os.NewSyscallError("connect", err)
		}
	}
	if err == nil {
		var name unix.Sockaddr
		if name, err = unix.Getsockname(fd); err == nil {
			return newBareLeg(serverSide, fd, fromSockaddr(name), to), nil
		}
		err = os.NewSyscallError("getsockname", err)
	}
	if fd >= 0 {
		unix.Close(fd)
	}
	return nil, err
}

// bindFrom lets one local port serve several backends, as reuseAddress does.
func bindFrom(fd int, from *net.TCPAddr, family int) error {
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1); err != nil {
		return os.NewSyscallError("setsockopt", err)
	}
	at := from.AddrPort()
	addr := at.Addr().Unmap()
	if !addr.IsValid() {
		addr = netip.IPv6Unspecified()
		if family == unix.AF_INET {
			addr = netip.IPv4Unspecified()
		}
	}
	return os.NewSyscallError("bind", unix.Bind(fd, toSockaddr(netip.AddrPortFrom(addr, at.Port()))))
}

func toSockaddr(a netip.AddrPort) unix.Sockaddr {
	if a.Addr().Is4() {
		return &unix.SockaddrInet4{Port: int(a.Port()), Addr: a.Addr().As4()}
	}
	return &unix.SockaddrInet6{Port: int(a.Port()), Addr: a.Addr().As16()}
}

// isConnected says whether a socket has had its answer, and how it was refused.
func isConnected(fd uintptr) (answered bool, err error) {
	poll := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLOUT}}
	if n, err := unix.Poll(poll, 0); err != nil || n == 0 {
		return false, nil // interrupted, at most
	}
	if poll[0].Revents&(unix.POLLERR|unix.POLLHUP) == 0 {
		return true, nil
	}
	errno, err := unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_ERROR)
	if err == nil && errno != 0 {
		err = unix.Errno(errno)
	}
	return true, err // without one it was connected, and has ended since
}

// awaitConnected waits for the answer in Go's poller: a thread that waits for each would be too much. The socket is
// another one from then on, -1 if it is closed.
func awaitConnected(ctx context.Context, fd int) (answered int, err error) {
	file := os.NewFile(uintptr(fd), serverSide)
	defer file.Close()
	raw, err := file.SyscallConn()
	if err != nil {
		return -1, err
	}
	if err := file.SetWriteDeadline(time.Now().Add(dialFor)); err != nil {
		return -1, err
	}
	defer context.AfterFunc(ctx, func() { file.SetWriteDeadline(time.Unix(1, 0)) })()
	answered = -1
	failed := raw.Write(func(fd uintptr) (done bool) {
		if done, err = isConnected(fd); !done || err != nil {
			return done
		}
		answered, err = unix.FcntlInt(fd, unix.F_DUPFD_CLOEXEC, 0)
		err = os.NewSyscallError("fcntl", err)
		return true
	})
	if failed != nil {
		return answered, failed
	}
	return answered, err
}
