package assertions

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nats-io/nats-server/v2/server"
)

// uneventful is a lab's hand that lets nothing happen.
type uneventful struct {
	Control
	rec *Recorder
}

func (u uneventful) Strike(context.Context) error {
	u.rec.Add(Event{From: Lab, Kind: "strike-begin"})
	u.rec.Add(Event{From: Lab, Kind: "strike-over"})
	return nil
}

func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

const lab = "accounts { JS { users: [ {user: js, password: js} ], jetstream: enabled }, SYS { users: [ {user: sys, password: sys} ] } }\nsystem_account: SYS\n"

// started is servers with those configurations, which end with the test.
func started(t *testing.T, terms Terms, configurations map[string]string) Target {
	t.Helper()
	target := Target{Terms: terms, Accounts: []Account{{Name: "JS", User: "js", Password: "js", JetStream: true}, {Name: "SYS", User: "sys", Password: "sys", System: true}}}
	for _, name := range terms.Nodes {
		dir := t.TempDir()
		file := filepath.Join(dir, "nats.conf")
		text := fmt.Sprintf("server_name: %s\nlisten: 127.0.0.1:-1\nhttp: 127.0.0.1:-1\n%s", name, lab) + strings.ReplaceAll(configurations[name], "STORE", dir)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		opts, err := server.ProcessConfigFile(file)
		if err != nil {
			t.Fatal(err)
		}
		opts.NoSigs, opts.NoLog = true, true
		s, err := server.NewServer(opts)
		if err != nil {
			t.Fatal(err)
		}
		s.Start()
		t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
		target.Nodes = append(target.Nodes, Node{Name: name, URL: s.ClientURL(), Monitor: "http://" + s.MonitorAddr().String()})
	}
	return target
}

// watched lets the observations of assertions watch, one after the other, and wants all of them safe.
func watched(t *testing.T, target Target, names ...string) {
	t.Helper()
	seen := map[*Observation]History{}
	for _, name := range names {
		a, _ := Find(name)
		h, ok := seen[a.Observe]
		if !ok {
			rec := NewRecorder()
			target.Control = uneventful{rec: rec}
			rec.Add(Event{From: Server, Kind: "mesh-full"})
			if err := a.Observe.Watch(t.Context(), target, rec.For(a.Observe)); err != nil {
				t.Fatal(err)
			}
			h = rec.History(target.Terms).Of(a.Observe)
			seen[a.Observe] = h
		}
		if f := a.Judge(h)[0]; f.Verdict != Safe {
			t.Errorf("%s is %s: %s", a.Name, f.Verdict, f.Got)
		}
	}
}

func TestStreamsLiveInEachClusterOfASupercluster(t *testing.T) {
	if testing.Short() {
		t.Skip("integration: starts servers")
	}
	terms := twoClusters()
	terms.Strikes, terms.Event, terms.Factor = nil, 0, 1
	configurations := map[string]string{}
	routes, gateways := map[string][]string{}, map[string][]string{}
	ports := map[string][2]int{}
	for _, c := range terms.Clusters {
		for _, n := range c.Nodes {
			ports[n] = [2]int{freePort(t), freePort(t)}
			routes[c.Name] = append(routes[c.Name], fmt.Sprintf("nats://127.0.0.1:%d", ports[n][0]))
			gateways[c.Name] = append(gateways[c.Name], fmt.Sprintf("nats://127.0.0.1:%d", ports[n][1]))
		}
	}
	for i, c := range terms.Clusters {
		other := terms.Clusters[1-i].Name
		for _, n := range c.Nodes {
			configurations[n] = fmt.Sprintf("jetstream { store_dir: STORE }\ncluster { name: %s, listen: 127.0.0.1:%d, routes: [%s] }\ngateway { name: %s, listen: 127.0.0.1:%d, gateways: [ {name: %s, urls: [%s]} ] }\n",
				c.Name, ports[n][0], strings.Join(routes[c.Name], ", "), c.Name, ports[n][1], other, strings.Join(gateways[other], ", "))
		}
	}
	target := started(t, terms, configurations)
	watched(t, target, "jetstream/quorum-holds", "jetstream/no-acked-loss", "jetstream/meta-leader-stable", "jetstream/placement-works", "jetstream/mirror-catches-up")
}

func TestStreamsOfAHubAreReachedFromItsLeafNodes(t *testing.T) {
	if testing.Short() {
		t.Skip("integration: starts servers")
	}
	terms := Terms{Factor: 1, Nodes: []string{"h1", "h2", "h3", "l1", "l2"},
		Clusters: []Group{{Name: "hub", Nodes: []string{"h1", "h2", "h3"}}, {Name: "leaf", Nodes: []string{"l1", "l2"}, LeafOf: "hub"}}}
	configurations := map[string]string{}
	var routes, leafnodes []string
	ports := map[string][2]int{}
	for _, n := range terms.Clusters[0].Nodes {
		ports[n] = [2]int{freePort(t), freePort(t)}
		routes, leafnodes = append(routes, fmt.Sprintf("nats://127.0.0.1:%d", ports[n][0])), append(leafnodes, fmt.Sprintf("nats://js:js@127.0.0.1:%d", ports[n][1]))
	}
	for _, n := range terms.Clusters[0].Nodes {
		configurations[n] = fmt.Sprintf("jetstream { store_dir: STORE, domain: hub }\ncluster { name: hub, listen: 127.0.0.1:%d, routes: [%s] }\nleafnodes { listen: 127.0.0.1:%d }\n",
			ports[n][0], strings.Join(routes, ", "), ports[n][1])
	}
	for _, n := range terms.Clusters[1].Nodes {
		configurations[n] = fmt.Sprintf("jetstream { store_dir: STORE, domain: %s }\nleafnodes { remotes: [ {urls: [%s], account: JS} ] }\n", n, strings.Join(leafnodes, ", "))
	}
	target := started(t, terms, configurations)
	watched(t, target, "jetstream/quorum-holds", "jetstream/no-acked-loss", "jetstream/placement-works", "jetstream/mirror-catches-up")
}
