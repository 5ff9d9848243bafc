package docker

import (
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/moby/moby/client"
	"github.com/nats-io/nats.go"

	"github.com/lbtest/lbtest/topologies"
)

func TestNodesOnOneNetworkFindEachOther(t *testing.T) {
	rt := open(t)
	d, err := rt.Start(t.Context(), topologies.Build{Topology: cluster("n1", "n2")})
	if err != nil {
		t.Fatal(err)
	}
	defer closed(t, d)
	if err := d.Ready(t.Context()); err != nil {
		t.Error(err)
	}
	nodes := d.Nodes()
	url := func(n topologies.Node) string { return "nats://" + n.Addr(topologies.Clients) }
	hears, err := nats.Connect(url(nodes[0]), nats.UserInfo("acc0", "acc0"))
	if err != nil {
		t.Fatal(err)
	}
	defer hears.Close()
	says, err := nats.Connect(url(nodes[1]), nats.UserInfo("acc0", "acc0"))
	if err != nil {
		t.Fatal(err)
	}
	defer says.Close()
	heard, err := hears.SubscribeSync("x")
	if err != nil {
		t.Fatal(err)
	}
	// Interest crosses a route that may not be there yet: said until it is heard.
	for deadline := time.Now().Add(30 * time.Second); ; {
		if err := says.Publish("x", nil); err != nil {
			t.Fatal(err)
		}
		if _, err := heard.NextMsg(100 * time.Millisecond); err == nil {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("nothing crosses from one node to the other")
		}
	}
}

func TestANodesFaultsHaveALife(t *testing.T) {
	rt := open(t)
	d, err := rt.Start(t.Context(), topologies.Build{Topology: cluster("n1")})
	if err != nil {
		t.Fatal(err)
	}
	defer closed(t, d)
	n := d.Nodes()[0]
	addr := n.Addr(topologies.Clients)
	listens := func() error { return topologies.Listens(t.Context(), n.Monitor()) }
	must := func(what string, do func() error) {
		t.Helper()
		if err := do(); err != nil {
			t.Fatalf("%s: %v", what, err)
		}
	}
	refused := func(what string, do func() error) {
		t.Helper()
		if err := do(); err == nil || !strings.Contains(err.Error(), "n1") {
			t.Errorf("%s: got %v", what, err)
		}
	}
	again := func() error { return n.Start(t.Context()) }
	const marker = dataDir + "/marker"
	must("leaving something in its store", func() error {
		return n.(*node).made.CopyToContainer(t.Context(), []byte("kept"), marker, 0o600)
	})
	refused("starting what runs", again)
	refused("resuming what runs", n.Resume)
	must("pausing", n.Pause)
	refused("pausing what is paused", n.Pause)
	if err := listens(); err == nil {
		t.Error("it answers while it is paused")
	}
	must("resuming", n.Resume)
	must("asking", listens)
	must("killing", n.Kill)
	refused("killing what is gone", n.Kill)
	refused("pausing what is gone", n.Pause)
	refused("stopping what is gone", n.Stop)
	if err := listens(); err == nil {
		t.Error("it answers after it was killed")
	}
	must("starting", again)
	must("asking", listens)
	if n.Addr(topologies.Clients) != addr {
		t.Errorf("it moved from %s to %s", addr, n.Addr(topologies.Clients))
	}
	must("finding it in its store", func() error {
		file, err := n.(*node).made.CopyFileFromContainer(t.Context(), marker)
		if err != nil {
			return err
		}
		defer file.Close()
		if text, err := io.ReadAll(file); err != nil || string(text) != "kept" {
			return fmt.Errorf("got %q, %w", text, err)
		}
		return nil
	})
	must("stopping", n.Stop)
	must("starting", again)
	must("stopping", n.Stop)
	n.(*node).writing.Wait()
	log, err := os.ReadFile(n.Log())
	if err != nil || strings.Count(string(log), "Starting nats-server") != 3 || strings.Count(string(log), "Initiating Shutdown") != 2 {
		t.Errorf("the log does not tell of three starts and two orderly ends: %v\n%s", err, log)
	}
}

func TestANodeThatEndsByItselfIsReported(t *testing.T) {
	rt := open(t)
	d, err := rt.Start(t.Context(), topologies.Build{Topology: cluster("n1")})
	if err != nil {
		t.Fatal(err)
	}
	n := d.Nodes()[0].(*node)
	l := n.life
	if _, err := rt.engine.ContainerKill(t.Context(), n.made.GetContainerID(), client.ContainerKillOptions{Signal: "SIGKILL"}); err != nil {
		t.Fatal(err)
	}
	<-l.gone
	if err := d.Close(); err == nil || !strings.Contains(err.Error(), "node n1 ended by itself: exit status 137") {
		t.Errorf("got %v", err)
	}
}

func TestANodeThatCannotStartSaysWhyAndLeavesNothing(t *testing.T) {
	rt := open(t)
	_, err := rt.Start(t.Context(), topologies.Build{Topology: cluster("n1", "n2"),
		Tuning: topologies.Tuning{Nats: []topologies.KeyValue{{Key: "no_such_key", Value: "1"}}}})
	if err == nil || !strings.Contains(err.Error(), "no_such_key") || !strings.Contains(err.Error(), "exit status 1") {
		t.Errorf("got %v", err)
	}
	if left := beside(t, rt); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestNodesStandBehindNothingElse(t *testing.T) {
	rt := open(t)
	p := start(t, rt, "n1")
	defer closed(t, p)
	for _, behind := range []topologies.Running{p, stranger{}} { // it has no network for n2
		if _, err := rt.Start(t.Context(), topologies.Build{Topology: cluster("n1", "n2"), Behind: behind}); err == nil {
			t.Errorf("nodes stand behind %T", behind)
		}
	}
}

type stranger struct{ topologies.Running }
