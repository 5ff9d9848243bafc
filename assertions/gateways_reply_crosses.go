package assertions

func init() {
	register(Assertion{
		Name:    "gateways/reply-crosses",
		Promise: "A request in one cluster is answered in the other while their gateways can be connected.",
		Explain: "A request takes the asking node's connection to the other cluster, and its reply the answering node's connection back: two different connections, dialled in opposite directions, either of " +
			"which a balancer may have cut. Every node asks 10 times a second, and members at every node of each other cluster answer. Requests that are never answered, and those that are refused for want of " +
			"responders, are counted unless not everything was connected.",
		Speaks:  speaks(ofConnecting, ofCarrying, "max-lifetime", "stall", "outage", "restart", "drain"),
		Links:   []string{gatewayLinks},
		Observe: across,
		Judge:   func(h History) []Finding { return judgeCrossing(h, "request", "answered", askedOf) },
		Hostile: []string{"max-lifetime=3s"},
	})
}
