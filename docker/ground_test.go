package docker

import (
	"net"
	"testing"

	"github.com/lbtest/lbtest/topologies"
)

// TestOnlyNeighboursReachEachOther lays two clusters out whose gateways cross a balancer, with a second balancer beside it.
func TestOnlyNeighboursReachEachOther(t *testing.T) {
	rt := open(t)
	two := topologies.Topology{Name: "test", Balanced: []topologies.Link{topologies.Gateways},
		Clusters: []topologies.Cluster{{Name: "east", Nodes: []string{"e1", "e2"}}, {Name: "west", Nodes: []string{"w1"}}}}
	running, err := rt.Run(t.Context(), topologies.Program{Mode: echoMode, Networks: two.Neighbours()})
	if err != nil {
		t.Fatal(err)
	}
	first := running.(*program)
	defer closed(t, first)
	running, err = rt.Run(t.Context(), topologies.Program{Mode: echoMode, Name: "lb-clients", Beside: first})
	if err != nil {
		t.Fatal(err)
	}
	second := running.(*program)
	defer closed(t, second)
	d, err := rt.Start(t.Context(), topologies.Build{Topology: two, Behind: first, Fronts: map[topologies.Front]string{
		{Link: topologies.Gateways, Name: "east"}: balancerName + ":1", {Link: topologies.Gateways, Name: "west"}: balancerName + ":2",
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer closed(t, d)
	if err := d.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	nodes := map[string]*node{}
	for _, n := range d.Nodes() {
		nodes[n.Name()] = n.(*node)
		if place := first.Place(n.Name()); place != n.(*node).member.Host || second.Place(n.Name()) != place {
			t.Errorf("%s is at %s and was said to be at %s", n.Name(), n.(*node).member.Host, place)
		}
	}
	gateway := func(n string) string { return nodes[n].Addr(topologies.Gateways) }
	route := func(n string) string { return nodes[n].Addr(topologies.Routes) }
	lb, other := net.JoinHostPort(balancerName, echoPort), net.JoinHostPort("lb-clients", echoPort)
	for name, c := range map[string]struct {
		from *box
		want map[string]bool
	}{
		"e1":         {nodes["e1"].box, map[string]bool{route("e2"): true, gateway("w1"): false, route("w1"): false, "w1:7222": false, lb: true, other: true}},
		"w1":         {nodes["w1"].box, map[string]bool{gateway("e1"): false, route("e2"): false, lb: true, other: true}},
		"lb":         {first.box, map[string]bool{gateway("e1"): true, gateway("w1"): true}},
		"lb-clients": {second.box, map[string]bool{route("e1"): true, gateway("w1"): true}},
	} {
		var all []string
		for addr := range c.want {
			all = append(all, addr)
		}
		became := dial(t, c.from, all...)
		for addr, want := range c.want {
			if (became[addr] == "reached") != want || became[addr] == "" {
				t.Errorf("%s dials %s: %s", name, addr, became[addr])
			}
		}
	}
}

// TestAProgramDialsFromThePortsOfItsOwnNetwork counts them, and finds them resting in TIME_WAIT.
func TestAProgramDialsFromThePortsOfItsOwnNetwork(t *testing.T) {
	rt := open(t)
	running, err := rt.Run(t.Context(), topologies.Program{Mode: echoMode, Networks: [][]string{{"n1"}},
		Sysctls: map[string]string{"net.ipv4.ip_local_port_range": "32768 32787", "net.ipv4.tcp_tw_reuse": "0"}})
	if err != nil {
		t.Fatal(err)
	}
	p := running.(*program)
	defer closed(t, p)
	l, err := net.Listen("tcp", net.JoinHostPort(p.Outside(), "0"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	const ports = 20
	all := make([]string, ports+2)
	for i := range all {
		all[i] = l.Addr().String()
	}
	reached := 0
	for _, what := range dialEach(t, p.box, all...) {
		if what == "reached" {
			reached++
		}
	}
	if reached != ports {
		t.Errorf("%d connections that were closed at once were made, want %d: one a port, since each rests", reached, ports)
	}
}
