package assertions

import (
	"fmt"
	"time"
)

func init() {
	register(Assertion{
		Name:    "links/resync-overhead",
		Promise: "What crosses the balancer is little more than what is published makes necessary.",
		Explain: "Six R3 streams are published to ten times a second with a quarter of a kilobyte each that nothing compresses, through the event, in a lab of its own. The balancer counts every byte that it carries between " +
			"servers, connections being made and replicas catching up included; that is put in relation to the payload that was acknowledged, and compared with the control. Where the " +
			"connection of an account can be told (routes), the system account's, on which Raft speaks and streams replicate, are counted apart. A balancer that makes servers connect again " +
			"and again has them tell each other everything again and again.",
		// What ends connections that live, again and again; what happens once is nothing that flaps.
		Speaks:  []string{"idle-timeout", "idle-timeout-client", "idle-timeout-server", "idle-expiry", "max-lifetime", "restart", "on-down"},
		Links:   serverLinks,
		Observe: weighing,
		Judge:   judgeOverhead,
		// The contract knows nothing worse than risky for links that are made again.
		Hostile: []string{"max-lifetime=1s"},
	})
}

// undue is by how much more than in the control may cross: two runs without a balancer differ by less than a tenth, and
// what a busy machine delays comes in other portions.
const undue = 1.3

// carriage is what a balancer carried between servers.
type carriage struct {
	connections          int
	all, system, account int64 // bytes; what is neither the system account's nor known to be another's is in all only
	ratio                float64
}

func judgeOverhead(h History) []Finding {
	if missing := h.Kind(Client, "no-stream"); len(missing) > 0 {
		return skip("nothing was published, as a stream could not be used: " + missing[0].Why)
	}
	w, ok := h.Last(Client, "weighed")
	switch {
	case !ok:
		return unseen("nobody weighed what was published")
	case w.Bytes == 0:
		return skip(fmt.Sprintf("none of %s was acknowledged", plural(w.Seq, "message")))
	}
	c := weighedBy(h, w.Bytes)
	usual := c
	if u, ok := h.control().Last(Client, "weighed"); ok && u.Bytes > 0 {
		usual = weighedBy(h.control(), u.Bytes)
	}
	if c.connections == 0 || usual.connections == 0 {
		return unseen("the balancer counted no connection between servers to its end")
	}
	measured := []Measure{{Name: "wire_per_payload", Value: round(c.ratio), Unit: "B/B"}, {Name: "wire_per_payload_control", Value: round(usual.ratio), Unit: "B/B"},
		kilobytes("payload", w.Bytes), kilobytes("wire", c.all), kilobytes("wire_system", c.system), kilobytes("wire_accounts", c.account), count("connections", c.connections, "connections")}
	split := ""
	if c.system > 0 {
		split = fmt.Sprintf("; of these %.1f in the system account (Raft and replication)", float64(c.system)/float64(w.Bytes))
	}
	got := fmt.Sprintf("%.1f bytes crossed for each that was acknowledged (control %.1f)%s; %s", c.ratio, usual.ratio, split, plural(c.connections, "connection"))
	if c.ratio > undue*usual.ratio {
		return []Finding{{Verdict: Risky, Got: got, Measured: measured, Advice: eventAdvice(h.Terms), Marginal: c.ratio < undue*undue*usual.ratio}}
	}
	return held(got, measured...)
}

func kilobytes(name string, bytes int64) Measure {
	return Measure{Name: name, Value: round(float64(bytes) / 1000), Unit: "kB"}
}

// weighedBy counts what crossed by the balancer's own counters, which are exact when a connection has ended.
func weighedBy(h History, payload int64) carriage {
	carried := map[string][]Event{}
	for _, e := range h.Kind(Server, "carries") {
		carried[e.Addr] = append(carried[e.Addr], e)
	}
	var c carriage
	for _, e := range h.Kind(Balancer, "end") {
		if !balanced(e) {
			continue
		}
		c.connections++
		bytes := e.Up + e.Down
		c.all += bytes
		// Of several connections from one address the one that was there when it was looked at.
		for _, by := range carried[e.Addr] {
			if by.At > e.At || by.At < e.At-e.Took-time.Second {
				continue
			}
			if by.Account != "" {
				c.system += bytes
			} else {
				c.account += bytes
			}
			break
		}
	}
	c.ratio = float64(c.all) / float64(payload)
	return c
}
