package topologies

import (
	"context"
	"io"
)

// ModeVariable is the environment variable that, together with the same word as first argument, makes
// this program something else than its command line: a node, a cleaner, a balancer. Nobody types the
// one by accident and nobody has the other set.
const ModeVariable = "LBTEST_PROCESS"

// Host is what a Runtime is besides if its nodes live on networks of their own, where a balancer of this
// process could not be the only path between them. It runs this same program there, in another mode.
type Host interface {
	// Run makes the networks and starts the program. On an error nothing is left.
	Run(ctx context.Context, p Program) (Running, error)
}

// Program is this same program in one of its modes.
type Program struct {
	Mode string // see ModeVariable
	Name string // the host name by which the nodes know it; "" for lb
	// Networks are made for it: the nodes of each share that one with the program, and have no other; see
	// Topology.Neighbours.
	Networks [][]string
	// Capabilities are the kernel's, such as NET_ADMIN, beyond what a program in a container has.
	Capabilities []string
	// Sysctls is what the program's own network is set to, as in net.ipv4.ip_local_port_range.
	Sysctls map[string]string
	// Beside is a program of the same Host whose networks this one shares, in place of any of its own. It must be
	// closed after this one.
	Beside Running
}

// Running is a Program that runs, to be given as Build.Behind to the nodes that it was started for.
// Reading and writing it is its standard output and its standard input. What does not fit its state (a
// pause while it is paused) is an error and changes nothing.
type Running interface {
	io.ReadWriter
	Name() string    // the host name by which the nodes know it, whatever its address on their network
	Addr() string    // the IP address at which this process reaches it
	Outside() string // the IP address at which it reaches this process, if that listens there
	// Place is the IP address that a node will have on the network it shares with the program; "" for a node that
	// shares none.
	Place(node string) string
	Pause() error  // it stands still and its sockets stay open
	Resume() error // ends a pause
	Kill() error   // at once, as by a power cut; returns when it is gone
	// Close ends it, whatever its state, and removes the networks that were made for it: close the nodes first. It reports a
	// program that had ended by itself, with its last words.
	Close() error
}
