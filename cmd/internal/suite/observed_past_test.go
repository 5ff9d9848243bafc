package suite

// What clients were seen to do that lose their node, behind real balancers and past them.
func init() {
	const clients = "clients-behind-lb"
	more = append(more,
		row{name: "gossiped addresses that can be reached", topology: clients, set: "bypass=open", want: isRisky, by: "client/stays-behind-lb", says: "past the balancer: directly at"},
		row{name: "gossiped addresses that do not answer", topology: clients, set: "bypass=closed", want: isRisky, by: "client/stays-behind-lb", says: "after 8.", long: true},
		row{name: "gossiped addresses that refuse", topology: clients, set: "bypass=refused", want: isSafe, by: "client/stays-behind-lb", says: "after 2", long: true},
		row{name: "addresses that do not answer, and no gossip", topology: clients, set: "bypass=closed", nats: "cluster.no_advertise=true", want: isSafe, by: "client/stays-behind-lb", says: "after 2", long: true},
		row{name: "addresses that do not answer, and clients that ignore gossip", topology: clients, set: "bypass=closed", client: "ignore-discovered=true", want: isSafe, by: "client/stays-behind-lb", says: "after 2", long: true},
	)
}
