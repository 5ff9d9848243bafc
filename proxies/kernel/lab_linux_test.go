package kernel

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"

	"github.com/lbtest/lbtest/proxies"
)

// place is a network namespace without a name: it is gone with its last socket and handle.
type place struct{ handle netns.NsHandle }

// newPlace makes one, or skips the test where that is not allowed.
func newPlace(t *testing.T) place {
	t.Helper()
	made := make(chan error)
	var p place
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends with this goroutine
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			made <- err
			return
		}
		var err error
		p.handle, err = netns.Get()
		made <- err
	}()
	err := <-made
	switch {
	case errors.Is(err, unix.EPERM) && os.Getenv("LBTEST_REQUIRE_DOCKER") == "":
		t.Skipf("making a network namespace: %v (as root, or within unshare -Urn)", err)
	case err != nil:
		t.Fatalf("making a network namespace: %v", err)
	}
	t.Cleanup(func() { p.handle.Close() })
	if err := p.do(func() error { return up("lo") }); err != nil {
		t.Fatal(err)
	}
	return p
}

// do runs something in the namespace.
func (p place) do(f func() error) error {
	done := make(chan error)
	go func() {
		runtime.LockOSThread()
		here, err := netns.Get()
		if err != nil {
			done <- err
			return
		}
		defer here.Close()
		if err := netns.Set(p.handle); err != nil {
			done <- err
			return
		}
		err = f()
		if back := netns.Set(here); back == nil {
			runtime.UnlockOSThread()
		}
		done <- err
	}()
	return <-done
}

func up(name string) error {
	l, err := netlink.LinkByName(name)
	if err != nil {
		return err
	}
	return netlink.LinkSetUp(l)
}

// join puts a wire between two places, with the first and the second address of a network of its own.
func join(t *testing.T, a, b place, number int) (inA, inB netip.Addr) {
	t.Helper()
	inA, inB = netip.AddrFrom4([4]byte{10, byte(number), 0, 1}), netip.AddrFrom4([4]byte{10, byte(number), 0, 2})
	nameA, nameB := fmt.Sprintf("a%d", number), fmt.Sprintf("b%d", number)
	err := a.do(func() error {
		return netlink.LinkAdd(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: nameA}, PeerName: nameB, PeerNamespace: netlink.NsFd(int(b.handle))})
	})
	if err != nil {
		t.Fatal(err)
	}
	address := func(in place, name string, at netip.Addr) {
		if err := in.do(func() error {
			l, err := netlink.LinkByName(name)
			if err != nil {
				return err
			}
			addr, err := netlink.ParseAddr(at.String() + "/24")
			if err != nil {
				return err
			}
			return errors.Join(netlink.AddrAdd(l, addr), netlink.LinkSetUp(l))
		}); err != nil {
			t.Fatal(err)
		}
	}
	address(a, nameA, inA)
	address(b, nameB, inB)
	// Before both ends say so a first packet may be lost, and with it a second.
	for _, end := range []struct {
		in   place
		name string
	}{{a, nameA}, {b, nameB}} {
		for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
			var state netlink.LinkOperState
			if err := end.in.do(func() error {
				l, err := netlink.LinkByName(end.name)
				if err == nil {
					state = l.Attrs().OperState
				}
				return err
			}); err != nil {
				t.Fatal(err)
			}
			if state == netlink.OperUp {
				break
			}
			if time.Now().After(deadline) {
				t.Fatalf("%s is still %s", end.name, state)
			}
		}
	}
	return inA, inB
}

// lab is a client, a balancer and three nodes, each in a place of its own.
type lab struct {
	*Balancer
	client, lb place
	front      string // as the client dials it
	nodes      []*node

	mu     sync.Mutex
	events []proxies.Event
}

// node says its name to whoever connects, and then what it hears.
type node struct {
	place
	name     string
	listener net.Listener

	mu    sync.Mutex
	conns []*ear
}

// ear is a node's end of a connection, which echoes until somebody takes it.
type ear struct {
	net.Conn
	taken chan struct{} // closed when nobody echoes any more
}

// open brings a lab up with these settings.
func open(t *testing.T, settings ...string) *lab {
	t.Helper()
	p := proxies.Direct()
	given := map[string]bool{}
	for _, s := range settings {
		name, value, _ := strings.Cut(s, "=")
		given[name] = true
		var err error
		if p, err = p.With(name, value); err != nil {
			t.Fatal(err)
		}
	}
	p, _ = Assumed(p, func(name string) bool { return given[name] })
	if why := Refusal(p, func(name string) bool { return given[name] }); why != "" {
		t.Fatal(why)
	}
	l := &lab{client: newPlace(t), lb: newPlace(t)}
	_, at := join(t, l.client, l.lb, 1)
	var behind []proxies.Backend
	for i := range 3 {
		n := &node{place: newPlace(t), name: fmt.Sprintf("n%d", i+1)}
		own, _ := join(t, n.place, l.lb, 2+i)
		if err := n.do(func() (err error) {
			config := net.ListenConfig{KeepAlive: -1}
			n.listener, err = config.Listen(t.Context(), "tcp", netip.AddrPortFrom(own, 4222).String())
			return err
		}); err != nil {
			t.Fatal(err)
		}
		go n.serve()
		t.Cleanup(func() { n.listener.Close() })
		l.nodes = append(l.nodes, n)
		behind = append(behind, proxies.Backend{Name: n.name, Addr: n.listener.Addr().String()})
	}
	if err := l.lb.do(func() (err error) {
		l.Balancer, err = Listen(p, []proxies.Front{{Name: "spare"}, {Name: "lb"}}, l.note)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Errorf("closing: %v", err)
		}
	})
	_, port, _ := net.SplitHostPort(l.Addr("lb"))
	l.front = net.JoinHostPort(at.String(), port)
	if c, err := l.dial(long); err == nil {
		c.Close()
		t.Fatal("it forwards before it serves")
	} else if !errors.Is(err, unix.ECONNREFUSED) {
		t.Fatal(err)
	}
	l.within(t, func() error { return l.Serve(map[string][]proxies.Backend{"lb": behind}) })
	return l
}

// within does something in the balancer's place, as its own process would.
func (l *lab) within(t *testing.T, f func() error) {
	t.Helper()
	if err := l.lb.do(f); err != nil {
		t.Fatal(err)
	}
}

func (n *node) serve() {
	for {
		c, err := n.listener.Accept()
		if err != nil {
			return
		}
		e := &ear{c, make(chan struct{})}
		n.mu.Lock()
		n.conns = append(n.conns, e)
		n.mu.Unlock()
		go func() {
			defer close(e.taken)
			io.WriteString(c, n.name)
			if _, err := io.Copy(struct{ io.Writer }{c}, struct{ io.Reader }{c}); !errors.Is(err, os.ErrDeadlineExceeded) {
				c.Close()
			}
		}()
	}
}

// take gives the node's end of its newest connection, which does not echo from then on.
func (n *node) take() net.Conn {
	n.mu.Lock()
	e := n.conns[len(n.conns)-1]
	n.mu.Unlock()
	e.SetReadDeadline(time.Now())
	<-e.taken
	return e.Conn
}

func (l *lab) note(e proxies.Event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.events = append(l.events, e)
}

// kind are the events of that kind so far.
func (l *lab) kind(kind string) []proxies.Event {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(l.events), func(e proxies.Event) bool { return e.Kind != kind })
}

// await gives the events of that kind once there are so many.
func (l *lab) await(t *testing.T, kind string, many int) []proxies.Event {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		if found := l.kind(kind); len(found) >= many {
			return found
		}
		if time.Now().After(deadline) {
			l.mu.Lock()
			defer l.mu.Unlock()
			t.Fatalf("waiting for %d of %s: there is %+v", many, kind, l.events)
		}
	}
}

// dial connects from the client's place, without keepalive probes.
func (l *lab) dial(within time.Duration) (net.Conn, error) {
	return l.dialWith(within, net.KeepAliveConfig{})
}

func (l *lab) dialWith(within time.Duration, k net.KeepAliveConfig) (c net.Conn, err error) {
	err = l.client.do(func() (err error) {
		d := net.Dialer{Timeout: within, KeepAlive: -1, KeepAliveConfig: k}
		c, err = d.Dial("tcp", l.front)
		return err
	})
	return c, err
}

// connect gives a connection and the node that it led to.
func (l *lab) connect(t *testing.T) (c net.Conn, to *node) {
	t.Helper()
	c, err := l.dial(long)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c, l.led(t, c)
}

func (l *lab) led(t *testing.T, c net.Conn) *node {
	t.Helper()
	name := make([]byte, 2)
	c.SetReadDeadline(time.Now().Add(10 * time.Second))
	if _, err := io.ReadFull(c, name); err != nil {
		t.Fatal(err)
	}
	return l.nodes[slices.IndexFunc(l.nodes, func(n *node) bool { return n.name == string(name) })]
}

// How long somebody listens: half a second where nothing is to come, and where something is, as long as a busy machine takes.
const (
	aWhile = 500 * time.Millisecond
	long   = 10 * time.Second
)

// finds says what somebody finds who says something: byte, rst, fin, or nothing within a time.
func finds(c net.Conn, within time.Duration) string {
	if _, err := c.Write([]byte("?")); err != nil {
		return how(err)
	}
	return reads(c, within)
}

// reads says what somebody finds who listens.
func reads(c net.Conn, within time.Duration) string {
	c.SetReadDeadline(time.Now().Add(within))
	if _, err := c.Read(make([]byte, 1)); err != nil {
		return how(err)
	}
	return "byte"
}

func how(err error) string {
	switch {
	case errors.Is(err, io.EOF):
		return "fin"
	case errors.Is(err, unix.ECONNRESET), errors.Is(err, unix.EPIPE):
		return "rst"
	case errors.Is(err, os.ErrDeadlineExceeded):
		return "nothing"
	}
	return err.Error()
}
