package proxies

import (
	"context"
	"errors"
	"net"
	"runtime"
	"syscall"
	"testing"
	"time"
)

func TestAnOutageRefusesAndThenServesAtTheSameAddress(t *testing.T) {
	const out = time.Second // time for a busy machine to find it out
	bothLanes(t, "outage", func(t *testing.T, lane Profile) {
		l := start(t, add(t, lane, "outage="+out.String()))
		addr := l.Addr("n1")
		client, server := l.connect()
		struck := make(chan error)
		began := time.Now()
		go func() { struck <- l.Strike(t.Context()) }()
		expect(t, "client", client, eof)
		expect(t, "server", server, eof)
		l.tells("n1#1", "begin", "end fin outage")
		refused(t, addr)
		if runtime.GOOS == "linux" {
			if thief, err := net.Listen("tcp", "127.0.0.1:0"); err == nil {
				if thief.Addr().String() == addr {
					t.Error("the port was given to somebody else")
				}
				thief.Close()
			}
			refused(t, addr)
		}
		if err := <-struck; err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); took < out {
			t.Errorf("the outage took %s, want %s", took, out)
		}
		if l.Addr("n1") != addr {
			t.Errorf("served at %s, then at %s", addr, l.Addr("n1"))
		}
		say(t, l.dial("n1"), l.reached("b1"), "back")
		l.tells("", "outage", "restored")
	})
}

func refused(t *testing.T, addr string) {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err == nil {
		c.Close()
	}
	if !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("connecting gives %v, want connection refused", err)
	}
}

func TestAnOutageThatIsCalledOffIsRestored(t *testing.T) {
	l := start(t, with(t, "outage=1h"))
	l.connect()
	ctx, cancel := context.WithCancel(t.Context())
	struck := make(chan error)
	go func() { struck <- l.Strike(ctx) }()
	l.tells("n1#1", "begin", "end fin outage")
	cancel()
	if err := <-struck; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want that it was called off", err)
	}
	say(t, l.dial("n1"), l.reached("b1"), "back")
	l.tells("", "outage", "restored")
}

func TestClosingInAnOutageLeavesNothing(t *testing.T) {
	l := start(t, with(t, "outage=1h"))
	l.connect()
	struck := make(chan error)
	go func() { struck <- l.Strike(t.Context()) }()
	l.tells("n1#1", "begin", "end fin outage")
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	if err := <-struck; err == nil {
		t.Error("an outage that was cut short says nothing")
	}
	refused(t, l.Addr("n1"))
}
