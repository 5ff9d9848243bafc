package embedded

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/lbtest/lbtest/topologies"
)

func TestMain(m *testing.M) {
	Main()
	if os.Getenv(victimVariable) != "" {
		beVictim()
	}
	goleak.VerifyTestMain(m)
}

// behind is the topology that the tests start.
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

// newRuntime gives a runtime with a temporary directory of its own, and finds it empty at the end.
func newRuntime(t testing.TB, o Options) topologies.Runtime {
	t.Helper()
	if testing.Short() {
		t.Skip("starts real servers")
	}
	if _, err := nodeProgram(New(o).(*runtime).log); err != nil { // under the race detector, before the directory moves
		t.Fatal(err)
	}
	temporary := t.TempDir()
	t.Setenv("TMPDIR", temporary)
	r := New(o)
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Errorf("closing the runtime: %v", err)
		}
		if left := list(t, temporary); len(left) > 0 && !o.Keep {
			t.Errorf("left behind: %v", left)
		}
	})
	return r
}

// start starts a deployment that is closed, and must close well, at the end of the test.
func start(t testing.TB, r topologies.Runtime, b topologies.Build) topologies.Deployment {
	t.Helper()
	d, err := r.Start(patient(t), b)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Errorf("closing the deployment: %v", err)
		}
	})
	return d
}

func list(t testing.TB, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// eventually asks again and again until there is no objection, and fails with the last one.
func eventually(t testing.TB, what string, objection func() error) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	ctx := patient(t)
	for {
		err := objection()
		if err == nil {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatalf("waiting for %s: %v", what, err)
		case <-tick.C:
		}
	}
}

// monitor reads one page of a node's monitoring port.
func monitor(n topologies.Node, page string, into any) error {
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: time.Second}
	answer, err := client.Get(n.Monitor() + page)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	return json.NewDecoder(answer.Body).Decode(into)
}

// mesh says what is missing of a full mesh: three pooled routes and the system account's to each of two peers.
func mesh(nodes []topologies.Node) error {
	for _, n := range nodes {
		var page struct {
			Routes []struct {
				Peer    string `json:"remote_name"`
				Account string `json:"account"`
			} `json:"routes"`
		}
		if err := monitor(n, "/routez", &page); err != nil {
			return err
		}
		routes, system := map[string]int{}, map[string]int{}
		for _, r := range page.Routes {
			routes[r.Peer]++
			if r.Account == "SYS" {
				system[r.Peer]++
			}
		}
		for _, peer := range nodes {
			if peer != n && (routes[peer.Name()] != 4 || system[peer.Name()] != 1) {
				return fmt.Errorf("%s has %d routes to %s, %d of them the system account's; want 4 and 1",
					n.Name(), routes[peer.Name()], peer.Name(), system[peer.Name()])
			}
		}
	}
	return nil
}

func TestARelativeTemporaryDirectoryWillDo(t *testing.T) {
	if testing.Short() {
		t.Skip("starts real servers")
	}
	for _, keep := range []bool{false, true} {
		r := newRuntime(t, Options{Keep: keep})
		t.Chdir(os.Getenv("TMPDIR"))
		t.Setenv("TMPDIR", ".")
		start(t, r, topologies.Build{Topology: behind(t)})
	}
}
