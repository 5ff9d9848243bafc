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
			patience := 200 * time.Millisecond
			if refuses {
				patience = 30 * time.Second // a refusal comes, however late this machine hears of it
			}
			c, err := net.DialTimeout("tcp", addr, patience)
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
