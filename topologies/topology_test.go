package topologies

import (
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
)

func TestEveryTopologyHasAFileOfItsName(t *testing.T) {
	if len(All()) == 0 {
		t.Fatal("there are no topologies")
	}
	for _, top := range All() {
		file := strings.ReplaceAll(top.Name, "-", "_") + ".go"
		text, err := os.ReadFile(file)
		if err != nil {
			t.Errorf("topology %s: %v", top.Name, err)
			continue
		}
		if !strings.Contains(string(text), `"`+top.Name+`"`) {
			t.Errorf("%s does not register %s", file, top.Name)
		}
	}
}

func TestFind(t *testing.T) {
	top, ok := Find("routes-behind-lb")
	if !ok {
		t.Fatal("routes-behind-lb is not there")
	}
	if got, want := top.Nodes(), []string{"n1", "n2", "n3"}; !slices.Equal(got, want) {
		t.Errorf("nodes are %v, want %v", got, want)
	}
	if _, ok := Find("no-such-topology"); ok {
		t.Error("a topology that does not exist was found")
	}
}

func TestListens(t *testing.T) {
	all := []Topology{
		{Name: "everything", Balanced: []Link{Websocket}, Clusters: []Cluster{
			{Name: "a", Nodes: []string{"a1"}}, {Name: "b", Nodes: []string{"b1"}}, {Name: "l", Nodes: []string{"l1"}, LeafOf: "b"}}},
	}
	for _, name := range []string{"routes-behind-lb", "websocket-behind-lb", "gateways-behind-lb", "leafnodes-behind-lb"} {
		top, ok := Find(name)
		if !ok {
			t.Fatalf("there is no %s", name)
		}
		all = append(all, top)
	}
	want := map[string][]Link{
		"everything a1":          {Clients, Routes, Websocket, Gateways},
		"everything b1":          {Clients, Routes, Websocket, Gateways, Leafnodes},
		"everything l1":          {Clients, Websocket},
		"routes-behind-lb n1":    {Clients, Routes},
		"websocket-behind-lb n3": {Clients, Routes, Websocket},
		"gateways-behind-lb e1":  {Clients, Routes, Gateways},
		"gateways-behind-lb w3":  {Clients, Routes, Gateways},
		"leafnodes-behind-lb h2": {Clients, Routes, Leafnodes},
		"leafnodes-behind-lb l2": {Clients},
		"leafnodes-behind-lb n1": nil,
	}
	for _, top := range all {
		for key, links := range want {
			if name, node, _ := strings.Cut(key, " "); name == top.Name {
				if got := top.Listens(node); !slices.Equal(got, links) {
					t.Errorf("%s listens for %v, want %v", key, got, links)
				}
			}
		}
	}
}

func TestFrontends(t *testing.T) {
	each := func(names ...string) (all []Frontend) {
		for _, n := range names {
			all = append(all, Frontend{n, []string{n}})
		}
		return all
	}
	hub := []string{"h1", "h2", "h3"}
	for _, c := range []struct {
		topology string
		link     Link
		perNode  bool
		want     []Frontend
	}{
		{"routes-behind-lb", Routes, true, each("n1", "n2", "n3")},
		{"routes-behind-lb", Routes, false, []Frontend{{VIP, []string{"n1", "n2", "n3"}}}},
		{"clients-behind-lb", Clients, false, []Frontend{{VIP, []string{"n1", "n2", "n3"}}}},
		{"gateways-behind-lb", Gateways, true, each("e1", "e2", "e3", "w1", "w2", "w3")},
		{"gateways-behind-lb", Gateways, false, []Frontend{{"east", []string{"e1", "e2", "e3"}}, {"west", []string{"w1", "w2", "w3"}}}},
		{"leafnodes-behind-lb", Leafnodes, true, each(hub...)},
		{"leafnodes-behind-lb", Leafnodes, false, []Frontend{{VIP, hub}}},
		{"leafnodes-behind-lb", Routes, false, []Frontend{{VIP, hub}}},
		{"leafnodes-behind-lb", Clients, false, []Frontend{{"hub", hub}, {"leaf", []string{"l1", "l2"}}}},
		{"leafnodes-behind-lb", Gateways, false, nil},
	} {
		top, _ := Find(c.topology)
		if got := top.Frontends(c.link, c.perNode); !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s of %s, one a node: %v: got %v, want %v", c.link, c.topology, c.perNode, got, c.want)
		}
	}
}

func TestTheRegistryRefuses(t *testing.T) {
	whole := func(change func(*Topology)) Topology {
		top := Topology{Name: "some", About: "about", Clusters: []Cluster{{Name: "c", Nodes: []string{"a", "b"}}}, Balanced: []Link{Routes}}
		change(&top)
		return top
	}
	if err := check(whole(func(*Topology) {})); err != nil {
		t.Fatalf("a topology with everything was refused: %v", err)
	}
	for what, top := range map[string]Topology{
		"a name that exists":             whole(func(top *Topology) { top.Name = "routes-behind-lb" }),
		"no name":                        whole(func(top *Topology) { top.Name = "" }),
		"a name with a blank":            whole(func(top *Topology) { top.Name = "some thing" }),
		"no description":                 whole(func(top *Topology) { top.About = "" }),
		"no clusters":                    whole(func(top *Topology) { top.Clusters = nil }),
		"nothing balanced":               whole(func(top *Topology) { top.Balanced = nil }),
		"a cluster without nodes":        whole(func(top *Topology) { top.Clusters[0].Nodes = nil }),
		"a cluster without a name":       whole(func(top *Topology) { top.Clusters[0].Name = "" }),
		"two nodes of one name":          whole(func(top *Topology) { top.Clusters[0].Nodes = []string{"a", "a"} }),
		"a node named as the cluster":    whole(func(top *Topology) { top.Clusters[0].Nodes = []string{"a", "c"} }),
		"a node named as a VIP":          whole(func(top *Topology) { top.Clusters[0].Nodes = []string{VIP} }),
		"a node with a colon":            whole(func(top *Topology) { top.Clusters[0].Nodes = []string{"a:b"} }),
		"one node name in two clusters":  whole(func(top *Topology) { top.Clusters = append(top.Clusters, Cluster{Name: "d", Nodes: []string{"a"}}) }),
		"leafnodes of nobody":            whole(func(top *Topology) { top.Clusters[0].LeafOf = "hub" }),
		"leafnodes of themselves":        whole(func(top *Topology) { top.Clusters[0].LeafOf = "c" }),
		"gateways without a cluster":     whole(func(top *Topology) { top.Balanced = []Link{Gateways} }),
		"leafnodes that there are not":   whole(func(top *Topology) { top.Balanced = []Link{Routes, Leafnodes} }),
		"a link that does not exist":     whole(func(top *Topology) { top.Balanced = []Link{"cables"} }),
		"one cluster name in two places": whole(func(top *Topology) { top.Clusters = append(top.Clusters, Cluster{Name: "c", Nodes: []string{"z"}}) }),
	} {
		if check(top) == nil {
			t.Errorf("%s was accepted", what)
		}
	}
}
