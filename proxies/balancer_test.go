package proxies

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
)

// A lab that ran out of descriptors must not be taken for a bad load balancer.
func TestWhatThisProcessLackedIsSaidAtTheEnd(t *testing.T) {
	b := start(t, Direct())
	door := b.door("n1")
	// A deadline in the past stands for the error of accept(2): it does not pass either.
	if err := door.listener.(interface{ SetDeadline(time.Time) error }).SetDeadline(time.Unix(1, 0)); err != nil {
		t.Fatal(err)
	}
	lacks := func() bool {
		b.Balancer.mu.Lock()
		defer b.Balancer.mu.Unlock()
		return b.lack != nil
	}
	for late := time.Now().Add(patience); !lacks() && time.Now().Before(late); {
		time.Sleep(time.Millisecond)
	}
	if err := b.Close(); err == nil || !strings.Contains(err.Error(), "accepting at frontend n1") {
		t.Errorf("closing says %v", err)
	}
}

func TestRunningOutIsToldFromARefusal(t *testing.T) {
	for errno, want := range map[syscall.Errno]bool{
		syscall.EMFILE: true, syscall.ENFILE: true, syscall.EADDRNOTAVAIL: true, syscall.ENOBUFS: true,
		syscall.ECONNREFUSED: false, syscall.ETIMEDOUT: false, syscall.ECONNRESET: false, syscall.EHOSTUNREACH: false,
	} {
		err := fmt.Errorf("dialling: %w", &net.OpError{Op: "dial", Err: os.NewSyscallError("connect", errno)})
		if got := ranOut(err); got != want {
			t.Errorf("%v: %v, want %v", err, got, want)
		}
	}
	if ranOut(errors.New("no answer in 5s")) {
		t.Error("any error is taken for it")
	}
}
