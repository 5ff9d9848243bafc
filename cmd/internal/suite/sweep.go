package suite

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/lbtest/lbtest/topologies"
)

// Sweep is a question to many configurations of a topology.
type Sweep struct {
	Name, About string
	rows        map[string][][]string // by topology
}

// Topologies are those that can be asked so, by name.
func (s Sweep) Topologies() []string { return slices.Sorted(maps.Keys(s.rows)) }

// Sweeps lists the questions there are, the usual one first.
func Sweeps() []Sweep {
	return []Sweep{
		{Name: "settings", About: "which settings are safe? values on both sides of each boundary that matters (the default)", rows: sweeps},
		{Name: "bandwidth", About: "how little bandwidth is enough, and what happens once burst credits are used up?", rows: fading},
	}
}

// findSweep gives the sweep of that name, "" for the usual one, for topologies that it has a question for.
func findSweep(name string, tops []topologies.Topology) (Sweep, error) {
	var names []string
	for _, s := range Sweeps() {
		names = append(names, s.Name)
		if s.Name != cmp.Or(name, Sweeps()[0].Name) {
			continue
		}
		for _, t := range tops {
			if s.rows[t.Name] == nil {
				return s, fmt.Errorf("--sweep %s: it has no question about %s; there is one about %s", s.Name, t.Name, strings.Join(s.Topologies(), ", "))
			}
		}
		return s, nil
	}
	return Sweep{}, fmt.Errorf("--sweep %q: no such sweep; sweeps are %s (lbtest list sweeps)", name, strings.Join(names, ", "))
}

// A sweep's rows ask which settings are safe: values on both sides of each boundary that matters to a
// topology. They are data, in the order in which a reader wants the answers. What begins with "nats:" is a key of the
// servers' configuration, as after --nats, with "client:" one of the clients', and "auth:" is how they log in.
var sweeps = map[string][][]string{
	"routes-behind-lb": append(append([][]string{
		{"frontends=per-node"}, {"frontends=shared"},
	},
		// Routes ping every 30 s. 5 s and 20 s are shorter, 35 s is just longer, 60 s and 350 s are what
		// proxies and packet-level balancers come with.
		crossed([]string{"idle-timeout=5s", "idle-timeout=20s", "idle-timeout=35s", "idle-timeout=60s", "idle-timeout=350s"},
			[]string{"", "idle-expiry=rst", "idle-expiry=silent", "idle-expiry=rst-on-next"})...),
		// Routes speak at both ends at once, so waiting for the client costs nothing, but they speak no HTTP; and a
		// PROXY header is understood on the client port only.
		[]string{"inspection=client-first"}, []string{"inspection=http"}, []string{"proxy-protocol=v2"},
		// Three pairs of nodes hold four routes each: 12 connections in all, 8 of them with each node.
		[]string{"source-ports=2"}, []string{"source-ports=100"}, []string{"max-connections=8"}, []string{"max-connections=100"},
		// Raft's followers call an election after 4 to 9 s of silence.
		[]string{"stall=1s"}, []string{"stall=3s"}, []string{"stall=6s"}, []string{"stall=12s"},
		[]string{"outage=5s"}, []string{"restart=reload"}, []string{"restart=crash"}),
	"clients-behind-lb": {
		{"frontends=shared"}, {"frontends=per-node"},
		// Clients wait for INFO for 2 s: a balancer that waits for them must give up before, and costs its delay even then.
		{"inspection=client-first"}, {"inspection=client-first", "inspection-delay=1s"}, {"inspection=wait-end", "inspection-delay=200ms"},
		{"inspection=tls-hello", "inspection-delay=1s", "inspection-verdict=close"}, {"inspection=tls-hello", "inspection-delay=1s", "inspection-verdict=reset"}, {"inspection=http"},
		// Each header with and without servers that look for it.
		{"proxy-protocol=off", "nats:proxy_protocol=true"}, {"proxy-protocol=v1"}, {"proxy-protocol=v1", "nats:proxy_protocol=true"},
		{"proxy-protocol=v2"}, {"proxy-protocol=v2", "nats:proxy_protocol=true"}, {"proxy-protocol=doubled", "nats:proxy_protocol=true"},
		// What checks cost healthy nodes; what they are for comes with a node that fails.
		{"health-check=tcp", "node-fault=none"}, {"health-check=connect", "node-fault=none"}, {"health-check=connect", "node-fault=none", "nats:proxy_protocol=true"},
		// TLS that is passed on, with certificates of clients and with servers that let either side begin; and TLS that ends at
		// the balancer, where ordinary clients wait for INFO, and those that begin with TLS need servers that expect it.
		{"tls=passthrough", "nats:tls.verify_and_map=true"}, {"tls=passthrough", "nats:tls.handshake_first=auto"},
		{"tls=passthrough", "nats:tls.handshake_first=true", "client:tls-first=true"},
		{"tls=terminate"}, {"tls=terminate", "client:tls-first=true"}, {"tls=terminate", "nats:allow_non_tls=true", "client:tls-first=true"},
		{"tls=re-encrypt"}, {"tls=re-encrypt", "nats:tls.handshake_first=true", "client:tls-first=true"},
		{"tls=re-encrypt-mtls", "nats:tls.handshake_first=true", "nats:tls.verify=true", "client:tls-first=true"},
		{"inspection=tls-hello", "nats:tls.handshake_first=true", "client:tls-first=true"},
		// Addresses past the balancer, which clients learn by gossip.
		{"bypass=open"}, {"bypass=refused"}, {"bypass=closed"},
		{"balance=least-connections"}, {"balance=random"}, {"balance=source-hash"},
		// A hundred clients over three nodes take 34 ports towards each, and as many again while those of before rest.
		{"source-ports=20"}, {"source-ports=20", "port-exhaustion=swallow"}, {"source-ports=50"}, {"source-ports=100"},
		{"max-connections=80"}, {"max-connections=80", "connection-limit=close"}, {"max-connections=200"},
		// A client gives its connection 2 s: twenty a second let forty in, a hundred all of them with a wait.
		{"connect-rate=20"}, {"connect-rate=100"}, {"connect-rate=1000"},
		{"restart=reload"}, {"restart=crash"}, {"restart=crash", "source-ports=50"},
		// Who a client is must not depend on how often it had to come back.
		{"restart=crash", "auth:nkey"}, {"restart=crash", "auth:creds"}, {"restart=crash", "auth:mtls"},
		// A node that dies, and one whose machine is lost, found by checks that look at the server itself.
		{"node-fault=kill"}, {"health-check=http"}, {"health-check=http", "on-down=close"},
		{"drain=keep"}, {"drain=5s"},
		// Client and server ping every 2 minutes. 50 s and 110 s are shorter, 125 s is just longer, 350 s is what
		// packet-level balancers come with; one below and one above in every manner.
		{"idle-timeout=50s"}, {"idle-timeout=50s", "idle-expiry=rst"}, {"idle-timeout=50s", "idle-expiry=silent"}, {"idle-timeout=50s", "idle-expiry=rst-on-next"},
		{"idle-timeout=110s"}, {"idle-timeout=125s"},
		{"idle-timeout=350s"}, {"idle-timeout=350s", "idle-expiry=rst"}, {"idle-timeout=350s", "idle-expiry=silent"}, {"idle-timeout=350s", "idle-expiry=rst-on-next"},
		{"max-lifetime=10m"},
		// A delay is no cost up to two seconds.
		{"stall=1s"}, {"stall=3s"}, {"outage=5s"},
	},
	"gateways-behind-lb": append(append([][]string{
		{"frontends=shared"}, {"frontends=per-node"},
	},
		// Gateways ping every 15 s, and servers tell each other about themselves every 10. 8 s is shorter, 20 s just longer, 60 s and 350 s are what proxies and packet-level
		// balancers come with.
		crossed([]string{"idle-timeout=8s", "idle-timeout=20s"}, []string{"", "idle-expiry=rst", "idle-expiry=silent", "idle-expiry=rst-on-next"})...),
		[]string{"idle-timeout=60s"}, []string{"idle-timeout=350s", "idle-expiry=rst-on-next"},
		// Whoever dials waits for the other's INFO.
		[]string{"inspection=client-first", "inspection-delay=1s"}, []string{"inspection=client-first"}, []string{"inspection=http", "inspection-verdict=close"}, []string{"proxy-protocol=v2"},
		// Every node dials every other cluster: three connections towards each.
		[]string{"max-connections=4"}, []string{"max-connections=100"}, []string{"source-ports=100"},
		// Addresses past the balancer, which gateways learn by gossip and never forget.
		[]string{"bypass=open"}, []string{"bypass=refused"}, []string{"bypass=closed"},
		// The meta group spans the clusters: its followers call an election after 4 to 9 s of silence, at random.
		[]string{"stall=1s"}, []string{"stall=3s"}, []string{"stall=12s"}, []string{"outage=2s"}, []string{"outage=12s"}, []string{"restart=reload"}, []string{"restart=crash"}),
	"leafnodes-behind-lb": {
		{"frontends=shared"}, {"frontends=per-node"},
		// Leaf nodes ping every 2 minutes.
		{"idle-timeout=50s"}, {"idle-timeout=50s", "idle-expiry=rst"}, {"idle-timeout=50s", "idle-expiry=silent"}, {"idle-timeout=50s", "idle-expiry=rst-on-next"},
		{"idle-timeout=110s"}, {"idle-timeout=150s"}, {"idle-timeout=350s"}, {"idle-timeout=350s", "idle-expiry=silent"},
		// A leaf node waits a second for the hub's INFO.
		{"inspection=client-first"}, {"inspection=wait-end", "inspection-delay=800ms"}, {"inspection=http", "inspection-verdict=close"}, {"proxy-protocol=v2"},
		{"max-connections=1"}, {"max-connections=100"}, {"balance=source-hash"},
		{"bypass=open"}, {"bypass=refused"}, {"bypass=closed"},
		{"stall=1s"}, {"stall=3s"}, {"outage=5s"}, {"restart=reload"}, {"restart=crash"},
	},
	// What holds for each link by itself holds here as well; this asks what they are together: a timeout that suits one link and
	// not another, and events that happen to all balancers at once.
	"all-behind-lb": {
		{"idle-timeout=350s"}, {"idle-timeout=60s"}, {"gateways:idle-timeout=8s"}, {"routes:idle-timeout=20s"},
		{"restart=reload"}, {"restart=crash"}, {"stall=1s"}, {"gateways:stall=12s"},
	},
	"websocket-behind-lb": {
		{"frontends=shared"}, {"frontends=per-node"},
		// Here the client speaks first, and HTTP; what is not TLS and what looks like an upgrade are what others refuse.
		{"inspection=http"}, {"inspection=client-first"}, {"inspection=tls-hello", "inspection-verdict=close"},
		{"inspection=signature", "inspection-pattern=Upgrade: websocket"}, {"inspection=line-limit", "inspection-limit=8192"},
		// Clients wait 2 s for the answer to their upgrade.
		{"inspection=wait-end", "inspection-delay=1s"}, {"inspection=wait-end", "inspection-delay=3s"},
		{"proxy-protocol=v2"}, {"bandwidth=1MB/s"}, {"latency=20ms"},
		// What HTTP balancers give a websocket once it is one: less than the two minutes between two pings, and more. The client and
		// the server each send them.
		{"idle-timeout=50s"}, {"idle-timeout=60s", "idle-expiry=rst"}, {"idle-timeout=110s"}, {"idle-timeout=125s"}, {"idle-timeout=1h"},
		{"restart=reload"}, {"restart=crash"}, {"stall=1s"}, {"outage=5s"},
	},
}

// Networks whose bandwidth is small, or becomes small once burst credits are used up. The values are for what a lab says
// itself: some tens of KB/s on each connection between servers, a few on a client's. What counts is the order: with
// credits all is well until they are used up, and then as without.
var fading = map[string][][]string{
	"routes-behind-lb":    {{"bandwidth=1MB/s"}, {"bandwidth=100KB/s"}, {"bandwidth=10KB/s"}, {"bandwidth=10KB/s", "burst=64KB"}},
	"gateways-behind-lb":  {{"bandwidth=1MB/s"}, {"bandwidth=10KB/s"}, {"bandwidth=10KB/s", "burst=64KB"}},
	"leafnodes-behind-lb": {{"bandwidth=1MB/s"}, {"bandwidth=10KB/s"}, {"bandwidth=10KB/s", "burst=64KB"}},
	"clients-behind-lb":   {{"bandwidth=100KB/s"}, {"bandwidth=10KB/s"}, {"bandwidth=1KB/s"}, {"bandwidth=1KB/s", "burst=4KB"}},
}

// crossed combines each of some settings with each of others; "" is the default.
func crossed(these, those []string) (all [][]string) {
	for _, a := range these {
		for _, b := range those {
			if b == "" {
				all = append(all, []string{a})
			} else {
				all = append(all, []string{a, b})
			}
		}
	}
	return all
}

// configured tells the balancer's settings of a sweep's row from what servers and clients are told, which comes in the
// place of what holds for the whole run. own names the latter.
func configured(row []string, run common) (settings []string, all common, own []string, err error) {
	all = run
	all.nats = slices.Clone(run.nats)
	for _, given := range row {
		who, pair, ok := strings.Cut(given, ":")
		if !ok || strings.Contains(who, "=") || !slices.Contains([]string{"nats", "client", "auth"}, who) {
			settings = append(settings, given)
			continue
		}
		own = append(own, pair)
		switch who {
		case "nats":
			var kv topologies.KeyValue
			if kv, err = topologies.ParseKeyValue(pair); err != nil {
				return nil, all, nil, err
			}
			all.nats = append(slices.DeleteFunc(all.nats, func(other topologies.KeyValue) bool { return other.Key == kv.Key && other.Group == kv.Group }), kv)
		case "client":
			key, value, _ := strings.Cut(pair, "=")
			if all.client, err = all.client.And(map[string]string{key: value}); err != nil {
				return nil, all, nil, err
			}
		case "auth":
			own[len(own)-1] = given
			if all.auth, err = login(pair, all.nats); err != nil {
				return nil, all, nil, err
			}
		}
	}
	return settings, all, own, nil
}
