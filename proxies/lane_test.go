package proxies

import (
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
	client, server := l.connect()
	f := l.flow("n1#1")
	var traffic sync.WaitGroup
	defer traffic.Wait()
	traffic.Go(func() { carries(t, client, server, size, 1) })
	traffic.Go(func() { carries(t, server, client, size, 2) })
	changes := 0
	for f.change(eachLane(l, f, changes)) {
		changes++
	}
	if changes < 10 {
		t.Errorf("the lane was changed %d times while bytes moved, want 10 or more", changes)
	}
	traffic.Wait()
	end := l.event(KindEnd)
	if end.Up != size+5 || end.Down != size {
		t.Errorf("got %d bytes up and %d down, want %d and %d", end.Up, end.Down, size+5, size)
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
	if took := time.Since(began); took > time.Second {
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
