package suite

// What clients were seen to do when they connect through real balancers.
func init() {
	const clients = "clients-behind-lb"
	more = append(more,
		row{name: "clients wait for INFO, the balancer for the client", topology: clients, set: "inspection=client-first", want: isUnsafe, by: "client/connects"},
		row{name: "one VIP over all nodes is what clients need", topology: clients, set: "frontends=shared", want: isSafe, long: true},
	)
}
