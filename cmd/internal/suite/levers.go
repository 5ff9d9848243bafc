package suite

import (
	"context"
	"errors"
	"fmt"

	"github.com/lbtest/lbtest/assertions"
	"github.com/lbtest/lbtest/topologies"
)

// levers are what a lab can do to its nodes. What is done to a node is written down: node-lost from the moment in
// which it begins to be away, node-back once it answers again.
type levers struct {
	balancer
	nodes []topologies.Node
	rec   *assertions.Recorder
}

func (l levers) node(name string) (topologies.Node, error) {
	for _, n := range l.nodes {
		if n.Name() == name {
			return n, nil
		}
	}
	return nil, fmt.Errorf("there is no node %s", name)
}

// lose takes a node away in some manner.
func (l levers) lose(name, how string, what func(topologies.Node) error) error {
	n, err := l.node(name)
	if err != nil {
		return err
	}
	l.rec.Add(assertions.Event{From: assertions.Lab, Kind: "node-lost", Node: name, How: how})
	return what(n)
}

// regain brings a node back.
func (l levers) regain(name string, what func(topologies.Node) error) error {
	n, err := l.node(name)
	if err != nil {
		return err
	}
	if err := what(n); err != nil {
		return err
	}
	l.rec.Add(assertions.Event{From: assertions.Lab, Kind: "node-back", Node: name})
	return nil
}

// Stop, Kill and Start implement assertions.Control.

func (l levers) Stop(node string) error { return l.lose(node, "stop", topologies.Node.Stop) }
func (l levers) Kill(node string) error { return l.lose(node, "kill", topologies.Node.Kill) }
func (l levers) Start(ctx context.Context, node string) error {
	return l.regain(node, func(n topologies.Node) error { return n.Start(ctx) })
}

// Used and Exhausted implement assertions.Control.

func (l levers) Used(ctx context.Context, node string) (assertions.Use, bool) {
	kept, ok := l.limited(node)
	if !ok {
		return assertions.Use{}, false
	}
	used, err := kept.Used(ctx)
	return assertions.Use{Memory: used.Memory, Limit: used.Limit, Throttled: used.Throttled, Faults: used.Faults}, err == nil
}

func (l levers) Exhausted(node string) bool {
	kept, ok := l.limited(node)
	return ok && kept.Exhausted()
}

// limited is a node whose runtime keeps it to its limits.
func (l levers) limited(node string) (topologies.Limited, bool) {
	n, err := l.node(node)
	if err != nil {
		return nil, false
	}
	kept, ok := n.(topologies.Limited)
	return kept, ok
}

// fate is how a node-fault begins and how it ends.
func (l levers) fate(ctx context.Context, fault, node string) (falls, rises func() error) {
	start := func() error { return l.Start(ctx, node) }
	switch fault {
	case "remove":
		return func() error { return l.Remove(node) }, func() error { return l.Restore(node) }
	case "pause":
		return func() error { return l.lose(node, fault, topologies.Node.Pause) }, func() error { return l.regain(node, topologies.Node.Resume) }
	case "vanish":
		// Paused, it says nothing on the connections it has, to its peers neither; what comes back is another process.
		return func() error {
				return errors.Join(l.lose(node, fault, topologies.Node.Pause), l.Unplug(node))
			}, func() error {
				if err := l.Plug(node); err != nil {
					return err
				}
				return errors.Join(l.Kill(node), start())
			}
	case "lame-duck":
		return func() error { return l.lose(node, fault, retire) }, start
	}
	return func() error { return l.lose(node, fault, topologies.Node.Kill) }, start
}

func retire(n topologies.Node) error {
	r, ok := n.(topologies.Retiring)
	if !ok {
		return fmt.Errorf("node %s cannot be told to retire by this runtime", n.Name())
	}
	return r.Retire()
}
