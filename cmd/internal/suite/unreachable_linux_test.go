package suite

import (
	"errors"
	"net"
	"syscall"
	"testing"
	"time"
)

func TestUnreachableAddressesRefuseOrDoNotAnswer(t *testing.T) {
	if testing.Short() {
		t.Skip("uses the network")
	}
	for _, refuses := range []bool{true, false} {
		addr, release, err := unreachable(loopback, refuses)
		if err != nil {
			t.Fatal(err)
		}
		for range 3 { // whoever comes later fares no better
			c, err := net.DialTimeout("tcp", addr, 200*time.Millisecond)
			var timeout net.Error
			switch {
			case err == nil:
				c.Close()
				t.Errorf("refuses %v: somebody was let in", refuses)
			case refuses && !errors.Is(err, syscall.ECONNREFUSED):
				t.Errorf("want a refusal, got %v", err)
			case !refuses && !(errors.As(err, &timeout) && timeout.Timeout()):
				t.Errorf("want no answer, got %v", err)
			}
		}
		release()
	}
}
