package embedded

import (
	"fmt"
	"io"
	"net"
	"sync"
	"testing"

	"github.com/lbtest/lbtest/topologies"
)

// forwarders are the simplest balancers: one frontend a node, everything passed on. They listen at
// once and forward when told to; until then connections wait in the backlog.
type forwarders []*forwarder

type forwarder struct {
	node     string
	listener net.Listener
	all      sync.WaitGroup

	mu    sync.Mutex
	conns []net.Conn
}

func listen(t testing.TB, top topologies.Topology) (forwarders, map[topologies.Front]string) {
	t.Helper()
	var fs forwarders
	fronts := map[topologies.Front]string{}
	for _, node := range top.Nodes() {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		fs = append(fs, &forwarder{node: node, listener: l})
		fronts[topologies.Front{Link: topologies.Routes, Name: node}] = l.Addr().String()
	}
	return fs, fronts
}

// serve begins to forward, one frontend after the other, each when the node of the one before has all
// its routes. By now every node has dialled every other, and served at once, all would meet as two do
// who dial each other at the same moment; see deployment.start. The system account's route is then
// missing when a meta leader is elected first, and the second election comes 4 to 9 s later (raft.go,
// minElectionTimeout): in 11 starts of 20.
func (fs forwarders) serve(t testing.TB, d topologies.Deployment) {
	t.Helper()
	for i, f := range fs {
		n := d.Nodes()[i]
		f.all.Go(func() { f.accept(n.Addr(topologies.Routes)) })
		if i == len(fs)-1 {
			return
		}
		eventually(t, "the routes of "+n.Name(), func() error {
			var page struct {
				Routes int `json:"num_routes"`
			}
			if err := monitor(n, "/routez", &page); err != nil {
				return err
			}
			if want := 4 * (len(fs) - 1); page.Routes < want {
				return fmt.Errorf("%d of %d", page.Routes, want)
			}
			return nil
		})
	}
}

// accept passes connections on to the backends in turn.
func (f *forwarder) accept(backends ...string) {
	for i := 0; ; i++ {
		front, err := f.listener.Accept()
		if err != nil {
			return
		}
		back, err := net.Dial("tcp", backends[i%len(backends)])
		if err != nil {
			front.Close()
			continue
		}
		f.mu.Lock()
		f.conns = append(f.conns, front, back)
		f.mu.Unlock()
		f.all.Go(func() { io.Copy(front, back); front.Close() })
		f.all.Go(func() { io.Copy(back, front); back.Close() })
	}
}

func (fs forwarders) close() {
	for _, f := range fs {
		f.listener.Close()
		f.mu.Lock()
		for _, c := range f.conns {
			c.Close()
		}
		f.mu.Unlock()
		f.all.Wait()
	}
}
