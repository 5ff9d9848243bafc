package suite

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/lbtest/lbtest/assertions"
	"github.com/lbtest/lbtest/topologies"
)

// serverKind is the event by which a lab says which nats-server a node is.
const serverKind = "nats-server"

// identify asks every node which nats-server it is.
func identify(ctx context.Context, nodes []topologies.Node, rec *assertions.Recorder) error {
	for _, n := range nodes {
		version, err := topologies.Version(ctx, n.Monitor())
		if err != nil {
			return fmt.Errorf("asking node %s which nats-server it is: %w", n.Name(), err)
		}
		rec.Add(assertions.Event{From: assertions.Lab, Kind: serverKind, Node: n.Name(), What: version})
	}
	return nil
}

// servers are the versions of nats-server that were seen in a run.
type servers []string

// see takes down what a lab's history says.
func (s *servers) see(h assertions.History) {
	for _, e := range h.Events {
		if e.Kind == serverKind && !slices.Contains(*s, e.What) {
			*s = append(*s, e.What)
		}
	}
}

// String names them, or nothing if none was seen.
func (s servers) String() string {
	return strings.Join(slices.Sorted(slices.Values(s)), ", ")
}
