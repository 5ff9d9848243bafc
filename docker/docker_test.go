package docker

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/moby/moby/client"
	"go.uber.org/goleak"

	"github.com/lbtest/lbtest/topologies"
	"github.com/lbtest/lbtest/topologies/embedded"
)

// The modes in which this test program runs in processes and containers of its own.
const (
	echoMode   = "__test-echo"   // repeats every line of its input, and listens at echoPort; "fall" ends it badly
	dialMode   = "__test-dial"   // says what became of dialling each address that it is given
	victimMode = "__test-victim" // starts a lab and says so, to be killed
)

const echoPort = "7000"

func TestMain(m *testing.M) {
	embedded.Main()
	Main()
	if len(os.Args) > 1 && os.Getenv(topologies.ModeVariable) == os.Args[1] {
		switch os.Args[1] {
		case echoMode:
			os.Exit(beEcho())
		case dialMode:
			os.Exit(beDialler(os.Args[2:]))
		case victimMode:
			os.Exit(beVictim())
		}
	}
	goleak.VerifyTestMain(m)
}

func beEcho() int {
	l, err := net.Listen("tcp", ":"+echoPort)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer l.Close()
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		if lines.Text() == "fall" {
			fmt.Fprintln(os.Stderr, "fallen over")
			return 3
		}
		fmt.Println(lines.Text())
	}
	return 0
}

// dialFor is how long a connect between two containers may take, where it takes less than a millisecond.
const dialFor = 3 * time.Second

func beDialler(addrs []string) int {
	for _, addr := range addrs {
		c, err := net.DialTimeout("tcp", addr, dialFor)
		if err != nil {
			fmt.Println(addr, "unreached:", err)
			continue
		}
		c.Close()
		fmt.Println(addr, "reached")
	}
	return 0
}

func newTestRuntime() *runtime {
	return New(Options{Node: embedded.Lone, Check: embedded.New(embedded.Options{}).Check}).(*runtime)
}

// open gives a runtime of which nothing may be left in the end, or skips the test where no engine answers.
func open(t testing.TB) *runtime {
	t.Helper()
	if testing.Short() || os.Getenv("LBTEST_LONG") == "" {
		t.Skip("starts containers: make integration")
	}
	rt := newTestRuntime()
	if err := rt.Usable(t.Context()); err != nil {
		if os.Getenv("LBTEST_REQUIRE_DOCKER") != "" {
			t.Fatalf("an engine is asked for: %v", err)
		}
		t.Skipf("no Docker engine: %v", err)
	}
	t.Cleanup(func() {
		if err := rt.Close(); err != nil {
			t.Errorf("closing the runtime: %v", err)
		}
		if left := labelled(t, rt.run); len(left) > 0 {
			t.Errorf("left behind: %v", left)
		}
		if _, err := rt.Start(context.Background(), topologies.Build{}); err == nil {
			t.Error("a closed runtime starts nodes")
		}
	})
	return rt
}

// labelled lists what carries a run's label.
func labelled(t testing.TB, run string) []string {
	t.Helper()
	engine, err := connect(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	defer engine.Close()
	of := client.Filters{}.Add("label", runLabel+"="+run)
	boxes, err := engine.ContainerList(context.Background(), client.ContainerListOptions{All: true, Filters: of})
	if err != nil {
		t.Fatal(err)
	}
	links, err := engine.NetworkList(context.Background(), client.NetworkListOptions{Filters: of})
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, b := range boxes.Items {
		all = append(all, "container "+b.ID[:12])
	}
	for _, n := range links.Items {
		all = append(all, "network "+n.ID[:12])
	}
	return all
}

// beside lists what carries a runtime's label besides what holds its image.
func beside(t testing.TB, rt *runtime) []string {
	t.Helper()
	return slices.DeleteFunc(labelled(t, rt.run), func(what string) bool { return rt.holder != "" && what == "container "+rt.holder[:12] })
}

// cluster is a topology of that many nodes.
func cluster(nodes ...string) topologies.Topology {
	return topologies.Topology{Name: "test", Clusters: []topologies.Cluster{{Name: "C1", Nodes: nodes}}, Balanced: []topologies.Link{topologies.Routes}}
}

func closed(t *testing.T, what interface{ Close() error }) {
	t.Helper()
	if err := what.Close(); err != nil {
		t.Errorf("closing: %v", err)
	}
}

func TestAnEngineThatDoesNotAnswerIsNamed(t *testing.T) {
	const nowhere = "unix:///nowhere/docker.sock"
	t.Setenv("DOCKER_HOST", nowhere)
	err := newTestRuntime().Usable(t.Context())
	if err == nil || !strings.Contains(err.Error(), nowhere) && !strings.Contains(err.Error(), "engine") {
		t.Errorf("got %v", err)
	}
}

func TestSubnetsAreApartAndWithinTheirSpace(t *testing.T) {
	seen := map[netip.Prefix]uint32{}
	const all = 1 << (subnetBits - 15)
	for n := range uint32(all) {
		s := choose(n)
		if before, taken := seen[s.Prefix]; taken || s.Masked() != s.Prefix || !space.Overlaps(s.Prefix) {
			t.Fatalf("subnet %d is %s, and so is %d", n, s, before)
		}
		seen[s.Prefix] = n
	}
	if choose(all) != choose(0) || choose(all-1).String() != "198.19.255.240/28" {
		t.Errorf("got %s and %s for the first and the last", choose(all), choose(all-1))
	}
}

func TestAddressesWithinASubnetAreApart(t *testing.T) {
	s := choose(3)
	if got := s.host().String(); got != "198.18.0.49" {
		t.Errorf("the host has %s", got)
	}
	var got []string
	for i := range chosen {
		a, err := s.container(i)
		if err != nil || !s.Contains(a) {
			t.Fatalf("container %d: %s, %v", i, a, err)
		}
		got = append(got, a.String())
	}
	if want := []string{"198.18.0.56", "198.18.0.62"}; got[0] != want[0] || got[len(got)-1] != want[1] || len(slices.Compact(got)) != chosen {
		t.Errorf("got %v, want %s to %s", got, want[0], want[1])
	}
	for _, i := range []int{-1, chosen} {
		if a, err := s.container(i); err == nil {
			t.Errorf("container %d has address %s", i, a)
		}
	}
}

func TestATailKeepsTheEnd(t *testing.T) {
	var words tail
	for i := range 10000 {
		fmt.Fprintf(&words, "line %d\n", i)
	}
	if got := words.String(); len(got) > tailSize || !strings.HasSuffix(got, "line 9998\nline 9999") {
		t.Errorf("got %d bytes: %q", len(got), got)
	}
}
