package topologies

import (
	"os"
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

func TestTheRegistryRefuses(t *testing.T) {
	whole := func(change func(*Topology)) Topology {
		top := Topology{Name: "some", About: "about", Clusters: []Cluster{{"c", []string{"a", "b"}}}, Balanced: []Link{Routes}}
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
		"one node name in two clusters":  whole(func(top *Topology) { top.Clusters = append(top.Clusters, Cluster{"d", []string{"a"}}) }),
		"one cluster name in two places": whole(func(top *Topology) { top.Clusters = append(top.Clusters, Cluster{"c", []string{"z"}}) }),
	} {
		if check(top) == nil {
			t.Errorf("%s was accepted", what)
		}
	}
}
