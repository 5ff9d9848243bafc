package topologies

import (
	"context"
	"net"
	"net/netip"
	"strconv"
)

// Runtime is a way to start a Build: as child processes, or in containers.
type Runtime interface {
	// Name is the name typed on the command line.
	Name() string
	// Usable says why this runtime cannot be used here, or nil.
	Usable(ctx context.Context) error
	// Check has the server's own parser read each node's rendered configuration and changes nothing
	// anywhere. What it objects to was given by the user.
	Check(b Build) error
	// Start starts all nodes and returns once each has said that it listens. Whether they found each
	// other is for the caller to observe. On an error nothing is left running.
	Start(ctx context.Context, b Build) (Deployment, error)
	// Close ends what outlives a Deployment. Close the deployments first.
	Close() error
}

// Deployment is a Build that runs.
type Deployment interface {
	Nodes() []Node // in the topology's order
	Accounts() []Account
	// Ready returns once every node's monitoring port answers and says that its listeners are open;
	// with an error if ctx ends first.
	Ready(ctx context.Context) error
	// Close ends all nodes, whatever their state, and removes what they wrote. It reports nodes that
	// had ended by themselves.
	Close() error
}

// Node is one server of a Deployment. A fault has a life: what does not fit the node's state (a pause
// of a node that is paused, a start of one that runs) is an error and changes nothing.
type Node interface {
	Name() string
	Addr(Link) string // own address, past any balancer, fixed for the node's life, restarts included; "" for a link the node does not listen for
	Monitor() string  // http://host:port
	Log() string      // path of the captured log, all starts in one file

	Kill() error                     // at once, as by a power cut; returns when the process is gone
	Pause() error                    // the process stands still and its sockets stay open
	Resume() error                   // ends a pause
	Stop() error                     // an orderly shutdown; returns when the process is gone
	Start(ctx context.Context) error // again, with the same addresses and the same store
}

// Retiring is a Node that can be told to leave in the server's own orderly way: lame duck mode.
type Retiring interface {
	// Retire stops accepting at once, closes the clients one by one after the server's grace period (10 s unless it
	// was configured), and returns when the process is gone.
	Retire() error
}

// Dialler is a Node that knows its own connections. All nodes on one machine dial from one address, which
// does not tell who did.
type Dialler interface {
	// Dialled reports whether the node has the TCP connection whose end is at that address. It costs some
	// system calls a socket of the machine and a file of the node, so it is asked once a connection at most.
	Dialled(from netip.AddrPort) bool
}

// Member is where one node lives. A runtime chooses it and Render writes it down.
type Member struct {
	Name    string
	Host    string       // what the node listens on, "127.0.0.1"
	Ports   map[Link]int // one for each link the node listens for
	Monitor int          // port of the monitoring endpoint
	Dir     string       // the node's own directory; JetStream's store goes below it
}

// Addr is where the node listens for a link, host:port; "" for one that it does not listen for.
func (m Member) Addr(l Link) string {
	port, ok := m.Ports[l]
	if !ok {
		return ""
	}
	return net.JoinHostPort(m.Host, strconv.Itoa(port))
}

// Monitoring is the URL of its monitoring endpoint, http://host:port.
func (m Member) Monitoring() string {
	return "http://" + net.JoinHostPort(m.Host, strconv.Itoa(m.Monitor))
}
