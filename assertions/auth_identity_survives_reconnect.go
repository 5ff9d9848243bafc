package assertions

import "fmt"

func init() {
	register(Assertion{
		Name:    "auth/identity-survives-reconnect",
		Promise: "After a reconnect a server takes the client for whom the first one took it: the same user, account and certificate.",
		Explain: "A client logs in anew on each connection: by password, token, nkey, credentials or certificate (--auth). A balancer that ends TLS shows servers its own certificate; a client that gossip " +
			"leads past it on the next connection shows the client's: another user where certificates name users, and another one in every log. An application connects, loses its connection, and comes back by every " +
			"address that it knows; each time /connz?auth=true is asked who it is.",
		Speaks:  []string{"tls", "bypass", "restart", "proxy-protocol"},
		Links:   []string{"clients"},
		Observe: returning,
		Judge:   judgeIdentitySurvives,
		Hostile: []string{"tls=re-encrypt-mtls", "nats:tls.verify=true", "nats:tls.handshake_first=true", "bypass=open", "client:tls-first=true"},
	})
}

func judgeIdentitySurvives(h History) []Finding {
	if never := unconnected(h); never != nil {
		return never
	}
	seen := h.Kind(Server, "identified")
	end, over := h.First(Client, "returned")
	again := len(seen) - 1
	measured := []Measure{count("returns", end.Count, "connections")}
	if len(seen) > 1 {
		for _, e := range seen[1:] {
			if wrong := e.belief().against(seen[0].belief(), e); wrong != "" {
				return []Finding{{Verdict: Unsafe, Got: fmt.Sprintf("after a reconnect %s saw %s", e.Node, wrong), Measured: measured, Evidence: []Event{seen[0], e},
					Advice: []Advice{endToEnd, {Target: "nats-server", Text: `client_advertise: "<the balancer's address>" on every node: clients then come back the way they came`}}}}
			}
		}
	}
	switch {
	case over && end.Count == 0:
		return []Finding{{Verdict: Unsafe, Got: fmt.Sprintf("the client was not back within %s", spoken(back)), Measured: measured, Evidence: []Event{end}, Advice: tlsAdvice(h.Terms)}}
	case !over || again < 2 || again < end.Count:
		return unseen("no server was asked whom it saw after each reconnect")
	}
	return held(fmt.Sprintf("user %s before and after %s", orNobody(seen[0].How), plural(again, "reconnect")), measured...)
}
