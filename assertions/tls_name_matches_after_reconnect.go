package assertions

import (
	"fmt"
	"slices"
	"strings"
)

func init() {
	register(Assertion{
		Name:    "tls/name-matches-after-reconnect",
		Promise: "A client that lost its connection is shown a certificate that it believes at every address it knows, gossiped ones included.",
		Explain: "A client verifies the certificate for the address that it dials, and keeps the host name of its first server for bare addresses that it is told. Behind a balancer that ends TLS those are not " +
			"the same certificate, nor the same TLS, as at the nodes that gossip may lead it to (no client_advertise): the first connect works, the next one does not. " +
			"A client goes through all addresses that it knows, one after the other; each that TLS keeps it from counts.",
		Speaks:  []string{"tls", "bypass"},
		Links:   []string{"clients"},
		Observe: returning,
		Moot:    mootInTheClear,
		Judge:   judgeNameMatches,
		Hostile: []string{"tls=terminate", "nats:allow_non_tls=true", "bypass=open", "client:tls-first=true"},
	})
}

func judgeNameMatches(h History) []Finding {
	if never := unconnected(h); never != nil {
		return never
	}
	end, over := h.First(Client, "returned")
	back := h.Kind(Client, "reconnected")
	var refused []Event
	var addresses []string
	for _, e := range h.Kind(Client, "unreturned") {
		if e.How == wrongCertificate || e.How == wrongTLS {
			refused = append(refused, e)
			if !slices.Contains(addresses, e.Dial) {
				addresses = append(addresses, e.Dial)
			}
		}
	}
	measured := []Measure{count("returns", len(back), "connections"), count("addresses_refused", len(addresses), "addresses")}
	switch {
	case !over:
		return unseen("nobody saw whether the client came back")
	case len(refused) == 0 && (end.Count < 2 || len(back) < 2):
		return unseen("the client did not come back twice, and not for TLS's sake")
	case len(refused) == 0:
		return held(fmt.Sprintf("the client came back %s and believed what it was shown", times(len(back))), measured...)
	}
	f := Finding{Verdict: Risky, Got: fmt.Sprintf("%s let the client down: %s", known(len(addresses)), reason(refused[0].Why)), Measured: measured,
		Evidence: sample(refused), Advice: []Advice{
			{Target: "nats-server", Text: `client_advertise: "<the balancer's address>" on every node: what clients are told then has the certificate that they know`},
			{Target: "nats-server", Text: "cluster { no_advertise: true } on every node: clients are told of nobody", Nats: map[string]string{"cluster.no_advertise": "true"}},
		}}
	if end.Count == 0 {
		f.Verdict, f.Got = Unsafe, f.Got+"; it never came back"
	}
	return []Finding{f}
}

// known counts addresses that clients know.
func known(n int) string {
	if n == 1 {
		return "1 address that it knew"
	}
	return fmt.Sprintf("%d addresses that it knew", n)
}

// reason is an error of nats.go's without its prefix.
func reason(why string) string { return strings.TrimPrefix(why, "nats: ") }
