package proxies

import (
	"errors"
	"io"
	"net"
	"syscall"
	"testing"
	"time"
)

// pair is two ends of a TCP connection.
func pair(t *testing.T) (a, b *net.TCPConn) {
	t.Helper()
	if testing.Short() {
		t.Skip("uses the network")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	dialled, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	accepted, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { dialled.Close(); accepted.Close() })
	return dialled.(*net.TCPConn), accepted.(*net.TCPConn)
}

func TestAnEndOfStreamThatWasAResetIsKnown(t *testing.T) {
	t.Run("the error went to a writer", func(t *testing.T) {
		ours, theirs := pair(t)
		l, err := newLeg(serverSide, ours)
		if err != nil {
			t.Fatal(err)
		}
		theirs.SetLinger(0)
		theirs.Close()
		until(t, "the writer to hear of the reset", func() (bool, string) {
			_, err := ours.Write([]byte("."))
			return errors.Is(err, syscall.ECONNRESET), "no reset"
		})
		if _, err := l.read(); !errors.Is(err, io.EOF) {
			t.Fatalf("the reader gets %v; this system tells both, and the question is needless", err)
		}
		if !l.wasReset() {
			t.Error("a reset was taken for the end of the stream")
		}
	})
	t.Run("it was the end of the stream", func(t *testing.T) {
		ours, theirs := pair(t)
		l, err := newLeg(serverSide, ours)
		if err != nil {
			t.Fatal(err)
		}
		theirs.CloseWrite()
		if _, err := l.read(); !errors.Is(err, io.EOF) {
			t.Fatalf("the reader gets %v, want the end of the stream", err)
		}
		if l.wasReset() {
			t.Error("the end of the stream was taken for a reset")
		}
	})
}

func TestAHangupIsHeardOverUnreadBytes(t *testing.T) {
	for want, end := range map[Ending]func(*net.TCPConn){
		Close: func(c *net.TCPConn) { c.CloseWrite() },
		Reset: func(c *net.TCPConn) { c.SetLinger(0); c.Close() },
	} {
		t.Run(string(want), func(t *testing.T) {
			ours, theirs := pair(t)
			l, err := newLeg(serverSide, ours)
			if err != nil {
				t.Fatal(err)
			}
			theirs.Write(make([]byte, 10_000))
			heard := make(chan Ending)
			go func() { how, _ := l.waitHangup(); heard <- how }()
			select {
			case how := <-heard:
				t.Fatalf("heard %q while the far end was alive", how)
			case <-time.After(20 * time.Millisecond):
			}
			end(theirs)
			if got := <-heard; got != want {
				t.Errorf("heard %q, want %q", got, want)
			}
		})
	}
}
