package assertions

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func info(i Info) func(*Event)        { return func(e *Event) { e.Info = &i } }
func shown(h Handshake) func(*Event)  { return func(e *Event) { e.TLS = &h } }
func callerOf(a string) func(*Event)  { return func(e *Event) { e.Caller = a } }
func whatOf(w string) func(*Event)    { return func(e *Event) { e.What = w } }
func reachedAt(a string) func(*Event) { return func(e *Event) { e.Dial, e.Addr = "lb:4222", a } }

// visited is an endpoint as it should be: one address, two servers, TLS, everything answered.
func visited() []Event {
	const at = "192.0.2.1:4222"
	var all []any
	all = append(all,
		on(0, Client, "resolved", reachedAt(at)),
		on(0.01, Client, "dialled", reachedAt(at), took(0.01)),
		on(0.02, Client, "greeting", reachedAt(at), how(listened), took(0.01), callerOf("198.51.100.7:1"), info(Info{ID: "ID-n1", Name: "n1", Version: "2.15.2", TLSRequired: true})),
		on(0.03, Client, "secured", reachedAt(at), shown(Handshake{Version: "TLS 1.3", Subject: "CN=lb", Expires: time.Date(2030, 1, 2, 0, 0, 0, 0, time.UTC), Left: 90 * 24 * time.Hour})),
		on(0.3, Client, "advertised", addr("lb:4222"), how("own")))
	for i := range 12 {
		name := []string{"n1", "n2"}[i%2]
		all = append(all, on(0.1, Client, "greeted", seq(i), took(0.05), node(name), peer("ID-"+name), callerOf("198.51.100.7:2"), info(Info{ID: "ID-" + name, Name: name, Version: "2.15.2", Cluster: "C", ClientIP: "198.51.100.7"})))
	}
	for i := range 20 {
		all = append(all, on(0.5, Client, "answered", seq(i), took(0.02), node("n1"), peer("n2")))
	}
	all = append(all, on(0.6, Client, "echoed", whatOf("every byte")), on(0.6, Client, "echoed", whatOf("nothing")))
	return line(all...)
}

// changed is a timeline in which events of one kind are other.
func changed(events []Event, kind string, change ...func(*Event)) []Event {
	var all []Event
	for _, e := range events {
		if e.Kind == kind {
			for _, c := range change {
				c(&e)
			}
		}
		all = append(all, e)
	}
	return all
}

func kinds(k string) func(*Event) { return func(e *Event) { e.Kind = k } }

func checkOf(t *testing.T, name string) Check {
	t.Helper()
	for _, c := range Checks() {
		if c.Name == name {
			return c
		}
	}
	t.Fatalf("no check %s", name)
	return Check{}
}

func TestAnEndpointIsJudgedByWhatWasSeen(t *testing.T) {
	atDoor := func(more ...Event) []Event {
		return line(on(0, Client, "resolved", reachedAt("192.0.2.1:4222")), on(0.01, Client, "dialled", reachedAt("192.0.2.1:4222"), took(0.01)), more)
	}
	greetingOf := func(manner, why string, more ...func(*Event)) Event {
		return on(2, Client, "greeting", append([]func(*Event){reachedAt("192.0.2.1:4222"), how(manner), callerOf("198.51.100.7:1"), func(e *Event) { e.Why = why }}, more...)...)
	}
	server := info(Info{ID: "A", Name: "n1"})
	for _, c := range []struct {
		name   string
		check  string
		events []Event
		want   Verdict
		says   string
	}{
		{"all is well", "client/connects", visited(), Safe, "12 connects, the slowest in 50ms"},
		{"nothing was seen", "client/connects", nil, Skipped, "no address was tried"},
		{"no name", "client/connects", line(on(0, Client, "unresolved", dial("lb:4222"), why("no such host"))), Skipped, "lb:4222 has no address: no such host"},
		{"refused", "client/connects", line(on(0, Client, "undialled", reachedAt("192.0.2.1:4222"), why("connection refused"))), Unsafe, "no connection: 192.0.2.1:4222: connection refused"},
		{"one address of two", "client/connects", line(visited(), on(0, Client, "undialled", reachedAt("192.0.2.2:4222"), why("no answer to the TCP connect"))), Risky,
			"12 connects, the slowest in 50ms; but 192.0.2.2:4222: no answer to the TCP connect"},
		{"one connect of twelve fails", "client/connects", line(visited(), on(1, Client, "ungreeted", why("end of file at once"))), Unsafe, "1 of 13 connects failed: end of file at once"},
		{"slow beyond what the way takes", "client/connects", changed(visited(), "greeted", took(0.7)), Risky, "a connect took 700ms, of which the way explains 60ms"},
		{"slow because it is far", "client/connects", changed(changed(visited(), "greeted", took(0.9)), "dialled", took(0.15)), Safe, "12 connects, the slowest in 900ms"},
		{"nobody is let in", "client/connects", changed(visited(), "greeted", kinds("ungreeted"), how(notLetIn), why("nats: Authorization Violation")), Skipped, "the servers let nobody in (nats: Authorization Violation)"},
		{"some are not let in", "client/connects", line(visited(), on(1, Client, "ungreeted", how(notLetIn), why("nats: Authorization Violation"))), Unsafe, "1 of 13 connects failed"},
		{"it waits for the client", "client/connects", atDoor(greetingOf(listened, "nothing came within 5s"), greetingOf(spokeUp, "", server)), Unsafe, "it waits for the client to speak first"},
		{"TLS first", "client/connects", atDoor(greetingOf(listened, "nothing came within 5s"), greetingOf(tlsFirst, "", server, shown(Handshake{}))), Unsafe, "it speaks only after a TLS handshake"},
		{"TLS and no NATS", "client/connects", atDoor(greetingOf(listened, "nothing came within 5s"), greetingOf(tlsFirst, "it speaks HTTP (HTTP/1.1 400)", shown(Handshake{}))), Unsafe, "there is TLS, but no NATS behind it: it speaks HTTP (HTTP/1.1 400)"},
		{"asked with TLS first, and no TLS", "client/connects", atDoor(greetingOf(tlsFirst, "it does not speak TLS (INFO)")), Unsafe, "no NATS after TLS: it does not speak TLS (INFO)"},
		{"HTTP", "client/connects", atDoor(greetingOf(listened, "nothing came within 5s"), greetingOf(spokeUp, "it speaks HTTP (HTTP/1.1 400)")), Unsafe, "no NATS server greeted: nothing came within 5s; spoken to, it speaks HTTP (HTTP/1.1 400)"},

		{"at once", "inspection/first-bytes-pass", visited(), Safe, "the server's first line came within 10ms"},
		{"no greeting", "inspection/first-bytes-pass", atDoor(greetingOf(listened, "nothing")), Skipped, "no server greeted"},
		{"late", "inspection/first-bytes-pass", changed(visited(), "greeting", took(1)), Risky, "the server's first line came after 1s"},
		{"too late", "inspection/first-bytes-pass", changed(visited(), "greeting", took(3)), Unsafe, "came after 3s; nats.go gives up after 2s"},
		{"after the client", "inspection/first-bytes-pass", atDoor(greetingOf(listened, "nothing"), greetingOf(spokeUp, "", server)), Unsafe, "nothing came until the tester spoke"},
		{"after TLS", "inspection/first-bytes-pass", atDoor(greetingOf(listened, "nothing"), greetingOf(tlsFirst, "", server)), Skipped, "--tlsfirst"},

		{"a good certificate", "tls/connects", visited(), Safe, "TLS 1.3, the certificate of CN=lb is valid until 2030-01-02"},
		{"no TLS", "tls/connects", without(visited(), "secured"), Skipped, "there is no TLS"},
		{"another's", "tls/connects", changed(visited(), "secured", shown(Handshake{Subject: "CN=x", Untrusted: "unknown authority"})), Unsafe, "the certificate of CN=x does not verify: unknown authority"},
		{"an old one", "tls/connects", changed(visited(), "secured", shown(Handshake{Subject: "CN=x", Left: 49 * time.Hour})), Risky, "the certificate of CN=x expires in 2 days"},
		{"no handshake", "tls/connects", changed(visited(), "secured", kinds("unsecured"), why("EOF"), func(e *Event) { e.TLS = nil }), Unsafe, "the handshake fails: EOF"},

		{"two servers", "client/spread-over-nodes", visited(), Safe, "12 connections led to 2 servers, 6 to one at the most"},
		{"one of a cluster", "client/spread-over-nodes", changed(visited(), "greeted", peer("A"), node("n1")), Risky, "all 12 connections led to n1, one server of cluster C"},
		{"a node", "client/spread-over-nodes", line(changed(visited(), "greeted", peer("A"), node("n1")), on(1, Client, "advertised", addr("b:4222"), how("reachable"))), Skipped, "server n1 itself"},
		{"alone", "client/spread-over-nodes", changed(visited(), "greeted", peer("A"), info(Info{ID: "A"})), Skipped, "nothing says that there are others"},
		{"askew", "client/spread-over-nodes", line(changed(visited(), "greeted", peer("A")), on(1, Client, "greeted", peer("B"), info(Info{}))), Risky, "12 of 13 connections led to one of 2 servers"},
		{"nobody", "client/spread-over-nodes", without(visited(), "greeted"), Skipped, nobodyIn},

		{"our own", "proxy/address-arrives", visited(), Safe, "the client's own address in 12 connections"},
		{"another's address", "proxy/address-arrives", changed(visited(), "greeted", info(Info{ClientIP: "10.0.0.1"})), Risky, "servers see 10.0.0.1 in the place of 198.51.100.7"},
		{"not told", "proxy/address-arrives", changed(visited(), "greeted", info(Info{})), Skipped, "tells no client address"},
		{"nobody's", "proxy/address-arrives", without(visited(), "greeted"), Skipped, nobodyIn},

		{"this endpoint", "client/stays-behind-lb", visited(), Safe, "servers advertise this endpoint alone: lb:4222"},
		{"nothing", "client/stays-behind-lb", without(visited(), "advertised"), Safe, "servers advertise no address"},
		{"others", "client/stays-behind-lb", line(visited(), on(1, Client, "advertised", addr("n1:4222"), how("reachable")), on(1, Client, "advertised", addr("10.0.0.2:4222"), how("unreachable"), whatOf("private"), why("no answer to the TCP connect"))), Risky,
			"leave the balancer for n1:4222; clients that reconnect try in vain 10.0.0.2:4222 (private; no answer to the TCP connect)"},
		{"a node among nodes", "client/stays-behind-lb", line(changed(visited(), "greeted", peer("A")), on(1, Client, "advertised", addr("n1:4222"), how("reachable"))), Skipped, "no balancer that could be passed"},
		{"to nobody", "client/stays-behind-lb", without(visited(), "greeted"), Skipped, nobodyIn},

		{"answers", "request/answered", visited(), Safe, "20 requests answered, the median in 20ms, the slowest in 20ms"},
		{"one lost", "request/answered", line(visited(), on(1, Client, "unanswered", why("nats: timeout"))), Unsafe, "1 of 21 requests unanswered: nats: timeout"},
		{"one slow", "request/answered", line(visited(), on(1, Client, "answered", took(0.9))), Risky, "an answer took 900ms"},
		{"forbidden", "request/answered", line(without(visited(), "answered"), on(1, Client, "unanswered"), on(1, Client, "complained", why("nats: permissions violation: x"))), Skipped, "may not use inboxes"},
		{"none", "request/answered", without(visited(), "answered"), Skipped, nobodyIn},

		{"all back", "inspection/payloads-pass", visited(), Safe, "2 payloads came back"},
		{"one gone", "inspection/payloads-pass", line(visited(), on(1, Client, "unechoed", whatOf("an HTTP request"), why("nats: timeout"), how("cut"))), Unsafe, "an HTTP request (nats: timeout; the connection was ended)"},
		{"none sent", "inspection/payloads-pass", without(visited(), "echoed"), Skipped, "nothing could be sent around"},
	} {
		t.Run(c.check+"/"+c.name, func(t *testing.T) {
			found := checkOf(t, c.check).Judge(History{Events: c.events})
			if len(found) != 1 || found[0].Verdict != c.want || !strings.Contains(found[0].Got, c.says) {
				t.Errorf("got %+v, want %s: %s", found, c.want, c.says)
			}
		})
	}
}

func TestWhatIsMissingIsNotSafeAtAnEndpoint(t *testing.T) {
	for _, c := range Checks() {
		if v := c.Judge(History{})[0].Verdict; v != Skipped {
			t.Errorf("%s is %s where nothing was seen", c.Name, v)
		}
	}
	for check, needs := range map[string][]string{"client/connects": {"dialled", "greeted"}, "inspection/first-bytes-pass": {"greeting"}, "tls/connects": {"secured"},
		"client/spread-over-nodes": {"greeted"}, "proxy/address-arrives": {"greeted"}, "client/stays-behind-lb": {"greeted"}, "request/answered": {"answered"}, "inspection/payloads-pass": {"echoed"}} {
		for _, kind := range needs {
			if f := checkOf(t, check).Judge(History{Events: without(visited(), kind)})[0]; f.Verdict == Safe {
				t.Errorf("%s is safe without any %s: %s", check, kind, f.Got)
			}
		}
	}
}

func TestFactsAreTold(t *testing.T) {
	want := []Fact{
		{"addresses", "192.0.2.1:4222 connects in 10ms"},
		{"first line", "INFO to a silent client in 10ms"},
		{"servers", "n1 (2.15.2) 6, n2 (2.15.2) 6 of 12 connections"},
		{"TLS", "TLS 1.3 after the first line, passed through to the server"},
		{"certificate", "CN=lb for , by , until 2030-01-02"},
		{"client address", "the server sees our own, 198.51.100.7"},
		{"advertised", "lb:4222 (this endpoint)"},
		{"request-reply", "20 answers, the median in 20ms, from n1 to n2"},
		{"limits", "messages up to 0 bytes"},
	}
	if d := cmp.Diff(want, Facts(History{Events: visited()})); d != "" {
		t.Errorf("want -, got +:\n%s", d)
	}
	if got := Facts(History{}); len(got) > 0 {
		t.Errorf("facts about nothing: %v", got)
	}
}

func TestWhatTakesALabIsSkippedWithTheReason(t *testing.T) {
	for _, u := range LabOnly(Checks()) {
		if u.Name == "" || u.Promise == "" || u.Why == "" {
			t.Errorf("%+v", u)
		}
		if strings.HasPrefix(u.Name, "routes/") {
			t.Errorf("%s is no matter of clients", u.Name)
		}
	}
}
