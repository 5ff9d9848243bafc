package assertions

func init() {
	register(Assertion{
		Name:    "gateways/interest-restored",
		Promise: "Once gateways are connected again after a cut, subscribers in the other cluster hear at once what is published, queue groups among them.",
		Explain: "A gateway connection that ends is dialled again after a second; then the other cluster must say again who is interested in what. A queue group all of whose members are in the other cluster hears " +
			"nothing until then. Every node publishes 10 times a second to an ordinary subscriber and to such a group in each other cluster. What is lost while not everything is connected is the gap: its length " +
			"is told beside the control's, which cuts one connection. What is lost although all was connected counts, and so does everything where connections end with no event, as of their age.",
		Speaks:  speaks(ofConnecting, ofCarrying, "max-lifetime", "stall", "outage", "restart", "drain"),
		Links:   []string{gatewayLinks},
		Observe: across,
		Judge:   func(h History) []Finding { return judgeCrossing(h, "message", "heard", plainly, queued) },
		Hostile: []string{"max-lifetime=3s"},
	})
}
