package proxies

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/pires/go-proxyproto"
)

func TestInspectionsThatWouldDoNothingAreRefused(t *testing.T) {
	for _, c := range []struct {
		what string
		p    Profile
		want string // "" for nothing to say
	}{
		{"a delay without inspection", with(t, "inspection-delay=1s"),
			"inspection-delay=1s has no effect with inspection=none: it is for client-first, tls-hello, http, wait-end"},
		{"a verdict without inspection", with(t, "inspection-verdict=forward"), "inspection-verdict=forward has no effect with inspection=none"},
		{"a delay of what does not wait", with(t, "inspection=signature", "inspection-pattern=x", "inspection-delay=1s"), "inspection-delay=1s has no effect with inspection=signature"},
		{"a verdict of what always forwards", with(t, "inspection=wait-end", "inspection-verdict=close"), "inspection-verdict=close has no effect with inspection=wait-end"},
		{"that verdict said aloud", with(t, "inspection=wait-end", "inspection-verdict=forward"), ""},
		{"a verdict of hold", with(t, "inspection=hold", "inspection-limit=9", "inspection-verdict=reset"), "inspection-verdict=reset has no effect with inspection=hold"},
		{"a pattern for another kind", with(t, "inspection=http", "inspection-pattern=x"), "inspection-pattern=x has no effect with inspection=http: it is for signature"},
		{"a limit for another kind", with(t, "inspection=http", "inspection-limit=9"), "inspection-limit=9B has no effect with inspection=http: it is for line-limit, hold"},
		{"signature without a pattern", with(t, "inspection=signature"), "inspection=signature looks for nothing: add a pattern, such as inspection-pattern=SSH-2.0"},
		{"line-limit without a limit", with(t, "inspection=line-limit"), "inspection=line-limit needs a length: add one, such as inspection-limit=4096"},
		{"hold without a limit", with(t, "inspection=hold"), "inspection=hold needs a length"},
		{"details taken back", with(t, "inspection-pattern=x", "inspection-pattern=none", "inspection-limit=9", "inspection-limit=none"), ""},
		{"a profile's details with its inspection turned off",
			add(t, Profile{Behaviours: []Behaviour{Inspection{Kind: "signature", Pattern: "x", Verdict: "close"}}}, "inspection=none"), ""},
		{"a profile's details with another inspection",
			with(t, "inspection=http", "inspection-delay=60s", "inspection-verdict=close", "inspection=hold", "inspection-limit=9"), ""},
		{"details given before what they are not for", with(t, "inspection-delay=60s", "inspection=hold", "inspection-limit=9"), "inspection-delay=60s has no effect"},
		{"a profile's kind that does not exist", Profile{Behaviours: []Behaviour{Inspection{Kind: "sniff"}}}, "inspection=sniff (allowed: none, client-first, "},
		{"a profile's verdict that does not exist", Profile{Behaviours: []Behaviour{Inspection{Kind: "http", Verdict: "rst"}}}, "(allowed: forward, close, reset)"},
		{"a profile's pattern that is none", Profile{Behaviours: []Behaviour{Inspection{Kind: "signature", Pattern: "hex:0"}}}, "odd number"},
	} {
		err := c.p.Check()
		switch {
		case err == nil && c.want != "":
			t.Errorf("%s: got nothing, want %s", c.what, c.want)
		case err != nil && (c.want == "" || !strings.Contains(err.Error(), c.want)):
			t.Errorf("%s: got %q, want %q", c.what, err, c.want)
		}
	}
}

func TestBadInspectionsAreExplained(t *testing.T) {
	for _, c := range []struct{ given, want string }{
		{"inspection=client", "did you mean client-first?"},
		{"inspection-delay=none", "inspection-delay=none: to wait for nothing, inspection=none; to wait for ever, a long one such as 24h"},
		{"inspection-delay=0s", "must be longer than zero"},
		{"inspection-verdict=closed", "did you mean close?"},
		{"inspection-pattern=", "inspection-pattern=: there is nothing to look for; allowed are text, or hex: and digits such as hex:0d0a"},
		{"inspection-pattern=hex:", "inspection-pattern=hex:: there is nothing to look for; digits follow hex:, such as hex:0d0a"},
		{"inspection-pattern=hex:0d0", "inspection-pattern=hex:0d0: a byte has two hex digits, and 3 is an odd number of them"},
		{"inspection-pattern=hex:0x", "inspection-pattern=hex:0x: not hex digits; allowed are text, or hex: and digits such as hex:0d0a"},
		{"inspection-limit=0", "to turn it off, inspection-limit=none"},
		{"inspection-limit=-5", "not a number of bytes"},
		{"inspection-limit=65MiB", "inspection-limit=65MiB: at most 64MiB"},
	} {
		name, value, _ := strings.Cut(c.given, "=")
		_, err := Direct().With(name, value)
		if err == nil {
			t.Errorf("%s was taken", c.given)
			continue
		}
		if got := err.Error(); !strings.Contains(got, c.want) {
			t.Errorf("%s:\n got %s\nwant %s", c.given, got, c.want)
		}
	}
}

func TestSignatureResetsUnlessToldOtherwise(t *testing.T) {
	for _, c := range []struct {
		given []string
		want  string
	}{
		{nil, "forward"}, {[]string{"inspection=http"}, "forward"}, {[]string{"inspection=signature"}, "reset"},
		{[]string{"inspection=signature", "inspection-verdict=forward"}, "forward"}, {[]string{"inspection=signature", "inspection-verdict=close"}, "close"},
	} {
		if got := with(t, c.given...).Value("inspection-verdict"); got != c.want {
			t.Errorf("%q: got %s, want %s", c.given, got, c.want)
		}
	}
}

// inspectionDelay of these tests: short for their sake, and long beside the noise of a busy machine.
const delay = 150 * time.Millisecond

// TestWhatAClientSendsDecidesWhatBecomesOfIt holds each kind that waits against each way of knocking.
func TestWhatAClientSendsDecidesWhatBecomesOfIt(t *testing.T) {
	const (
		nothing = ""
		natsCmd = "CONNECT {\"verbose\":false}\r\nPING\r\n"
		get     = "GET /x HTTP/1.1\r\nHost: a\r\n\r\n"
	)
	tlsClient := string(clientHello(t))
	for _, c := range []struct {
		kind, sends string
		seen        sight
	}{
		{"client-first", nothing, unclear}, {"client-first", "x", match}, {"client-first", tlsClient, match},
		{"tls-hello", nothing, unclear}, {"tls-hello", natsCmd, mismatch}, {"tls-hello", tlsClient[:20], unclear}, {"tls-hello", tlsClient, match},
		{"http", nothing, unclear}, {"http", natsCmd, mismatch}, {"http", get, match}, {"http", "GET /x", unclear}, {"http", tlsClient, mismatch},
	} {
		for _, verdict := range verdicts {
			t.Run(fmt.Sprintf("%s, %d bytes, %s", c.kind, len(c.sends), verdict), func(t *testing.T) {
				wait := ever // what is sent decides, however late this machine lets it come
				if c.seen == unclear {
					wait = "inspection-delay=" + delay.String()
				}
				l := start(t, with(t, "inspection="+c.kind, wait, "inspection-verdict="+verdict))
				dialled := time.Now()
				client := l.dial("n1")
				io.WriteString(client, c.sends)

				noted := l.event(map[bool]string{true: KindApplied, false: KindRefused}[c.seen == match || verdict == "forward" && (c.kind != "http" || c.seen == unclear)])
				took := noted.At.Sub(dialled)
				if noted.Why != "inspection" || noted.What == "" {
					t.Errorf("noted %q by %q", noted.What, noted.Why)
				}
				if c.seen == unclear && took < delay {
					t.Errorf("decided after %s, want %s or more", took, delay)
				}
				if want := "waited 150ms for "; c.seen == unclear && !strings.HasPrefix(noted.What, want) {
					t.Errorf("noted %q, want %q", noted.What, want)
				}
				if noted.Kind == KindApplied {
					server := l.reached("b1")
					hears(t, server, c.sends)
					say(t, server, client, "INFO {}\r\n")
					l.tells("n1#1", "applied  inspection", "begin")
					return
				}
				how := rst
				if verdict == "close" || c.kind == "http" && c.seen == mismatch {
					how = eof
				}
				if c.kind == "http" && how == eof {
					status := map[sight]string{mismatch: "400 Bad Request", unclear: "408 Request Timeout"}[c.seen]
					hears(t, client, "HTTP/1.1 "+status+"\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
				}
				expect(t, "client", client, how)
				select {
				case <-l.accepted["b1"]:
					t.Error("the backend was dialled")
				default:
				}
			})
		}
	}
}

// clientHello is what a TLS client sends first.
func clientHello(t testing.TB) []byte {
	t.Helper()
	near, far := net.Pipe()
	defer near.Close()
	defer far.Close()
	go tls.Client(near, &tls.Config{ServerName: "lbtest"}).HandshakeContext(context.Background())
	buf := make([]byte, inspected)
	far.SetReadDeadline(time.Now().Add(patience))
	n, err := far.Read(buf)
	if err != nil {
		t.Fatal(err)
	}
	return buf[:n]
}

func TestWaitEndWaitsWhateverTheClientSends(t *testing.T) {
	for _, sends := range []string{"", "PING\r\n"} {
		t.Run(fmt.Sprintf("%d bytes", len(sends)), func(t *testing.T) {
			// The verdict is one that a profile may have left over from another kind.
			l := start(t, Profile{Behaviours: []Behaviour{Inspection{Kind: "wait-end", Delay: delay, Verdict: "close"}}})
			dialled := time.Now()
			client := l.dial("n1")
			io.WriteString(client, sends)
			server := l.reached("b1")
			if took := time.Since(dialled); took < delay {
				t.Errorf("the backend was dialled after %s, want %s or more", took, delay)
			}
			hears(t, server, sends)
			say(t, server, client, "INFO {}\r\n")
			if got, want := l.event(KindApplied).What, "waited 150ms for a full buffer"; got != want {
				t.Errorf("noted %q, want %q", got, want)
			}
		})
	}
}

// For ever, as far as these tests are concerned.
const ever = "inspection-delay=1h"

func TestAWaitIsOverWhenTheClientHasClosedItsSide(t *testing.T) {
	for _, c := range []struct{ kind, verdict, client string }{
		{"client-first", "forward", ""}, {"wait-end", "forward", ""}, {"tls-hello", "forward", ""}, {"http", "forward", ""},
		{"client-first", "close", eof}, {"tls-hello", "reset", rst}, {"http", "close", eof}, {"http", "reset", rst},
	} {
		t.Run(c.kind+" "+c.verdict, func(t *testing.T) {
			l := start(t, with(t, "inspection="+c.kind, "inspection-verdict="+c.verdict, ever))
			client := l.dial("n1")
			client.CloseWrite()
			if c.client == "" {
				server := l.reached("b1")
				expect(t, "server", server, eof)
				say(t, server, client, "INFO {}\r\n")
				return
			}
			if c.kind+c.client == "http"+eof {
				hears(t, client, "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
			}
			expect(t, "client", client, c.client)
			if got, want := l.event(KindRefused).What, "without"; !strings.Contains(got, want) {
				t.Errorf("noted %q, want something %s", got, want)
			}
		})
	}
}

// judging is an inspection by a test's own judge.
type judging struct {
	Balance // for the methods that do not matter
	judge   func([]byte) sight
}

func (j judging) Start() Policy            { return inspecting{wait{judge: j.judge, delay: time.Hour}} }
func (j judging) Scaled(float64) Behaviour { return j }
func (j judging) Settings() []Setting      { return []Setting{{Name: "judging"}} }

func TestEachPieceIsLookedAtAsItComes(t *testing.T) {
	looked := make(chan int)
	l := start(t, Profile{Behaviours: []Behaviour{judging{judge: func(data []byte) sight {
		looked <- len(data)
		return map[bool]sight{true: match, false: unclear}[len(data) == 6]
	}}}})
	client := l.dial("n1")
	for n, piece := range []string{"one", "t", "wo"} {
		io.WriteString(client, piece)
		select {
		case got := <-looked:
			if want := []int{3, 4, 6}[n]; got != want {
				t.Errorf("looked at %d bytes, want %d", got, want)
			}
		case <-time.After(patience):
			t.Fatalf("nobody looked at %q", piece)
		}
	}
	hears(t, l.reached("b1"), "onetwo")
}

func TestAWaitIsOverWhenTheBufferIsFull(t *testing.T) {
	l := start(t, with(t, "inspection=wait-end", ever))
	client := l.dial("n1")
	sent := strings.Repeat("x", inspected+5)
	io.WriteString(client, sent)
	hears(t, l.reached("b1"), sent)
	if got := l.event(KindApplied).What; !strings.HasPrefix(got, "saw a full buffer after") {
		t.Errorf("noted %q", got)
	}
}

func TestAClientThatResetsWhileItWaitsIsForgotten(t *testing.T) {
	l := start(t, with(t, "inspection=client-first", ever))
	client := l.dial("n1")
	client.SetLinger(0)
	client.Close()
	got := l.event(KindRefused)
	if got.How != string(Reset) || got.Why != inspection || !strings.HasPrefix(got.What, "the client left after ") {
		t.Errorf("refused by %s for %s (%s), want %s for %s", got.How, got.Why, got.What, Reset, inspection)
	}
}

func TestAWaitEndsWithItsBalancer(t *testing.T) {
	for _, kind := range []string{"client-first", "tls-hello", "http", "wait-end"} {
		t.Run(kind, func(t *testing.T) {
			l := start(t, with(t, "inspection="+kind, ever))
			client := l.dial("n1")
			io.WriteString(client, clientHelloPart)
			if err := l.Close(); err != nil {
				t.Fatal(err)
			}
			if got := finds(client, patience); got == silence {
				t.Error("the client was left in silence")
			}
		})
	}
}

// clientHelloPart decides nothing to any kind but client-first.
const clientHelloPart = "\x16\x03\x01"

func TestAStallDoesNotShortenAWait(t *testing.T) {
	l := start(t, with(t, "inspection=client-first", "inspection-verdict=close", "inspection-delay=2s", "stall=2500ms"))
	client := l.dial("n1")
	dialled := time.Now()
	until(t, "the connection to be accepted", func() (bool, string) { return l.conns.Load() == 1, "" })
	done := make(chan error, 1)
	go func() { done <- l.Strike(context.Background()) }()
	l.event(KindStall)
	if took := time.Since(dialled); took >= time.Second {
		t.Skipf("the machine took %s to begin the stall, and leaves no time after it", took)
	}
	resumed := l.event(KindResume).At
	io.WriteString(client, "x") // later than the delay by the wall's clock, and in time by the balancer's
	say(t, l.reached("b1"), client, "INFO {}\r\n")
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if applied := l.event(KindApplied).At; applied.Before(resumed) {
		t.Errorf("decided %s before the stall was over", resumed.Sub(applied))
	}
}

func TestNothingIsDecidedInAStall(t *testing.T) {
	l := start(t, with(t, "inspection=client-first", ever, "stall=200ms"))
	client := l.dial("n1")
	until(t, "the connection to be accepted", func() (bool, string) { return l.conns.Load() == 1, "" })
	done := make(chan error, 1)
	go func() { done <- l.Strike(context.Background()) }()
	l.event(KindStall)
	io.WriteString(client, "x")
	applied := l.event(KindApplied).At
	if resumed := l.event(KindResume).At; applied.Before(resumed) {
		t.Errorf("decided %s before the stall was over", resumed.Sub(applied))
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

func TestASignatureEndsTheConnectionInBothDirections(t *testing.T) {
	for _, c := range []struct {
		verdict, sender, finds string
		story                  []string
	}{
		{"close", "client", eof, []string{"begin", "expired fin inspection", "end fin inspection"}},
		{"close", "server", eof, []string{"begin", "expired fin inspection", "end fin inspection"}},
		{"reset", "client", rst, []string{"begin", "expired rst inspection", "end rst inspection"}},
		{"reset", "server", rst, []string{"begin", "expired rst inspection", "end rst inspection"}},
		{"forward", "client", "", []string{"begin", "applied  inspection"}},
		{"forward", "server", "", []string{"begin", "applied  inspection"}},
	} {
		bothLanes(t, c.verdict+" at the "+c.sender+"'s", func(t *testing.T, lane Profile) {
			l := start(t, add(t, lane, "inspection=signature", "inspection-pattern=hex:626164ff", "inspection-verdict="+c.verdict))
			client, server := l.dial("n1"), l.reached("b1")
			from, to, at := client, server, 11
			if c.sender == "server" {
				from, to = server, client
			}
			say(t, from, to, "hello ba, b")
			if c.finds == "" {
				say(t, from, to, "ad\xff and on")
				say(t, to, from, "and back")
			} else {
				io.WriteString(from, "ad\xff and on")
				expect(t, "sender", from, c.finds)
				expect(t, "receiver", to, c.finds)
			}
			l.tells("n1#1", c.story...)
			kind := KindExpired
			if c.finds == "" {
				kind = KindApplied
			}
			if got, want := l.event(kind).What, fmt.Sprintf("the pattern came from the %s at byte %d", c.sender, at-1); got != want {
				t.Errorf("noted %q, want %q", got, want)
			}
		})
	}
}

func TestALineThatIsTooLongIsCut(t *testing.T) {
	bothLanes(t, "cut", func(t *testing.T, lane Profile) {
		l := start(t, add(t, lane, "inspection=line-limit", "inspection-limit=10"))
		client, server := l.dial("n1"), l.reached("b1")
		say(t, client, server, "0123456789\r\n")
		io.WriteString(client, "0123456789abc")
		hears(t, server, "0123456789")
		io.WriteString(client, "def\r")
		io.WriteString(client, "\nPING\r\n")
		hears(t, server, "\r\nPING\r\n")
		io.WriteString(server, "-ERR 'Unknown Protocol Operation'\r\nPONG\r\n")
		hears(t, client, "-ERR 'Unkn\r\nPONG\r\n")
		l.tells("n1#1", "begin", "applied  inspection", "applied  inspection")
		if got, want := l.event(KindApplied).What, "a line from the client is longer than 10 bytes, and is cut"; got != want {
			t.Errorf("noted %q, want %q", got, want)
		}
	})
}

func TestALineThatIsTooLongEndsTheConnectionIfTheVerdictSaysSo(t *testing.T) {
	for verdict, want := range map[string]string{"close": eof, "reset": rst} {
		t.Run(verdict, func(t *testing.T) {
			l := start(t, with(t, "inspection=line-limit", "inspection-limit=10", "inspection-verdict="+verdict))
			client, server := l.dial("n1"), l.reached("b1")
			say(t, client, server, "0123456789\r\n")
			io.WriteString(client, "0123456789a")
			expect(t, "client", client, want)
			expect(t, "server", server, want)
			if got, want := l.event(KindExpired).What, "a line from the client is longer than 10 bytes"; got != want {
				t.Errorf("noted %q, want %q", got, want)
			}
		})
	}
}

func TestHoldPassesWholeBuffersAndTheRestAtTheEnd(t *testing.T) {
	bothLanes(t, "hold", func(t *testing.T, lane Profile) {
		l := start(t, add(t, lane, "inspection=hold", "inspection-limit=8"))
		client, server := l.dial("n1"), l.reached("b1")
		io.WriteString(client, "0123")
		expect(t, "server", server, silence)
		io.WriteString(client, "456789")
		hears(t, server, "01234567")
		expect(t, "server", server, silence)
		client.CloseWrite()
		hears(t, server, "89")
		expect(t, "server", server, eof)
		say(t, server, client, "01234567")
		l.tells("n1#1", "begin", "applied  inspection")
		if got, want := l.event(KindApplied).What, "holds what the client sends until it fills 8 bytes"; got != want {
			t.Errorf("noted %q, want %q", got, want)
		}
	})
}

func TestBytesThatPassAnInspectionArriveAsTheyWereSent(t *testing.T) {
	const size = 3<<20 + 17
	for _, settings := range [][]string{
		{"inspection=signature", "inspection-pattern=there is no such thing in it"},
		{"inspection=line-limit", "inspection-limit=1000000"},
		{"inspection=hold", "inspection-limit=5000"},
	} {
		bothLanes(t, settings[0], func(t *testing.T, lane Profile) {
			l := start(t, add(t, lane, settings...))
			client, server := l.dial("n1"), l.reached("b1")
			done := make(chan bool)
			go func() { carries(t, client, server, size, 1); done <- true }()
			carries(t, server, client, size, 2)
			<-done
		})
	}
}

func TestInspectionAndNATS(t *testing.T) {
	short, long := nats.Timeout(300*time.Millisecond), nats.Timeout(patience)
	for _, c := range []struct {
		what     string
		settings []string
		option   nats.Option
		failure  string // part of the client's error; "" for a connection
		late     time.Duration
	}{
		{"a client that waits for INFO gives up before the delay's end", []string{"inspection=client-first", ever}, short, "timeout", 0},
		{"with more patience INFO is late by the delay", []string{"inspection=client-first", "inspection-delay=400ms"}, long, "", 400 * time.Millisecond},
		{"and never comes where the verdict is to close", []string{"inspection=client-first", "inspection-delay=400ms", "inspection-verdict=close"}, long, "EOF", 400 * time.Millisecond},
		{"the same waits for the end of the delay", []string{"inspection=wait-end", "inspection-delay=400ms"}, long, "", 400 * time.Millisecond},
		{"no ClientHello comes before INFO", []string{"inspection=tls-hello", "inspection-delay=400ms", "inspection-verdict=reset"}, long, "reset", 400 * time.Millisecond},
		{"HTTP is demanded, and NATS waits in vain", []string{"inspection=http", ever}, short, "timeout", 0},
		{"until it is told so in HTTP", []string{"inspection=http", "inspection-delay=400ms", "inspection-verdict=close"}, long, "INFO", 400 * time.Millisecond},
		{"what looks like INFO is cut", []string{"inspection=signature", "inspection-pattern=INFO {", "inspection-verdict=close"}, long, "EOF", 0},
		{"INFO is longer than a line may be", []string{"inspection=line-limit", "inspection-limit=100"}, long, "unexpected end of JSON input", 0},
		{"no line is longer than INFO", []string{"inspection=line-limit", "inspection-limit=4096"}, long, "", 0},
		{"INFO does not fill a buffer", []string{"inspection=hold", "inspection-limit=4096"}, short, "timeout", 0},
	} {
		t.Run(c.what, func(t *testing.T) {
			l, _ := beforeNATS(t, with(t, c.settings...), &server.Options{})
			nc, took, err := l.natsClient("n1", c.option)
			if took < c.late {
				t.Errorf("that took %s, want %s or more", took, c.late)
			}
			switch {
			case c.failure == "" && err != nil:
				t.Fatal(err)
			case c.failure == "":
				echoes(t, nc, []byte("hello"))
			case err == nil:
				t.Errorf("connected, want an error with %q", c.failure)
			case !strings.Contains(strings.ToLower(err.Error()), strings.ToLower(c.failure)):
				t.Errorf("got %v, want an error with %q", err, c.failure)
			}
		})
	}
}

// nats.go waits 2 s for INFO by default, and HAProxy's examples wait for 5.
func TestADefaultClientTimesOutBehindADefaultDelay(t *testing.T) {
	l, _ := beforeNATS(t, with(t, "inspection=client-first"), &server.Options{})
	_, took, err := l.natsClient("n1")
	if err == nil || !strings.Contains(err.Error(), "timeout") {
		t.Errorf("got %v, want a timeout", err)
	}
	if took < nats.DefaultTimeout || took >= defaultDelay {
		t.Errorf("it gave up after %s, want %s or more, and less than %s", took, nats.DefaultTimeout, defaultDelay)
	}
	until(t, "the client to be forgotten", func() (bool, string) {
		story := l.story("n1#1")
		return slices.ContainsFunc(story, func(line string) bool { return strings.HasPrefix(line, "end") || strings.HasPrefix(line, "refused") }), fmt.Sprint(story)
	})
}

func TestASignatureInAMessageCutsTheClientThatPublishesIt(t *testing.T) {
	l, _ := beforeNATS(t, with(t, "inspection=signature", "inspection-pattern=EICAR"), &server.Options{})
	gone := make(chan bool, 1)
	nc, _, err := l.natsClient("n1", nats.Timeout(patience), nats.ClosedHandler(func(*nats.Conn) { gone <- true }))
	if err != nil {
		t.Fatal(err)
	}
	echoes(t, nc, []byte("harmless"))
	if err := nc.Publish("echo", []byte("something like EICAR in it")); err != nil {
		t.Fatal(err)
	}
	nc.FlushTimeout(patience)
	select {
	case <-gone:
	case <-time.After(patience):
		t.Fatal("the client was not cut")
	}
	l.tells("n1#1", "begin", "expired rst inspection", "end rst inspection")
}

func TestAWebsocketGoesThroughWhereHTTPIsDemanded(t *testing.T) {
	l := listen(t, with(t, "inspection=http", "inspection-verdict=close"), front{Front: Front{Name: "n1"}})
	s := natsServer(t, &server.Options{Websocket: server.WebsocketOpts{Host: "127.0.0.1", Port: server.RANDOM_PORT, NoTLS: true}})
	port, err := s.PortsInfo(patience), error(nil)
	if port == nil || len(port.WebSocket) != 1 {
		t.Fatalf("nats-server listens at %+v", port)
	}
	_, addr, _ := strings.Cut(port.WebSocket[0], "://")
	if err = l.Serve(map[string][]Backend{"n1": {{Name: "b1", Addr: addr}}}); err != nil {
		t.Fatal(err)
	}
	nc, err := nats.Connect("ws://"+l.Addr("n1"), nats.NoReconnect(), nats.Timeout(patience))
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	payload := make([]byte, 300_000)
	rand.NewChaCha8([32]byte{1}).Read(payload)
	echoes(t, nc, payload)
	if got := l.event(KindApplied).What; !strings.HasPrefix(got, "saw an HTTP request after") {
		t.Errorf("noted %q", got)
	}
}

// TestTheLayersOfABalancerAreMetInOrder has all that acts between the accept and the first byte in one balancer.
func TestTheLayersOfABalancerAreMetInOrder(t *testing.T) {
	l := start(t, with(t, "idle-timeout=2s", "inspection=http", ever, "tls=re-encrypt", "proxy-protocol=v2"))
	raw := l.dial("n1")
	client := tls.Client(raw, l.trusted())
	client.SetDeadline(time.Now().Add(patience))
	if _, err := io.WriteString(client, "GET /x HTTP/1.1\r\n"); err != nil {
		t.Fatal(err)
	}
	behind := l.reached("b1")
	behind.SetDeadline(time.Now().Add(patience))
	header := make([]byte, 16+12) // of v2 with IPv4 addresses
	if _, err := io.ReadFull(behind, header); err != nil {
		t.Fatal(err)
	}
	said, err := proxyproto.Read(bufio.NewReader(bytes.NewReader(header)))
	if err != nil || said.SourceAddr.String() != raw.LocalAddr().String() {
		t.Errorf("the backend is told %+v, %v; want the client's %s", said, err, raw.LocalAddr())
	}
	server := tls.Server(behind, &tls.Config{Certificates: foreign(t).Certificates})
	hears(t, server, "GET /x HTTP/1.1\r\n")
	say(t, server, client, "HTTP/1.1 101 Switching Protocols\r\n")
	l.tells("n1#1", "applied  tls", "applied  inspection", "applied  proxy-protocol", "applied  tls", "begin",
		"expired fin idle-timeout", "end fin idle-timeout")
}

func TestInspectionLooksBehindTLSOnlyForWhatIsContent(t *testing.T) {
	for _, c := range []struct {
		kind, sends string // sent within TLS, unless plain
		plain       bool
		story       []string
	}{
		{"client-first", "x", false, []string{"applied  tls", "applied  inspection", "begin"}},
		{"client-first", "", false, []string{"applied  tls", "refused fin inspection"}}, // a ClientHello is no content
		{"http", "PING\r\n", false, []string{"applied  tls", "refused fin inspection"}},
		{"tls-hello", "PING\r\n", false, []string{"applied  inspection", "applied  tls", "begin"}},
		{"tls-hello", "PING\r\n", true, []string{"refused fin inspection"}},
	} {
		t.Run(fmt.Sprintf("%s, %q, plain %t", c.kind, c.sends, c.plain), func(t *testing.T) {
			wait := ever
			if c.sends == "" {
				wait = "inspection-delay=1s"
			}
			l := start(t, with(t, "tls=terminate", "inspection="+c.kind, wait, "inspection-verdict=close"))
			var client net.Conn = l.dial("n1")
			if !c.plain {
				client = tls.Client(client, l.trusted())
			}
			client.SetDeadline(time.Now().Add(patience))
			if secure, ok := client.(*tls.Conn); ok {
				if err := secure.Handshake(); err != nil {
					t.Fatal(err)
				}
			}
			io.WriteString(client, c.sends)
			l.tells("n1#1", c.story...)
			if c.kind == "http" {
				hears(t, client, "HTTP/1.1 400 Bad Request\r\n")
			}
		})
	}
}

func TestRequestLines(t *testing.T) {
	for _, c := range []struct {
		data string
		want sight
	}{
		{"", unclear}, {"G", unclear}, {"GET / HTTP/1.1", unclear}, {"GET / HTTP/1.1\r", unclear}, {"GET / HTTP/1.1\r\n", match}, {"GET / HTTP/1.0\n", match},
		{"\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", match}, {"get  *   HTTP/1.1\r\n", match}, {"CONNECT nats:4222 HTTP/1.1\r\n", match},
		{"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", match}, {"PRI * HTTP/2.0\r\n\r\nSM\r\n", unclear}, {"PRI * HTTP/2.0\r\nHost: a\r\n", mismatch},
		{`CONNECT {"verbose":false,"name":"a HTTP/1.1"}` + "\r\n", mismatch}, {`CONNECT {"name":"a"} HTTP/1.1 {}` + "\r\n", mismatch}, {"CONNECT {", unclear},
		{"PING\r\n", mismatch}, {"INFO {}\r\n", mismatch}, {"GET /\r\n", mismatch}, {"GET / HTTP/2.0\r\n", mismatch}, {"GET / HTTP/1.1 x\r\n", mismatch},
		{"GET / http/1.1\r\n", mismatch}, {"GET /\x01 HTTP/1.1\r\n", mismatch}, {"GET /é HTTP/1.1\r\n", mismatch},
		{"\x16\x03\x01", mismatch}, {"G{T", mismatch}, {"\r\nG{T", mismatch}, {"\x00", mismatch},
		{"GET /" + strings.Repeat("x", inspected), mismatch}, {strings.Repeat("\r\n", inspected), mismatch},
	} {
		if got := request([]byte(c.data)); got != c.want {
			t.Errorf("%.60q: got %d, want %d", c.data, got, c.want)
		}
	}
}

func TestClientHellos(t *testing.T) {
	whole := clientHello(t)
	changed := func(at int, b byte) []byte {
		c := bytes.Clone(whole)
		c[at] = b
		return c
	}
	for _, c := range []struct {
		what string
		data []byte
		want sight
	}{
		{"nothing", nil, unclear}, {"a hello", whole, match}, {"a hello and more", append(bytes.Clone(whole), "more"...), match},
		{"all but the last byte", whole[:len(whole)-1], unclear}, {"a record's header", whole[:5], unclear}, {"its first byte", whole[:1], unclear},
		{"an alert", changed(0, 21), mismatch}, {"a ServerHello", changed(5, 2), mismatch}, {"text", []byte("CONNECT {}\r\n"), mismatch}, {"one letter", []byte("C"), mismatch},
		{"a record of SSH's", []byte("\x16SSH-2.0\r\n"), mismatch}, {"a session id that does not end", changed(43, 255), mismatch},
		{"in two records", slices.Concat([]byte{22, 3, 1, 0, 10}, whole[5:15], []byte{22, 3, 1, byte((len(whole) - 15) >> 8), byte(len(whole) - 15)}, whole[15:]), match},
		{"an endless one", append([]byte{22, 3, 1, 0x40, 0, 1, 0, 0xf0, 0}, make([]byte, inspected)...), mismatch},
	} {
		if got := hello(c.data); got != c.want {
			t.Errorf("%s: got %d, want %d", c.what, got, c.want)
		}
	}
}

// inPieces cuts a stream at places that cuts gives, one byte a place.
func inPieces(stream, cuts []byte) [][]byte {
	var pieces [][]byte
	for _, n := range cuts {
		n := min(int(n), len(stream))
		pieces = append(pieces, bytes.Clone(stream[:n]))
		stream = stream[n:]
	}
	return append(pieces, bytes.Clone(stream))
}

// FuzzHTTPRequest holds that more bytes never change what was decided, and that a request which Go's own
// server reads is a match.
func FuzzHTTPRequest(f *testing.F) {
	for _, s := range []string{"GET / HTTP/1.1\r\n\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "CONNECT {}\r\n", "\r\n\r\nPING\r\n", "\x16\x03\x01"} {
		f.Add([]byte(s), 3)
	}
	f.Fuzz(func(t *testing.T, data []byte, n int) { keepsItsWord(t, request, data, n) })
}

// FuzzClientHello holds that more bytes never change what was decided.
func FuzzClientHello(f *testing.F) {
	f.Add(clientHello(f), 100)
	f.Add([]byte("CONNECT {}\r\n"), 1)
	f.Add([]byte{22, 3, 1, 0, 4, 1, 0, 0, 0}, 6)
	f.Fuzz(func(t *testing.T, data []byte, n int) { keepsItsWord(t, hello, data, n) })
}

func keepsItsWord(t *testing.T, judge func([]byte) sight, data []byte, n int) {
	if n < 0 || n > len(data) {
		return
	}
	before, after := judge(data[:n:n]), judge(data)
	if before != unclear && before != after {
		t.Errorf("%q decides %d, with %q behind it %d", data[:n], before, data[n:], after)
	}
	if judge(append(bytes.Clone(data), make([]byte, inspected)...)) == unclear {
		t.Errorf("%q is never decided", data)
	}
}

// FuzzSignature holds that a pattern is found where it is, in whatever pieces the stream comes.
func FuzzSignature(f *testing.F) {
	f.Add([]byte("hello world"), []byte("o w"), []byte{5, 1, 1})
	f.Add([]byte("aaaaaab"), []byte("aab"), []byte{1, 1, 1, 1, 1, 1})
	f.Add([]byte("x"), []byte("x"), []byte{0})
	f.Fuzz(func(t *testing.T, stream, pattern, cuts []byte) {
		if len(pattern) == 0 {
			return
		}
		search, got := &finder{pattern: pattern}, int64(-1)
		for _, piece := range inPieces(stream, cuts) {
			if at, found := search.find(piece); found {
				if got >= 0 {
					t.Error("found twice")
				}
				got = at
			}
		}
		if want := int64(bytes.Index(stream, pattern)); got != want {
			t.Errorf("found at %d, want %d", got, want)
		}
	})
}

// FuzzLineLimit holds that lines are cut alike in whatever pieces they come.
func FuzzLineLimit(f *testing.F) {
	f.Add([]byte("PUB a 5\r\nhello\r\nPING\r\n"), 4, []byte{5, 1, 3})
	f.Add([]byte("abc\r\n"), 3, []byte{4})
	f.Add([]byte("abc\rd\r\n\n\r\r\n"), 3, []byte{3, 1, 1, 1, 1, 1})
	f.Fuzz(func(t *testing.T, stream []byte, limit int, cuts []byte) {
		if limit < 1 || limit > 1000 {
			return
		}
		var want []byte
		long := 0
		for rest := stream; len(rest) > 0; {
			line, after, ended := bytes.Cut(rest, []byte("\n"))
			rest = after
			end := ""
			if ended {
				end = "\n"
				if bare, cr := bytes.CutSuffix(line, []byte("\r")); cr {
					line, end = bare, "\r\n"
				}
			}
			// The end of a line that has not ended may be the first byte beyond the limit.
			if len(line) > limit && (ended || len(line) > limit+1 || line[limit] != '\r') {
				long++
			}
			want = append(append(want, line[:min(len(line), limit)]...), end...)
		}
		cutter, got, cuttings := &lineCutter{limit: limit}, []byte(nil), 0
		for _, piece := range inPieces(stream, cuts) {
			out, cut := cutter.pass(piece)
			got = append(got, out...)
			if cut {
				cuttings++
			}
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%q at %d in %v: got %q, want %q", stream, limit, cuts, got, want)
		}
		if (cuttings > 0) != (long > 0) || cuttings > long {
			t.Errorf("%q at %d in %v: %d pieces tell of a cut, and %d lines were too long", stream, limit, cuts, cuttings, long)
		}
	})
}

// FuzzHold holds that all bytes come in whole buffers, and in their order.
func FuzzHold(f *testing.F) {
	f.Add([]byte("0123456789"), 4, []byte{1, 6})
	f.Add([]byte("0123456789"), 1, []byte{0, 10})
	f.Fuzz(func(t *testing.T, stream []byte, size int, cuts []byte) {
		if size < 1 || size > 1000 {
			return
		}
		g, got := &gatherer{size: size}, []byte(nil)
		for n, piece := range inPieces(stream, cuts) {
			out := g.pass(piece)
			got = append(got, out...)
			if len(out)%size != 0 || len(g.held) >= size {
				t.Errorf("piece %d: passed %d bytes and held %d, with buffers of %d", n, len(out), len(g.held), size)
			}
		}
		if got = append(got, g.pass(nil)...); !bytes.Equal(got, stream) {
			t.Errorf("got %q, want %q", got, stream)
		}
	})
}
