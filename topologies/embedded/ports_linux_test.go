package embedded

import (
	"net"
	"strconv"
	"testing"
)

func TestAHeldPortCanBeListenedOnAgainAndAgain(t *testing.T) {
	if testing.Short() {
		t.Skip("opens sockets")
	}
	port, release, err := hold(loopback)
	if err != nil {
		t.Fatal(err)
	}
	defer release()
	addr := net.JoinHostPort(loopback, strconv.Itoa(port))
	for range 3 {
		l, err := net.Listen("tcp", addr)
		if err != nil {
			t.Fatalf("the node's own listener: %v", err)
		}
		if second, err := net.Listen("tcp", addr); err == nil {
			second.Close()
			t.Error("two listeners share the port")
		}
		// Connections that are open when the listener goes must not keep the next one away.
		conn, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		l.Close()
	}
	if conn, err := net.Dial("tcp", addr); err == nil {
		conn.Close()
		t.Error("a held port without a listener accepts")
	}
}

// The range of ports for those who ask for any is 28 thousand numbers as a rule. Asking for a third
// of them meets a held port, if it can be met, with near certainty.
func TestAHeldPortIsGivenToNobodyElse(t *testing.T) {
	if testing.Short() {
		t.Skip("opens sockets")
	}
	held := map[int]bool{}
	for range 200 {
		port, release, err := hold(loopback)
		if err != nil {
			t.Fatal(err)
		}
		defer release()
		if held[port] {
			t.Fatalf("port %d was held twice", port)
		}
		held[port] = true
	}
	for _, addr := range []string{"127.0.0.1:0", "0.0.0.0:0", "[::]:0"} {
		var open []net.Listener
		for range 3000 {
			l, err := net.Listen("tcp", addr)
			if err != nil {
				break // no IPv6 here, or no more descriptors
			}
			open = append(open, l)
			if port := l.Addr().(*net.TCPAddr).Port; held[port] {
				t.Errorf("%s got the held port %d", addr, port)
			}
		}
		for _, l := range open {
			l.Close()
		}
	}

	server, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	for range 3000 {
		out, err := net.Dial("tcp", server.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		in, err := server.Accept()
		if err != nil {
			t.Fatal(err)
		}
		if port := out.LocalAddr().(*net.TCPAddr).Port; held[port] {
			t.Errorf("an outgoing connection got the held port %d", port)
		}
		// Reset, so that the port does not rest: the next connection may have any.
		out.(*net.TCPConn).SetLinger(0)
		out.Close()
		in.Close()
	}
}
