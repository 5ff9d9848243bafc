package embedded

import (
	"net"
	"net/netip"
	"os"
	"testing"
	"time"

	"github.com/lbtest/lbtest/topologies"
)

func TestAKernelsAddress(t *testing.T) {
	if kernelAddress(netip.MustParseAddr("127.0.0.1"), 4222) == kernelAddress(netip.MustParseAddr("1.0.0.127"), 4222) {
		t.Error("two addresses are written as one")
	}
	if got := kernelAddress(netip.MustParseAddr("1.1.1.1"), 4222); got != "01010101:107E" { // the same in either byte order
		t.Errorf("got %s, want 01010101:107E", got)
	}
}

func TestWhoOwnsASocket(t *testing.T) {
	if testing.Short() {
		t.Skip("opens sockets")
	}
	for _, at := range []string{"127.0.0.1:0", "[::1]:0"} {
		server, err := net.Listen("tcp", at)
		if err != nil {
			t.Log("this machine has no such address:", err)
			continue
		}
		defer server.Close()
		out, err := net.Dial("tcp", server.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer out.Close()
		from := out.LocalAddr().(*net.TCPAddr).AddrPort()
		if !owns(os.Getpid(), from) {
			t.Errorf("this process does not own its socket at %s", from)
		}
		if owns(os.Getppid(), from) {
			t.Errorf("the parent owns the socket at %s", from)
		}
		if listens := server.Addr().(*net.TCPAddr).AddrPort(); owns(os.Getpid(), netip.AddrPortFrom(listens.Addr(), 1)) {
			t.Error("this process owns a socket that there is not")
		}
	}
}

// Two nodes are told to dial one listener as a route; who dialled is told apart though their addresses are one.
func TestANodeKnowsItsOwnConnections(t *testing.T) {
	r := newRuntime(t, Options{})
	vip, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer vip.Close()
	d := start(t, r, topologies.Build{Topology: behind(t), Fronts: map[topologies.Front]string{
		{Link: topologies.Routes, Name: topologies.VIP}: vip.Addr().String(),
	}})
	vip.(*net.TCPListener).SetDeadline(time.Now().Add(30 * time.Second)) // a node dials at its start, again after some seconds
	found := map[string]bool{}
	for len(found) < len(d.Nodes()) {
		route, err := vip.Accept()
		if err != nil {
			t.Fatal(err)
		}
		defer route.Close() // held open, so that nobody dials twice
		from := route.RemoteAddr().(*net.TCPAddr).AddrPort()
		var who []string
		for _, n := range d.Nodes() {
			if n.(topologies.Dialler).Dialled(from) {
				who = append(who, n.Name())
			}
		}
		if len(who) != 1 {
			t.Fatalf("%s was dialled from by %v, want one node", from, who)
		}
		found[who[0]] = true
	}
	first := d.Nodes()[0]
	if err := first.Kill(); err != nil {
		t.Fatal(err)
	}
	if first.(topologies.Dialler).Dialled(netip.MustParseAddrPort("127.0.0.1:1")) {
		t.Error("a dead node has connections")
	}
}
