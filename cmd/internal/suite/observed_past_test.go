package suite

// What clients were seen to do that lose their node, behind real balancers and past them.
func init() {
	const clients = "clients-behind-lb"
	more = append(more,
		row{name: "gossiped addresses that can be reached", long: true, topology: clients, set: "bypass=open", assert: "client/stays-behind-lb", want: isRisky, by: "client/stays-behind-lb", says: "past the balancer: directly at"},
		row{name: "gossiped addresses that do not answer", topology: clients, set: "bypass=closed", assert: "client/stays-behind-lb", want: isRisky, by: "client/stays-behind-lb", says: "after 8.", long: true},
		row{name: "gossiped addresses that refuse", topology: clients, set: "bypass=refused", assert: "client/stays-behind-lb", want: isSafe, by: "client/stays-behind-lb", says: "after 2", long: true},
		row{name: "addresses that do not answer, and no gossip", topology: clients, set: "bypass=closed", assert: "client/stays-behind-lb", nats: "cluster.no_advertise=true", want: isSafe, by: "client/stays-behind-lb", says: "after 2", long: true},
		row{name: "addresses that do not answer, and clients that ignore gossip", topology: clients, set: "bypass=closed", assert: "client/stays-behind-lb", client: "ignore-discovered=true", want: isSafe, by: "client/stays-behind-lb", says: "after 2", long: true},
		row{name: "a removed node keeps its clients", long: true, topology: clients, set: "drain=keep", assert: "drain/moves-clients", want: isSafe, by: "drain/moves-clients", says: "kept"},
		row{name: "a removed node's clients are sent away", topology: clients, set: "drain=2s", assert: "drain/moves-clients", want: isSafe, by: "drain/moves-clients", says: "ended", long: true},
		row{name: "a rolling restart costs two seconds a step", topology: clients, set: "drain=keep", assert: "drain/rolling-restart", want: isSafe, by: "drain/rolling-restart", says: "none lost", long: true},
		row{name: "a lost machine, found and told of", topology: clients, set: "health-check=http health-interval=1s on-down=close", assert: "drain/moves-clients", want: isRisky, by: "drain/moves-clients", says: "without service for", long: true},
		row{name: "a lost machine, found and not told of", topology: clients, set: "health-check=http health-interval=1s", assert: "drain/moves-clients", want: isUnsafe, by: "drain/moves-clients", says: "does not know", long: true},
		row{name: "a hung server that a TCP check does not see", topology: clients, set: "health-check=tcp health-interval=1s on-down=close node-fault=pause", assert: "drain/moves-clients", want: notSafe, by: "drain/moves-clients", long: true},
		row{name: "a dead server that a TCP check sees", topology: clients, set: "health-check=tcp health-interval=1s on-down=close node-fault=kill", assert: "drain/moves-clients", want: notSafe, by: "drain/moves-clients", long: true},
	)
}
