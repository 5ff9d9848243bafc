package proxies

import (
	"fmt"
	"io"
	"maps"
	"sync"
	"testing"
	"time"
)

func TestACrashEndsAllAndIsBackAtOnce(t *testing.T) {
	bothLanes(t, "crash", func(t *testing.T, lane Profile) {
		l := start(t, add(t, lane, "restart=crash"))
		client, server := l.connect()
		if err := l.Strike(t.Context()); err != nil {
			t.Fatal(err)
		}
		expect(t, "client", client, eof)
		expect(t, "server", server, eof)
		l.tells("n1#1", "begin", "end fin restart")
		say(t, l.dial("n1"), l.reached("b1"), "back")
		l.tells("", "crash", "restarted")
	})
}

func TestAReloadKeepsLiveConnections(t *testing.T) {
	bothLanes(t, "reload", func(t *testing.T, lane Profile) {
		l := start(t, add(t, lane, "restart=reload"))
		client, server := l.connect()
		if err := l.Strike(t.Context()); err != nil {
			t.Fatal(err)
		}
		say(t, client, server, "as before")
		say(t, l.dial("n1"), l.reached("b1"), "and new ones")
		l.tells("n1#1", "begin")
		l.tells("", "reload")
	})
}

func TestARestartForgetsWhoseTurnItIs(t *testing.T) {
	for _, kind := range []string{"crash", "reload"} {
		t.Run(kind, func(t *testing.T) {
			l := start(t, with(t, "restart="+kind), front{Front{Name: "vip"}, []string{"b1", "b2"}})
			l.dial("vip")
			l.reached("b1")
			if err := l.Strike(t.Context()); err != nil {
				t.Fatal(err)
			}
			l.dial("vip")
			l.reached("b1")
		})
	}
}

func TestEventsOfOneProfileComeInOrder(t *testing.T) {
	l := start(t, with(t, "restart=crash", "outage=20ms", "stall=20ms"))
	if err := l.Strike(t.Context()); err != nil {
		t.Fatal(err)
	}
	l.tells("", "stall", "resume", "outage", "restored", "crash", "restarted")
}

func TestStrikingUnderLoadEndsEachConnectionOnce(t *testing.T) {
	bothLanes(t, "load", func(t *testing.T, lane Profile) {
		l := start(t, add(t, lane, "restart=crash", "outage=20ms", "idle-timeout=50ms", "idle-expiry=rst-on-next"))
		var clients, echoes sync.WaitGroup
		over, gone := make(chan struct{}), make(chan struct{})
		echoes.Go(func() {
			for {
				select {
				case c := <-l.accepted["b1"]:
					echoes.Go(func() { io.Copy(c, c); c.Close() })
				case <-gone:
					return
				}
			}
		})
		for range 8 {
			clients.Go(func() {
				for {
					dialAndEcho(l.Addr("n1"))
					select {
					case <-over:
						return
					default:
					}
				}
			})
		}
		for n := range 3 {
			until(t, "some connections", func() (bool, string) { all := len(l.all()); return all > 200*(n+1), fmt.Sprintf("%d events", all) })
			l.Cut(fmt.Sprintf("n1#%d", 100*n+1)) // most likely over; no harm either way
			if err := l.Strike(t.Context()); err != nil {
				t.Error(err)
			}
		}
		close(over)
		clients.Wait()
		close(gone)
		if err := l.Close(); err != nil {
			t.Error(err)
		}
		echoes.Wait()
		for len(l.accepted["b1"]) > 0 { // reached the backend, but not the echo
			c := <-l.accepted["b1"]
			c.Close()
		}
		begun, ended := map[string]int{}, map[string]int{}
		for _, e := range l.all() {
			switch e.Kind {
			case KindBegin:
				begun[e.Conn]++
			case KindEnd:
				ended[e.Conn]++
			}
		}
		if !maps.Equal(begun, ended) {
			t.Errorf("%d connections began and %d ended", len(begun), len(ended))
		}
	})
}

func TestAWillSaysHowConnectionsWouldEnd(t *testing.T) {
	bothLanes(t, "crash", func(t *testing.T, lane Profile) {
		l := start(t, lane)
		client, server := l.connect()
		say(t, client, server, "twelve bytes")
		var e Event
		const want = int64(len("hello") + len("twelve bytes")) // connect says the first
		for deadline := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
			ends, lack := l.Will()
			if lack != nil || len(ends) != 1 {
				t.Fatalf("got %+v, %v; want one end", ends, lack)
			}
			// Bytes are counted a moment after they have arrived.
			if e = ends[0]; e.Up == want || time.Now().After(deadline) {
				break
			}
		}
		if e.Kind != KindEnd || e.Conn != "n1#1" || e.How != string(Close) || e.Why != "restart" || e.Up != want || e.LocalAddr == "" {
			t.Errorf("got %+v", e)
		}
		say(t, client, server, "nothing has ended")
		l.tells("n1#1", "begin")
	})
}
