package assertions

import (
	"fmt"
	"slices"
	"strings"
)

func init() {
	register(Assertion{
		Name:    "tls/connects",
		Promise: "Every client connects by TLS within its own timeout, and verifies whose certificate it is shown.",
		Explain: "A NATS server greets in the clear and speaks TLS after that (INFO first), unless tls.handshake_first lets TLS come first, or either with `auto`. Clients begin with TLS only if told to " +
			"(--client tls-first=true). A balancer that ends TLS expects a ClientHello at once and waits for it, while the client waits for INFO: both must begin with TLS, and the server behind " +
			"`re-encrypt` too. Behind `terminate` the server speaks in the clear and must nevertheless say that TLS is available (allow_non_tls), or clients take it for a server without. " +
			"Twelve clients connect side by side and verify the certificate for the address that they dialled.",
		Speaks:  tlsSettings,
		Links:   []string{"clients"},
		Observe: greeting,
		Moot:    mootInTheClear,
		Judge:   judgeTLSConnects,
		Hostile: []string{"tls=terminate"},
	})
}

// mootInTheClear is why nothing is promised about TLS where nobody speaks it.
func mootInTheClear(t Terms) string {
	if t.Security.speaks() {
		return ""
	}
	return "nobody speaks TLS here: add --set tls=… or --nats tls.KEY=VALUE"
}

func judgeTLSConnects(h History) []Finding {
	secure := h.Terms.Security
	all, slowest, failed := greeted(h)
	_, usual, _ := greeted(h.control())
	clear, shown := 0, map[string]bool{}
	for _, e := range h.Kind(Client, "greeted") {
		shown[e.Peer+" by "+e.How] = true
		if e.How == "" {
			clear++
		}
	}
	measured := []Measure{count("connects", all, "connections"), count("failed", len(failed), "connections"), count("unencrypted", clear, "connections"),
		seconds("slowest_connect", slowest)}
	switch {
	case all == 0:
		return unseen("nobody connected")
	case len(failed) > 0:
		return []Finding{{Verdict: Unsafe, Got: fmt.Sprintf("%d of %s %s failed: %s", len(failed), plural(all, "connect"), secure.inWords(), failed[0].Why),
			Measured: measured, Evidence: sample(failed), Advice: tlsAdvice(h.Terms)}}
	case clear > 0 && secure.Clients != InTheClear:
		return []Finding{{Verdict: Unsafe, Got: fmt.Sprintf("%d of %s were not encrypted", clear, plural(all, "connect")), Measured: measured, Advice: tlsAdvice(h.Terms)}}
	case slowest > usual+tolerance:
		return []Finding{{Verdict: Risky, Got: fmt.Sprintf("a connect %s took %s (control %s)", secure.inWords(), spoken(slowest), spoken(usual)),
			Measured: measured, Beyond: slowest - usual - tolerance, Once: true, Advice: tlsAdvice(h.Terms)}}
	}
	return held(fmt.Sprintf("%s %s, the slowest in %s; shown: %s", plural(all, "connect"), secure.inWords(), spoken(slowest), strings.Join(sorted(shown), ", ")), measured...)
}

func sorted(words map[string]bool) []string {
	var all []string
	for w := range words {
		all = append(all, w)
	}
	slices.Sort(all)
	return all
}

// tlsAdvice is what lets TLS through, by who ends it and who begins. What helps only together with something else is tried
// together with it.
func tlsAdvice(t Terms) []Advice {
	secure := t.Security
	begin := map[string]string{keyTLSFirst: "true"}
	pass := Advice{Target: "load-balancer", Text: "pass TLS through to the servers (a TCP listener), whose certificates then name the balancer's address too", Set: map[string]string{"tls": "passthrough"}}
	first := Advice{Target: "client", Text: "nats.TLSHandshakeFirst() (nats.go 1.31.0), nats --tlsfirst: begin with TLS", Client: begin}
	var advice []Advice
	// servers is what they have to be told for clients that begin with TLS.
	servers := func(text, key string) {
		told := map[string]string{key: "true"}
		first.Nats = told
		if secure.Clients != TLSFirst {
			text += "; together with clients that begin with TLS"
		}
		advice = append(advice, Advice{Target: "nats-server", Text: text, Nats: told, Client: begin})
	}
	switch secure.Balancer {
	case "terminate":
		advice = append(advice, pass)
		if secure.Servers == InTheClear {
			servers("tls { cert_file: …, key_file: … }, allow_non_tls: true  # clients must be told that TLS is available", "allow_non_tls")
		}
	case "re-encrypt", "re-encrypt-mtls":
		advice = append(advice, pass)
		if secure.Servers == InfoFirst {
			servers("tls { handshake_first: true }  # 2.10.0", "tls.handshake_first")
		}
	default:
		if secure.Clients != secure.Servers && secure.Servers != Either {
			advice = append(advice, Advice{Target: "nats-server", Text: "tls { handshake_first: auto }  # 2.10.4: clients may begin either way",
				Nats: map[string]string{"tls.handshake_first": "auto"}})
		}
	}
	if secure.Clients == InfoFirst && (secure.Balancer != "passthrough" || secure.Servers == TLSFirst) {
		advice = append(advice, first)
	}
	return append(advice, clientAdvice(t)...)
}
