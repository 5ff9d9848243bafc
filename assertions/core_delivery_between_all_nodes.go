package assertions

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

func init() {
	register(Assertion{
		Name:    "core/delivery-between-all-nodes",
		Promise: "In every account, what is published at one node is heard at every other, through the event and after it.",
		Explain: "Each account uses one connection of the route pool, so a mesh that is only partly there delivers for some accounts and some " +
			"pairs of nodes and is silent for others; a node sends to another cluster over one gateway connection of its own, and a leaf node to everybody over one. One client an account and node publishes every 50 ms and all others listen. What " +
			"cannot be delivered while no connection can exist is reported but not held against the balancer; a stall or a reload only " +
			"delays, so there every message counts.",
		Speaks:  speaks(ofConnecting, ofCarrying, "max-lifetime", "stall", "outage", "restart", "drain"),
		Links:   []string{routeLinks, gatewayLinks, leafLinks},
		Observe: talking,
		Judge:   judgeDelivery,
		Hostile: []string{"frontends=shared"},
	})
}

func judgeDelivery(h History) []Finding {
	said, heard := 0, 0
	var lost []Event
	for _, e := range h.Events {
		switch {
		case e.From != Client || e.Why != "event":
		case e.Kind == "said":
			said += e.Count
		case e.Kind == "unheard":
			lost = append(lost, e)
		case e.Kind == "heard":
			heard += e.Count
		}
	}
	if said == 0 {
		return unseen("nothing was published")
	}
	begin, over := struck(h)
	if over-begin > tolerance && len(h.Filter(func(e Event) bool { return e.Kind == "said" && e.At >= begin && e.At <= over })) == 0 {
		return []Finding{{Verdict: Errored, Got: "nobody published during the event"}}
	}
	counted := lost
	kind := h.Terms.kind()
	switch {
	case !h.Terms.Struck("outage", "restart=crash", "drain", "cut"):
	case kind.called:
		// Gateways and leaf nodes may know several addresses to try in turn: whether they were connected was looked at.
		counted = unexcused(h, lost)
	default:
		// Until the routes can be back, nothing can be delivered: the servers' own retry, and what it cost in
		// the control.
		// Two nodes that dial each other at the same moment both close the other's route as a duplicate and try
		// once more: seen after one crash in fifteen, and no doing of the balancer's.
		possible := over + 2*routeRetry + time.Second
		if h.Control != nil {
			possible = max(possible, over+reconnected(*h.Control)+time.Second)
		}
		counted = slices.DeleteFunc(slices.Clone(lost), func(e Event) bool { return e.At >= begin-each && e.At <= possible })
	}
	slowest := slowestDelivery(h, "event")
	measured := []Measure{count("messages_lost", len(lost), "messages"), count("messages_sent", said, "messages"),
		seconds("longest_gap", longestGap(lost)), seconds("slowest_delivery", slowest)}
	unhealed, found := h.First(Client, "unhealed")
	if found {
		why := kind.never
		if formed(h, unhealed.At) {
			why = "no full recovery within 30 s"
			if len(h.Terms.Strikes) > 0 {
				why += " of the event"
			}
		}
		switch {
		case len(lost) > 0:
			return []Finding{{Verdict: Unsafe, Got: fmt.Sprintf("%d of %d messages lost, %s: %s", len(lost), said, why, deafPairs(lost)),
				Measured: measured, Advice: eventAdvice(h.Terms), Evidence: append(sample(lost), unhealed), Firm: true}}
		case len(h.Terms.Strikes) > 0 && formed(h, unhealed.At):
			return []Finding{{Verdict: Unsafe, Got: "no message lost, but " + why,
				Measured: measured, Advice: eventAdvice(h.Terms), Evidence: []Event{unhealed}}}
		}
		// Every account was served; what is missing carries none of them, the system route for one.
		return []Finding{{Verdict: Risky, Got: "no message lost, but " + why,
			Measured: measured, Advice: eventAdvice(h.Terms), Evidence: []Event{unhealed}}}
	}
	if len(counted) > 0 {
		return []Finding{{Verdict: Unsafe, Got: fmt.Sprintf("%d of %d messages lost although connections could exist: %s", len(counted), said, deafPairs(counted)),
			Measured: measured, Advice: eventAdvice(h.Terms), Evidence: sample(counted), Marginal: len(counted) < 5}}
	}
	switch {
	case len(talks(h)) == 0:
		return unseen("nobody saw whether the " + kind.all + " were whole again in the end")
	case heard+len(lost) < said:
		return unseen(fmt.Sprintf("what became of %d of %d messages was not written down", said-heard-len(lost), said))
	}
	usual := slowestDelivery(h.control(), "event")
	reference := len(unheard(h.control()))
	switch {
	case len(lost) > 2*reference:
		return []Finding{{Verdict: Risky, Got: fmt.Sprintf("%s lost in a gap of %s while no connection could exist (control: %d for one cut %s)",
			plural(len(lost), "message"), spoken(longestGap(lost)), reference, kind.one), Measured: measured, Advice: eventAdvice(h.Terms), Evidence: sample(lost)}}
	case slowest > pureDelay:
		return []Finding{{Verdict: Risky, Got: fmt.Sprintf("%d of %d messages heard, but delayed up to %s", said-len(lost), said, spoken(slowest)),
			Measured: measured, Advice: eventAdvice(h.Terms), Beyond: slowest - pureDelay}}
	case len(h.Terms.Strikes) == 0 && slowest > usual+tolerance:
		return []Finding{{Verdict: Risky, Got: fmt.Sprintf("nothing lost, but a message took %s (control %s)", spoken(slowest), spoken(usual)),
			Measured: measured, Advice: eventAdvice(h.Terms), Beyond: slowest - usual - tolerance}}
	}
	return held(fmt.Sprintf("%d of %d messages heard, the slowest after %s", said-len(lost), said, spoken(slowest)), measured...)
}

// pureDelay is the longest delay that is still safe if it ends with its event: the contract's 2 s.
const pureDelay = 2 * time.Second

// struck returns when the event began and when it was over.
func struck(h History) (begin, over time.Duration) {
	b, _ := h.First(Lab, "strike-begin")
	o, ok := h.First(Lab, "strike-over")
	if !ok {
		o = b
	}
	return b.At, o.At
}

// unexcused are the messages that were said while everything was connected, or before the event. Inside a cluster they
// travel on over routes, which may have met the same event.
func unexcused(h History, lost []Event) []Event {
	begin, _ := struck(h)
	apart := append(unlinked(h), besides(h)...)
	return slices.DeleteFunc(slices.Clone(lost), func(e Event) bool { return e.At >= begin-each && within(e.At, apart) })
}

// reconnected is how long delivery was broken by the one cut route of an event's control.
func reconnected(control History) time.Duration { return longestGap(unheard(control)) }

func unheard(h History) []Event {
	return h.Filter(func(e Event) bool { return e.From == Client && e.Kind == "unheard" && e.Why == "event" })
}

// deafPairs says who does not hear whom, by account.
func deafPairs(lost []Event) string {
	ways := map[string]map[string]bool{}
	total := 0
	for _, e := range lost {
		if ways[e.Account] == nil {
			ways[e.Account] = map[string]bool{}
		}
		if way := e.Node + "→" + e.Peer; !ways[e.Account][way] {
			ways[e.Account][way] = true
			total++
		}
	}
	var said []string
	for account, pairs := range ways {
		var names []string
		for p := range pairs {
			names = append(names, p)
		}
		slices.Sort(names)
		if len(names) > 3 {
			names = append(names[:3], "…")
		}
		said = append(said, account+" "+strings.Join(names, " "))
	}
	slices.Sort(said)
	return fmt.Sprintf("%s affected (%s)", plural(total, "way"), strings.Join(said, ", "))
}
