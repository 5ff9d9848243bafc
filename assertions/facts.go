package assertions

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Fact is something that was found out about an endpoint, whatever one makes of it.
type Fact struct{ Name, Value string }

// Facts are what a look at an endpoint showed, in the order of a connection's life.
func Facts(h History) []Fact {
	var facts []Fact
	for _, f := range []Fact{
		{"addresses", addressFact(h)}, {"first line", greetingFact(h)}, {"servers", serverFact(h)}, {"TLS", tlsFact(h)}, {"certificate", certificateFact(h)},
		{"client address", clientFact(h)}, {"advertised", advertisedFact(h)}, {"request-reply", requestFact(h)}, {"throughput", throughputFact(h)}, {"limits", limitFact(h)},
	} {
		if f.Value != "" {
			facts = append(facts, f)
		}
	}
	return facts
}

func addressFact(h History) string {
	var said []string
	for _, e := range h.Events {
		switch e.Kind {
		case "unresolved":
			said = append(said, e.Dial+" has no address: "+e.Why)
		case "undialled":
			said = append(said, e.Addr+" "+e.Why)
		case "dialled":
			said = append(said, fmt.Sprintf("%s connects in %s", e.Addr, small(e.Took)))
		}
	}
	if untried := len(h.Kind(Client, "resolved")) - len(h.Kind(Client, "dialled")) - len(h.Kind(Client, "undialled")); untried > 0 {
		said = append(said, plural(untried, "more address")+" not tried")
	}
	return strings.Join(said, "; ")
}

func greetingFact(h History) string {
	var said []string
	for _, e := range h.Kind(Client, "greeting") {
		manner := map[string]string{listened: "to a silent client", spokeUp: "to a client that speaks first", tlsFirst: "after TLS"}[e.How]
		text := manner + ": " + e.Why
		if e.Info != nil {
			text = fmt.Sprintf("INFO %s in %s", manner, small(e.Took))
		}
		if len(h.Kind(Client, "dialled")) > 1 {
			text = e.Addr + " " + text
		}
		said = append(said, text)
	}
	return strings.Join(said, "; ")
}

func serverFact(h History) string {
	type seen struct {
		name, version, cluster string
		times                  int
	}
	var all []string
	by := map[string]*seen{}
	for _, e := range h.Events {
		if e.Info == nil {
			continue
		}
		s, ok := by[e.Info.ID]
		if !ok {
			s = &seen{name: e.Info.Name, version: e.Info.Version, cluster: e.Info.Cluster}
			by[e.Info.ID] = s
			all = append(all, e.Info.ID)
		}
		if e.Kind == "greeted" {
			s.times++
		}
	}
	if len(all) == 0 {
		return ""
	}
	slices.SortFunc(all, func(a, b string) int { return strings.Compare(by[a].name, by[b].name) })
	_, connections := reached(h)
	var said []string
	for _, id := range all {
		name := by[id].name
		if name == "" || name == id {
			name = id[:min(len(id), 8)] + "…" // one without a name of its own
		}
		text := name + " (" + by[id].version + ")"
		if connections > 0 {
			text += fmt.Sprintf(" %d", by[id].times)
		}
		said = append(said, text)
	}
	text := strings.Join(said, ", ")
	if connections > 0 {
		text += " of " + plural(connections, "connection")
	}
	if c := by[all[0]].cluster; c != "" {
		text += "; cluster " + c
	}
	return text
}

func tlsFact(h History) string {
	for _, e := range h.Events {
		switch {
		case e.Kind == "direct" || e.TLS == nil || e.Info == nil && e.Kind == "greeting":
			continue
		case e.TLS.First && e.Info.TLSRequired:
			return e.TLS.Version + " before the first line, " + endsTLS(h, e) + asking(h, e)
		case e.TLS.First:
			return e.TLS.Version + " before the first line, ended before it reaches the server, which knows of none: no client certificate arrives" + asking(h, e)
		}
		return e.TLS.Version + " after the first line, passed through to the server" + asking(h, e)
	}
	for _, e := range h.Kind(Client, "greeting") {
		if e.Info != nil {
			return "none: everything, credentials included, crosses in the clear"
		}
	}
	return ""
}

// endsTLS says who ended TLS where the server knows of it: with the server's own certificate at hand, that is seen.
func endsTLS(h History, e Event) string {
	own, known := h.First(Client, "direct")
	switch {
	case !known || own.TLS == nil:
		return "and the server speaks it too: passed through, or ended and begun anew (--direct tells)"
	case own.TLS.Print == e.TLS.Print:
		return "passed through to the server, whose own certificate it is"
	}
	return "ended and begun anew: the certificate is another than the server's own"
}

func asking(h History, e Event) string {
	verifies := slices.ContainsFunc(h.Events, func(e Event) bool { return e.Info != nil && e.Info.TLSVerify })
	switch {
	case e.TLS.Asks && e.Info != nil && e.TLS.First && !e.Info.TLSRequired:
		return "; a client certificate is asked for on the way, and ends there"
	case e.TLS.Asks:
		return "; a client certificate is asked for"
	case verifies:
		return "; the server wants a client certificate, which nobody asks for on the way: none arrives"
	}
	return ""
}

func certificateFact(h History) string {
	var said []string
	for _, e := range h.Events {
		if e.Kind == "direct" || e.TLS == nil || e.TLS.Expires.IsZero() {
			continue
		}
		text := fmt.Sprintf("%s for %s, by %s, until %s", bearer(*e.TLS), strings.Join(e.TLS.Names, " "), e.TLS.Issuer, e.TLS.Expires.Format(time.DateOnly))
		if e.TLS.Untrusted != "" {
			text += "; does not verify: " + e.TLS.Untrusted
		}
		if !slices.Contains(said, text) {
			said = append(said, text)
		}
	}
	return strings.Join(said, "; ")
}

func clientFact(h History) string {
	e, ok := h.First(Client, "greeted")
	switch {
	case !ok:
		return ""
	case e.Info.ClientIP == "":
		return "not told by the server"
	case e.Info.ClientIP == hostOf(e.Caller):
		return "the server sees our own, " + e.Info.ClientIP
	}
	return fmt.Sprintf("the server sees %s, we are %s", e.Info.ClientIP, hostOf(e.Caller))
}

func advertisedFact(h History) string {
	var said []string
	for _, e := range h.Kind(Client, "advertised") {
		how := map[string]string{"own": "this endpoint", "reachable": "can be reached", "unreachable": e.Why, "untried": "not tried"}[e.How]
		if e.What != "" && e.How != "own" {
			how = e.What + ", " + how
		}
		said = append(said, e.Addr+" ("+how+")")
	}
	if len(said) == 0 && len(h.Kind(Client, "greeted")) > 0 {
		return "nothing"
	}
	return strings.Join(said, ", ")
}

func requestFact(h History) string {
	answered := h.Kind(Client, "answered")
	if len(answered) == 0 {
		return ""
	}
	text := fmt.Sprintf("%s, the median in %s", plural(len(answered), "answer"), small(middle(answered)))
	if e := answered[0]; e.Node != e.Peer {
		text += fmt.Sprintf(", from %s to %s", e.Node, e.Peer)
	}
	return text
}

func limitFact(h History) string {
	e, ok := h.First(Client, "greeted")
	if !ok {
		return ""
	}
	return fmt.Sprintf("messages up to %d bytes", e.Info.MaxPayload)
}
