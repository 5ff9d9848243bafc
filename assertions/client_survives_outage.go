package assertions

import (
	"fmt"
	"time"
)

func init() {
	register(Assertion{
		Name:    "client/survives-outage",
		Promise: "No client gives up for good while the balancer is away.",
		Explain: "nats.go tries each server 60 times by default, 2 s and up to 100 ms apart, and then closes the connection for ever: with one address, two minutes of refused " +
			"connects end an application until somebody restarts it. Counted are the applications that gave up, and those that were not back 30 s after the balancer was.",
		Speaks:  []string{"outage", "restart"},
		Links:   []string{"clients", "websocket"},
		Observe: working,
		Judge:   judgeSurvives,
		Hostile: []string{"outage=8s", "client:max-reconnects=2"},
	})
}

func judgeSurvives(h History) []Finding {
	if never := strangers(h); len(never) > 0 {
		return neverConnected(h, never)
	}
	if h.Control != nil && !h.Terms.Struck("outage", "restart=crash", "restart=reload") {
		return skip("the balancer was never away")
	}
	_, over := struck(h)
	_, watched := watchedTo(h)
	var gone, missing []Event
	var patience time.Duration
	for _, a := range absences(h) {
		switch {
		case a.closed:
			gone = append(gone, a.back)
			patience = max(patience, a.took())
		case !a.returned:
			missing = append(missing, a.lost)
		}
	}
	all := apps(h.Filter(joined))
	measured := []Measure{count("clients", all, "clients"), count("gave_up", apps(gone), "clients"), seconds("event", h.Terms.Event)}
	switch {
	case len(gone) > 0:
		return []Finding{{Verdict: Unsafe, Got: fmt.Sprintf("%d of %s gave up for good after %s: %s", apps(gone), plural(all, "client"), spoken(patience), gone[0].Why),
			Measured: measured, Advice: append([]Advice{everlasting}, appAdvice(h.Terms)...), Evidence: sample(gone), Firm: true}}
	case len(missing) > 0:
		return []Finding{{Verdict: Unsafe, Got: fmt.Sprintf("%d of %s not back 30 s after the event", apps(missing), plural(all, "client")),
			Measured: measured, Advice: appAdvice(h.Terms), Evidence: sample(missing), Firm: true}}
	case !watched || over == 0 || all == 0:
		return unseen("the applications were not watched through the event")
	}
	if _, well := h.First(Client, "well"); !well {
		return unseen("nobody saw whether the applications were served again")
	}
	said := fmt.Sprintf("%s outlived it", plural(all, "client"))
	if t := h.Terms; t.Reconnects >= 0 {
		said += fmt.Sprintf("; they would give up after about %s", spoken(time.Duration(t.Reconnects)*t.Reconnect))
	}
	return held(said, measured...)
}
