package assertions

func init() {
	register(Assertion{
		Name:    "leafnodes/messages-cross",
		Promise: "What is published, queued or asked on one side of a leafnode connection is heard or answered on the other, both ways, while it can be connected.",
		Explain: "One connection carries everything between a leaf node and its hub, and between leaf nodes of one hub. After a cut the leaf node dials again after a second, and both sides say again who is " +
			"interested in what. Every node of the hub and every leaf node publishes 10 times a second to an ordinary subscriber and to a queue group on each other side, and asks who answers there. " +
			"What is lost while not everything is connected is the gap, told beside the control's, which cuts one connection; what is lost although all was connected counts, and so does everything where " +
			"connections end with no event.",
		Speaks:  speaks(ofConnecting, ofCarrying, "max-lifetime", "stall", "outage", "restart", "drain"),
		Links:   []string{leafLinks},
		Observe: across,
		Judge:   func(h History) []Finding { return judgeCrossing(h, "message", "heard", plainly, queued, askedOf) },
		Hostile: []string{"max-lifetime=3s"},
	})
}
