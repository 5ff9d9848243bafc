package assertions

import (
	"fmt"
	"slices"
	"time"
)

// What helps against an event of the balancer, whoever suffers from it.
var (
	reloaded = Advice{Target: "load-balancer", Text: "reload instead of restarting: connections of the old instance must live on",
		Set: map[string]string{"restart": "reload"}}
	takenOver = Advice{Target: "load-balancer", Text: "a second instance that takes the address over within 2 s"}
)

// eventAdvice is what helps against something that happens to the balancer.
func eventAdvice(t Terms) []Advice {
	var advice []Advice
	for _, s := range t.Strikes {
		switch s {
		case "restart=crash":
			advice = append(advice, reloaded)
		case "stall":
			why := ": from 3 s on Raft's election timers (4 to 9 s) begin to run out"
			if t.kind().name == leafLinks {
				why = "" // no Raft group crosses a leafnode connection
			}
			advice = append(advice, Advice{Target: "load-balancer", Text: "keep pauses (failover, live migration, overload) below 2 s" + why})
		case "outage":
			advice = append(advice, takenOver)
		}
	}
	if t.Lifetime > 0 {
		advice = append(advice, ageless(t))
	}
	return append(advice, formingAdvice(t)...)
}

// ageless is for a balancer that ends connections for their age.
func ageless(t Terms) Advice {
	return Advice{Target: "load-balancer", Text: "no maximum connection lifetime towards " + t.towards(), Set: map[string]string{"max-lifetime": "none"}}
}

// formingAdvice is what lets links between servers form.
func formingAdvice(t Terms) []Advice {
	if t.kind().called {
		return append(behindAdvice(t), standingAdvice(t)...)
	}
	if t.Fronts == "shared" {
		return []Advice{
			{Target: "load-balancer", Text: "one frontend (an address or a port of its own) a node, leading to that node alone",
				Set: map[string]string{"frontends": "per-node"}},
			{Target: "nats-server", Text: `cluster { routes: [nats://<frontend of n1>, nats://<frontend of n2>, nats://<frontend of n3>], advertise: "<own frontend>" }`},
		}
	}
	return append(standingAdvice(t), t.kind().alone...)
}

// unformedAdvice is what helps where the links were never whole: pings help only connections that come into being, and
// are then ended for their silence or their age.
func unformedAdvice(h History) []Advice {
	if slices.ContainsFunc(h.Events, idled) {
		return append(quietAdvice(h.Terms), formingAdvice(h.Terms)...)
	}
	return formingAdvice(h.Terms)
}

// directRoutes repairs every route trouble with a balancer: routes need none.
var directRoutes = Advice{Target: "nats-server",
	Text: "cluster { routes: [nats://<n1's own address>:6222, …] }  # routes need no load balancer: they are dialled by every node and retried for ever"}

// towardsRoutes is what to change about a balancer for routes, by the setting that was judged.
var towardsRoutes = map[string]Advice{
	"inspection":      {Target: "load-balancer", Text: "no protocol detection on the ports of routes (no inspect-delay, ssl_preread or sniffing; in a mesh, a port declared as TCP)", Set: map[string]string{"inspection": "none"}},
	"proxy-protocol":  {Target: "load-balancer", Text: "no PROXY header towards routes: nats-server understands one on its client port only", Set: map[string]string{"proxy-protocol": "off"}},
	"source-ports":    {Target: "load-balancer", Text: "more source ports or addresses towards each node: every pair of nodes takes a connection a pool index and one for the system account", Set: map[string]string{"source-ports": "1000"}},
	"max-connections": {Target: "load-balancer", Text: "no connection limit that the routes can reach: every pair of nodes takes a connection a pool index and one for the system account", Set: map[string]string{"max-connections": "none"}},
	"connect-rate":    {Target: "load-balancer", Text: "no limit on new connections that a cluster's start can reach", Set: map[string]string{"connect-rate": "none"}},
	"hairpin":         {Target: "load-balancer", Text: "hairpinning, or client address preservation off", Set: map[string]string{"hairpin": "allowed"}},
	"health-check":    {Target: "load-balancer", Text: "health checks of routes by TCP, or of /healthz?js-enabled-only=true: plain /healthz fails until JetStream has a meta leader, whose election needs the routes", Set: map[string]string{"health-check": "tcp"}},
	"latency":         {Target: "load-balancer", Text: "nodes of one cluster near each other: a cluster across regions is what gateways and leaf nodes are for", Set: map[string]string{"latency": "none"}},
	"bandwidth":       {Target: "load-balancer", Text: "more bandwidth between nodes than the cluster replicates", Set: map[string]string{"bandwidth": "none"}},
}

// towards is what to change about a balancer for gateways or leaf nodes, by the setting that was judged: whom its settings are
// for, and what these take of connections.
func towards(whom, each string) map[string]Advice {
	set := func(name, value, text string) Advice {
		return Advice{Target: "load-balancer", Text: text, Set: map[string]string{name: value}}
	}
	return map[string]Advice{
		"inspection": set("inspection", "none", "no protocol detection on the ports of "+whom+" (no inspect-delay, ssl_preread or sniffing; mode tcp, not http): the server that accepts speaks first, "+
			"and the other waits for it"),
		"proxy-protocol":  set("proxy-protocol", "off", "no PROXY header towards "+whom+": nats-server understands one on its client port only"),
		"source-ports":    set("source-ports", "1000", "more source ports or addresses towards each node: "+each),
		"max-connections": set("max-connections", "none", "no connection limit that "+whom+" can reach: "+each),
		"connect-rate":    set("connect-rate", "none", "no limit on new connections that the start of all servers at once can reach"),
		"health-check":    set("health-check", "tcp", "health checks of "+whom+" by TCP, or of /healthz?js-enabled-only=true: plain /healthz fails until JetStream has a meta leader"),
		"latency":         set("latency", "none", "a shorter way between the servers: dialling gives up after 1 s, and a leaf node waits no longer for the hub's first bytes"),
		"bandwidth":       set("bandwidth", "none", "more bandwidth than what crosses"),
	}
}

// patientLeaf lets leaf nodes wait for a balancer that looks at connections first.
func patientLeaf(t Terms) []Advice {
	waits := t.duration("inspection-delay")
	if waits == 0 {
		waits = 5 * time.Second // the setting's default
	}
	if v := t.Settings["inspection"]; v == "" || v == "none" || t.Settings["inspection-verdict"] == "close" || t.Settings["inspection-verdict"] == "reset" {
		return nil
	}
	text := trimmed(waits + time.Second)
	return []Advice{{Target: "nats-server", Text: fmt.Sprintf("leafnodes { remotes: [ { first_info_timeout: %q } ] }  # on the leaf nodes, 2.10.26; where the balancer cannot be told not to wait", text),
		Nats: map[string]string{"leaf:leafnodes.remotes.first_info_timeout": text}}}
}

// behindAdvice keeps servers from dialling past the balancer, which costs them time even where nothing answers there.
func behindAdvice(t Terms) []Advice {
	if v := t.Settings["bypass"]; v == "" || v == "off" {
		return nil
	}
	return keepBehind(t)
}

// keepBehind is what servers must be told so that they stay behind the balancer, the smallest change first.
func keepBehind(t Terms) []Advice {
	var off map[string]string
	if t.Settings["bypass"] != "" {
		off = map[string]string{"bypass": "off"}
	}
	if t.kind().name != leafLinks {
		// Gateways have neither no_advertise nor a way to ignore what they learn.
		return []Advice{{Target: "nats-server", Text: `gateway { advertise: "<the cluster's own frontend>" } on every node of every cluster`, Set: off}}
	}
	return []Advice{
		{Target: "nats-server", Text: `leafnodes { advertise: "<the hub's frontend>" } on every node of the hub`, Set: off},
		{Target: "nats-server", Text: "leafnodes { remotes: [ { ignore_discovered_servers: true } ] }  # on the leaf nodes, 2.14.0",
			Nats: map[string]string{"leaf:leafnodes.remotes.ignore_discovered_servers": "true"}},
		{Target: "nats-server", Text: "leafnodes { no_advertise: true }  # on every node of the hub, 2.15.0: before, each told its own address all the same",
			Nats: map[string]string{"hub:leafnodes.no_advertise": "true"}},
	}
}

// standingAdvice is what helps against the settings that a run was given.
func standingAdvice(t Terms) []Advice {
	var advice []Advice
	if v := t.Settings["on-down"]; v != "" && v != "keep" {
		advice = append(advice, Advice{Target: "load-balancer", Text: fmt.Sprintf("live %s of a backend that fails its checks left alone: a node that is still electing fails them too, and needs the %s for that", t.kind().all, t.kind().all),
			Set: map[string]string{"on-down": "keep"}})
	}
	if t.kind().name == leafLinks {
		advice = append(advice, patientLeaf(t)...)
	}
	for _, f := range families {
		value, given := t.Settings[f.settings[0]]
		if a, known := t.kind().standing[f.settings[0]]; known && given && value != f.off && a.Set[f.settings[0]] != value {
			advice = append(advice, a)
		}
	}
	return advice
}

// towardsClients is what to change so that clients connect, by the setting that was judged.
var towardsClients = map[string][]Advice{
	"inspection": {
		{Target: "load-balancer", Text: "no protocol detection on the client port (no inspect-delay, ssl_preread or sniffing; mode tcp, not http): the server speaks first, and the client waits for it",
			Set: map[string]string{"inspection": "none"}},
		{Target: "nats-server", Text: "where the balancer must see a ClientHello: tls { handshake_first: true } (2.10.0) and clients with nats.TLSHandshakeFirst() (nats.go 1.31.0)"},
	},
	"proxy-protocol": {{Target: "load-balancer", Text: "no PROXY header towards NATS", Set: map[string]string{"proxy-protocol": "off"}}},
	"latency":        {{Target: "load-balancer", Text: "servers near their clients: leaf nodes and gateways are what bridges distance", Set: map[string]string{"latency": "none"}}},
	"bandwidth":      {{Target: "load-balancer", Text: "more bandwidth towards clients than they publish and hear", Set: map[string]string{"bandwidth": "none"}}},
	"health-check":   {{Target: "load-balancer", Text: "health checks over HTTP on the monitoring port: /healthz?js-server-only=true", Set: map[string]string{"health-check": "http"}}},
}

// clientAdvice is what helps applications to connect, by the settings that a run was given.
func clientAdvice(t Terms) []Advice {
	if slices.Contains(t.Links, "websocket") {
		return socketAdvice(t)
	}
	var advice []Advice
	for _, f := range families {
		value, given := t.Settings[f.settings[0]]
		if !given || value == f.off {
			continue
		}
		if f.settings[0] == "proxy-protocol" {
			advice = append(advice, headerAdvice(t, value)...)
		}
		for _, a := range towardsClients[f.settings[0]] {
			if a.Set[f.settings[0]] != value { // what was done already is no advice
				advice = append(advice, a)
			}
		}
	}
	return advice
}

// headerAdvice lets servers understand what the balancer puts ahead of the clients' bytes.
func headerAdvice(t Terms, header string) []Advice {
	expect := map[string]string{"proxy_protocol": "true"}
	switch {
	case header == "doubled" || header == "malformed":
		return []Advice{{Target: "load-balancer", Text: "one well-formed header, from the balancer next to NATS alone, and proxy_protocol: true on the servers",
			Set: map[string]string{"proxy-protocol": "v2"}, Nats: expect}}
	case t.ProxyProtocol:
		return nil
	}
	return []Advice{{Target: "nats-server", Text: "proxy_protocol: true  # 2.12.2; behind a balancer only, since whoever reaches the port can claim any address", Nats: expect}}
}
