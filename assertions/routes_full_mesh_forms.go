package assertions

import (
	"fmt"
	"strings"
	"time"
)

func init() {
	register(Assertion{
		Name:    "routes/full-mesh-forms",
		Promise: "Every pair of nodes gets its whole route pool and its system route, at the start and after an event.",
		Explain: "A pair of nodes holds one route for each index of its pool (three by default) and one more for the system account. " +
			"A missing pool index cuts off the accounts that hash to it while /healthz and /routez look fine; a missing system route " +
			"cuts off Raft. Routes dialled through one address for all nodes are spread by chance: a third of them meet the dialling " +
			"node itself and are never tried again. Measured from the moment the balancer begins to forward until /routez of every " +
			"node lists all of it; NATS has 30 s.",
		Speaks: speaks(ofConnecting, ofCarrying, "idle-timeout", "idle-timeout-client", "idle-timeout-server", "max-lifetime", "stall", "outage", "restart", "drain"),
		Links:  []string{"routes"},

		Observe: Forming,
		Judge:   judgeFullMesh,
		Hostile: []string{"frontends=shared"},
	})
}

func judgeFullMesh(h History) []Finding {
	looks := h.Filter(func(e Event) bool {
		return e.From == Server && (e.Kind == "mesh-full" || e.Kind == "mesh-partial")
	})
	kind := h.Terms.kind()
	if len(looks) == 0 {
		return unseen("the " + kind.all + " were not looked at")
	}
	formed := looks[0]
	for i, look := range looks {
		if look.Kind == "mesh-full" {
			continue
		}
		gaps, evidence := kind.gaps(h, look)
		missing := strings.Join(gaps, ", ")
		if missing == "" {
			missing, evidence = restless(h, look)
		}
		return []Finding{{
			Verdict:  Unsafe,
			Got:      fmt.Sprintf("%s %s: %s", kind.unwhole, whenPartial(h, i, look), missing),
			Measured: []Measure{count(kind.gap.Name, len(gaps), kind.gap.Unit)},
			Advice:   formingAdvice(h.Terms),
			Firm:     true,
			Evidence: evidence,
		}}
	}
	if len(looks) < 2 {
		return unseen("the " + kind.all + " were not looked at again when all was over")
	}
	took, control := formed.At-serving(h), h.control()
	reference, ok := control.First(Server, "mesh-full")
	if !ok {
		return unseen("the control never had " + kind.article() + kind.whole + " to compare with")
	}
	if never := control.Kind(Client, "uninformed"); len(never) > 0 {
		return unseen("a frontend of the control did not answer the tester: " + never[0].Why)
	}
	usual := reference.At - serving(control)
	m := []Measure{seconds(kind.wholeAfter.Name, took)}
	waited, expected := informedAfter(h), informedAfter(control)
	if waited > 0 {
		m = append(m, seconds("info_after", waited))
	}
	// A route whose first attempt meets a peer that dials it at the same moment is tried again after its own
	// second; that is NATS's chance, not the balancer's, and some controls show it too.
	if slower := took - usual - chance(h, formed.At); slower > tolerance {
		return []Finding{{Verdict: Risky, Measured: m, Beyond: slower - tolerance, Marginal: slower < 4*tolerance,
			Got: fmt.Sprintf("%s after %s, control %s", kind.whole, spoken(took), spoken(usual)), Advice: standingAdvice(h.Terms)}}
	}
	if late := waited - expected; late > tolerance {
		return []Finding{{Verdict: Risky, Measured: m, Beyond: late - tolerance, Once: true,
			Got: fmt.Sprintf("%s after %s, but the other server's first bytes take %s (control %s)", kind.whole, spoken(took), spoken(waited), spoken(expected)), Advice: standingAdvice(h.Terms)}}
	}
	return held(fmt.Sprintf("%s after %s", kind.whole, spoken(took)), m...)
}

// tolerance is how much later than the control is still no cost: the contract's half second.
const tolerance = 500 * time.Millisecond

// restless says what was missing where a look found nothing missing.
func restless(h History, look Event) (missing string, evidence []Event) {
	for _, e := range h.Kind(Client, "deaf") {
		if e.At <= look.At {
			evidence = append(evidence, e)
		}
	}
	if len(evidence) > 0 {
		return "all listed, but nothing crosses, " + deafPairs(evidence), sample(evidence)
	}
	it := "it was"
	if h.Terms.kind().called {
		it = "they were"
	}
	return h.Terms.kind().all + " came and went, " + it + " never whole for " + spoken(settle), nil
}

// informedAfter is how long the slowest frontend let a server wait for the other's first bytes, 0 where nobody was seen to.
func informedAfter(h History) time.Duration {
	var slowest time.Duration
	for _, e := range h.Kind(Client, "informed") {
		slowest = max(slowest, e.Took)
	}
	return slowest
}

// chance is how much later the links may be whole because servers that met at the same moment tried again: one retry, or
// as many as were seen, three at the most. Where the balancer turned a connection away or ended one, more than one retry
// may be its doing.
func chance(h History, formed time.Duration) time.Duration {
	const most = 3
	retry := h.Terms.kind().retry
	apart := retry * 9 / 10 // whoever dials later than that after all others tries again
	retries, last := 0, time.Duration(0)
	for _, e := range h.Events {
		switch {
		case e.From != Balancer || !balanced(e) || e.At < serving(h) || e.At > formed:
		case e.Kind == "refused", e.Kind == "expired":
			return retry
		case e.Kind == "begin":
			if last > 0 && e.At-last >= apart {
				retries++
			}
			last = e.At
		}
	}
	return retry * time.Duration(min(max(1, retries), most))
}

// whenPartial says when the mesh was missed: at the start, after an event, or in the end.
func whenPartial(h History, look int, e Event) string {
	begin, over := struck(h)
	switch {
	case look == 0:
		return "within 30 s of the start"
	case len(h.Terms.Strikes) > 0 && begin > 0:
		return spoken(e.At-over) + " after the event"
	case len(h.Terms.Strikes) > 0:
		return "after the event"
	}
	return "in the end, though it had formed"
}

// formed reports whether the mesh was seen whole by that time.
func formed(h History, by time.Duration) bool {
	e, ok := h.First(Server, "mesh-full")
	return ok && e.At <= by
}

// serving is when the balancer began to forward.
func serving(h History) time.Duration {
	e, _ := h.First(Lab, "serving")
	return e.At
}

// gapsBefore names the pairs that a look found incomplete, by the end that sees less.
func gapsBefore(h History, look Event) (gaps []string, evidence []Event) {
	type end struct{ node, peer string }
	latest := map[end]Event{}
	for _, e := range h.Kind(Server, "pool") {
		if e.At <= look.At {
			latest[end{e.Node, e.Peer}] = e
		}
	}
	for i, a := range h.Terms.Nodes {
		for _, b := range h.Terms.Nodes[i+1:] {
			near, far := latest[end{a, b}], latest[end{b, a}]
			var missing []string
			if pool := min(near.Count, far.Count); pool < h.Terms.PoolSize {
				missing = append(missing, fmt.Sprintf("%d of %d pool routes", pool, h.Terms.PoolSize))
			}
			if near.How == "" || far.How == "" {
				missing = append(missing, "no system route")
			}
			if len(missing) > 0 {
				gaps = append(gaps, fmt.Sprintf("%s–%s %s", a, b, strings.Join(missing, " and ")))
				for _, e := range []Event{near, far} {
					if e.Kind != "" { // neither end need have been asked
						evidence = append(evidence, e)
					}
				}
			}
		}
	}
	return gaps, evidence
}
