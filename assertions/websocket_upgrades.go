package assertions

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/coder/websocket"
)

func init() {
	register(Assertion{
		Name:    "websocket/upgrades",
		Promise: "The upgrade to a websocket passes, and the server's greeting is the first thing that comes through it.",
		Explain: "A websocket begins as an HTTP/1.1 request that asks for an upgrade; only the server's 101 makes both sides leave HTTP, and the server's INFO is the first frame then. " +
			"A balancer that speaks HTTP has to pass the request's Upgrade and Connection headers on, as they belong to one hop; the websocket port understands no PROXY header, and firewalls know the " +
			"request by its words. Six upgrades are asked for side by side, each step within the client's own timeout. What refused one is told: an HTTP status, an end of file, a reset " +
			"or silence. Whether compression was agreed on is counted: a balancer that drops Sec-WebSocket-Extensions costs just that.",
		Speaks:  speaks(ofConnecting, ofCarrying),
		Links:   []string{"websocket"},
		Observe: upgrading,
		Judge:   judgeUpgrades,
		Hostile: []string{"proxy-protocol=v2"},
	})
}

// upgraders is how many upgrades are asked for: two for each of three nodes.
const upgraders = 6

// upgrading asks for websockets as a browser does, without NATS, and writes down how far each came.
var upgrading = &Observation{Name: "upgrading", Watch: func(ctx context.Context, t Target, rec *Recorder) error {
	var all sync.WaitGroup
	for i := range upgraders {
		all.Go(func() {
			began := rec.Now()
			compressed, err := upgrade(ctx, t.URLs[i%len(t.URLs)], t.Client.Timeout())
			e := Event{From: Client, Kind: "upgraded", Seq: i, Took: rec.Now() - began}
			switch {
			case err != nil:
				e.Kind, e.Why = "unupgraded", err.Error()
			case compressed:
				e.How = "compressed"
			}
			rec.Add(e)
		})
	}
	all.Wait()
	return ctx.Err()
}}

// upgrade asks for one websocket and waits for the server's INFO in it. The error says what came instead.
func upgrade(ctx context.Context, url string, patience time.Duration) (compressed bool, err error) {
	// Nothing is shared between upgrades, so that each is a connection of its own.
	began := time.Now()
	client := &http.Client{Transport: &http.Transport{DialContext: (&net.Dialer{Timeout: patience}).DialContext, ResponseHeaderTimeout: patience}}
	defer client.CloseIdleConnections()
	// nats.go gives each of the three steps that time.
	limited, cancel := context.WithTimeout(ctx, 3*patience)
	defer cancel()
	conn, response, err := websocket.Dial(limited, url, &websocket.DialOptions{HTTPClient: client, CompressionMode: websocket.CompressionNoContextTakeover})
	if err != nil {
		return false, unanswered(response, err, time.Since(began))
	}
	defer conn.CloseNow()
	greeted, enough := context.WithTimeout(limited, patience)
	defer enough()
	_, first, err := conn.Read(greeted)
	switch {
	case errors.Is(greeted.Err(), context.DeadlineExceeded):
		return false, fmt.Errorf("upgraded, and no INFO came within %s", spoken(patience))
	case err != nil:
		return false, fmt.Errorf("upgraded, and then instead of INFO: %s", words(err, time.Since(began)))
	case !strings.HasPrefix(string(first), "INFO "):
		return false, fmt.Errorf("upgraded, and then instead of INFO: %.20q", first)
	}
	return strings.Contains(response.Header.Get("Sec-WebSocket-Extensions"), "permessage-deflate"), nil
}

// unanswered puts the answer to a request that brought no websocket into words.
func unanswered(answer *http.Response, err error, took time.Duration) error {
	switch {
	case answer != nil:
		return fmt.Errorf("HTTP %s", answer.Status)
	case failure(err) == timedOut:
		return fmt.Errorf("no answer within %s", spoken(took))
	}
	return errors.New(words(err, took))
}

func judgeUpgrades(h History) []Finding {
	done, failed := h.Kind(Client, "upgraded"), h.Kind(Client, "unupgraded")
	slowest, usual := slowestOf(done), slowestOf(h.control().Kind(Client, "upgraded"))
	compressed := 0
	for _, e := range done {
		if e.How == "compressed" {
			compressed++
		}
	}
	all := len(done) + len(failed)
	measured := []Measure{count("upgrades", all, "connections"), count("refused", len(failed), "connections"), count("compressed", compressed, "connections"),
		seconds("slowest_upgrade", slowest)}
	switch {
	case all == 0:
		return unseen("no upgrade was asked for")
	case len(failed) > 0:
		return []Finding{{Verdict: Unsafe, Got: fmt.Sprintf("%d of %s failed: %s", len(failed), plural(all, "upgrade"), failed[0].Why),
			Measured: measured, Evidence: sample(failed), Advice: socketAdvice(h.Terms)}}
	case slowest > usual+tolerance:
		return []Finding{{Verdict: Risky, Got: fmt.Sprintf("an upgrade took %s (control %s)", spoken(slowest), spoken(usual)),
			Measured: measured, Beyond: slowest - usual - tolerance, Once: true, Advice: socketAdvice(h.Terms)}}
	}
	return held(fmt.Sprintf("%s, the slowest in %s", plural(all, "upgrade"), spoken(slowest)), measured...)
}
