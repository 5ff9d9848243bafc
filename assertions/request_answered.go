package assertions

func init() {
	register(Assertion{
		Name:    "request/answered",
		Promise: "Every request to a queue group behind the balancer is answered while its members can be connected.",
		Explain: "A queue group's member whose connection a balancer has forgotten silently is still a member to the server, which goes on giving it requests that nobody answers, until " +
			"its PINGs tell; and while all members dial again, requests are refused for want of responders. Three members and one client that asks are behind the balancer, and one caller at " +
			"every node asks past it. Requests that are never answered are counted; a late answer is a delay.",
		Speaks:  speaks(ofIdling, ofCarrying, ofStanding...),
		Links:   []string{"clients", "websocket"},
		Observe: working,
		Idle:    resting,
		Judge:   func(h History) []Finding { return judgeCarried(h, ofRequests, "request", "answered") },
		Hostile: []string{"idle-timeout=50s", "idle-expiry=silent"},
	})
}
