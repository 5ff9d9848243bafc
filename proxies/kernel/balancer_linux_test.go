package kernel

import (
	"context"
	"errors"
	"net"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/lbtest/lbtest/proxies"
)

func TestTurnsAreTaken(t *testing.T) {
	t.Parallel()
	l := open(t)
	for i := range 6 {
		if _, to := l.connect(t); to != l.nodes[i%3] {
			t.Errorf("connection %d led to %s, want %s", i+1, to.name, l.nodes[i%3].name)
		}
	}
	began := l.await(t, proxies.KindBegin, 6)
	if e := began[4]; e.Front != "lb" || e.Backend != "n2" || e.FrontAddr != l.front || e.BackendAddr != l.nodes[1].listener.Addr().String() || e.Conn != "lb#5" {
		t.Errorf("the fifth begin is %+v", e)
	}
	if got := l.await(t, proxies.KindApplied, 1); len(got) != 1 || got[0].Why != "engine" {
		t.Errorf("that it is the kernel is shown by %+v", got)
	}

	l.within(t, func() error { return l.Remove("n1") })
	for range 4 {
		if _, to := l.connect(t); to == l.nodes[0] {
			t.Error("a connection led to a node out of rotation")
		}
	}
	l.within(t, func() error { return l.Restore("n1") })
	led := map[*node]bool{}
	for range 3 {
		_, to := l.connect(t)
		led[to] = true
	}
	if len(led) != 3 {
		t.Error("a node that is back in rotation has no turn")
	}
}

func TestASourceStaysWithItsNode(t *testing.T) {
	t.Parallel()
	l := open(t, "balance=source-hash")
	_, first := l.connect(t)
	for range 5 {
		if _, to := l.connect(t); to != first {
			t.Errorf("one address was led to %s and %s", first.name, to.name)
		}
	}
}

// patience is how late the end of a timer may be seen by a busy machine.
const patience = 5 * time.Second

func TestASilentConnectionIsForgotten(t *testing.T) {
	t.Parallel()
	const idle = 2 * time.Second
	for _, c := range []struct{ manner, finds string }{
		{"rst-on-next", "rst"},
		{"silent", "nothing"}, // and TCP says again for minutes what nobody acknowledges, its FIN after that
	} {
		t.Run(c.manner, func(t *testing.T) {
			t.Parallel()
			l := open(t, "idle-timeout="+idle.String(), "idle-expiry="+c.manner)
			near, to := l.connect(t)
			time.Sleep(idle / 2)
			if got := finds(near, long); got != "byte" {
				t.Fatalf("before its time was up: %s", got)
			}
			far := to.take()
			spoke := time.Now()
			expired := l.await(t, proxies.KindExpired, 1)[0]
			if late := expired.At.Sub(spoke) - idle; late < -20*time.Millisecond || late > patience || expired.How != c.manner || expired.Why != "idle-timeout" {
				t.Errorf("it expired %v after its time: %+v", late, expired)
			}
			if got := reads(near, aWhile) + reads(far, aWhile); got != "nothingnothing" {
				t.Errorf("the ends were told: %s", got)
			}
			within := long
			if c.finds == "nothing" {
				within = aWhile
			}
			if got := finds(near, within); got != c.finds {
				t.Errorf("the client finds %s, want %s", got, c.finds)
			}
			if len(l.kind(proxies.KindEnd)) > 0 {
				t.Error("it has ended, and the node has not heard of it")
			}
			// What the client says does not reach the node.
			if got := reads(far, aWhile); got != "nothing" {
				t.Errorf("the node reads %s", got)
			}
			if got := finds(far, within); got != c.finds {
				t.Errorf("the node finds %s, want %s", got, c.finds)
			}
			if c.manner == "silent" {
				near.Close()
				far.Close()
				l.within(t, l.Close)
			} else if l.await(t, proxies.KindEnd, 1); len(l.kind(proxies.KindGaveUp)) != 2 {
				t.Errorf("its ends gave up: %+v", l.kind(proxies.KindGaveUp))
			}
			if end := l.await(t, proxies.KindEnd, 1)[0]; end.Conn != expired.Conn || end.How != c.manner || end.Why != "idle-timeout" {
				t.Errorf("it ended as %+v", end)
			}
		})
	}
}

func TestAProbeIsAPacket(t *testing.T) {
	t.Parallel()
	l := open(t, "idle-timeout=3s")
	probed, err := l.dialWith(long, net.KeepAliveConfig{Enable: true, Idle: time.Second, Interval: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	defer probed.Close()
	l.led(t, probed)
	l.connect(t) // says nothing
	expired := l.await(t, proxies.KindExpired, 1)[0]
	time.Sleep(time.Until(expired.At.Add(time.Second)))
	if got := finds(probed, long); got != "byte" {
		t.Errorf("the connection whose probes come each second finds %s", got)
	}
	if got := l.kind(proxies.KindExpired); len(got) != 1 || got[0].Conn != "lb#2" {
		t.Errorf("expired are %+v, want the one without probes", got)
	}
}

func TestPortsRunOut(t *testing.T) {
	t.Parallel()
	l := open(t, "source-ports=4")
	var all []net.Conn
	for range 3 * 4 { // four towards each of three nodes
		c, _ := l.connect(t)
		all = append(all, c)
	}
	c, err := l.dial(1500 * time.Millisecond)
	var timeout net.Error
	if err == nil {
		c.Close()
	}
	if !errors.As(err, &timeout) || !timeout.Timeout() {
		t.Errorf("one more than there are ports for: got %v, want a SYN that goes unanswered", err)
	}
	refused := l.await(t, proxies.KindRefused, 1)[0]
	if refused.Why != "source-ports" || refused.How != "silent" || refused.Front != "lb" {
		t.Errorf("it was refused by %+v", refused)
	}
	if got := finds(all[0], long); got != "byte" {
		t.Errorf("those that have a port find %s", got)
	}
	for _, c := range all {
		c.Close()
	}
	for _, e := range l.await(t, proxies.KindEnd, len(all)) {
		if e.Why != "client" || e.How != "fin" || e.Down < 2 {
			t.Errorf("it ended as %+v", e)
		}
	}
	l.connect(t) // whose ports are closing is free to take
}

func TestEventsOfAKernel(t *testing.T) {
	t.Parallel()
	t.Run("crash", func(t *testing.T) {
		t.Parallel()
		l := open(t, "restart=crash")
		near, to := l.connect(t)
		far := to.take()
		l.within(t, func() error { return l.Strike(t.Context()) })
		if got := finds(near, long) + finds(far, long); got != "rstrst" {
			t.Errorf("the ends find %s", got)
		}
		l.connect(t)
		if end := l.await(t, proxies.KindEnd, 1)[0]; end.Why != "restart" || len(l.kind(proxies.KindCrash)) != 1 || len(l.kind(proxies.KindRestarted)) != 1 || len(l.kind(proxies.KindExpired)) > 0 {
			t.Errorf("it ended as %+v", end)
		}
	})
	t.Run("reload", func(t *testing.T) {
		t.Parallel()
		l := open(t, "restart=reload")
		near, _ := l.connect(t)
		l.within(t, func() error { return l.Strike(t.Context()) })
		if got := finds(near, long); got != "byte" || len(l.kind(proxies.KindReload)) != 1 {
			t.Errorf("a connection finds %s", got)
		}
		l.connect(t)
	})
	t.Run("outage", func(t *testing.T) {
		t.Parallel()
		l := open(t, "outage=1h", "idle-timeout=1h", "idle-expiry=silent")
		near, _ := l.connect(t)
		ctx, over := context.WithCancel(t.Context())
		struck := make(chan error)
		go func() { struck <- l.lb.do(func() error { return l.Strike(ctx) }) }()
		l.await(t, proxies.KindOutage, 1)
		for deadline := time.Now().Add(30 * time.Second); ; {
			c, err := l.dial(long)
			if errors.Is(err, unix.ECONNREFUSED) {
				break
			}
			if err == nil { // just before
				c.Close()
			}
			if time.Now().After(deadline) {
				t.Fatalf("connecting meanwhile: %v, want a refusal", err)
			}
		}
		if got := finds(near, long); got != "rst" {
			t.Errorf("a connection finds %s", got)
		}
		over()
		if err := <-struck; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		l.connect(t)
		if len(l.kind(proxies.KindRestored)) != 1 {
			t.Error("nobody was told that it is over")
		}
	})
	t.Run("cut", func(t *testing.T) {
		t.Parallel()
		l := open(t)
		near, to := l.connect(t)
		far := to.take() // before its node finds it ended, and closes it
		other, _ := l.connect(t)
		l.await(t, proxies.KindBegin, 2)
		if l.Cut("lb#9") || !l.Cut("lb#1") {
			t.Fatal("cut a connection that there is not, or not the one that there is")
		}
		if got := reads(near, long) + reads(far, long); got != "rstrst" {
			t.Errorf("the ends read %s", got)
		}
		if got := finds(other, long); got != "byte" {
			t.Errorf("another connection finds %s", got)
		}
		if end := l.await(t, proxies.KindEnd, 1)[0]; end.Why != "cut" || end.Conn != "lb#1" {
			t.Errorf("it ended as %+v", end)
		}
	})
	t.Run("unplugged", func(t *testing.T) {
		t.Parallel()
		l := open(t)
		near, to := l.connect(t)
		l.within(t, func() error { return l.Unplug(to.name) })
		if got := finds(near, aWhile); got != "nothing" {
			t.Errorf("a connection to a node without a network finds %s", got)
		}
		l.within(t, func() error { return l.Plug(to.name) })
		if got := reads(near, long); got != "byte" { // TCP says it again
			t.Errorf("afterwards it finds %s", got)
		}
	})
}
