package main

import (
	"log/slog"
	"slices"

	"github.com/lbtest/lbtest/docker"
	"github.com/lbtest/lbtest/topologies"
	"github.com/lbtest/lbtest/topologies/embedded"
)

// runtime is a way to start the nodes, as it can be named.
type runtime struct {
	name, about string
	open        func(o nodeOptions, log *slog.Logger) topologies.Runtime
}

// nodeOptions is how nodes are run, whatever the runtime.
type nodeOptions struct {
	keep  bool   // their directories
	image string // of the nats-server that they are; "" for the one compiled in
}

// runtimes are those there are, the default first.
var runtimes = []runtime{
	{
		name: "embedded", about: "nats-server inside lbtest's own executable, one child process a node (the default)",
		open: func(o nodeOptions, log *slog.Logger) topologies.Runtime {
			return embedded.New(embedded.Options{Keep: o.keep, Log: log})
		},
	},
	{
		name: "docker", about: "nodes and balancer in containers of this executable, the balancer the only path between the nodes; Linux, with a Docker engine on this machine",
		open: func(o nodeOptions, log *slog.Logger) topologies.Runtime {
			// What the servers say of a configuration is the same in a container: they are the same.
			check := embedded.New(embedded.Options{Log: log}).Check
			return docker.New(docker.Options{Node: embedded.Lone, Check: check, Image: o.image, Keep: o.keep, Log: log})
		},
	},
}

// runtimeCalled is the runtime of a name that exists.
func runtimeCalled(name string) runtime {
	return runtimes[slices.IndexFunc(runtimes, func(r runtime) bool { return r.name == name })]
}
