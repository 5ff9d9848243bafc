package topologies

import (
	"fmt"
	"testing"
)

func TestOnlyNodesWithADirectLinkAreNeighbours(t *testing.T) {
	for _, c := range []struct {
		topology string
		open     []Link
		want     string
	}{
		{"clients-behind-lb", nil, "[[n1 n2 n3]]"},
		{"websocket-behind-lb", nil, "[[n1 n2 n3]]"},
		{"routes-behind-lb", nil, "[[n1] [n2] [n3]]"},
		{"routes-behind-lb", []Link{Routes}, "[[n1 n2 n3]]"},
		{"gateways-behind-lb", nil, "[[e1 e2 e3] [w1 w2 w3]]"},
		{"gateways-behind-lb", []Link{Gateways}, "[[e1 e2 e3 w1 w2 w3]]"},
		{"leafnodes-behind-lb", nil, "[[h1 h2 h3] [l1] [l2]]"},
		{"leafnodes-behind-lb", []Link{Leafnodes}, "[[h1 h2 h3 l1 l2]]"},
		{"all-behind-lb", nil, "[[e1] [e2] [e3] [w1] [w2] [w3]]"},
		{"all-behind-lb", []Link{Clients}, "[[e1] [e2] [e3] [w1] [w2] [w3]]"},
		{"all-behind-lb", []Link{Routes}, "[[e1 e2 e3] [w1 w2 w3]]"},
	} {
		top, ok := Find(c.topology)
		if !ok {
			t.Fatalf("there is no topology %s", c.topology)
		}
		if got := fmt.Sprint(top.Neighbours(c.open...)); got != c.want {
			t.Errorf("%s with %v open: got %s, want %s", c.topology, c.open, got, c.want)
		}
	}
}

func TestEveryTopologysNodesAreNeighboursOnce(t *testing.T) {
	for _, top := range All() {
		var names []string
		for _, group := range top.Neighbours() {
			names = append(names, group...)
		}
		if len(names) != len(top.Nodes()) {
			t.Errorf("%s: got %v of %v", top.Name, names, top.Nodes())
		}
	}
}
