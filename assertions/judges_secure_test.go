package assertions

import (
	"testing"
)

func secured(servers string) Terms {
	t := threeNodes()
	t.Topology = "clients-behind-lb"
	t.Security = Security{Clients: servers, Servers: servers, Balancer: "passthrough", Verified: true, Auth: "mtls"}
	return t
}

// ending is a balancer that ends TLS, before clients and servers that begin in those ways.
func ending(how, clients, servers string) Terms {
	t := secured(servers)
	t.Security.Balancer, t.Security.Clients = how, clients
	t.Settings["tls"] = how
	return t
}

func print(p string) func(*Event) { return func(e *Event) { e.What = p } }

func shows(at float64) Event {
	return on(at, Client, "presented", how("CN=acc0"), account("ACC0"), print("aa"))
}

func believed(at float64, nth int) Event {
	return on(at, Server, "identified", node("n1"), seq(nth), how("CN=acc0"), account("ACC0"), print("aa"), peer("CN=acc0"))
}

func refusal(at float64) Event {
	return on(at, Client, "distrusted", how("certificate"), why("certificate signed by unknown authority"))
}

func never(at float64) Event {
	return on(at, Client, "unconnected", why("timeout after 2s waiting for INFO"))
}

func TestTLSConnects(t *testing.T) {
	quick := line(on(1, Client, "greeted", how("TLS 1.3"), peer("n1"), took(0.1)), on(1, Client, "greeted", how("TLS 1.3"), peer("n2"), took(0.1)))
	judgeAll(t, "tls/connects", []judged{
		{name: "all are in", terms: secured(InfoFirst), events: quick, want: Safe,
			got: "2 connects by TLS, INFO first, the slowest in 100ms; shown: n1 by TLS 1.3, n2 by TLS 1.3"},
		{name: "both wait for each other", terms: ending("terminate", InfoFirst, InTheClear), events: line(on(1, Client, "ungreeted", why("timeout after 2s waiting for INFO"))), control: quick,
			want: Unsafe, got: "1 of 1 connect by TLS, INFO first failed: timeout after 2s waiting for INFO", measured: map[string]float64{"failed": 1}},
		{name: "what should be encrypted is not", terms: secured(TLSFirst), events: line(on(1, Client, "greeted", took(0.1)), quick[0]), control: quick, want: Unsafe,
			got: "1 of 2 connects were not encrypted", measured: map[string]float64{"unencrypted": 1}},
		{name: "a balancer that hesitates", terms: secured(TLSFirst), events: line(on(1, Client, "greeted", how("TLS 1.3"), took(3))), control: quick, want: Risky,
			got: "a connect by TLS, TLS first took 3s (control 100ms)"},
		{name: "nobody tried", terms: secured(InfoFirst), want: Skipped, got: "nobody connected"},
	})
}

func TestIdentityArrives(t *testing.T) {
	balancer := on(1, Server, "identified", node("n2"), how("CN=acc0"), account("ACC0"), print("bb"), peer("CN=lbtest-balancer"))
	judgeAll(t, "tls/identity-arrives", []judged{
		{name: "its own", terms: secured(InfoFirst), events: line(shows(0.5), believed(1, 0)), want: Safe,
			got: "n1 saw the client's own certificate (CN=acc0) and user CN=acc0"},
		{name: "the balancer's", terms: ending("re-encrypt-mtls", TLSFirst, TLSFirst), events: line(shows(0.5), balancer), want: Unsafe,
			got: "n2 saw the certificate of CN=lbtest-balancer"},
		{name: "none", terms: secured(InfoFirst), events: line(shows(0.5), on(1, Server, "identified", node("n2"), how("CN=acc0"), account("ACC0"))), want: Unsafe,
			got: "n2 saw no certificate of a client's"},
		{name: "somebody else", terms: secured(InfoFirst), events: line(shows(0.5), on(1, Server, "identified", node("n2"), how("CN=js"), account("JS"), print("aa"))), want: Unsafe,
			got: "n2 saw user CN=js in place of CN=acc0"},
		{name: "another account", terms: secured(InfoFirst), events: line(shows(0.5), on(1, Server, "identified", node("n2"), how("CN=acc0"), account("JS"), print("aa"))), want: Unsafe,
			got: "n2 saw account JS in place of ACC0"},
		{name: "nobody connects", terms: secured(InfoFirst), events: line(shows(0.5), never(3)), want: Unsafe,
			got: "no client got through, so nobody was seen: timeout after 2s waiting for INFO"},
		{name: "nobody was asked", terms: secured(InfoFirst), events: line(shows(0.5)), want: Skipped, got: "no server was asked whom it saw"},
		{name: "nothing was presented", terms: secured(InfoFirst), events: line(on(0.5, Client, "presented", how("acc0")), believed(1, 0)), want: Skipped,
			got: "the client had no certificate to present"},
	})
}

func TestIdentitySurvives(t *testing.T) {
	other := on(2, Server, "identified", node("n3"), seq(1), how("CN=acc0"), account("ACC0"), print("bb"), peer("CN=lbtest-balancer"))
	judgeAll(t, "auth/identity-survives-reconnect", []judged{
		{name: "the same three times", terms: secured(InfoFirst), events: line(believed(1, 0), believed(2, 1), believed(3, 2), on(4, Client, "returned", many(2))), want: Safe,
			got: "user CN=acc0 before and after 2 reconnects"},
		{name: "another certificate the second time", terms: secured(InfoFirst), events: line(believed(1, 0), other), want: Unsafe,
			got: "after a reconnect n3 saw the certificate of CN=lbtest-balancer"},
		{name: "it never came back", terms: secured(InfoFirst), events: line(believed(1, 0), on(40, Client, "returned")), want: Unsafe,
			got: "the client was not back within 30s"},
		{name: "nobody connects", terms: secured(InfoFirst), events: line(shows(0.5), never(3)), want: Unsafe,
			got: "no client got through, so nobody was seen: timeout after 2s waiting for INFO"},
		{name: "a server was not asked", terms: secured(InfoFirst), events: line(believed(1, 0), believed(2, 1), on(4, Client, "returned", many(2))), want: Skipped,
			got: "no server was asked whom it saw after each reconnect"},
	})
}

func TestNameMatches(t *testing.T) {
	back := line(on(2, Client, "reconnected"), on(3, Client, "reconnected"), on(9, Client, "returned", many(2)))
	names := func(at float64, addr string) Event {
		return on(at, Client, "unreturned", dial(addr), how("certificate"), why("x509: certificate is valid for 10.0.0.1, not 10.0.0.2"))
	}
	judgeAll(t, "tls/name-matches-after-reconnect", []judged{
		{name: "every address", terms: secured(InfoFirst), events: back, want: Safe, got: "the client came back 2 times and believed what it was shown"},
		{name: "gossip leads to other certificates", terms: secured(InfoFirst), events: line(back, names(4, "10.0.0.2:4222"), names(5, "10.0.0.3:4222"), names(6, "10.0.0.2:4222")), want: Risky,
			got: "2 addresses that it knew let the client down: x509: certificate is valid for 10.0.0.1, not 10.0.0.2", measured: map[string]float64{"addresses_refused": 2}},
		{name: "and to nothing else", terms: secured(InfoFirst), events: line(names(4, "10.0.0.2:4222"), on(40, Client, "returned")), want: Unsafe,
			got: "1 address that it knew let the client down: x509: certificate is valid for 10.0.0.1, not 10.0.0.2; it never came back"},
		{name: "an address that is refused is no matter of TLS", terms: secured(InfoFirst), events: line(back, on(4, Client, "unreturned", why("connection refused"))), want: Safe,
			got: "the client came back 2 times and believed what it was shown"},
		{name: "nobody connects", terms: secured(InfoFirst), events: line(never(3)), want: Unsafe,
			got: "no client got through, so nobody was seen: timeout after 2s waiting for INFO"},
		{name: "it was not back twice", terms: secured(InfoFirst), events: line(on(2, Client, "reconnected"), on(9, Client, "returned", many(1))), want: Skipped,
			got: "the client did not come back twice, and not for TLS's sake"},
	})
}

func TestRefusesWrongCA(t *testing.T) {
	three := line(refusal(1), refusal(2), refusal(3))
	judgeAll(t, "tls/refuses-wrong-ca", []judged{
		{name: "none believes", terms: secured(InfoFirst), events: line(three, refusal(4)), want: Safe, got: "4 clients that trust nobody were shown a certificate and did not believe it"},
		{name: "one believes", terms: secured(InfoFirst), events: line(three, on(4, Client, "believed", peer("n1"))), want: Unsafe,
			got: "1 of 4 clients that trust nobody connected all the same", measured: map[string]float64{"strangers_believed": 1}},
		{name: "no handshake came about", terms: secured(InfoFirst), events: line(three, on(4, Client, "distrusted", why("timeout after 2s waiting for INFO"))), want: Skipped,
			got: "no certificate was shown to a client that trusts nobody: timeout after 2s waiting for INFO"},
		{name: "too few", terms: secured(InfoFirst), events: three, want: Skipped, got: "not every client that trusts nobody was seen"},
	})
}

// What repairs a balancer that ends TLS depends on who begins.
func TestTLSAdvice(t *testing.T) {
	for _, c := range []struct {
		name      string
		terms     Terms
		set, nats string // what is advised, and can be tried
		client    bool   // whether clients are to begin with TLS
	}{
		{"terminated, ordinary clients", ending("terminate", InfoFirst, InTheClear), "tls=passthrough", "allow_non_tls=true", true},
		{"terminated, clients that begin", ending("terminate", TLSFirst, InTheClear), "tls=passthrough", "allow_non_tls=true", false},
		{"encrypted again before INFO-first servers", ending("re-encrypt", TLSFirst, InfoFirst), "tls=passthrough", "tls.handshake_first=true", false},
		{"encrypted again, ordinary clients", ending("re-encrypt", InfoFirst, TLSFirst), "tls=passthrough", "", true},
		{"passed through, ordinary clients before TLS-first servers", ending("passthrough", InfoFirst, TLSFirst), "", "tls.handshake_first=auto", true},
		{"passed through, TLS-first clients before ordinary servers", ending("passthrough", TLSFirst, InfoFirst), "", "tls.handshake_first=auto", false},
		{"passed through, either", ending("passthrough", TLSFirst, Either), "", "", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			var set, nats string
			client := false
			for _, a := range tlsAdvice(c.terms) {
				for k, v := range a.Set {
					set = k + "=" + v
				}
				for k, v := range a.Nats {
					nats = k + "=" + v
				}
				client = client || a.Target == "client"
			}
			if set != c.set || nats != c.nats || client != c.client {
				t.Errorf("set %q, nats %q, clients %v; want %q, %q, %v", set, nats, client, c.set, c.nats, c.client)
			}
		})
	}
}

// Without a balancer clients begin as the servers want it.
func TestDirectSecurity(t *testing.T) {
	for _, c := range []struct{ clients, servers, want string }{
		{InfoFirst, InTheClear, InTheClear}, {TLSFirst, InTheClear, InTheClear},
		{TLSFirst, InfoFirst, InfoFirst}, {InfoFirst, TLSFirst, TLSFirst},
		{TLSFirst, Either, TLSFirst}, {InfoFirst, Either, InfoFirst}, {InTheClear, Either, InfoFirst},
	} {
		got := Security{Clients: c.clients, Servers: c.servers, Balancer: "terminate"}.Direct()
		if got.Clients != c.want || got.Balancer != "passthrough" {
			t.Errorf("clients %q before servers %q: %+v, want %q", c.clients, c.servers, got, c.want)
		}
	}
}
