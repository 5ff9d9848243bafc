package assertions

func init() {
	register(Assertion{
		Name:    "leafnodes/connect",
		Promise: "Every leaf node connects to its hub, and messages cross both ways, at the start and after an event.",
		Explain: "A leaf node dials its hub and waits 1 s for the hub's first bytes (first_info_timeout); the hub speaks first, also where TLS follows. A balancer that waits for the leaf node's bytes, accepts " +
			"at once and dials late, or queues, uses that second up, and the leaf node tries again a second or two later, for ever. Measured from the moment the balancer begins to forward until /leafz " +
			"lists every leaf node's connection at both ends and what is said at every node is heard at every other; NATS has 30 s. The tester also dials each frontend and waits for the first bytes.",
		Speaks:  speaks(ofConnecting, ofCarrying, "idle-timeout", "idle-timeout-client", "idle-timeout-server", "max-lifetime", "stall", "outage", "restart", "drain"),
		Links:   []string{leafLinks},
		Observe: Forming,
		Judge:   judgeFullMesh,
		Hostile: []string{"inspection=client-first"}, // for 5 s
	})
}
