package assertions

import "fmt"

func init() {
	register(Assertion{
		Name:    "proxy/header-understood",
		Promise: "What the balancer puts ahead of a client's bytes, the servers understand.",
		Explain: "A PROXY header is the first thing a server reads on a connection. A server without proxy_protocol: true takes it for the client's protocol and ends the connection: with `Unknown Protocol " +
			"Operation`, or, where clients must log in as they must here, with `Authorization Violation`. A server with it reads one header, v1 or v2; a second one, as a chain of two balancers sends it, " +
			"or a broken one ends the connection too. Six clients connect, and what the servers log about them is read.",
		Speaks:  []string{"proxy-protocol"},
		Links:   []string{"clients"},
		Observe: presenting,
		Judge:   judgeHeaderUnderstood,
		Hostile: []string{"proxy-protocol=v2"},
	})
}

func judgeHeaderUnderstood(h History) []Finding {
	presented, away := h.Kind(Client, "presented"), h.Kind(Client, "turned-away")
	all := len(presented) + len(away)
	// What the balancer says it sent, or what a server cannot know without a header.
	sent := h.Filter(func(e Event) bool {
		return e.From == Balancer && e.Kind == "applied" && e.Why == "proxy-protocol" && balanced(e) || e.From == Server && e.Kind == "known" && e.Addr == e.Caller
	})
	measured := []Measure{count("connects", all, "connections"), count("failed", len(away), "connections")}
	header := h.Terms.Settings["proxy-protocol"]
	switch {
	case all == 0:
		return unseen("nobody connected")
	case len(away) > 0:
		said := ""
		if e, ok := h.First(Server, "objected"); ok {
			said = "; the server's log: " + e.What
		}
		return []Finding{{Verdict: Unsafe, Got: fmt.Sprintf("the servers turned away %d of %s: %s%s", len(away), plural(all, "client"), away[0].Why, said),
			Measured: measured, Advice: clientAdvice(h.Terms), Evidence: sample(append(away[:1:1], h.Kind(Server, "objected")...))}}
	case header == "" || header == "off":
		return held(fmt.Sprintf("no header was sent, and %s got in", plural(all, "client")), measured...)
	case len(sent) == 0:
		return unseen("nobody saw the balancer send a header")
	}
	return held(fmt.Sprintf("%s got in behind a %s header each", plural(all, "client"), header), measured...)
}
