package suite

import (
	"context"
	"strings"
	"testing"

	"github.com/lbtest/lbtest/assertions"
	"github.com/lbtest/lbtest/topologies/embedded"
)

// What NATS was seen to do where a balancer passes TLS on, or ends it.
func init() {
	const first = "tls-first=true"
	for _, r := range []row{
		{name: "passthrough keeps everything", set: "tls=passthrough", nats: "tls.verify_and_map=true", want: isSafe, long: true},
		{name: "termination, ordinary clients: 2 s", long: true, set: "tls=terminate", want: isUnsafe, by: "tls/connects", says: "timeout after 2"},

		{name: "passthrough keeps certificates", set: "tls=passthrough", nats: "tls.verify_and_map=true", want: isSafe, by: "tls/identity-arrives", says: "CN=acc0"},
		{name: "passthrough of a server that lets either come first, ordinary clients", assert: "tls/connects", set: "tls=passthrough", nats: "tls.handshake_first=auto", want: isSafe, long: true},
		{name: "passthrough of a server that lets either come first", assert: "tls/connects", set: "tls=passthrough", nats: "tls.handshake_first=auto", client: first, want: isSafe, long: true},
		{name: "passthrough, TLS first at both ends", assert: "tls/connects", set: "tls=passthrough", nats: "tls.handshake_first=true", client: first, want: isSafe, long: true},
		{name: "passthrough, TLS first at the servers only", set: "tls=passthrough", nats: "tls.handshake_first=true", want: isUnsafe, by: "tls/connects", says: "end of file after 2", long: true},
		{name: "passthrough, TLS first at the clients only", set: "tls=passthrough", client: first, want: isUnsafe, by: "tls/connects", says: "first record does not look like a TLS handshake", long: true},
		{name: "termination, TLS first: no secure connection available", set: "tls=terminate", client: first, want: isUnsafe, by: "tls/connects", says: "secure connection not available", long: true},
		{name: "termination before a server that allows both, TLS first", set: "tls=terminate", nats: "allow_non_tls=true", client: first, want: isSafe, by: "tls/connects", long: true},
		{name: "re-encryption to an INFO-first server, ordinary clients: 2 s", set: "tls=re-encrypt", want: isUnsafe, by: "tls/connects", says: "timeout after 2", long: true},
		{name: "re-encryption to an INFO-first server, TLS first: 2 s", set: "tls=re-encrypt", client: first, want: isUnsafe, by: "tls/connects", says: "timeout after 2", long: true},
		{name: "re-encryption to a TLS-first server, TLS first", assert: "tls/connects", set: "tls=re-encrypt", nats: "tls.handshake_first=true", client: first, want: isSafe, long: true},
		{name: "re-encryption takes the identity away", set: "tls=re-encrypt", nats: "tls.handshake_first=true tls.verify_and_map=true", client: first, want: isUnsafe, by: "tls/identity-arrives", long: true},
		{name: "a ClientHello is what an inspection wants", assert: "tls/connects", set: "inspection=tls-hello", nats: "tls.handshake_first=true", client: first, want: isSafe, long: true},
		{name: "INFO-first TLS begins without one", set: "inspection=tls-hello", nats: "tls.verify=true", want: isUnsafe, by: "tls/connects", long: true},
		{name: "plain and TLS alike wait for a balancer that waits", set: "inspection=client-first", nats: "tls.verify=true", want: isUnsafe, by: "tls/connects", says: "timeout after 2", long: true},

		{name: "who logs in by token stays who it is", set: "tls=passthrough", auth: "token", want: isSafe, by: "auth/identity-survives-reconnect", long: true},
		{name: "who logs in by nkey stays who it is", set: "tls=passthrough", auth: "nkey", want: isSafe, by: "auth/identity-survives-reconnect", long: true},
		{name: "who logs in by credentials stays who it is", set: "restart=crash", auth: "creds", want: isSafe, by: "auth/identity-survives-reconnect", long: true},
		{name: "who logs in by certificate stays who it is", set: "restart=crash", auth: "mtls", want: isSafe, by: "auth/identity-survives-reconnect", long: true},
		{name: "credentials survive a balancer that ends TLS", assert: "auth/identity-survives-reconnect", set: "tls=re-encrypt", nats: "tls.handshake_first=true", client: first, auth: "creds", want: isSafe, long: true},
	} {
		r.topology = "clients-behind-lb"
		more = append(more, r)
	}
}

// TestABelievingClientIsMissed lets clients that trust nobody connect all the same: no balancer is known that makes them.
func TestABelievingClientIsMissed(t *testing.T) {
	a := judgedBy(t, "tls/refuses-wrong-ca")
	h := watchedLab(t, "clients-behind-lb", "tls=passthrough", &assertions.Observation{Name: a.Observe.Name, Watch: func(ctx context.Context, target assertions.Target, rec *assertions.Recorder) error {
		target.TLS = target.TLS.Clone()
		target.TLS.InsecureSkipVerify = true
		return a.Observe.Watch(ctx, target, rec)
	}}, a)
	f := a.Judge(h.Of(a.Observe))[0]
	if want := "4 of 8 clients that trust nobody"; f.Verdict != assertions.Unsafe || !strings.HasPrefix(f.Got, want) {
		t.Errorf("got %s: %s; want unsafe: %s…", f.Verdict, f.Got, want)
	}
}

// What a configuration implies about TLS: the contract's rules.
func TestSecurity(t *testing.T) {
	for _, c := range []struct{ set, nats, client, auth, clients, servers, logins string }{
		{"frontends=shared", "", "", "", assertions.InTheClear, assertions.InTheClear, "password"},
		{"frontends=shared", "tls.timeout=3", "", "", assertions.InfoFirst, assertions.InfoFirst, "password"},
		{"frontends=shared", "tls.handshake_first=50ms", "tls-first=true", "", assertions.TLSFirst, assertions.Either, "password"},
		{"frontends=shared", "tls.verify_and_map=true", "", "", assertions.InfoFirst, assertions.InfoFirst, "mtls"},
		{"frontends=shared", "tls.verify_and_map=true", "", "nkey", assertions.InfoFirst, assertions.InfoFirst, "nkey"},
		{"frontends=shared", "", "", "mtls", assertions.InfoFirst, assertions.InfoFirst, "mtls"},
		{"frontends=shared", "allow_non_tls=true", "", "", assertions.InTheClear, assertions.InTheClear, "password"},
		{"tls=passthrough", "", "", "", assertions.InfoFirst, assertions.InfoFirst, "password"},
		{"tls=terminate", "", "", "", assertions.InfoFirst, assertions.InTheClear, "password"},
		{"tls=terminate", "allow_non_tls=true", "tls-first=true", "", assertions.TLSFirst, assertions.InfoFirst, "password"},
		{"tls=terminate", "tls.handshake_first=true", "", "", assertions.InfoFirst, assertions.TLSFirst, "password"},
		{"tls=re-encrypt", "", "tls-first=true", "", assertions.TLSFirst, assertions.InfoFirst, "password"},
		{"tls=re-encrypt-mtls", "tls.handshake_first=on", "", "token", assertions.InfoFirst, assertions.TLSFirst, "token"},
	} {
		s := row{topology: "clients-behind-lb", set: c.set, nats: c.nats, client: c.client, auth: c.auth}.scenario(t)
		got := s.security()
		if got.Clients != c.clients || got.Servers != c.servers || got.Auth != c.logins || s.skip != "" {
			t.Errorf("%s %s %s %s: %+v, skip %q", c.set, c.nats, c.client, c.auth, got, s.skip)
		}
	}
}

func TestTLSThatNobodySpeaksIsSkipped(t *testing.T) {
	for _, c := range []struct {
		r    row
		want string
	}{
		{row{topology: "clients-behind-lb", set: "frontends=shared", client: "tls-first=true"}, "nobody here would answer in TLS"},
		{row{set: "frontends=per-node", nats: "tls.verify=true"}, "no client link crosses the balancer"},
		{row{set: "frontends=per-node", auth: "nkey"}, "so nobody logs in through it"},
		{row{set: "tls=terminate"}, "routes have no TLS"},
		{row{set: "tls=passthrough"}, ""},
	} {
		if s := c.r.scenario(t); !strings.Contains(s.skip, c.want) || c.want == "" && s.skip != "" {
			t.Errorf("%+v: skip %q, want %q", c.r, s.skip, c.want)
		}
	}
}

func TestLoginsThatContradictTheServersAreRefused(t *testing.T) {
	for _, o := range []Options{{Auth: "kerberos"}, {Auth: "token", Nats: []string{"tls.verify_and_map=true"}}, {Auth: "password", Nats: []string{"tls.verify_and_map=true"}}} {
		o.Topologies, o.Set, o.Runtime = []string{"clients-behind-lb"}, []string{"frontends=shared"}, embedded.New(embedded.Options{})
		if _, err := NewPlan(o); err == nil || !strings.Contains(err.Error(), "--auth") {
			t.Errorf("--auth %s with %v: %v", o.Auth, o.Nats, err)
		}
	}
}
