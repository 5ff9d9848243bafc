package assertions

import (
	"fmt"
)

func init() {
	register(Assertion{
		Name:    "leafnodes/stay-behind-lb",
		Promise: "A leaf node that loses its connection comes back through the balancer, as soon as its reconnect interval allows.",
		Explain: "A hub tells its leaf nodes the addresses of all its nodes: leafnodes.advertise if it is set, otherwise what each node has itself. A leaf node puts them before the configured ones: the first " +
			"connection crosses the balancer, the next goes past it where these can be reached; where they cannot, each costs a pause of 1 to 2 s, and another second for the dial if its SYN is not " +
			"answered. The node of the hub that a leaf node is connected to is killed and taken out of rotation in the same moment, and the address that the leaf node dials next is looked for among the " +
			"balancer's own.",
		Speaks:  []string{"bypass"},
		Links:   []string{leafLinks},
		Observe: parting,
		Judge:   judgeLeafBehind,
		// The contract calls a bypass risky, never unsafe.
		Hostile: []string{"bypass=open"},
	})
}

func judgeLeafBehind(h History) []Finding {
	parted, ok := h.First(Lab, "parted")
	began, joined := h.First(Server, "joined-at")
	again, returned := h.First(Server, "rejoined")
	_, never := h.First(Server, "unjoined")
	_, watched := h.Last(Lab, "watched")
	ours := ourAddresses(h)
	switch {
	case !joined && never:
		return skip("no leaf node was connected that could be parted")
	case !joined || !ok:
		return unseen("no leaf node was parted from its hub")
	case !ours[began.Addr]:
		return []Finding{{Verdict: Risky, Got: fmt.Sprintf("%s is past the balancer from the start (%s)", began.Node, began.Addr), Measured: []Measure{count("connections_past_the_balancer", 1, "connections")},
			Advice: keepBehind(h.Terms), Evidence: []Event{began}}}
	case !returned && never:
		return []Finding{{Verdict: Unsafe, Firm: true, Got: fmt.Sprintf("%s was not back %s after the loss of its node of the hub", parted.Node, spoken(back)),
			Measured: []Measure{count("connections_past_the_balancer", 0, "connections")}, Advice: keepBehind(h.Terms), Evidence: []Event{parted}}}
	case !returned:
		return unseen("nobody saw whether the leaf node came back")
	}
	measured := []Measure{seconds("back_after", again.Took), count("connections_past_the_balancer", 0, "connections")}
	if !ours[again.Addr] {
		measured[1].Value = 1
		return []Finding{{Verdict: Risky, Got: fmt.Sprintf("%s was back after %s, past the balancer: directly at %s (%s)", again.Node, spoken(again.Took), again.Peer, again.Addr),
			Measured: measured, Advice: keepBehind(h.Terms), Evidence: []Event{parted, again}}}
	}
	usual := again.Took
	if e, ok := h.control().First(Server, "rejoined"); ok {
		usual = e.Took
	}
	if later := again.Took - usual; later > tolerance {
		return []Finding{{Verdict: Risky, Got: fmt.Sprintf("%s was back through the balancer after %s (control %s): addresses past it had to fail first", again.Node, spoken(again.Took), spoken(usual)),
			Measured: measured, Advice: keepBehind(h.Terms), Evidence: []Event{parted, again}, Beyond: later - tolerance}}
	}
	if !watched {
		return unseen("the leaf node was not watched to the end")
	}
	return held(fmt.Sprintf("%s was back through the balancer after %s", again.Node, spoken(again.Took)), measured...)
}
