package assertions

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
)

// applications are terms of clients with nats.go's defaults.
func applications() Terms {
	t := threeNodes()
	t.Topology, t.Links, t.Fronts, t.ClientTimeout = "clients-behind-lb", []string{"clients"}, "shared", 2*time.Second
	return t
}

func asked(t Terms, setting, value string) Terms {
	t.Settings = map[string]string{setting: value}
	return t
}

func informed(after float64) Event { return on(1+after, Client, "informed", took(after)) }
func uninformed(text string) Event { return on(8, Client, "uninformed", why(text)) }

func TestFirstBytesPass(t *testing.T) {
	waits := asked(applications(), "inspection", "client-first")
	patient := waits
	patient.ClientTimeout = 10 * time.Second
	control := line(informed(0.005), informed(0.01))
	judgeAll(t, "inspection/first-bytes-pass", []judged{
		{name: "at once", terms: waits, events: line(informed(0.01), informed(0.02)), control: control,
			want: Safe, got: "INFO came within 20ms", measured: map[string]float64{"connects": 2, "failed": 0, "info_after": 0.02}},
		{name: "the control is its own reference", terms: applications(), events: line(informed(1)), want: Safe, got: "INFO came within 1s"},
		{name: "half a second more is no cost", terms: waits, events: line(informed(0.51)), control: control, want: Safe, got: "INFO came within 510ms"},
		{name: "more than that is, and marginal", terms: waits, events: line(informed(0.511)), control: control, marginal: true,
			want: Risky, got: "INFO came after 511ms (control 10ms), of the 2s that a client gives it"},
		{name: "one that is slow is enough", terms: waits, events: line(informed(0.01), informed(1.3)), control: control,
			want: Risky, got: "INFO came after 1.3s (control 10ms), of the 2s that a client gives it"},
		{name: "just before the client gives up is marginal", terms: waits, events: line(informed(1.9)), control: control, marginal: true,
			want: Risky, got: "INFO came after 1.9s (control 10ms), of the 2s that a client gives it"},
		{name: "when the client has just given up", terms: waits, events: line(informed(2)), control: control, marginal: true,
			want: Unsafe, got: "INFO came after 2s, when a client that gives it 2s is gone"},
		{name: "long after the client has given up", terms: waits, events: line(informed(5)), control: control,
			want: Unsafe, got: "INFO came after 5s, when a client that gives it 2s is gone", measured: map[string]float64{"info_after": 5}},
		{name: "a client that waits longer", terms: patient, events: line(informed(5)), control: control,
			want: Risky, got: "INFO came after 5s (control 10ms), of the 10s that a client gives it"},
		{name: "one that hears nothing is enough", terms: waits, events: line(informed(0.01), uninformed("end of file after 5s")), control: control,
			want: Unsafe, got: "no INFO on 1 of 2 silent connections: end of file after 5s", measured: map[string]float64{"failed": 1}},
		{name: "nobody listened", terms: waits, control: control, want: Skipped, got: "nobody listened for the server's first bytes"},
	})
}

// presentedAs is a client that connects from 10.0.0.1:4000 and is known to its server by an address.
func presentedAs(n int, known string) []Event {
	own := func(e *Event) { e.Caller = "10.0.0.1:4000" }
	return line(on(1, Client, "presented", seq(n), node("n1"), own), on(1.1, Server, "known", seq(n), node("n1"), own, addr(known)))
}

func turnedAway(text string) Event { return on(1, Client, "turned-away", why(text)) }

func headerSent(at float64) Event {
	return on(at, Balancer, "applied", front("vip"), conn("c1"), why("proxy-protocol"))
}

func TestAddressArrives(t *testing.T) {
	expecting := asked(applications(), "proxy-protocol", "v2")
	expecting.ProxyProtocol = true
	begin := on(0.9, Balancer, "begin", conn("c1"), addr("10.0.0.9:700"), front("vip"))
	judgeAll(t, "proxy/address-arrives", []judged{
		{name: "their own", terms: expecting, events: line(begin, presentedAs(0, "10.0.0.1:4000"), presentedAs(1, "10.0.0.1:4000")),
			want: Safe, got: "the servers know 2 clients by their own addresses", measured: map[string]float64{"connects": 2, "failed": 0, "known_by_another_address": 0}},
		{name: "the balancer's, where nobody looks for another", terms: applications(), events: line(begin, presentedAs(0, "10.0.0.9:700")),
			want: Safe, got: "the servers know 1 of 1 client by the balancer's address, and were told to look for no other"},
		{name: "the balancer's, where headers are looked for", terms: expecting, events: line(begin, presentedAs(0, "10.0.0.9:700"), presentedAs(1, "10.0.0.1:4000")),
			want: Unsafe, got: "the servers look for PROXY headers and know 1 of 2 clients by the balancer's address", measured: map[string]float64{"known_by_another_address": 1}},
		{name: "somebody else's", terms: expecting, events: line(begin, presentedAs(0, "10.0.0.77:9")),
			want: Unsafe, got: "the servers look for PROXY headers and know 1 of 1 client by an address that is neither theirs nor the balancer's"},
		{name: "the right address and a wrong port", terms: expecting, events: line(begin, presentedAs(0, "10.0.0.1:4001")),
			want: Unsafe, got: "the servers look for PROXY headers and know 1 of 1 client by an address that is neither theirs nor the balancer's"},
		{name: "a client that never got in has no address", terms: expecting, events: line(begin, presentedAs(0, "10.0.0.1:4000"), turnedAway("end of file at once")),
			want: Unsafe, got: "1 of 2 clients never got as far as having an address: end of file at once", measured: map[string]float64{"failed": 1}},
		{name: "a client that nobody looked up", terms: expecting, events: line(begin, presentedAs(0, "10.0.0.1:4000"), presentedAs(1, "")[:1]),
			want: Skipped, got: "not every client was found at its server"},
		{name: "nobody", terms: expecting, want: Skipped, got: "nobody connected"},
	})
}

func TestHeaderUnderstood(t *testing.T) {
	v2 := asked(applications(), "proxy-protocol", "v2")
	judgeAll(t, "proxy/header-understood", []judged{
		{name: "a header that is read", terms: v2, events: line(headerSent(0.9), presentedAs(0, "10.0.0.1:4000")),
			want: Safe, got: "1 client got in behind a v2 header each", measured: map[string]float64{"connects": 1, "failed": 0}},
		{name: "no header", terms: applications(), events: line(presentedAs(0, "10.0.0.9:700")), want: Safe, got: "no header was sent, and 1 client got in"},
		{name: "a header on the tester's own connection is no client's", terms: v2,
			events: line(on(0.9, Balancer, "applied", front(CanaryFront), why("proxy-protocol")), presentedAs(0, "10.0.0.9:700")),
			want:   Skipped, got: "nobody saw the balancer send a header"},
		{name: "a server knows what only a header can tell", terms: v2, events: line(presentedAs(0, "10.0.0.1:4000")), want: Safe, got: "1 client got in behind a v2 header each"},
		{name: "a header that is not read", terms: v2, events: line(headerSent(0.9), turnedAway("nats: Authorization Violation"), on(1.2, Server, "objected", node("n1"), func(e *Event) { e.What = "authentication error" })),
			want: Unsafe, got: "the servers turned away 1 of 1 client: nats: Authorization Violation; the server's log: authentication error", measured: map[string]float64{"failed": 1}},
		{name: "a server whose log cannot be read", terms: v2, events: line(headerSent(0.9), turnedAway("end of file at once"), presentedAs(0, "10.0.0.1:4000")),
			want: Unsafe, got: "the servers turned away 1 of 2 clients: end of file at once"},
		{name: "nobody", terms: v2, events: line(headerSent(0.9)), want: Skipped, got: "nobody connected"},
	})
}

// leftAlone is servers that are watched, with what is found in them then.
func leftAlone(watched float64, found ...Event) []Event {
	all := []Event{on(1, Lab, "watch-begin"), on(1+watched, Lab, "watch-end")}
	for i, n := range threeNodes().Nodes {
		all = append(all, on(1+watched, Server, "searched", node(n)))
		if i == 0 {
			all = append(all, found...)
		}
	}
	return line(all)
}

func TestServerLogQuiet(t *testing.T) {
	checked := asked(applications(), "health-check", "connect")
	checked.Check = 2 * time.Second
	says := func(what string) Event {
		return on(9, Server, "logged", node("n1"), func(e *Event) { e.How, e.What = "WRN", what })
	}
	phantom := on(9, Server, "phantom", node("n1"))
	quiet := leftAlone(2)
	judgeAll(t, "health/server-log-quiet", []judged{
		{name: "nothing at all", terms: checked, events: leftAlone(6), control: quiet,
			want: Safe, got: "no complaint in the servers' logs, and no connection that no client made, in 6s", measured: map[string]float64{"complaints_per_minute": 0, "phantoms_per_minute": 0, "watched": 6}},
		{name: "what a server says of its own", terms: checked, events: leftAlone(6, says("a"), says("b")), control: quiet,
			want: Safe, got: "no complaint in the servers' logs, and no connection that no client made, in 6s", measured: map[string]float64{"complaints_per_minute": 20}},
		{name: "a line a check", terms: checked, events: leftAlone(6, says("handshake error"), says("b"), says("c")), control: quiet,
			want: Risky, got: "30 complaints a minute in the servers' logs (control 0), such as: handshake error"},
		{name: "servers that talk as much behind nothing", terms: checked, events: leftAlone(6, says("a"), says("b"), says("c")), control: leftAlone(2, says("a")),
			want: Safe, got: "no complaint in the servers' logs, and no connection that no client made, in 6s"},
		{name: "a connection a check", terms: checked, events: leftAlone(6, phantom, phantom, phantom), control: quiet,
			want: Risky, got: "30 connections a minute that no client made, counted and listed as closed", measured: map[string]float64{"phantoms_per_minute": 30}},
		{name: "both", terms: checked, events: leftAlone(6, says("a"), says("b"), says("c"), phantom), control: quiet,
			want: Risky, got: "30 complaints a minute in the servers' logs (control 0), such as: a; 10 connections a minute that no client made, counted and listed as closed"},
		{name: "too short a watch for the checks", terms: checked, events: leftAlone(5), control: quiet,
			want: Skipped, got: "the servers were not watched for as long as 3 checks of each"},
		{name: "a server that was not searched", terms: checked, events: leftAlone(6)[:4], control: quiet, want: Skipped, got: "the log of a server was not read"},
		{name: "a control that was not watched", terms: checked, events: leftAlone(6), control: []Event{}, want: Skipped, got: "the control's logs were not watched"},
		{name: "nothing", terms: checked, control: quiet, want: Skipped, got: "nobody watched the servers' logs"},
	})
}

// forgeries is whom each server took a forger for, "nobody" if it turned the forger away.
func forgeries(taken ...string) []Event {
	var all []Event
	for i, whom := range taken {
		n := node(threeNodes().Nodes[i])
		if whom == "nobody" {
			all = append(all, on(1, Client, "unmasked", n, why("end of file at once")))
		} else {
			all = append(all, on(1, Server, "taken-for", n, addr(whom)))
		}
	}
	return line(all)
}

func TestNotForgeable(t *testing.T) {
	open := asked(applications(), "bypass", "open")
	judgeAll(t, "proxy/not-forgeable", []judged{
		{name: "turned away by all", terms: open, events: forgeries("nobody", "nobody", "nobody"),
			want: Safe, got: "no server believed a PROXY header from a client that came past the balancer", measured: map[string]float64{"servers_deceived": 0}},
		{name: "known for whom it is", terms: open, events: forgeries("10.0.0.1:4000", "nobody", "10.0.0.1:4001"),
			want: Safe, got: "no server believed a PROXY header from a client that came past the balancer"},
		{name: "believed by one", terms: open, events: forgeries("nobody", claimed, "nobody"),
			want: Risky, got: "1 of 3 servers believed a PROXY header from a client that came past the balancer", measured: map[string]float64{"servers_deceived": 1}},
		{name: "believed, where nobody comes past the balancer", terms: asked(applications(), "bypass", "refused"), events: forgeries(claimed, claimed, claimed),
			want: Skipped, got: "judged with bypass=open only: here nobody but the balancer can reach the nodes"},
		{name: "a server that was not tried", terms: open, events: forgeries("nobody", "nobody"), want: Skipped, got: "not every server was tried"},
	})
}

func TestAServersLogIsReadFromItsPlaceOn(t *testing.T) {
	n := Node{Name: "n1", Log: filepath.Join(t.TempDir(), "log")}
	if _, err := logPlace(n); err == nil {
		t.Error("a log that is not there has no place")
	}
	before := "2026/11/22 21:00:00.000001 [INF] Server is ready\n"
	if err := os.WriteFile(n.Log, []byte(before), 0o600); err != nil {
		t.Fatal(err)
	}
	place, err := logPlace(n)
	if err != nil || place != int64(len(before)) {
		t.Fatalf("the log ends at %d, %v", place, err)
	}
	if err := os.WriteFile(n.Log, []byte(before+`2026/11/22 21:00:01.000001 [ERR] 127.0.0.1:41234 - cid:7 - authentication error
[17] 2026/11/22 21:00:02.000001 [WRN] Error reading PROXY protocol header from 127.0.0.1:41234: EOF
2026/11/22 21:00:03.000001 [INF] 10.0.0.1:6222 - rid:9 - "n2" - Router connection closed: Client Closed
panic: oh
`), 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := logSince(n, place)
	if err != nil {
		t.Fatal(err)
	}
	want := []logged{{"ERR", "authentication error"}, {"WRN", "Error reading PROXY protocol header from 127.0.0.1: EOF"}, {"INF", "Router connection closed: Client Closed"}, {"", "panic: oh"}}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestWhatHelpsClientsToConnectIsWhatWasNotDone(t *testing.T) {
	if advice := clientAdvice(asked(applications(), "inspection", "client-first")); len(advice) != 2 || advice[0].Set["inspection"] != "none" {
		t.Errorf("against an inspection: %+v", advice)
	}
	v2 := asked(applications(), "proxy-protocol", "v2")
	if advice := clientAdvice(v2); len(advice) != 2 || advice[0].Nats["proxy_protocol"] != "true" || advice[1].Set["proxy-protocol"] != "off" {
		t.Errorf("against a header that nobody expects: %+v", advice)
	}
	v2.ProxyProtocol = true
	doubled := asked(applications(), "proxy-protocol", "doubled")
	for _, terms := range []Terms{v2, doubled} {
		if advice := clientAdvice(terms); advice[len(advice)-1].Set["proxy-protocol"] != "off" || advice[0].Set == nil {
			t.Errorf("a server that reads a header already, or two headers, want none less: %+v", advice)
		}
	}
	if advice := clientAdvice(applications()); len(advice) != 0 {
		t.Errorf("against nothing: %+v", advice)
	}
}

func TestAFailedConnectIsToldInTheSameWordsEachTime(t *testing.T) {
	op := func(what string, err error) error {
		end := func(port int) *net.TCPAddr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: port} }
		return &net.OpError{Op: what, Net: "tcp", Source: end(43210), Addr: end(4222), Err: err}
	}
	for _, c := range []struct {
		err  error
		want string
	}{
		{nats.ErrTimeout, "timeout after 2s waiting for INFO"},
		{op("read", os.ErrDeadlineExceeded), "timeout after 2s waiting for INFO"},
		{io.EOF, "end of file after 2s"},
		{op("read", syscall.ECONNRESET), "connection reset after 2s"},
		{op("write", syscall.EPIPE), "connection reset after 2s"},
		{op("dial", syscall.ECONNREFUSED), "connection refused"},
		{nats.ErrNoServers, "connection refused"},
		{op("dial", errors.New("no route to host")), "no route to host"},
		{fmt.Errorf("connecting x: %w", nats.ErrAuthorization), "connecting x: nats: authorization violation"},
	} {
		if got := words(c.err, 2*time.Second); got != c.want {
			t.Errorf("%v: %q, want %q", c.err, got, c.want)
		}
	}
}

func TestACheckThatSaysNothingIsNotTakenForTheCanary(t *testing.T) {
	l, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	check, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	check.Close()
	n := build(t.Context(), &Canary{Backend: l, Knock: []byte("knock\n")})
	defer n.leave()
	near, far, err := n.pair(t.Context(), l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer near.Close()
	defer far.Close()
	if _, err := near.Write([]byte{'!'}); err != nil {
		t.Fatal(err)
	}
	heard := make([]byte, 1)
	if _, err := io.ReadFull(far, heard); err != nil || !slices.Equal(heard, []byte{'!'}) {
		t.Errorf("what the near end said arrived as %q, %v", heard, err)
	}
}
