package docker

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/moby/moby/client"
	"go.uber.org/goleak"

	"github.com/lbtest/lbtest/topologies"
	"github.com/lbtest/lbtest/topologies/embedded"
)

// The modes in which this test program runs in containers of its own.
const (
	echoMode = "__test-echo" // repeats every line of its input; ends with it, or at the line "fall", badly
	dialMode = "__test-dial" // says whether it reached the addresses it is given, in a container of a node
)

func TestMain(m *testing.M) {
	embedded.Main()
	Main()
	if len(os.Args) > 1 && os.Getenv(topologies.ModeVariable) == os.Args[1] {
		switch os.Args[1] {
		case echoMode:
			for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
				if lines.Text() == "fall" {
					fmt.Fprintln(os.Stderr, "fallen over")
					os.Exit(3)
				}
				fmt.Println(lines.Text())
			}
			os.Exit(0)
		case victimMode:
			beVictim()
		}
	}
	goleak.VerifyTestMain(m)
}

// newRuntime gives a runtime, or skips the test where no engine answers.
func newRuntime(t *testing.T) *runtime {
	t.Helper()
	if testing.Short() {
		t.Skip("integration: starts containers")
	}
	rt := New(Options{Node: embedded.Lone, Check: embedded.New(embedded.Options{}).Check}).(*runtime)
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
	})
	return rt
}

// labelled lists what carries a run's label.
func labelled(t *testing.T, run string) []string {
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

func topology(t *testing.T) topologies.Topology {
	t.Helper()
	top, ok := topologies.Find("routes-behind-lb")
	if !ok {
		t.Fatal("there is no topology routes-behind-lb")
	}
	return top
}

var _ = errors.Join
var _ = io.EOF
var _ = net.Dial
var _ = http.Get
var _ = filepath.Join
var _ = slices.Contains[[]string]
var _ = strings.Split
var _ = time.Second
var _ = json.Marshal

func TestNodesOnOneNetworkFindEachOther(t *testing.T) {
	rt := newRuntime(t)
	began := time.Now()
	d, err := rt.Start(t.Context(), topologies.Build{Topology: topology(t), JetStream: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("started after %s", time.Since(began))
	if err := d.Ready(t.Context()); err != nil {
		t.Error(err)
	}
	for _, n := range d.Nodes() {
		t.Log(n.Name(), n.Addr(topologies.Routes), n.Monitor(), n.Log())
	}
	if err := d.Close(); err != nil {
		t.Error(err)
	}
	t.Logf("closed after %s", time.Since(began))
}

const victimMode = "__test-victim"

func beVictim() {}
