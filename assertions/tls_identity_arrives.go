package assertions

import "fmt"

func init() {
	register(Assertion{
		Name:    "tls/identity-arrives",
		Promise: "A server that asks for certificates sees the client's own, and takes the client for nobody else.",
		Explain: "With tls.verify or tls.verify_and_map a server reads the certificate of whoever speaks TLS with it. A balancer that ends TLS shows none, or its own (re-encrypt-mtls): then every " +
			"client is the balancer, and verify, verify_and_map and pinned certificates say nothing about clients. What the client presents is compared with what /connz?auth=true " +
			"says of its connection: user, account and the certificate's fingerprint.",
		Speaks:  []string{"tls"},
		Links:   []string{"clients"},
		Observe: returning,
		Moot: func(t Terms) string {
			if t.Security.Verified {
				return ""
			}
			return "clients present no certificates: add --nats tls.verify=true or --nats tls.verify_and_map=true"
		},
		Judge:   judgeIdentityArrives,
		Hostile: []string{"tls=re-encrypt-mtls", "nats:tls.verify=true", "nats:tls.handshake_first=true", "client:tls-first=true"},
	})
}

// endToEnd is what lets the client's own certificate through.
var endToEnd = Advice{Target: "load-balancer", Text: "pass TLS through to the servers: a certificate proves something only to whoever speaks TLS with its owner",
	Set: map[string]string{"tls": "passthrough"}}

// unconnected is what a judge says of a returner that never got through; nil if it did.
func unconnected(h History) []Finding {
	e, failed := h.First(Client, "unconnected")
	if !failed {
		return nil
	}
	return []Finding{{Verdict: Unsafe, Got: "no client got through, so nobody was seen: " + e.Why, Evidence: []Event{e}, Advice: tlsAdvice(h.Terms)}}
}

func judgeIdentityArrives(h History) []Finding {
	if never := unconnected(h); never != nil {
		return never
	}
	presented, shown := h.First(Client, "presented")
	first, seen := h.First(Server, "identified")
	switch {
	case !shown || !seen:
		return unseen("no server was asked whom it saw")
	case presented.What == "":
		return unseen("the client had no certificate to present")
	}
	if wrong := first.belief().against(presented.belief(), first); wrong != "" {
		return []Finding{{Verdict: Unsafe, Got: fmt.Sprintf("%s saw %s", first.Node, wrong), Evidence: []Event{presented, first}, Advice: []Advice{endToEnd}}}
	}
	return held(fmt.Sprintf("%s saw the client's own certificate (%s) and user %s", first.Node, first.Peer, first.How))
}
