package assertions

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
)

func init() {
	register(Assertion{
		Name:    "proxy/address-arrives",
		Promise: "Servers that look for PROXY headers know each client by its own address.",
		Explain: "Behind a balancer that makes connections of its own, every client has the balancer's address, in connz, in the server's log, in connect events and for users that are bound to " +
			"an address. A PROXY header carries the client's own, to a server with proxy_protocol: true, which takes it from connections that bring one, and serves those that bring none as they " +
			"come: a balancer that was not told to send it leaves all clients with its own address, and nothing else shows that. Six clients connect; connz of their server says where from.",
		Speaks:  []string{"proxy-protocol"},
		Links:   []string{"clients"},
		Observe: presenting,
		Judge:   judgeAddressArrives,
		// The control sends no header: with proxy_protocol: true it shows what is to be found.
		Absolute: true,
		Hostile:  []string{"proxy-protocol=off", "nats:proxy_protocol=true"},
	})
}

// presenters is how many clients are looked up at their servers: two for each of three nodes.
const presenters = 6

// presenting lets clients connect and asks their servers from where; of clients that are turned away, it reads why in
// the servers' logs.
var presenting = &Observation{Name: "presenting", First: true, Watch: func(ctx context.Context, t Target, rec *Recorder) error {
	places := make([]int64, len(t.Nodes))
	for i, n := range t.Nodes {
		if n.Log != "" {
			var err error
			if places[i], err = logPlace(n); err != nil {
				return err
			}
		}
	}
	errs := make([]error, presenters)
	var all sync.WaitGroup
	for i := range presenters {
		all.Go(func() { errs[i] = present(ctx, t, rec, i) })
	}
	all.Wait()
	if err := errors.Join(errs...); err != nil {
		return err
	}
	if !rec.Saw(Client, "turned-away") {
		return ctx.Err()
	}
	rest(ctx, glance) // a server tells its client before its log
	for i, n := range t.Nodes {
		if n.Log == "" {
			continue
		}
		lines, err := logSince(n, places[i])
		if err != nil {
			return err
		}
		for _, l := range lines {
			if l.objects() {
				rec.Add(Event{From: Server, Kind: "objected", Node: n.Name, How: l.level, What: l.text})
			}
		}
	}
	return ctx.Err()
}}

// present connects one client and looks it up at its server.
func present(ctx context.Context, t Target, rec *Recorder, seq int) error {
	began := rec.Now()
	nc, err := t.dial(t.plain()[0], "lbtest presenter "+strconv.Itoa(seq))
	if err != nil {
		rec.Add(Event{From: Client, Kind: "turned-away", Seq: seq, Why: words(err, rec.Now()-began)})
		return nil
	}
	defer nc.Close()
	name := nc.ConnectedServerName()
	rec.Add(Event{From: Client, Kind: "presented", Seq: seq, Node: name, Caller: nc.LocalAddr()})
	i := slices.IndexFunc(t.Nodes, func(n Node) bool { return n.Name == name })
	if i < 0 {
		return nil // a server that the tester cannot ask
	}
	addr, err := knownAs(ctx, t.Nodes[i], nc)
	if err != nil {
		return err
	}
	rec.Add(Event{From: Server, Kind: "known", Seq: seq, Node: name, Caller: nc.LocalAddr(), Addr: addr})
	return nil
}

// knownAs is the address that a server has for a client of its.
func knownAs(ctx context.Context, n Node, nc *nats.Conn) (string, error) {
	id, err := nc.GetClientID()
	if err != nil {
		return "", fmt.Errorf("looking a client up at %s: %w", n.Name, err)
	}
	var seen connz
	limited, cancel := context.WithTimeout(ctx, 10*time.Second) // five times what one question may take
	defer cancel()
	if !until(limited, func() bool {
		err = ask(limited, n, fmt.Sprintf("/connz?cid=%d", id), &seen)
		return err == nil && len(seen.Connections) == 1
	}) {
		return "", errors.Join(fmt.Errorf("looking client %d up at %s: %s are listed", id, n.Name, plural(len(seen.Connections), "connection")), err)
	}
	return hostPort(seen.Connections[0].IP, seen.Connections[0].Port), nil
}

func judgeAddressArrives(h History) []Finding {
	presented, known, away := h.Kind(Client, "presented"), h.Kind(Server, "known"), h.Kind(Client, "turned-away")
	all := len(presented) + len(away)
	balancers := map[string]bool{}
	for _, e := range h.Filter(letIn) {
		balancers[e.Addr] = true
	}
	var others []Event
	whom := "the balancer's address"
	for _, e := range known {
		if e.Addr != e.Caller {
			others = append(others, e)
			switch {
			case len(balancers) == 0: // whose addresses nobody knows
				whom = "an address that is not theirs"
			case !balancers[e.Addr]:
				whom = "an address that is neither theirs nor the balancer's"
			}
		}
	}
	measured := []Measure{count("connects", all, "connections"), count("failed", len(away), "connections"), count("known_by_another_address", len(others), "connections")}
	switch {
	case all == 0:
		return unseen("nobody connected")
	case len(away) > 0:
		return []Finding{{Verdict: Unsafe, Got: fmt.Sprintf("%d of %s never got as far as having an address: %s", len(away), plural(all, "client"), away[0].Why),
			Measured: measured, Advice: clientAdvice(h.Terms), Evidence: sample(away)}}
	case len(known) < len(presented):
		return unseen("not every client was found at its server")
	case len(others) == 0:
		return held(fmt.Sprintf("the servers know %s by their own addresses", plural(all, "client")), measured...)
	case !h.Terms.ProxyProtocol:
		return held(fmt.Sprintf("the servers know %d of %s by %s, and were told to look for no other", len(others), plural(all, "client"), whom), measured...)
	}
	return []Finding{{Verdict: Unsafe, Got: fmt.Sprintf("the servers look for PROXY headers and know %d of %s by %s", len(others), plural(all, "client"), whom),
		Measured: measured, Evidence: sample(others), Advice: []Advice{
			{Target: "load-balancer", Text: "a PROXY header towards NATS (HAProxy: send-proxy-v2 on the server line; nginx: proxy_protocol on; AWS NLB: proxy_protocol_v2.enabled)",
				Set: map[string]string{"proxy-protocol": "v2"}},
			{Target: "nats-server", Text: "no proxy_protocol: true where nothing sends the header", Nats: map[string]string{"proxy_protocol": "false"}},
		}}}
}
