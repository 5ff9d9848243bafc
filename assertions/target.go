package assertions

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"time"
)

// Target is what an observation may touch: addresses and plain data, whoever stands behind them.
type Target struct {
	// URLs are what applications dial: the balancer's frontends where it stands before clients, else the nodes.
	URLs  []string
	Nodes []Node
	// Fronts are the balancer's frontends as servers dial them, host:port each; nil where it stands before clients.
	Fronts []string
	// Doors are the same as the tester dials them: servers may know them by a name of their own network.
	Doors    []string
	Accounts []Account
	// Client is how applications connect, in the lab's own time.
	Client ClientTuning
	// Direct is how the tester connects past the balancer.
	Direct ClientTuning
	Terms  Terms
	// TLS is whom clients of the tester's believe; nil where nobody speaks it. Terms.Security says who does.
	TLS *tls.Config
	// Canary is the tester's own connection through the same balancer; nil on a real endpoint.
	Canary *Canary
	// Control drives what only a lab can drive; nil on a real endpoint.
	Control Control
}

// Node is one server as the tester reaches it, past every balancer.
type Node struct {
	Name    string
	Cluster string // or the group of leaf nodes
	URL     string // of the client port
	Monitor string // http://host:port
	Addr    string // host:port of its own listener for the link that is balanced
	Told    string // host:port that it tells others to dial past the balancer; "" where it tells them the balancer's
	Log     string // path of its log; "" where nobody can read it
}

// Account is an account the tester may use, and how it logs in: by User and Password unless there is something else.
type Account struct {
	Name, User, Password string
	JetStream, System    bool

	Token       string
	Seed, JWT   string           // a private key, and with it what the servers' operator has signed, if anything
	Certificate *tls.Certificate // shown to servers that ask for one
	PublicKey   string           // the servers' own name for an account of operator mode
	Shown       string           // the user, as the servers' monitoring has it
}

// Canary is a frontend of the balancer under test whose only backend is the tester itself, so that both
// ends of a connection through this balancer are in one hand.
type Canary struct {
	Addr    string           // dial here …
	Backend *net.TCPListener // … and the balancer's connection arrives here
	Health  io.Closer        // what health checks ask about it; closed when the backend is to be found dead
	Probed  string           // the same for a link that sends TCP keepalive probes
	Probe   time.Duration    // how often it does
	Self    string           // the same for a link that the balancer takes for its backend's own; "" for none

	// Knock is what a connection says first, for a balancer that wants to hear the client before it goes on, or
	// puts bytes of its own in front; empty for others.
	Knock    []byte
	Provoke  []byte        // what an inspection acts on that waits for certain bytes; empty for others
	Patience time.Duration // how long the balancer itself waits before it goes on

	TLS    *tls.Config // spoken towards a balancer that ends it; nil for none
	Beyond *tls.Config // spoken by the backend of a balancer that begins it anew; nil for none
}

// Control is the lab's hand on what happens.
type Control interface {
	// Strike waits until every observation of the lab is ready, lets the setting's event happen once,
	// and returns when it is over. Without an event it only lines the observations up.
	Strike(ctx context.Context) error
	// Remove takes a node out of the balancer's rotation, Restore puts it back.
	Remove(node string) error
	Restore(node string) error
	// Stop shuts a node down in order, Kill at once; Start brings it back with the same addresses and store, and
	// returns once it listens. What does not fit the node's state is an error.
	Stop(node string) error
	Kill(node string) error
	Start(ctx context.Context, node string) error
	// Used asks the kernel what a node uses of its limits; false where nobody knows. Exhausted reports whether its latest
	// run was ended by the kernel for want of memory; such a node can be started again.
	Used(ctx context.Context, node string) (Use, bool)
	Exhausted(node string) bool
}

// Group is nodes that belong together: a cluster joined by routes, or the leaf nodes of one, which are servers of their own.
type Group struct {
	Name   string
	Nodes  []string
	LeafOf string // the cluster that accepts the leafnode connections of these; "" for a cluster
}

// Terms are the facts that judges measure against. Durations are the lab's own (already divided by
// Factor where they are scaled); Real gives back what an operator would see.
type Terms struct {
	Topology string
	Security Security
	Links    []string // the kinds that are balanced; the observations of server links watch the first
	Nodes    []string
	Clusters []Group // of those nodes; nil for one cluster of all
	Fronts   string  // per-node or shared
	Clients  int     // connections the operator expects at once
	Limits   Limits  // of every node
	PoolSize int     // pooled route connections a pair
	// Dedicated is how many accounts have a connection of their own a pair; the system account is one.
	Dedicated int
	// Factor divides idle timeouts, lifetimes and ping intervals in this lab. JetStream runs at 1 only.
	Factor float64
	// LinkPing is the effective ping interval of the server link that is balanced (of a leafnode connection's the leaf node's,
	// which pings whatever the traffic), PingMax how many pings may stay unanswered on it.
	LinkPing time.Duration
	PingMax  int
	// ServerPing is the servers' ping interval towards clients, ClientPing the clients' own (0: off), each with the
	// pings that may stay unanswered.
	ServerPing, ClientPing       time.Duration
	ServerPingMax, ClientPingMax int
	// Reconnect is the longest pause before a client dials again, Reconnects how often it tries a server before it
	// gives up, -1 for ever. Neither is scaled.
	Reconnect     time.Duration
	Reconnects    int
	ClientTimeout time.Duration // how long clients wait for a connection, and again for its greeting; never scaled
	ProxyProtocol bool          // whether the servers look for a PROXY header on their client ports
	Check         time.Duration // pause between the balancer's health checks of a backend, 0 for none
	Idle          time.Duration // the shortest idle timeout of the balancer, 0 for none
	Lifetime      time.Duration // the balancer's max-lifetime, 0 for none
	Expiry        string        // manner of ending an idle connection
	Probe         time.Duration // pause between the TCP keepalive probes of client links
	Settings      map[string]string
	// Strikes says which event happens in the middle: stall, outage, restart=crash, …; "" for none.
	Strikes []string
	// Beside are the other kinds of links whose balancers meet an event that ends connections at the same moment.
	Beside []string
	// Event is how long that event lasts.
	Event time.Duration
	// Drain is how long a removed backend keeps its connections, 0 for ever.
	Drain time.Duration
	// Found is how long the balancer's health check takes at most to find that a backend is gone.
	Found time.Duration
	// JetStream is whether the servers run it.
	JetStream bool
}

// Real turns a scaled duration of the lab into what it stands for.
func (t Terms) Real(lab time.Duration) time.Duration {
	if t.Factor <= 1 {
		return lab
	}
	// A tenth of a millisecond: finer differences come from the division.
	return time.Duration(float64(lab) * t.Factor).Round(100 * time.Microsecond)
}

// duration is the value of an LB setting that is a duration, 0 for any other. Events are not scaled.
func (t Terms) duration(name string) time.Duration {
	d, err := time.ParseDuration(t.Settings[name])
	if err != nil {
		return 0
	}
	return d
}

// ProvesIdle reports whether it is proved here how the balancer ends idle connections.
func (t Terms) ProvesIdle() bool {
	return t.given("idle-timeout", "idle-timeout-client", "idle-timeout-server", "idle-expiry", "idle-keepalive")
}

// Struck reports whether that event was part of the run.
func (t Terms) Struck(names ...string) bool {
	for _, s := range t.Strikes {
		for _, n := range names {
			if s == n {
				return true
			}
		}
	}
	return false
}

// Quiet is how long nothing is said in one quiet spell: long enough that an idle timeout which can
// pass between two pings does pass, wherever in the ping interval the spell begins.
func (t Terms) Quiet() time.Duration {
	spell := t.LinkPing + max(t.Idle, t.LinkPing)
	// A tenth for timers that are late on a busy machine, and the servers' own first ping about a second
	// after a connection begins, which is not scaled.
	return spell + spell/10
}

// Lull is how long one silence must last for an idle timeout to pass if it can.
func (t Terms) Lull() time.Duration {
	if t.Idle > 0 && t.Idle < t.LinkPing {
		return t.Idle + t.Idle/4
	}
	return t.Quiet()
}

// Watch is how long quiet links are only watched: an idle timeout that can pass passes several times
// over, and a connection that is closed is made again, which takes a second whatever the factor.
func (t Terms) Watch() time.Duration {
	watch := t.Quiet()
	for _, timer := range []time.Duration{t.Idle, t.Lifetime} {
		if timer > 0 && timer < t.LinkPing {
			watch = min(t.Quiet(), 3*timer) + 3*time.Second
		}
	}
	return max(watch, 3*time.Second)
}

// Notice is the servers' own budget for noticing a dead peer: (ping_max + 1) intervals.
func (t Terms) Notice() time.Duration { return time.Duration(t.PingMax+1) * t.LinkPing }
