package suite

import "github.com/lbtest/lbtest/assertions"

// What gateways and leafnode connections were seen to do, and what follows from their timers: gateways ping every 15 s and
// hear their servers' statistics every 10 s, leaf nodes ping every 2 minutes and wait a second for the hub's INFO.
func init() {
	const (
		gateways, leaves = "gateways-behind-lb", "leafnodes-behind-lb"
		core             = "core/no-loss-when-quiet-then-busy"
		delivery         = "core/delivery-between-all-nodes"
	)
	more = append(more,
		row{name: "gateways form through one VIP a cluster", topology: gateways, set: "frontends=shared", want: isSafe, by: "gateways/connect", says: "all gateways connected after"},
		row{name: "gateways that know addresses past it leave the VIP", topology: gateways, set: "bypass=open", want: isRisky, by: "gateways/stay-behind-lb", says: "past the balancer", long: true},
		row{name: "gateways that know the VIP alone come back to it", topology: gateways, set: "restart=crash", want: isSafe, by: "gateways/stay-behind-lb", long: true},
		row{name: "addresses that refuse are tried, too", topology: gateways, set: "bypass=refused", want: isRisky, by: "gateways/stay-behind-lb", says: "learnt 6 addresses past it", long: true},
		row{name: "a stall of 30 s loses nothing on gateways", topology: gateways, set: "stall=30s", want: isRisky, by: delivery, says: "heard, but delayed up to 30", nightly: true},
		row{name: "a stall of 3 s loses nothing on gateways", topology: gateways, set: "stall=3s", want: isRisky, by: delivery, says: "heard, but delayed up to 3", long: true},
		row{name: "gateways and 8 s", topology: gateways, set: "idle-timeout=8s", want: isUnsafe, by: core, says: "messages lost", long: true},
		row{name: "gateways and 20 s", topology: gateways, set: "idle-timeout=20s", want: isSafe, by: "gateways/stay-up-when-quiet", long: true},
		row{name: "gateways and 20 s, silently", topology: gateways, set: "idle-timeout=20s idle-expiry=silent", want: isSafe, by: core, nightly: true},
		row{name: "gateways and 8 s with pings of 3 s", topology: gateways, set: "idle-timeout=8s", nats: "ping_interval=3s", want: isSafe, by: core, long: true},
		row{name: "gateways and 12 s: servers speak of themselves", topology: gateways, set: "idle-timeout=12s", want: isSafe, by: "gateways/stay-up-when-quiet", nightly: true},
		row{name: "whoever dials a gateway waits for INFO", topology: gateways, set: "inspection=client-first inspection-delay=1s", want: isRisky, by: "gateways/connect", says: "first bytes take 1", long: true},
		row{name: "a PROXY header, which nobody expects on gateways", topology: gateways, set: "proxy-protocol=v2", want: isUnsafe, by: "gateways/connect", long: true},
		row{name: "four connections for six gateways", topology: gateways, set: "max-connections=4", want: isUnsafe, by: "gateways/connect", nightly: true},

		row{name: "leaf nodes connect through one VIP over the hub", topology: leaves, set: "frontends=shared", want: isSafe, by: "leafnodes/messages-cross"},
		row{name: "leaf nodes and 50 s", topology: leaves, set: "idle-timeout=50s", want: isUnsafe, by: "leafnodes/stay-up-when-quiet", says: "closed in", long: true},
		row{name: "leaf nodes and 50 s, silently", topology: leaves, set: "idle-timeout=50s idle-expiry=silent", want: isUnsafe, by: "leafnodes/silent-loss", long: true},
		row{name: "leaf nodes and 110 s", topology: leaves, set: "idle-timeout=110s", want: isUnsafe, by: core, nightly: true},
		row{name: "leaf nodes and 125 s", topology: leaves, set: "idle-timeout=125s", want: isSafe, by: core, long: true},
		row{name: "leaf nodes and 50 s with pings of 20 s", topology: leaves, set: "idle-timeout=50s", nats: "leaf:ping_interval=20s", want: isSafe, by: core, long: true},
		row{name: "a leaf node waits a second for INFO", topology: leaves, set: "inspection=client-first", want: isUnsafe, by: "leafnodes/connect", long: true},
		row{name: "half a second is less than that", topology: leaves, set: "inspection=wait-end inspection-delay=500ms", want: isRisky, by: "leafnodes/connect", nightly: true},
		row{name: "leaf nodes that know addresses past it leave the VIP", topology: leaves, set: "bypass=open", want: isRisky, by: "leafnodes/stay-behind-lb", says: "past the balancer: directly at", long: true},
		row{name: "leaf nodes that ignore what they are told stay", topology: leaves, set: "bypass=open", nats: "leaf:leafnodes.remotes.ignore_discovered_servers=true", want: isSafe, by: "leafnodes/stay-behind-lb", long: true},
		row{name: "addresses that do not answer cost leaf nodes their dialling", topology: leaves, set: "bypass=closed", want: isRisky, by: "leafnodes/stay-behind-lb", says: "had to fail first", nightly: true},

		row{name: "a timeout that suits routes and not gateways", topology: "all-behind-lb", set: "gateways:idle-timeout=8s", want: isUnsafe, by: "gateways/stay-up-when-quiet", long: true},
		row{name: "gateways of servers whose clients have keys and speak TLS", topology: "all-behind-lb", set: "restart=reload", nats: "tls.verify=true", auth: "nkey", want: isSafe, by: "gateways/reply-crosses", long: true},
		row{name: "routes of servers whose clients have signed accounts", topology: "all-behind-lb", set: "stall=1s", auth: "creds", want: isSafe, by: "routes/full-mesh-forms", nightly: true},
		row{name: "clients whose TLS ends at their balancer, beside others", topology: "all-behind-lb", set: "clients:tls=terminate", nats: "allow_non_tls=true", client: "tls-first=true", want: isSafe, by: "tls/connects", nightly: true},
	)
	// Streams live in each cluster, or at the hub, and are published to from beyond the balancer.
	streams := func(topology, set string, want []assertions.Verdict, nightly bool, by ...string) {
		for _, a := range by {
			more = append(more, row{name: "streams, " + topology + " " + set + ": " + a, topology: topology, set: set, want: want, by: "jetstream/" + a, long: true, nightly: nightly})
		}
	}
	streams(gateways, "restart=reload", isSafe, false, "meta-leader-stable", "mirror-catches-up", "placement-works", "quorum-holds", "no-acked-loss")
	streams(leaves, "restart=reload", isSafe, true, "mirror-catches-up", "placement-works", "quorum-holds", "no-acked-loss")
	streams(gateways, "stall=12s", isUnsafe, true, "meta-leader-stable", "quorum-holds")
	streams(gateways, "stall=12s", isSafe, true, "no-acked-loss")
}
