package assertions

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
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
		if advice := clientAdvice(terms); len(advice) != 1 || advice[0].Nats != nil {
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
