package assertions

import (
	"fmt"
	"slices"
	"time"
)

func init() {
	register(Assertion{
		Name:    "drain/moves-clients",
		Promise: "Clients of a node that is taken away are served on, or again by another node within their reconnect wait.",
		Explain: "Six clients are told something by every node each 50 ms, while the node that has most of them is taken out of rotation (node-fault=remove) or meets another fate. " +
			"A balancer that keeps the connections of a removed node costs nothing until that node is stopped. One that ends them costs what a reconnect costs: 2 s, nats.go's ReconnectWait. " +
			"A node that is lost without a word costs the time until health checks find it, and with on-down=keep until the client's own pings do, after (max pings out + 1) × its ping interval: " +
			"4 to 6 minutes by default. A client's time without service is measured by what it is told; clients of other nodes must not notice anything.",
		Speaks:  []string{"drain", "node-fault", "health-check", "health-interval", "health-fall", "on-down"},
		Links:   []string{"clients"},
		Observe: tenancy,
		Judge:   judgeMoved,
		Hostile: []string{"node-fault=vanish"},
	})
}

func judgeMoved(h History) []Finding {
	served := h.Kind(Client, "served")
	_, begun := h.First(Lab, "strike-begin")
	over, ended := h.First(Lab, "strike-over")
	if e, ok := h.First(Client, "unconnected"); ok {
		return unseen("no client could be watched: " + e.Why)
	}
	if len(served) < tenants || !begun || !ended {
		return unseen(fmt.Sprintf("%d of %d clients were watched to the event's end", len(served), tenants))
	}
	var longest, usual time.Duration
	var slowest Event
	for _, e := range served {
		if e.Count == 0 {
			return unseen(e.App + " was never told anything")
		}
		if e.Took > longest {
			longest, slowest = e.Took, e
		}
	}
	// The control cuts one connection, of this observation or of another one in the same lab.
	for _, e := range h.control().Events {
		if e.From == Client && (e.Kind == "served" || e.Kind == "reconnected") {
			usual = max(usual, e.Took)
		}
	}
	cut := h.Filter(func(e Event) bool {
		return e.From == Client && e.Kind == "disconnected" && e.At <= served[0].At && isTenant(served, e.App)
	})
	without := h.Kind(Client, "unserved")
	missed := 0
	for _, e := range h.Kind(Client, "missed") {
		missed += e.Count
	}
	measured := []Measure{count("clients", len(served), "clients"), count("connections_ended", len(cut), "connections"),
		seconds("longest_without_service", longest), count("messages_missed", missed, "messages"), count("clients_unserved", len(without), "clients")}
	finding := func(v Verdict, got string, evidence ...Event) []Finding {
		return []Finding{{Verdict: v, Got: got, Measured: measured, Advice: moveAdvice(h.Terms), Evidence: sample(evidence)}}
	}
	switch {
	case len(without) > 0:
		f := finding(Unsafe, fmt.Sprintf("%s of %d without service %s after the event's end, %s", plural(len(without), "client"), len(served), spoken(back), unaware(cut, without)), without...)
		f[0].Firm = true
		return f
	case missed > 0 && h.Terms.Struck("node-fault=remove", "drain"):
		return finding(Unsafe, fmt.Sprintf("%s missed by clients that were connected", plural(missed, "message")), h.Kind(Client, "missed")...)
	case longest > usual+tolerance:
		f := finding(Risky, fmt.Sprintf("a client was without service for %s (control %s); %s ended", spoken(longest), spoken(usual), plural(len(cut), "connection")), slowest, over)
		f[0].Beyond = longest - usual - tolerance
		return f
	case len(cut) == 0:
		return held(fmt.Sprintf("%s kept, the longest time without service %s", plural(len(served), "client"), spoken(longest)), measured...)
	}
	return held(fmt.Sprintf("%s ended, every client served again within %s", plural(len(cut), "connection"), spoken(longest)), measured...)
}

func isTenant(served []Event, app string) bool {
	return slices.ContainsFunc(served, func(e Event) bool { return e.App == app })
}

// unaware says whether those without service know that they have lost their connection.
func unaware(cut, without []Event) string {
	for _, e := range without {
		if !isTenant(cut, e.App) {
			return "and it does not know: its connection is silent"
		}
	}
	return "and trying"
}

// moveAdvice is what brings clients of a lost node to another one sooner.
func moveAdvice(t Terms) []Advice {
	var advice []Advice
	lost := t.Struck("node-fault=vanish", "node-fault=pause")
	switch check := t.Settings["health-check"]; {
	case lost && (check == "" || check == "off"):
		advice = append(advice, Advice{Target: "load-balancer", Text: "health checks of /healthz on the monitoring port, which end the connections of a node that fails them",
			Set: map[string]string{"health-check": "http", "on-down": "close"}})
	case lost && (t.Settings["on-down"] == "" || t.Settings["on-down"] == "keep"):
		advice = append(advice, Advice{Target: "load-balancer", Text: "end the connections of a node that is found down (HAProxy: on-marked-down shutdown-sessions; Envoy: close_connections_on_host_health_failure)",
			Set: map[string]string{"on-down": "close"}})
	}
	if gone := t.Struck("node-fault=kill", "node-fault=lame-duck"); gone && (t.Settings["health-check"] == "" || t.Settings["health-check"] == "off") {
		advice = append(advice, Advice{Target: "load-balancer", Text: "health checks, so that no client is sent to a node that is gone", Set: map[string]string{"health-check": "tcp"}})
	} else if t.Settings["on-down"] == "close" || t.Settings["on-down"] == "reset" || gone {
		advice = append(advice, Advice{Target: "load-balancer", Text: "shorter health checks: a node that is lost is found after health-interval × health-fall, and until then clients are sent there or wait there"})
	}
	if t.Struck("node-fault=pause") && t.Settings["health-check"] != "http" {
		advice = append(advice, Advice{Target: "load-balancer", Text: "health checks of /healthz: a TCP check does not see a server that hangs", Set: map[string]string{"health-check": "http"}})
	}
	if lost {
		advice = append(advice, Advice{Target: "client", Text: "nats.PingInterval(10 * time.Second)  # a client that asks more often knows sooner, after (max pings out + 1) intervals",
			Client: map[string]string{"ping-interval": "10s"}})
	}
	if t.Struck("drain") && t.Settings["drain"] != "" && t.Settings["drain"] != "keep" {
		advice = append(advice, Advice{Target: "load-balancer", Text: "leave the connections of a removed node alone, and let the node's own lame duck mode send clients away one by one",
			Set: map[string]string{"drain": "keep"}})
	}
	return advice
}
