package assertions

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"sync"
	"time"
)

func init() {
	register(Assertion{
		Name:    "inspection/first-bytes-pass",
		Promise: "The server's first bytes reach a client that has said nothing yet, about as soon as without a balancer.",
		Explain: "In NATS the server speaks first: until its INFO arrives, a client says nothing. A balancer that inspects the client's first bytes (inspect-delay, ssl_preread, sniffing, a port " +
			"declared as HTTP) waits for them while the client waits for INFO, and goes on, or gives up, only when its delay is over. Connections that say nothing are opened through each " +
			"frontend, and the time to INFO is measured, also beyond the moment at which a client has given up (nats.go: 2 s).",
		Speaks:  speaks(ofConnecting, ofCarrying),
		Links:   []string{"clients"},
		Observe: listening,
		Moot: func(t Terms) string {
			if t.Security.Clients == TLSFirst || t.Security.Servers == TLSFirst {
				return "TLS comes before INFO here: tls/connects tells how long that takes"
			}
			return ""
		},
		Judge:   judgeFirstBytes,
		Hostile: []string{"inspection=tls-hello", "inspection-verdict=close"},
	})
}

// listeners is how many connections listen for the server's first bytes at each frontend: one for each of three
// nodes behind it.
const listeners = 3

// listening opens connections through the balancer that say nothing, and writes down when INFO comes, or what comes
// in its place.
var listening = &Observation{Name: "listening", First: true, Watch: func(ctx context.Context, t Target, rec *Recorder) error {
	var all sync.WaitGroup
	for _, raw := range t.URLs {
		u, err := url.Parse(raw)
		if err != nil {
			return fmt.Errorf("reading %s: %w", raw, err)
		}
		for i := range listeners {
			all.Go(func() {
				took, err := awaitInfo(ctx, u.Host, t.Terms.hearing())
				e := Event{From: Client, Kind: "informed", Dial: u.Host, Seq: i, Took: took}
				if err != nil {
					e.Kind, e.Why = "uninformed", words(err, took)
				}
				rec.Add(e)
			})
		}
	}
	all.Wait()
	return ctx.Err()
}}

// hearing is how long INFO is waited for: as long as the client would or the balancer's inspection takes, which is 5 s
// where nothing is said, and two seconds more, so that what comes too late is told from what never comes. Delays
// beyond ten seconds are not waited for: no client is left then.
func (t Terms) hearing() time.Duration {
	return max(t.ClientTimeout, min(max(t.duration("inspection-delay"), 5*time.Second), 10*time.Second)) + 2*time.Second
}

// awaitInfo dials and returns how long after the connection was made the server's INFO came.
func awaitInfo(ctx context.Context, addr string, limit time.Duration) (time.Duration, error) {
	limited, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	began := time.Now()
	c, err := (&net.Dialer{}).DialContext(limited, "tcp", addr)
	if err != nil {
		return time.Since(began), err
	}
	defer c.Close()
	stop := context.AfterFunc(limited, func() { _ = c.SetDeadline(time.Now()) })
	defer stop()
	began = time.Now()
	line, err := bufio.NewReader(c).ReadString('\n')
	took := time.Since(began)
	switch {
	case strings.HasPrefix(line, "INFO "): // complete or cut, the client has been spoken to
		return took, nil
	case line != "":
		return took, fmt.Errorf("%w but %q", errNoInfo, strings.TrimSpace(line[:min(len(line), 40)])) // a status line is no longer
	}
	return took, err
}

var errNoInfo = errors.New("not INFO")

func judgeFirstBytes(h History) []Finding {
	heard, never := h.Kind(Client, "informed"), h.Kind(Client, "uninformed")
	slowest, usual := slowestOf(heard), slowestOf(h.control().Kind(Client, "informed"))
	all := len(heard) + len(never)
	measured := []Measure{count("connects", all, "connections"), count("failed", len(never), "connections"), seconds("info_after", slowest)}
	patience := h.Terms.ClientTimeout
	switch {
	case all == 0:
		return unseen("nobody listened for the server's first bytes")
	case len(never) > 0:
		return []Finding{{Verdict: Unsafe, Got: fmt.Sprintf("no INFO on %d of %s: %s", len(never), plural(all, "silent connection"), never[0].Why),
			Measured: measured, Advice: clientAdvice(h.Terms), Evidence: sample(never)}}
	case slowest >= patience:
		return []Finding{{Verdict: Unsafe, Got: fmt.Sprintf("INFO came after %s, when a client that gives it %s is gone", spoken(slowest), spoken(patience)),
			Measured: measured, Advice: clientAdvice(h.Terms), Evidence: sample(heard), Beyond: slowest - patience, Once: true, Marginal: slowest < patience+tolerance}}
	case slowest > usual+tolerance:
		return []Finding{{Verdict: Risky, Got: fmt.Sprintf("INFO came after %s (control %s), of the %s that a client gives it", spoken(slowest), spoken(usual), spoken(patience)),
			Measured: measured, Advice: clientAdvice(h.Terms), Evidence: sample(heard), Beyond: slowest - usual - tolerance, Once: true, Marginal: slowest > patience-tolerance}}
	}
	return held(fmt.Sprintf("INFO came within %s", spoken(slowest)), measured...)
}

func slowestOf(events []Event) (slowest time.Duration) {
	for _, e := range events {
		slowest = max(slowest, e.Took)
	}
	return slowest
}
