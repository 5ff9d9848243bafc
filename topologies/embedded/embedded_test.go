package embedded

import (
	"context"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/lbtest/lbtest/topologies"
)

func TestMain(m *testing.M) {
	Main()
	goleak.VerifyTestMain(m)
}

// behind is the topology that all tests here start.
func behind(t testing.TB) topologies.Topology {
	t.Helper()
	top, ok := topologies.Find("routes-behind-lb")
	if !ok {
		t.Fatal("there is no topology routes-behind-lb")
	}
	return top
}

// patient is a context for what takes a second on an idle machine; a test machine may be very busy.
func patient(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}
