package assertions

import "fmt"

func init() {
	register(Assertion{
		Name:    "client/connects",
		Promise: "Every client connects within its own timeout, and about as quickly as without a balancer.",
		Explain: "A NATS server speaks first: its INFO must reach the client within the client's timeout (nats.go: 2 s), then CONNECT and PING are answered by PONG. " +
			"A balancer that waits for the client's first bytes, that expects another protocol, or that has no room left leaves the client with `nats: timeout`, an end of " +
			"file or a refused connection. Twelve clients connect side by side; each failure counts, and so does a connect more than half a second slower than behind nothing.",
		Speaks:  speaks(ofConnecting, ofCarrying, "bypass"),
		Links:   []string{"clients", "websocket"},
		Observe: greeting,
		Judge:   judgeConnects,
		Hostile: []string{"inspection=client-first"},
	})
}

func judgeConnects(h History) []Finding {
	all, slowest, failed := greeted(h)
	_, usual, _ := greeted(h.control())
	measured := []Measure{count("connects", all, "connections"), count("failed", len(failed), "connections"), seconds("slowest_connect", slowest)}
	switch {
	case all == 0:
		return unseen("nobody connected")
	case len(failed) > 0:
		f := Finding{Verdict: Unsafe, Got: fmt.Sprintf("%d of %s failed: %s", len(failed), plural(all, "connect"), failed[0].Why),
			Measured: measured, Advice: clientAdvice(h.Terms), Evidence: sample(failed)}
		if len(failed) == all {
			f.Beyond, f.Once = h.Terms.ClientTimeout, true
		}
		return []Finding{f}
	case slowest > usual+tolerance:
		return []Finding{{Verdict: Risky, Got: fmt.Sprintf("a connect took %s (control %s)", spoken(slowest), spoken(usual)),
			Measured: measured, Advice: clientAdvice(h.Terms), Beyond: slowest - usual - tolerance, Once: true}}
	}
	return held(fmt.Sprintf("%s, the slowest in %s", plural(all, "connect"), spoken(slowest)), measured...)
}
