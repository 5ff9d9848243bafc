package proxies

import (
	"fmt"
	"io"
	"sync"
	"testing"
	"time"
)

// flow is the live connection of that name.
func (l *lab) flow(conn string) (found *Flow) {
	l.t.Helper()
	until(l.t, conn+" to be forwarded", func() (bool, string) {
		l.Balancer.mu.Lock()
		instances := l.instances
		l.Balancer.mu.Unlock()
		for _, i := range instances {
			for _, f := range i.oldestFirst() {
				if f.id == conn {
					found = f
				}
			}
		}
		return found != nil, "not there"
	})
	return found
}

// eachLane gives a flow each of the plain lanes in turn.
func eachLane(l *lab, f *Flow, n int) lane {
	if n%2 == 0 {
		return newCopying(f)
	}
	return l.loops.lane(f)
}

func TestALaneIsChangedUnderTrafficWithoutLoss(t *testing.T) {
	const size = 16 << 20
	l := start(t, with(t, "idle-timeout=1h"))
	late := time.Now().Add(patience)
	// On a busy machine all bytes of a connection may have moved before its lane was changed often.
	for n, changes := 1, 0; changes < 10 && !t.Failed(); n++ {
		client, server := l.connect()
		conn := fmt.Sprintf("n1#%d", n)
		f := l.flow(conn)
		var traffic sync.WaitGroup
		traffic.Go(func() { carries(t, client, server, size, 1) })
		traffic.Go(func() { carries(t, server, client, size, 2) })
		for f.change(eachLane(l, f, changes)) {
			changes++
		}
		traffic.Wait()
		end := l.find(KindEnd, conn)
		if end.Up != size+5 || end.Down != size {
			t.Errorf("got %d bytes up and %d down, want %d and %d", end.Up, end.Down, size+5, size)
		}
		if changes < 10 && time.Now().After(late) {
			t.Errorf("the lane was changed %d times while bytes moved, want 10 or more", changes)
		}
	}
}

func TestALaneIsChangedWhileNobodyReads(t *testing.T) {
	l := start(t, Direct())
	client, server := l.connect()
	f := l.flow("n1#1")
	client.SetWriteDeadline(time.Now().Add(300 * time.Millisecond)) // until the buffers on the way are full
	wrote, err := client.Write(make([]byte, 64<<20))
	if err == nil {
		t.Fatal("64 MiB went to somebody who does not read")
	}
	began := time.Now()
	if !f.change(newCopying(f)) {
		t.Error("the lane was not changed")
	}
	if took := time.Since(began); took > patience { // one that waited for a reader would wait for ever
		t.Errorf("changing the lane took %s while nobody read", took)
	}
	client.CloseWrite()
	server.SetReadDeadline(time.Now().Add(patience))
	if got, err := io.Copy(io.Discard, server); got != int64(wrote) || err != nil {
		t.Errorf("got %d bytes and %v, want %d", got, err, wrote)
	}
}

func TestAFlowThatIsOverStaysInItsLane(t *testing.T) {
	l := start(t, Direct())
	l.connect()
	f := l.flow("n1#1")
	l.Cut("n1#1")
	l.tells("n1#1", "begin", "end rst cut")
	if f.change(newCopying(f)) {
		t.Error("a flow that is over was carried on")
	}
}
