package assertions

func init() {
	register(Assertion{
		Name:    "gateways/connect",
		Promise: "Every node gets a gateway connection to every other cluster, and messages cross both ways, at the start and after an event.",
		Explain: "A node sends to another cluster over one outbound gateway connection of its own, to any node there, so that one address for a whole cluster is sound. Gateways are dialled a second after " +
			"the start; a dial that is not answered is given up after 1 s and tried again a second later, for ever. Who is dialled speaks first, so a balancer that waits for the other side's bytes holds " +
			"both. Measured from the moment the balancer begins to forward until /gatewayz of every node lists its connections, the other clusters' nodes know of them, and what is said at every node is " +
			"heard at every other; NATS has 30 s. The tester also dials each frontend and waits for the first bytes.",
		Speaks:  speaks(ofConnecting, ofCarrying, "idle-timeout", "idle-timeout-client", "idle-timeout-server", "max-lifetime", "stall", "outage", "restart", "drain", "bypass"),
		Links:   []string{gatewayLinks},
		Observe: Forming,
		Judge:   judgeFullMesh,
		Hostile: []string{"inspection=http", "inspection-verdict=close"},
	})
}
