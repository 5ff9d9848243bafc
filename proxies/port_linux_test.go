package proxies

import (
	"errors"
	"fmt"
	"net"
	"sync/atomic"
	"syscall"
	"testing"
)

func TestAFrontendMayBeEveryAddressOfTheMachine(t *testing.T) {
	for _, every := range []string{":0", "0.0.0.0:0", "[::]:0"} {
		t.Run(every, func(t *testing.T) {
			l := start(t, with(t, "restart=crash"), front{Front{Name: "n1", Listen: every}, []string{"b1"}})
			_, port, err := net.SplitHostPort(l.Addr("n1"))
			if err != nil {
				t.Fatal(err)
			}
			for range 2 {
				client, err := net.Dial("tcp", "127.0.0.1:"+port)
				if err != nil {
					t.Fatal(err)
				}
				defer client.Close()
				say(t, client, l.reached("b1"), "hello")
				if err := l.Strike(t.Context()); err != nil { // it opens again what it opened
					t.Fatal(err)
				}
			}
		})
	}
}

func TestASharedAddressIsServedByAllWhoShareIt(t *testing.T) {
	one := start(t, Direct(), front{Front{Name: "n1", Shared: true}, []string{"b1"}})
	at := Front{Name: "n1", Listen: one.Addr("n1")}
	if _, err := Listen(Direct(), []Front{at}, func(Event) {}); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("one that does not share gets %v, want that the address is in use", err)
	}
	at.Shared = true
	var theirs atomic.Int64
	other, err := Listen(Direct(), []Front{at}, func(e Event) {
		if e.Kind == KindBegin {
			theirs.Add(1)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { other.Close() })
	if err := other.Serve(one.backends); err != nil {
		t.Fatal(err)
	}
	// The kernel picks by a hash of the addresses: that all go to one of two is one chance in 2^47.
	const dialled = 48 // twice that fits into what the backend's accepted connections wait in
	for range dialled {
		one.dial("n1")
	}
	ours := 0
	until(t, "all to be served", func() (bool, string) {
		ours = 0
		for _, e := range one.all() {
			if e.Kind == KindBegin {
				ours++
			}
		}
		return ours+int(theirs.Load()) == dialled, fmt.Sprintf("%d and %d", ours, theirs.Load())
	})
	if ours == 0 || theirs.Load() == 0 {
		t.Errorf("one served %d, the other %d of %d", ours, theirs.Load(), dialled)
	}
	if err := one.Close(); err != nil {
		t.Fatal(err)
	}
	before := theirs.Load()
	for range dialled { // nothing goes to the one that is closed
		one.dial("n1")
	}
	until(t, "the other to serve all", func() (bool, string) { return theirs.Load() == before+dialled, fmt.Sprint(theirs.Load()) })
}
