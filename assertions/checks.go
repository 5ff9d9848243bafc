package assertions

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Check is a promise as it is judged at a real endpoint, from the outside: without a control, without a hand on the
// balancer, and without a view into the servers. It has the name of the assertion that a lab judges.
type Check struct {
	Name    string
	Promise string // one sentence that is true if the verdict is safe
	// Firm promises are judged by what is there, not by when it came: a tester short of CPU sees it as well.
	Firm bool
	// Judge reads what Looking wrote. It is pure; it never returns an empty slice.
	Judge func(History) []Finding
}

// Checks lists what is judged at an endpoint, in the order in which a reader wants to know.
func Checks() []Check {
	return []Check{
		{"client/connects", "Every client connects within its own timeout, at every address of the endpoint.", false, connectsAt},
		{"inspection/first-bytes-pass", "The server's first bytes arrive at once, though the client says nothing.", false, firstBytesAt},
		{"tls/connects", "TLS comes about, and the certificate is one that clients accept.", true, handshakesAt},
		{"client/spread-over-nodes", "Connections reach several servers where there are several.", true, spreadAt},
		{"proxy/address-arrives", "Servers see the address from which a client comes.", true, addressAt},
		{"client/stays-behind-lb", "What servers advertise to clients leads back to this endpoint.", true, advertisedAt},
		{"request/answered", "Every request from one connection to another is answered without delay.", false, requestsAt},
		{"inspection/payloads-pass", "Payloads come back byte for byte, whatever they look like.", false, payloadsAt},
	}
}

// Unchecked is a promise about clients that no endpoint can be asked about, and why.
type Unchecked struct {
	Name, Promise, Why string
}

// LabOnly lists the promises about clients behind a balancer that are not among those checked, and why.
func LabOnly(checked []Check) []Unchecked {
	var all []Unchecked
	for _, a := range All() {
		if slices.Contains(a.Links, "clients") && !slices.ContainsFunc(checked, func(c Check) bool { return c.Name == a.Name }) {
			all = append(all, Unchecked{a.Name, a.Promise, labOnly(a)})
		}
	}
	return all
}

func labOnly(a Assertion) string {
	switch o := a.Observe; {
	case o.JetStream:
		return "it writes to streams; nothing is written to a real endpoint"
	case o.Own:
		return "it takes a balancer and servers to itself"
	case o.Strikes:
		return "it takes an event in the middle, which only a lab brings about"
	case o.Alone, a.Idle != nil:
		return "it takes minutes of silence (--deep measures the idle limit that it rests on)"
	}
	return "it takes a look into servers and balancer, which only a lab has"
}

// nobodyIn is why most checks are skipped where no application came in.
const nobodyIn = "no application was let in"

// doorsTried are the addresses that let the tester connect, and those that did not.
func doorsTried(h History) (open, shut []Event) {
	return h.Kind(Client, "dialled"), h.Kind(Client, "undialled")
}

func connectsAt(h History) []Finding {
	open, shut := doorsTried(h)
	if len(open)+len(shut) == 0 {
		if lost, ok := h.First(Client, "unresolved"); ok {
			return unseen(fmt.Sprintf("%s has no address: %s", lost.Dial, lost.Why))
		}
		return unseen("no address was tried")
	}
	measured := []Measure{count("addresses", len(open)+len(shut), "count"), count("unreachable", len(shut), "count")}
	if len(open) == 0 {
		return []Finding{{Verdict: Unsafe, Firm: true, Got: "no connection: " + reasons(shut), Measured: measured, Evidence: sample(shut)}}
	}
	all, _, failed := greeted(h)
	if all == 0 {
		return unwelcomeAt(h, measured)
	}
	if turned := slices.DeleteFunc(slices.Clone(failed), func(e Event) bool { return e.How != notLetIn }); len(turned) == all {
		return unseen("the servers let nobody in (" + turned[0].Why + "): the credentials are wrong, or none were given")
	}
	h.Control = distance(h)
	found := judgeConnects(h)
	f := &found[0]
	f.Measured = append(f.Measured, measured...)
	f.Firm = slices.ContainsFunc(failed, func(e Event) bool { return !fromSlowness(e.Why) })
	if f.Verdict == Risky {
		_, slowest, _ := greeted(h)
		f.Got = fmt.Sprintf("a connect took %s, of which the way explains %s", spoken(slowest), small(h.Control.Events[0].Took))
	}
	if slices.ContainsFunc(failed, func(e Event) bool { return strings.Contains(e.Why, "Unknown Protocol Operation") }) {
		f.Advice = append(f.Advice, headerAdvice(h.Terms, "v2")...)
		f.Advice = append(f.Advice, towardsClients["proxy-protocol"]...)
	}
	asked := slices.ContainsFunc(h.Events, func(e Event) bool { return e.TLS != nil && e.TLS.Asks })
	if slices.ContainsFunc(failed, func(e Event) bool {
		return asked || strings.Contains(e.Why, "tls:") || strings.Contains(e.Why, "x509:")
	}) {
		f.Advice = append(f.Advice, Advice{Target: "client", Text: "TLS fails, see tls/connects: give the authority with --tlsca, and a certificate with --tlscert and --tlskey where one is asked for"})
	}
	if lost := h.Kind(Client, "unresolved"); f.Verdict == Safe && len(shut)+len(lost) > 0 {
		f.Verdict, f.Evidence = Risky, sample(slices.Concat(shut, lost))
		f.Got = fmt.Sprintf("%s; but %s", f.Got, reasons(slices.Concat(shut, lost)))
		f.Advice = append(f.Advice, Advice{Target: "load-balancer", Text: "no address in DNS that does not answer: a client tries it first in one of as many starts as there are addresses, and waits"})
	}
	return found
}

// fromSlowness reports whether a connect may have failed so for want of CPU here: the other side loses patience too.
func fromSlowness(why string) bool {
	return slices.ContainsFunc([]string{"timeout", "end of file", "connection reset"}, func(words string) bool { return strings.HasPrefix(why, words) })
}

// distance stands for a control: what a connect takes through nothing, from here. A client connects, hears INFO,
// shakes hands in TLS twice, and has its CONNECT answered; six turns of a packet, the server's work included.
func distance(h History) *History {
	const turns = 6
	var far time.Duration
	for _, e := range h.Kind(Client, "dialled") {
		far = max(far, e.Took)
	}
	return &History{Terms: h.Terms, Events: []Event{{From: Client, Kind: "greeted", Took: turns * far}}}
}

// unwelcomeAt says why there was not even a NATS client's connect to try.
func unwelcomeAt(h History, measured []Measure) []Finding {
	heard := h.Kind(Client, "greeting")
	if len(heard) == 0 {
		return unseen("the time was over before anybody answered")
	}
	f := Finding{Verdict: Unsafe, Measured: measured, Evidence: sample(heard)}
	quiet, spoken, secured := bestOf(heard, listened), bestOf(heard, spokeUp), bestOf(heard, tlsFirst)
	switch {
	case spoken != nil && spoken.Info != nil:
		f.Got = "it waits for the client to speak first, which NATS clients do not do: " + quiet.Why + ", and the server's INFO came when the tester spoke"
		f.Advice = towardsClients["inspection"]
	case quiet != nil && secured != nil && secured.Info != nil:
		f.Got = "it speaks only after a TLS handshake, and clients here speak plainly first: " + quiet.Why
		f.Advice = []Advice{{Target: "client", Text: "TLS first: nats.TLSHandshakeFirst() (nats.go 1.31); lbtest validate --tlsfirst asks as such a client"}}
	case quiet != nil && secured != nil && secured.TLS != nil:
		f.Got = "there is TLS, but no NATS behind it: " + secured.Why
	case quiet == nil && secured != nil:
		f.Got = "no NATS after TLS: " + secured.Why
	default:
		f.Got = "no NATS server greeted: " + quiet.Why
		if spoken != nil && strings.HasPrefix(spoken.Why, "it ") && !strings.Contains(spoken.Why, "without a word") && spoken.Why != quiet.Why {
			f.Got += "; spoken to, " + spoken.Why
		}
	}
	f.Firm = quiet == nil || !strings.HasPrefix(quiet.Why, "nothing came")
	return []Finding{f}
}

// bestOf is the greeting of that manner which got furthest, nil if it was not tried.
func bestOf(heard []Event, how string) *Event {
	var best *Event
	for i, e := range heard {
		if e.How != how {
			continue
		}
		if best == nil || e.Info != nil || best.Info == nil && best.TLS == nil && e.TLS != nil {
			best = &heard[i]
		}
	}
	return best
}

// reasons names addresses and what is wrong with each.
func reasons(shut []Event) string {
	var said []string
	for _, e := range sample(shut) {
		addr := e.Addr
		if addr == "" {
			addr = e.Dial
		}
		said = append(said, addr+": "+e.Why)
	}
	return join(said...)
}

func firstBytesAt(h History) []Finding {
	heard := h.Kind(Client, "greeting")
	if !slices.ContainsFunc(heard, func(e Event) bool { return e.Info != nil }) {
		return skip("no server greeted")
	}
	var waits, late []Event
	var longest, far time.Duration
	for _, e := range h.Kind(Client, "dialled") {
		far = max(far, e.Took)
	}
	asked := 0
	for _, e := range heard {
		switch {
		case e.How == spokeUp && e.Info != nil:
			waits = append(waits, e)
		case e.How != spokeUp && e.Info != nil:
			asked++
			longest = max(longest, e.Took)
			if e.Took > 4*far+tolerance { // TLS first takes two turns more
				late = append(late, e)
			}
		}
	}
	measured := []Measure{millis("time_to_info", longest)}
	switch {
	case len(waits) > 0 && asked == 0:
		return []Finding{{Verdict: Unsafe, Got: "nothing came until the tester spoke: something on the way waits for the client's first bytes",
			Evidence: sample(waits), Advice: towardsClients["inspection"]}}
	case longest > clientPatience:
		return []Finding{{Verdict: Unsafe, Got: fmt.Sprintf("the server's first line came after %s; nats.go gives up after %s", spoken(longest), spoken(clientPatience)),
			Measured: measured, Evidence: sample(late), Advice: towardsClients["inspection"][:1]}}
	case len(late) > 0:
		return []Finding{{Verdict: Risky, Got: fmt.Sprintf("the server's first line came after %s, far more than the way takes", spoken(longest)),
			Measured: measured, Evidence: sample(late), Advice: towardsClients["inspection"][:1]}}
	case bestOf(heard, listened) != nil && bestOf(heard, listened).Info == nil:
		return skip("it speaks after a TLS handshake only; --tlsfirst judges it as such a client")
	}
	return held("the server's first line came within "+small(longest), measured...)
}

// expiry is when a certificate should long have been renewed: authorities that renew by themselves do it with
// thirty days left, and complain by mail from twenty on.
const expiry = 14 * 24 * time.Hour

func handshakesAt(h History) []Finding {
	failed := h.Kind(Client, "unsecured")
	var shown []Event
	for _, e := range h.Events {
		if e.TLS != nil && e.Kind != "direct" {
			shown = append(shown, e)
		}
	}
	if len(shown)+len(failed) == 0 {
		return skip("there is no TLS at this endpoint")
	}
	if len(failed) > 0 {
		return []Finding{{Verdict: Unsafe, Got: "the server offers TLS, and the handshake fails: " + failed[0].Why, Evidence: sample(failed)}}
	}
	worst := shown[0]
	for _, e := range shown {
		if e.TLS.Untrusted != "" || worst.TLS.Untrusted == "" && e.TLS.Left < worst.TLS.Left {
			worst = e
		}
	}
	measured := []Measure{{Name: "certificate_valid_for", Value: float64(int(worst.TLS.Left.Hours() / 24)), Unit: "days"}}
	switch {
	case worst.TLS.Untrusted != "":
		return []Finding{{Verdict: Unsafe, Got: fmt.Sprintf("the certificate of %s does not verify: %s", bearer(*worst.TLS), worst.TLS.Untrusted), Measured: measured,
			Evidence: sample(shown), Advice: []Advice{{Target: "client", Text: "the authority that signed it, with --tlsca (nats.RootCAs), where that is one of your own"},
				{Target: "load-balancer", Text: "a valid certificate with the name that clients dial, on whoever ends TLS (" + bearer(*worst.TLS) + ")"}}}}
	case worst.TLS.Left < expiry:
		return []Finding{{Verdict: Risky, Got: fmt.Sprintf("the certificate of %s expires in %d days", bearer(*worst.TLS), int(worst.TLS.Left.Hours()/24)), Measured: measured,
			Evidence: sample(shown), Advice: []Advice{{Target: "load-balancer", Text: "renew the certificate of " + bearer(*worst.TLS) + " on whoever ends TLS"}}}}
	}
	return held(fmt.Sprintf("%s, the certificate of %s is valid until %s", worst.TLS.Version, bearer(*worst.TLS), worst.TLS.Expires.Format(time.DateOnly)), measured...)
}

// bearer is a certificate's owner in few words.
func bearer(t Handshake) string {
	if t.Subject != "" {
		return t.Subject
	}
	return strings.Join(t.Names, ", ")
}

// reached counts connections by server.
func reached(h History) (by map[string]int, all int) {
	by = map[string]int{}
	for _, e := range h.Kind(Client, "greeted") {
		by[e.Peer]++
		all++
	}
	return by, all
}

func spreadAt(h History) []Finding {
	by, all := reached(h)
	if all == 0 {
		return skip(nobodyIn)
	}
	most := 0
	for _, n := range by {
		most = max(most, n)
	}
	first, _ := h.First(Client, "greeted")
	others, own := advertisedOthers(h)
	measured := []Measure{count("servers", len(by), "count"), count("connections", all, "count"), count("most_on_one", most, "connections")}
	switch {
	case len(by) == 1 && own > 0 && others > 0:
		return skip(fmt.Sprintf("this is the address of server %s itself, which advertises it beside %s", first.Node, plural(others, "other")))
	case len(by) == 1 && first.Info.Cluster == "" && others == 0:
		return skip("one server answers, and nothing says that there are others")
	case len(by) == 1:
		return []Finding{{Verdict: Risky, Got: fmt.Sprintf("all %d connections led to %s, one server of cluster %s", all, first.Node, first.Info.Cluster), Measured: measured,
			Evidence: sample(h.Kind(Client, "greeted")), Advice: []Advice{{Target: "load-balancer",
				Text: "every node in rotation, and balancing by round robin or least connections; by source address, all clients behind one address share a node"}}}}
	case most > all*2/3: // with two servers or more and turns taken, one has half at the most
		return []Finding{{Verdict: Risky, Got: fmt.Sprintf("%d of %d connections led to one of %d servers", most, all, len(by)), Measured: measured,
			Advice: []Advice{{Target: "load-balancer", Text: "balancing by round robin or least connections", Set: map[string]string{"balance": "least-connections"}}}}}
	}
	return held(fmt.Sprintf("%d connections led to %d servers, %d to one at the most", all, len(by), most), measured...)
}

// advertisedOthers counts the advertised addresses that are not this endpoint's, and those that are.
func advertisedOthers(h History) (others, own int) {
	for _, e := range h.Kind(Client, "advertised") {
		if e.How == "own" {
			own++
		} else {
			others++
		}
	}
	return others, own
}

func addressAt(h History) []Finding {
	arrived, blind := 0, 0
	var foreign []Event
	for _, e := range h.Kind(Client, "greeted") {
		switch {
		case e.Info.ClientIP == "":
			blind++
		case e.Info.ClientIP == hostOf(e.Caller):
			arrived++
		default:
			foreign = append(foreign, e)
		}
	}
	switch {
	case arrived+blind+len(foreign) == 0:
		return skip(nobodyIn)
	case len(foreign) > 0:
		e := foreign[0]
		return []Finding{{Verdict: Risky, Evidence: sample(foreign), Measured: []Measure{count("foreign", len(foreign), "connections")},
			Got: fmt.Sprintf("servers see %s in the place of %s: a balancer's own address, or that of a NAT on the way", e.Info.ClientIP, hostOf(e.Caller)),
			Advice: []Advice{{Target: "load-balancer", Text: "client address preservation; or a PROXY header towards NATS (send-proxy-v2) together with the server's proxy_protocol"},
				{Target: "nats-server", Text: "proxy_protocol: true  # 2.12.2; together with the balancer's PROXY header, and only where no other peer can reach the port"}}}}
	case blind > 0:
		return skip("the servers' first line tells no client address, as with proxy_protocol: it comes before the PROXY header")
	}
	return held(fmt.Sprintf("servers see the client's own address in %s", plural(arrived, "connection")), count("arrived", arrived, "connections"))
}

func hostOf(addr string) string {
	if i := strings.LastIndexByte(addr, ':'); i > 0 {
		return strings.Trim(addr[:i], "[]")
	}
	return addr
}

func advertisedAt(h History) []Finding {
	_, all := reached(h)
	if all == 0 {
		return skip(nobodyIn)
	}
	told := h.Kind(Client, "advertised")
	others, own := advertisedOthers(h)
	by, _ := reached(h)
	var open, dead []string
	for _, e := range told {
		switch e.How {
		case "reachable":
			open = append(open, e.Addr)
		case "unreachable":
			dead = append(dead, e.Addr+" ("+join(e.What, e.Why)+")")
		}
	}
	measured := []Measure{count("advertised", len(told), "count"), count("others", others, "count"), count("reachable_others", len(open), "count")}
	switch {
	case len(told) == 0:
		return held("servers advertise no address: clients come back to this endpoint", measured...)
	case others == 0:
		return held("servers advertise this endpoint alone: "+told[0].Addr, measured...)
	case own > 0 && len(by) == 1:
		return skip("this is a server's own address, advertised like its neighbours': no balancer that could be passed")
	}
	var got []string
	if len(open) > 0 {
		got = append(got, "clients that reconnect leave the balancer for "+strings.Join(open, ", "))
	}
	if len(dead) > 0 {
		got = append(got, "clients that reconnect try in vain "+strings.Join(dead, ", "))
	}
	if len(got) == 0 {
		got = append(got, plural(others, "other address")+" advertised")
	}
	return []Finding{{Verdict: Risky, Got: join(got...), Measured: measured, Evidence: sample(told), Advice: pastAdvice}}
}

func requestsAt(h History) []Finding {
	answered, lost := h.Kind(Client, "answered"), h.Kind(Client, "unanswered")
	var far, longest time.Duration
	for _, e := range h.Kind(Client, "dialled") {
		far = max(far, e.Took)
	}
	for _, e := range answered {
		longest = max(longest, e.Took)
	}
	forbidden := h.Filter(func(e Event) bool {
		return e.Kind == "complained" && strings.Contains(strings.ToLower(e.Why), "permissions violation")
	})
	measured := []Measure{count("requests", len(answered)+len(lost), "count"), count("unanswered", len(lost), "count"),
		millis("median", middle(answered)), millis("longest", longest)}
	switch {
	case len(answered)+len(lost) == 0:
		return skip(nobodyIn)
	case len(lost) > 0 && len(forbidden) > 0:
		return skip("this user may not use inboxes: " + forbidden[0].Why + " (--inbox-prefix names another)")
	case len(lost) > 0:
		return []Finding{{Verdict: Unsafe, Got: fmt.Sprintf("%d of %s unanswered: %s", len(lost), plural(len(answered)+len(lost), "request"), lost[0].Why), Measured: measured, Evidence: sample(lost)}}
	case longest > 8*far+tolerance: // two ways there, two back, and a neighbour server's as far again
		return []Finding{{Verdict: Risky, Got: fmt.Sprintf("an answer took %s, far more than the way does (the median %s)", spoken(longest), spoken(middle(answered))), Measured: measured}}
	}
	return held(fmt.Sprintf("%s answered, the median in %s, the slowest in %s", plural(len(answered), "request"), small(middle(answered)), small(longest)), measured...)
}

// millis is a duration that may be far below one.
func millis(name string, d time.Duration) Measure {
	return Measure{Name: name, Value: float64(d.Round(10*time.Microsecond)) / float64(time.Millisecond), Unit: "ms"}
}

// middle is the median of what events took.
func middle(events []Event) time.Duration {
	if len(events) == 0 {
		return 0
	}
	sorted := slices.SortedFunc(slices.Values(events), func(a, b Event) int { return int(a.Took - b.Took) })
	return sorted[len(sorted)/2].Took
}

// small prints durations that may be far below a millisecond.
func small(d time.Duration) string {
	if d < 10*time.Millisecond {
		return d.Round(10 * time.Microsecond).String()
	}
	return spoken(d)
}

func payloadsAt(h History) []Finding {
	back, lost := h.Kind(Client, "echoed"), h.Kind(Client, "unechoed")
	measured := []Measure{count("payloads", len(back)+len(lost), "count"), count("changed", len(lost), "count")}
	if len(back)+len(lost) == 0 {
		return skip("no request was answered, so nothing could be sent around")
	}
	if len(lost) == 0 {
		return held(fmt.Sprintf("%s came back as they were", plural(len(back), "payload")), measured...)
	}
	var named []string
	for _, e := range lost {
		text := e.What + " (" + e.Why
		if e.How == "cut" {
			text += "; the connection was ended"
		}
		named = append(named, text+")")
	}
	return []Finding{{Verdict: Unsafe, Got: "did not come back: " + strings.Join(named, ", "), Measured: measured, Evidence: sample(lost), Advice: []Advice{
		{Target: "load-balancer", Text: "no inspection of content (IPS, WAF, DLP) on the port of NATS; or TLS from end to end, in which there is nothing to see"}}}}
}
