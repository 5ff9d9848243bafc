package assertions

import (
	"fmt"
	"slices"
	"time"
)

func init() {
	register(Assertion{
		Name:    "jetstream/placement-works",
		Promise: "Streams of one and of three replicas, and consumers of them, can be made in each cluster, whatever the balancer goes through.",
		Explain: "A stream of one replica, one of three and a durable consumer of each are asked for in each cluster from beyond the balanced link: by a neighbour node, by a node of the " +
			"other cluster, or by a leaf node through the domain. It is done before the event, as it begins, and when it is over. A request that nobody answers within 2 s is made again, " +
			"as nats.go's users do; what is not made 30 s after the event never is. How long those of one replica take, once the cluster has begun, is " +
			"compared with the control; those of three begin with an election, which may take up to 9 s of its own.",
		Speaks: speaks(ofConnecting, ofCarrying, "idle-timeout", "idle-timeout-client", "idle-timeout-server", "idle-expiry", "max-lifetime",
			"stall", "outage", "restart", "drain"),
		SpeaksOn: betweenClusters,
		Links:    serverLinks,
		Observe:  placing,
		Judge:    judgePlacement,
		// A header that no server understands on its own links: there is no majority to place anything.
		Hostile: []string{"proxy-protocol=v1"},
	})
}

func judgePlacement(h History) []Finding {
	placed, unplaced := h.Kind(Client, "placed"), h.Kind(Client, "unplaced")
	slowest, usual := longestTook(settled(placed)), longestTook(settled(h.control().Kind(Client, "placed")))
	measured := []Measure{count("streams_placed", len(placed), "streams"), count("streams_unplaced", len(unplaced), "streams"), seconds("slowest_placement", slowest.Took)}
	if len(unplaced) > 0 {
		e := unplaced[0]
		return []Finding{{Verdict: Unsafe, Got: fmt.Sprintf("%s could not be made, first one of %s asked for at %s %s the event: %s", plural(len(unplaced), "stream"),
			plural(e.Count, "replica"), e.Node, e.How, e.Why), Measured: measured, Advice: eventAdvice(h.Terms), Evidence: sample(unplaced), Firm: !formed(h, e.At)}}
	}
	times := []string{placedBefore, placedAfter}
	if len(h.Terms.Strikes) > 0 {
		times = append(times, placedDuring)
	}
	for _, when := range times {
		for _, single := range []bool{true, false} {
			kinds := 0
			for _, e := range placed {
				if e.How == when && (e.Count == 1) == single {
					kinds++
				}
			}
			if kinds < len(h.Terms.sites()) {
				return unseen("nobody made all streams " + when + " the event")
			}
		}
	}
	got := fmt.Sprintf("the slowest of one replica took %s (%s the event, asked for at %s; control %s)", spoken(slowest.Took), slowest.How, slowest.Node, spoken(usual.Took))
	if beyond := slowest.Took - latest(h, usual.Took); beyond > 0 {
		return []Finding{{Verdict: Risky, Got: "all streams made, but " + got, Measured: measured, Advice: eventAdvice(h.Terms), Evidence: []Event{slowest}, Beyond: beyond}}
	}
	return held(fmt.Sprintf("%s made with a consumer each; %s", plural(len(placed), "stream"), got), measured...)
}

// settled are those that wait for no first election of their own or of the meta group, which takes up to 9 s by itself
// where its first round fails, with or without a balancer.
func settled(placed []Event) []Event {
	return slices.DeleteFunc(slices.Clone(placed), func(e Event) bool { return e.How == placedBefore || e.Count > 1 })
}

// longestTook is the event that took longest.
func longestTook(events []Event) Event {
	if len(events) == 0 {
		return Event{}
	}
	return slices.MaxFunc(events, func(a, b Event) int { return int(a.Took/time.Microsecond - b.Took/time.Microsecond) })
}
