package proxies

import (
	"context"
	"errors"
	"net"
	"os"
	"slices"
	"strconv"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// sockets counts this process's sockets.
func sockets(t *testing.T) (n int) {
	t.Helper()
	all, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	for _, fd := range all {
		if n2, err := strconv.Atoi(fd.Name()); err == nil {
			if _, err := unix.GetsockoptInt(n2, unix.SOL_SOCKET, unix.SO_TYPE); err == nil {
				n++
			}
		}
	}
	return n
}

// full is the address of a listener that answers no further SYN.
func full(t *testing.T) string {
	t.Helper()
	if testing.Short() {
		t.Skip("uses the network")
	}
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	if err := errors.Join(unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}), unix.Listen(fd, 0)); err != nil {
		t.Fatal(err)
	}
	name, err := unix.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	addr := fromSockaddr(name).String()
	one, err := net.Dial("tcp", addr) // a backlog of 0 holds one
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { one.Close() })
	return addr
}

func TestADialThatIsGivenUpLeavesNothing(t *testing.T) {
	addr := full(t)
	before := sockets(t)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { _, err := dialLeg(ctx, addr, nil); done <- err }()
	until(t, "the dial to be under way", func() (bool, string) { n := sockets(t); return n > before, strconv.Itoa(n) })
	select {
	case err := <-done:
		t.Fatalf("a dial that nobody answers ends with %v", err)
	default:
	}
	cancel()
	if err := <-done; !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("got %v", err)
	}
	if got := sockets(t); got > before {
		t.Errorf("%d sockets, want the %d from before", got, before)
	}
}

func TestADialThatIsRefusedSaysSo(t *testing.T) {
	ours, _ := pair(t)
	addr := ours.LocalAddr().String() // taken, and nobody listens
	before := sockets(t)
	if _, err := dialLeg(t.Context(), addr, nil); reason(t.Context(), err) != "connection refused" {
		t.Errorf("got %v", err)
	}
	taken := ours.LocalAddr().(*net.TCPAddr)
	if _, err := dialLeg(t.Context(), ours.RemoteAddr().String(), taken); !errors.Is(err, syscall.EADDRINUSE) && !errors.Is(err, syscall.EADDRNOTAVAIL) && !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("from a port that is taken: %v", err)
	}
	if got := sockets(t); got > before { // fewer where one of an earlier test was late
		t.Errorf("%d sockets, want the %d from before", got, before)
	}
}

// As Go has it with all of its own; a small message would wait for the acknowledgement of the one before it.
func TestBareSocketsDoNotWaitForMore(t *testing.T) {
	l := start(t, Direct())
	l.connect()
	f := l.flow("n1#1")
	f.mu.Lock()
	defer f.mu.Unlock()
	for side, fd := range f.lane.(*crossing).fds {
		if on, err := unix.GetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_NODELAY); err != nil || on == 0 {
			t.Errorf("side %d: TCP_NODELAY is %d, %v", side, on, err)
		}
	}
}

func TestNoSocketIsLeftWhereverAConnectionEnds(t *testing.T) {
	for name, settings := range map[string][]string{
		"forwarding":       nil,
		"with a header":    {"proxy-protocol=v1", "source-ports=100"},
		"a client awaited": {"inspection=client-first", "inspection-delay=1h"},
		"beyond a cap":     {"max-connections=1", "connection-limit=reset"},
		"in the queue":     {"max-connections=1"},
		"without a port":   {"source-ports=1", "port-exhaustion=swallow"},
		"with a toxic":     {"latency=1ms"},
	} {
		t.Run(name, func(t *testing.T) {
			l := start(t, with(t, settings...))
			before := sockets(t)
			var clients []*net.TCPConn
			for range 20 {
				c, err := net.Dial("tcp", l.Addr("n1"))
				if err != nil {
					if !errors.Is(err, syscall.ECONNRESET) { // which may come ahead of the dial's end
						t.Fatal(err)
					}
					continue
				}
				clients = append(clients, c.(*net.TCPConn))
			}
			until(t, "the connections to be let in", func() (bool, string) { n := l.conns.Load(); return n == 20, strconv.FormatInt(n, 10) })
			for i, c := range slices.Backward(clients) {
				if i%2 == 0 {
					c.SetLinger(0)
				}
				c.Close()
			}
			until(t, "all sockets to be closed", func() (bool, string) {
				for {
					select {
					case c := <-l.accepted["b1"]:
						c.Close()
						continue
					default:
					}
					n := sockets(t)
					return n <= before, strconv.Itoa(n-before) + " left" // fewer where one of an earlier lab was late
				}
			})
		})
	}
}
