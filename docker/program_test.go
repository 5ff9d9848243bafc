package docker

import (
	"bufio"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/moby/moby/client"
	tcexec "github.com/testcontainers/testcontainers-go/exec"

	"github.com/lbtest/lbtest/topologies"
)

// start runs the echo beside nodes.
func start(t *testing.T, rt *runtime, nodes ...string) *program {
	t.Helper()
	running, err := rt.Run(t.Context(), topologies.Program{Mode: echoMode, Networks: alone(nodes)})
	if err != nil {
		t.Fatal(err)
	}
	return running.(*program)
}

// alone gives each node a network of its own.
func alone(nodes []string) (all [][]string) {
	for _, n := range nodes {
		all = append(all, []string{n})
	}
	return all
}

// dial lets a container dial addresses and gives what became of each.
func dial(t *testing.T, from *box, addrs ...string) map[string]string {
	t.Helper()
	became := map[string]string{}
	for i, what := range dialEach(t, from, addrs...) {
		became[addrs[i]] = what
	}
	return became
}

// dialEach lets a container dial addresses one after the other, each closed at once, and gives what became of them.
func dialEach(t *testing.T, from *box, addrs ...string) (became []string) {
	t.Helper()
	code, out, err := from.made.Exec(t.Context(), append([]string{inImage, dialMode}, addrs...),
		tcexec.WithEnv([]string{topologies.ModeVariable + "=" + dialMode}), tcexec.Multiplexed())
	if err != nil {
		t.Fatal(err)
	}
	said, err := io.ReadAll(out)
	if err != nil || code != 0 {
		t.Fatalf("exit status %d, %v: %s", code, err, said)
	}
	for line := range strings.Lines(string(said)) {
		_, what, _ := strings.Cut(strings.TrimSpace(line), " ")
		became = append(became, what)
	}
	if len(became) != len(addrs) {
		t.Fatalf("asked for %v, told of %q", addrs, became)
	}
	return became
}

func TestTheProgramIsTheOnlyPathBetweenNodes(t *testing.T) {
	rt := open(t)
	p := start(t, rt, "n1", "n2")
	defer closed(t, p)
	d, err := rt.Start(t.Context(), topologies.Build{Topology: cluster("n1", "n2"), Behind: p, Fronts: map[topologies.Front]string{
		{Link: topologies.Routes, Name: "n1"}: balancerName + ":1", {Link: topologies.Routes, Name: "n2"}: balancerName + ":2",
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer closed(t, d)
	if err := d.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	n1, n2 := d.Nodes()[0].(*node), d.Nodes()[1].(*node)
	l, err := net.Listen("tcp", net.JoinHostPort(p.Outside(), "0"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()

	const reached = "reached"
	own, other, beside := n1.Addr(topologies.Routes), n2.Addr(topologies.Routes), net.JoinHostPort(balancerName, echoPort)
	from := dial(t, n1.box, own, other, n2.Addr(topologies.Clients), beside, "n2:6222")
	for addr, want := range map[string]bool{own: true, beside: true, other: false, n2.Addr(topologies.Clients): false, "n2:6222": false} {
		if got := from[addr]; (got == reached) != want || got == "" {
			t.Errorf("n1 dials %s: %s", addr, got)
		}
	}
	from = dial(t, p.box, own, other, l.Addr().String())
	for addr, got := range from {
		if got != reached {
			t.Errorf("the balancer dials %s: %s", addr, got)
		}
	}
	for _, addr := range []string{own, other, net.JoinHostPort(p.Addr(), echoPort)} {
		c, err := net.DialTimeout("tcp", addr, dialFor)
		if err != nil {
			t.Errorf("this process dials %s: %v", addr, err)
			continue
		}
		c.Close()
	}
}

func TestAProgramIsHeardPausedAndKilled(t *testing.T) {
	rt := open(t)
	p := start(t, rt, "n1")
	defer closed(t, p)
	heard := bufio.NewReader(p)
	echoed := func(line string) {
		t.Helper()
		if got, err := heard.ReadString('\n'); err != nil || got != line+"\n" {
			t.Errorf("got %q, %v; want %q", got, err, line)
		}
	}
	tell := func(line string) {
		t.Helper()
		if _, err := io.WriteString(p, line+"\n"); err != nil {
			t.Fatal(err)
		}
	}
	tell("one")
	echoed("one")
	if err := p.Resume(); err == nil {
		t.Error("resumed what was not paused")
	}
	if err := p.Pause(); err != nil {
		t.Fatal(err)
	}
	if err := p.Pause(); err == nil {
		t.Error("paused twice")
	}
	is, err := rt.engine.ContainerInspect(t.Context(), p.made.GetContainerID(), client.ContainerInspectOptions{})
	if err != nil || !is.Container.State.Paused {
		t.Errorf("paused: %+v, %v", is.Container.State, err)
	}
	tell("two")
	answered := make(chan struct{})
	go func() {
		defer close(answered)
		echoed("two")
	}()
	select {
	case <-answered:
		t.Error("it answers while it is paused")
	case <-time.After(200 * time.Millisecond):
	}
	if err := p.Resume(); err != nil {
		t.Fatal(err)
	}
	<-answered
	if err := p.Pause(); err != nil {
		t.Fatal(err)
	}
	if err := p.Kill(); err != nil { // paused
		t.Fatal(err)
	}
	if err := p.Kill(); err == nil {
		t.Error("killed twice")
	}
	if said, err := io.ReadAll(heard); err != nil || len(said) > 0 {
		t.Errorf("after its end: %q, %v", said, err)
	}
}

func TestAProgramThatEndsByItselfIsReported(t *testing.T) {
	rt := open(t)
	for _, c := range []struct{ end, want string }{
		{"fall\n", "the balancer lb ended by itself: exit status 3\nits last words:\n  fallen over"},
		{"", ""}, // closed while it runs
	} {
		p := start(t, rt)
		if _, err := io.WriteString(p, c.end+"x\n"); err != nil {
			t.Fatal(err)
		}
		if c.end != "" {
			if said, err := io.ReadAll(p); err != nil || len(said) > 0 {
				t.Errorf("it says %q, %v", said, err)
			}
			<-p.life.gone
		}
		got := ""
		if err := p.Close(); err != nil {
			got = err.Error()
		}
		if got != c.want {
			t.Errorf("got %q, want %q", got, c.want)
		}
		if left := beside(t, rt); len(left) > 0 {
			t.Errorf("left behind: %v", left)
		}
	}
}

func TestAPausedProgramCanBeClosed(t *testing.T) {
	rt := open(t)
	p := start(t, rt, "n1")
	if err := p.Pause(); err != nil {
		t.Fatal(err)
	}
	closed(t, p)
	closed(t, p) // again does nothing
}
