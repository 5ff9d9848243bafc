package assertions

import (
	"context"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/nats-io/nats.go"
)

func init() {
	register(Assertion{
		Name:    "proxy/not-forgeable",
		Promise: "Whoever reaches a server past the balancer cannot claim another's address.",
		Explain: "A server with proxy_protocol: true believes every PROXY header, whoever sends it: it has no list of balancers to trust. That is no matter where only the balancer can reach the client port. " +
			"Where nodes can be reached past it, anybody can be any address, in logs, in connz and for users that are bound to one. The same holds for clients of a balancer that passes their bytes on and " +
			"sends no header of its own. A client dials each node itself and claims an address of a documentation network.",
		Speaks:  []string{"proxy-protocol", "bypass"},
		Links:   []string{"clients"},
		Observe: forging,
		Judge:   judgeNotForgeable,
		// Nobody but the balancer reaches the nodes in the control, so there is nothing to compare with.
		Absolute: true,
		Hostile:  []string{"bypass=open", "nats:proxy_protocol=true"},
	})
}

// claimed is an address that nobody has (RFC 5737), as the header that claims it says it.
const (
	claimed       = "203.0.113.7:40000"
	claimedHeader = "PROXY TCP4 203.0.113.7 203.0.113.1 40000 4222\r\n"
)

// forging dials each node past the balancer behind a header of the tester's own, and asks the server whom it takes
// the client for.
var forging = &Observation{Name: "forging", First: true, Watch: func(ctx context.Context, t Target, rec *Recorder) error {
	for _, n := range t.Nodes {
		a := t.plain()[0]
		began := rec.Now()
		nc, err := t.connect(n, a, nats.Name("lbtest forger"), nats.SetCustomDialer(pretender{}))
		if err != nil {
			rec.Add(Event{From: Client, Kind: "unmasked", Node: n.Name, Why: words(err, rec.Now()-began)})
			continue
		}
		addr, err := knownAs(ctx, n, nc)
		e := Event{From: Server, Kind: "taken-for", Node: n.Name, Caller: nc.LocalAddr(), Addr: addr}
		nc.Close()
		if err != nil {
			return err
		}
		rec.Add(e)
	}
	return ctx.Err()
}}

// pretender dials and claims to be somebody else.
type pretender struct{}

// Dial implements nats.CustomDialer.
func (pretender) Dial(network, addr string) (net.Conn, error) {
	c, err := (&net.Dialer{Timeout: 2 * time.Second}).Dial(network, addr) // nats.go's own
	if err != nil {
		return nil, err
	}
	if _, err := io.WriteString(c, claimedHeader); err != nil {
		c.Close()
		return nil, fmt.Errorf("claiming another's address at %s: %w", addr, err)
	}
	return c, nil
}

func judgeNotForgeable(h History) []Finding {
	if h.Terms.Settings["bypass"] != "open" {
		return skip("judged with bypass=open only: here nobody but the balancer can reach the nodes")
	}
	taken, unmasked := h.Kind(Server, "taken-for"), h.Kind(Client, "unmasked")
	var fooled []Event
	for _, e := range taken {
		if e.Addr == claimed {
			fooled = append(fooled, e)
		}
	}
	nodes := len(h.Terms.Nodes)
	measured := []Measure{count("servers_deceived", len(fooled), "servers")}
	switch {
	case len(fooled) > 0:
		return []Finding{{Verdict: Risky, Got: fmt.Sprintf("%d of %s believed a PROXY header from a client that came past the balancer", len(fooled), plural(nodes, "server")),
			Measured: measured, Evidence: sample(fooled), Advice: []Advice{
				{Target: "load-balancer", Text: "a firewall or security group that lets nobody but the balancer reach the client ports", Set: map[string]string{"bypass": "off"}},
				{Target: "nats-server", Text: "no proxy_protocol: true where nodes can be reached past the balancer", Nats: map[string]string{"proxy_protocol": "false"}},
			}}}
	case len(taken)+len(unmasked) < nodes:
		return unseen("not every server was tried")
	}
	return held("no server believed a PROXY header from a client that came past the balancer", measured...)
}
