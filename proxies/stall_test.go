package proxies

import (
	"context"
	"errors"
	"io"
	"sync"
	"testing"
	"time"
)

func TestAStallLosesNothing(t *testing.T) {
	const size, held = 8 << 20, 300 * time.Millisecond
	l := start(t, with(t, "stall="+held.String()))
	client, server := l.connect()
	var traffic sync.WaitGroup
	defer traffic.Wait()
	traffic.Go(func() { carries(t, client, server, size, 1) })
	traffic.Go(func() { carries(t, server, client, size, 2) })

	struck := make(chan error)
	began := time.Now()
	go func() { struck <- l.Strike(t.Context()) }()
	l.event(KindStall)
	waits := l.dial("n1") // the connect itself succeeds
	io.WriteString(waits, "patience")
	if err := <-struck; err != nil {
		t.Fatal(err)
	}
	if took := time.Since(began); took < held {
		t.Errorf("the stall took %s, want %s", took, held)
	}
	reached := l.reached("b1")
	hears(t, reached, "patience")
	resumed, waited := l.event(KindResume), l.find(KindBegin, "n1#2")
	if waited.At.Before(resumed.At) {
		t.Errorf("a new connection was let in %s before the stall was over", resumed.At.Sub(waited.At))
	}
	traffic.Wait()
	l.tells("", "stall", "resume")
	end := l.find(KindEnd, "n1#1")
	if end.Up != size+5 || end.Down != size {
		t.Errorf("got %d bytes up and %d down, want %d and %d", end.Up, end.Down, size+5, size)
	}
}

func TestNothingMovesInAStall(t *testing.T) {
	l := start(t, with(t, "stall=1h", "idle-timeout=1s", "max-lifetime=1200ms")) // timers that leave time for the stall to begin
	client, server := l.connect()
	resetting, other := l.connect()
	closing, third := l.connect()
	ctx, cancel := context.WithCancelCause(t.Context())
	struck := make(chan error)
	go func() { struck <- l.Strike(ctx) }()
	l.event(KindStall)
	io.WriteString(client, "held")
	io.WriteString(server, "held")
	resetting.SetLinger(0)
	resetting.Close()
	closing.CloseWrite()
	if got := finds(client, 1500*time.Millisecond); got != silence { // longer than both timers
		t.Errorf("client finds %s in a stall, want silence", got)
	}
	expect(t, "server", server, silence)
	expect(t, "the peer of who reset", other, silence)
	expect(t, "the peer of who closed", third, silence)

	over := errors.New("called off")
	cancel(over)
	if err := <-struck; !errors.Is(err, over) {
		t.Errorf("a stall that was called off says %v", err)
	}
	hears(t, client, "held")
	hears(t, server, "held")
	expect(t, "the peer of who reset", other, rst)
	expect(t, "the peer of who closed", third, eof)
	l.event(KindExpired)
}

func TestClosingInAStallLeavesNothing(t *testing.T) {
	l := start(t, with(t, "stall=1h"))
	client, server := l.connect()
	struck := make(chan error)
	go func() { struck <- l.Strike(t.Context()) }()
	l.event(KindStall)
	io.WriteString(client, "never to arrive")
	l.dial("n1")
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	if err := <-struck; err == nil {
		t.Error("a stall that was cut short says nothing")
	}
	expect(t, "client", client, eof)
	_ = server
}
