package backend

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// standing is a stand-in until the test's end.
func standing(t *testing.T, listeners int) *Backend { return secured(t, listeners, Encryption{}) }

func secured(t *testing.T, listeners int, encrypted Encryption) *Backend {
	t.Helper()
	var addrs []string
	for range listeners {
		addrs = append(addrs, "127.0.0.1:0")
	}
	b, err := Listen(addrs, encrypted, nil)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var serving sync.WaitGroup
	serving.Go(func() {
		if err := b.Serve(ctx); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() {
		cancel()
		serving.Wait()
	})
	return b
}

// patience is thousands of times what any answer takes.
const patience = 30 * time.Second

// talker is a client by hand.
type talker struct {
	*testing.T
	net.Conn
	r *bufio.Reader
}

func dial(t *testing.T, addr string) talker {
	t.Helper()
	k := connect(t, addr)
	if line := k.line(); !strings.HasPrefix(line, `INFO {"server_id":"`) {
		t.Fatalf("greeted with %q", line)
	}
	return k
}

func connect(t *testing.T, addr string) talker {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	_ = c.SetDeadline(time.Now().Add(patience))
	return talker{t, c, bufio.NewReader(c)}
}

func (k talker) say(text string) {
	k.Helper()
	if _, err := io.WriteString(k.Conn, text); err != nil {
		k.Fatal(err)
	}
}

func (k talker) line() string {
	k.Helper()
	line, err := k.r.ReadString('\n')
	if err != nil {
		k.Fatal(err)
	}
	return line
}

func TestMessagesReachTheSubscribersOfEveryListener(t *testing.T) {
	b := standing(t, 2)
	one, two := dial(t, b.Addrs()[0]), dial(t, b.Addrs()[1])
	two.say("CONNECT {\"name\":\"two\",\"pass\":\"hidden\"}\r\nSUB inbox.> 7\r\nSUB other q 8\r\nPING\r\n")
	if got := two.line(); got != "PONG\r\n" {
		t.Fatalf("got %q", got)
	}
	one.say("PUB inbox.a reply 5\r\nhello\r\nHPUB inbox.b 12 14\r\nNATS/1.0\r\n\r\nhi\r\nPUB nobody 0\r\n\r\nPING\r\n")
	for _, want := range []string{"MSG inbox.a 7 reply 5\r\n", "hello\r\n", "HMSG inbox.b 7 12 14\r\n", "NATS/1.0\r\n", "\r\n", "hi\r\n"} {
		if got := two.line(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	two.say("UNSUB 7\r\nPING\r\n")
	two.line()
	one.say("PUB inbox.a 1\r\nx\r\nPING\r\n")
	one.line()
	one.line()
	two.say("PING\r\n")
	if got := two.line(); got != "PONG\r\n" {
		t.Errorf("after UNSUB: %q", got)
	}
}

func TestItTellsWhatItSaw(t *testing.T) {
	b := standing(t, 1)
	addr := b.Addrs()[0]
	quiet := dial(t, addr) // a health check
	quiet.Close()
	reset := dial(t, addr)
	_ = reset.Conn.(*net.TCPConn).SetLinger(0)
	reset.Close()
	web := dial(t, addr)
	web.say("GET / HTTP/1.1\r\n\r\n")
	if got := web.line(); !strings.HasPrefix(got, "-ERR 'Unknown Protocol Operation'") {
		t.Errorf("HTTP is answered with %q", got)
	}
	first := dial(t, addr)
	first.say("PROXY TCP4 192.0.2.1 192.0.2.2 12345 4222\r\nCONNECT {\"name\":\"app\",\"auth_token\":\"hidden\"}\r\nPING\r\n")
	first.line()
	second := dial(t, addr)
	second.say("\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c\xc0\x00\x02\x07\xc0\x00\x02\x02\x30\x39\x10\x7ePING\r\n")
	second.line()
	asker := dial(t, addr)
	asker.say("CONNECT {\"name\":\"asker\"}\r\nSUB me 1\r\n")
	type row struct{ First, Header, Name, End string }
	var got []row
	var answer []byte
	want := []row{{"", "", "", "fin"}, {"", "", "", "rst"}, {"HTTP", "", "", "closed"}, {"CONNECT", "v1 192.0.2.1:12345", "app", ""}, {"PING", "v2 192.0.2.7:12345", "", ""},
		{"CONNECT", "", "asker", ""}}
	for late := time.Now().Add(patience / 2); time.Now().Before(late); time.Sleep(time.Millisecond) { // until all ends have been seen
		asker.say("PUB " + Connections + " me 0\r\n\r\n")
		asker.line()
		answer = []byte(asker.line())
		var v View
		if err := json.Unmarshal(answer, &v); err != nil {
			t.Fatal(err)
		}
		got = nil
		for _, c := range v.Connections {
			got = append(got, row{c.First, c.Header, c.Name, c.End})
			if c.Server == "" || c.From == "" || c.Began <= 0 || c.End != "" && c.Ended <= 0 || c.Quiet < 0 {
				t.Errorf("%+v", c)
			}
		}
		if cmp.Equal(want, got) {
			break
		}
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("want -, got +:\n%s", d)
	}
	if bytes.Contains(answer, []byte("hidden")) {
		t.Error("a credential is repeated")
	}
}

// certified is TLS with a certificate that has just been made, and who believes in it.
func certified(t *testing.T) (server, client *tls.Config) {
	t.Helper()
	s := httptest.NewUnstartedServer(nil)
	s.StartTLS()
	defer s.Close()
	return &tls.Config{Certificates: s.TLS.Certificates}, &tls.Config{RootCAs: s.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs, ServerName: "example.com"}
}

// secure has a talker speak TLS from here on.
func (k talker) secure(config *tls.Config) talker {
	k.Helper()
	c := tls.Client(k.Conn, config)
	if err := c.Handshake(); err != nil {
		k.Fatal(err)
	}
	return talker{k.T, c, bufio.NewReader(c)}
}

func TestItSpeaksTLSAfterItsFirstLineOrBefore(t *testing.T) {
	server, client := certified(t)
	for _, c := range []struct {
		name   string
		first  bool
		header string
	}{
		{"after INFO", false, ""}, {"before INFO", true, ""}, {"after INFO and a PROXY header", false, "PROXY TCP4 192.0.2.1 192.0.2.2 12345 4222\r\n"},
		{"before INFO, after a PROXY header", true, "PROXY TCP4 192.0.2.1 192.0.2.2 12345 4222\r\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := secured(t, 1, Encryption{Config: server, First: c.first})
			k := connect(t, b.Addrs()[0])
			greeted := func() {
				if line := k.line(); !strings.HasPrefix(line, "INFO {") || !strings.Contains(line, `"tls_required":true`) {
					t.Fatalf("greeted with %q", line)
				}
			}
			if !c.first {
				greeted()
			}
			k.say(c.header)
			k = k.secure(client)
			if c.first {
				greeted()
			}
			k.say("CONNECT {\"name\":\"app\"}\r\nSUB me 1\r\nPING\r\n")
			if got := k.line(); got != "PONG\r\n" {
				t.Fatalf("got %q", got)
			}
			k.say("PUB " + Connections + " me 0\r\n\r\n")
			k.line()
			var v View
			if err := json.Unmarshal([]byte(k.line()), &v); err != nil {
				t.Fatal(err)
			}
			if len(v.Connections) != 1 || v.Connections[0].First != "CONNECT" || (v.Connections[0].Header != "") != (c.header != "") {
				t.Errorf("it saw %+v", v.Connections)
			}
		})
	}
}

func TestWithoutTLSNobodyComesInWhereItIsRequired(t *testing.T) {
	server, _ := certified(t)
	for _, first := range []bool{false, true} {
		k := connect(t, secured(t, 1, Encryption{Config: server, First: first}).Addrs()[0])
		if !first {
			k.line()
		}
		k.say("CONNECT {}\r\nPING\r\n")
		rest, err := io.ReadAll(k.r)
		if err != nil && !errors.Is(err, syscall.ECONNRESET) || bytes.Contains(rest, []byte("PONG")) {
			t.Errorf("TLS first: %t: %q, %v", first, rest, err)
		}
	}
}

func TestItSaysNothingUnasked(t *testing.T) {
	if testing.Short() {
		t.Skip("waits")
	}
	k := dial(t, standing(t, 1).Addrs()[0])
	k.say("CONNECT {}\r\nPING\r\n")
	k.line()
	_ = k.SetReadDeadline(time.Now().Add(2500 * time.Millisecond)) // a nats-server's first PING would have come
	if b, err := k.r.ReadByte(); err == nil {
		t.Errorf("it said %q", b)
	}
}

func TestSubjectsMatch(t *testing.T) {
	for _, c := range []struct {
		pattern, subject string
		want             bool
	}{
		{"a", "a", true}, {"a", "b", false}, {"a.b", "a.b", true}, {"a.b", "a", false}, {"a", "a.b", false}, {"a.*", "a.b", true}, {"a.*", "a.b.c", false},
		{"*.b", "a.b", true}, {"a.>", "a.b.c", true}, {">", "a", true}, {"a.>", "b.c", false}, {"a.*.c", "a.b.d", false},
	} {
		if got := matches(c.pattern, c.subject); got != c.want {
			t.Errorf("%s, %s: got %t", c.pattern, c.subject, got)
		}
	}
}

func TestOperationsAreRead(t *testing.T) {
	for _, c := range []struct{ said, want string }{
		{"PUB a 3\r\nabc\r\n", "PUB a  abc"}, {"pub a r 0\r\n\r\n", "PUB a r "}, {"HPUB a 1 2\r\nxy\r\n", "HPUB a  xy"},
		{"PUB a x\r\n", "Maximum Payload Violation"}, {"PUB a 1048577\r\n", "Maximum Payload Violation"}, {"PUB a 1\r\nabc", "Unknown Protocol Operation"}, {"PUB\r\n", "takes a subject"},
		{"HPUB a 3 2\r\n", "longer than its message"}, {"SUB\r\n", "takes a subject"}, {"UNSUB\r\n", "takes a number"}, {"GET / HTTP/1.1\r\n", "Unknown Protocol Operation"},
		{strings.Repeat("x", longestLine+1), "Maximum Control Line Exceeded"}, {"PUB a 9\r\nab", "EOF"},
	} {
		op, err := next(bufio.NewReader(strings.NewReader(c.said)))
		got := strings.Join([]string{op.verb, op.subject, op.reply, string(op.payload)}, " ")
		if err != nil {
			got = err.Error()
		}
		if !strings.Contains(got, c.want) {
			t.Errorf("%.40q: got %q, want %q", c.said, got, c.want)
		}
	}
}

func FuzzOperations(f *testing.F) {
	for _, seed := range []string{"PUB a 3\r\nabc\r\n", "HPUB a b 1 2\r\nxy\r\n", "SUB a 1\r\n", "CONNECT {}\r\n", "\r\n"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, said []byte) {
		r := bufio.NewReader(bytes.NewReader(said))
		for {
			op, err := next(r)
			if err != nil {
				return
			}
			if op.header > len(op.payload) || len(op.payload) > maxPayload {
				t.Errorf("%+v", op)
			}
		}
	})
}

func TestAnAddressThatIsTakenIsTold(t *testing.T) {
	b := standing(t, 1)
	if _, err := Listen([]string{"127.0.0.1:0", b.Addrs()[0]}, Encryption{}, nil); err == nil || !strings.Contains(err.Error(), b.Addrs()[0]) {
		t.Errorf("got %v", err)
	}
}
