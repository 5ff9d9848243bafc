package assertions

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

func init() {
	register(Assertion{
		Name:    "client/reconnects",
		Promise: "A client that loses its connection is connected again within its own reconnect wait, and its subscriptions are served.",
		Explain: "nats.go with one address waits 2 s and up to 100 ms before it dials again, then restores its subscriptions. Measured for every application: the time from the " +
			"loss (or the event's end, if that came later) until it is connected, to which server that led, and whether what is published to it, by it, or asked of it arrives again.",
		Speaks:  []string{"idle-timeout", "idle-timeout-client", "idle-timeout-server", "idle-expiry", "max-lifetime", "balance", "stall", "outage", "restart", "drain"},
		Links:   []string{"clients", "websocket"},
		Observe: working,
		Idle:    resting,
		Judge:   judgeReconnects,
		Hostile: []string{"outage=8s", "client:max-reconnects=2"},
	})
}

func judgeReconnects(h History) []Finding {
	if never := strangers(h); len(never) > 0 {
		return neverConnected(h, never)
	}
	_, watched := watchedTo(h)
	away := absences(h)
	_, over := struck(h)
	var longest time.Duration
	var worst absence
	var evidence []Event
	returned, missing, led := 0, []string{}, map[string]int{}
	for _, a := range away {
		switch {
		case a.returned:
			returned++
			led[a.back.Node]++
			since := a.lost.At
			if h.Terms.Struck("outage") {
				since = max(since, min(over, a.back.At)) // while the balancer is away there is nothing to dial
			}
			if gap := a.back.At - since; gap > longest {
				longest, worst = gap, a
			}
		default:
			missing = append(missing, a.app)
			evidence = append(evidence, a.lost)
		}
	}
	measured := []Measure{count("connections_lost", len(away), "connections"), count("reconnects", returned, "connections"), seconds("longest_reconnect", longest)}
	if len(missing) > 0 {
		return []Finding{{Verdict: Unsafe, Got: fmt.Sprintf("%d of %s not made again within 30 s: %s", len(missing), plural(len(away), "lost connection"), someOf(missing)),
			Measured: measured, Advice: appAdvice(h.Terms), Evidence: sample(evidence), Firm: true}}
	}
	if longest > back {
		return []Finding{{Verdict: Unsafe, Got: fmt.Sprintf("%s was connected again only after %s", worst.app, spoken(longest)), Measured: measured,
			Advice: appAdvice(h.Terms), Evidence: []Event{worst.lost, worst.back}, Firm: true}}
	}
	if unserved := h.Kind(Client, "unwell"); len(unserved) > 0 {
		return []Finding{{Verdict: Unsafe, Got: fmt.Sprintf("%d of %s made again, but %s was not served within 30 s", returned, plural(len(away), "lost connection"), unserved[0].App),
			Measured: measured, Advice: appAdvice(h.Terms), Evidence: sample(unserved), Firm: true}}
	}
	if _, well := h.First(Client, "well"); !well || !watched || len(h.Filter(joined)) == 0 {
		return unseen("the applications were not watched to the end")
	}
	if len(away) == 0 {
		return held("no client lost its connection", measured...)
	}
	said := fmt.Sprintf("%s made again after %s at the latest, on %s", plural(returned, "lost connection"), spoken(longest), spread(led))
	// The client's own wait is no cost of the balancer's, nor is what one cut connection costs in the control.
	usual := h.Terms.Reconnect
	if h.Control != nil {
		for _, a := range absences(*h.Control) {
			usual = max(usual, a.took())
		}
	}
	if longest > usual+tolerance && h.Control != nil {
		return []Finding{{Verdict: Risky, Got: fmt.Sprintf("%s (the client's own wait: %s)", said, spoken(h.Terms.Reconnect)), Measured: measured, Advice: appAdvice(h.Terms),
			Evidence: []Event{worst.lost, worst.back}, Beyond: longest - usual - tolerance}}
	}
	return held(said, measured...)
}

// joined tells the first connections of applications.
func joined(e Event) bool { return e.From == Client && e.Kind == "connected" && workload(e.App) != "" }

// spread says how many connections led where: "n1 3, n2 4".
func spread(led map[string]int) string {
	var said []string
	for node, n := range led {
		said = append(said, fmt.Sprintf("%s %d", node, n))
	}
	slices.Sort(said)
	return strings.Join(said, ", ")
}

// someOf names the first few of many.
func someOf(names []string) string {
	slices.Sort(names)
	if len(names) > 3 {
		names = append(slices.Clone(names[:3]), "…")
	}
	return strings.Join(names, ", ")
}
