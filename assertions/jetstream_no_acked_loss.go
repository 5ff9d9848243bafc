package assertions

import (
	"fmt"
	"slices"
)

func init() {
	register(Assertion{
		Name:    "jetstream/no-acked-loss",
		Promise: "Every message that a stream acknowledged can be read back, once and in order, and its replicas hold the same.",
		Explain: "An ack of an R3 stream says that a majority has the message. In the end every stream is read from its beginning and compared " +
			"with the acks; every node's own copy must have the same number of messages and the same last sequence; and each replica is made the leader in turn and read back, whose " +
			"messages must be the same byte for byte, subjects, headers and times included. A write that failed may or may not be there, and is counted apart: said again without a message id, as " +
			"routes, gateways and leaf nodes are watched, it may be there twice. What an ack is worth when machines lose power depends on sync_interval, which is told: no node fails here unless node-fault is asked for.",
		Speaks: speaks(ofConnecting, ofCarrying, "idle-timeout", "idle-timeout-client", "idle-timeout-server", "idle-expiry", "max-lifetime",
			"stall", "outage", "restart", "drain", "node-fault"),
		Links:     append([]string{"clients"}, serverLinks...),
		Observe:   streaming,
		Elsewhere: map[string]*Observation{"clients": pipelining},
		SpeaksOn:  map[string][]string{"clients": ofStreams, gatewayLinks: ofLiving, leafLinks: ofLiving},
		Judge:     judgeAckedLoss,
		Unbroken:  "a majority of the nodes has what was acknowledged, and a balancer cannot reach it there",
	})
}

func judgeAckedLoss(h History) []Finding {
	type message struct {
		stream string
		seq    int
	}
	read := map[message]bool{}
	for _, e := range h.Kind(Client, "read") {
		read[message{e.Stream, e.Seq}] = true
	}
	unreadable := h.Kind(Client, "unreadable")
	acked := h.Kind(Client, "acked")
	if len(acked) == 0 {
		return skip("nothing was acknowledged, so nothing can be lost")
	}
	acked = append(acked, h.Kind(Client, "retry-acked")...)
	var lost []Event
	for _, e := range acked {
		if !read[message{e.Stream, e.Seq}] {
			lost = append(lost, e)
		}
	}
	differ, unequal, untaken := disagreeing(h), differing(h), h.Kind(Client, "no-copy")
	wrote := written(h)
	measured := append([]Measure{count("acked", len(acked), "messages"), count("acked_lost", len(lost), "messages"),
		count("streams_unreadable", len(unreadable), "streams"), count("streams_disagreeing", len(differ)+len(unequal), "streams"),
		count("stored_twice", len(wrote.twice), "messages"), count("out_of_order", len(wrote.jumbled), "messages")}, wrote.failures()...)
	said, interval := syncing(h)
	if said != "" {
		measured = append(measured, seconds("sync_interval", interval))
	}
	broken := func(firm bool, evidence []Event, format string, args ...any) []Finding {
		return []Finding{{Verdict: Unsafe, Got: join(fmt.Sprintf(format, args...), said), Measured: measured, Advice: lossAdvice(h.Terms), Evidence: sample(evidence), Firm: firm}}
	}
	switch {
	case len(unreadable) > 0:
		return broken(false, unreadable, "%s could not be read back within 30 s, %s not found: %s",
			plural(len(unreadable), "stream"), plural(len(lost), "acknowledged message"), unreadable[0].Why)
	case len(lost) > 0:
		return broken(true, lost, "%d of %d acknowledged messages could not be read back", len(lost), len(acked))
	case len(wrote.twice) > 0:
		return broken(true, wrote.twice, "%s stored twice though published once (first number %d of %s)", plural(len(wrote.twice), "message"), wrote.twice[0].Seq, wrote.twice[0].Stream)
	case len(wrote.jumbled) > 0:
		e := wrote.jumbled[0]
		return broken(true, wrote.jumbled, "%s out of order (first number %d of %s, at place %d)", plural(len(wrote.jumbled), "acknowledged message"), e.Seq, e.Stream, e.Count)
	case len(differ) > 0:
		return broken(false, differ, "the replicas of %s do not agree 10 s after the end", plural(len(differ), "stream"))
	case len(unequal) > 0:
		return broken(true, unequal, "the replicas of %s hold as much, but not the same (first %s of %s)", plural(len(unequal), "stream"), unequal[0].Node, unequal[0].Stream)
	case len(untaken) > 0:
		return broken(false, untaken, "%s could not be made the leader and read back within 30 s (first %s of %s: %s)", plural(len(untaken), "replica"), untaken[0].Node, untaken[0].Stream, untaken[0].Why)
	}
	if stream, ok := uncompared(h, acked); ok {
		return unseen("nobody saw what each node's copy of " + stream + " holds")
	}
	if stream, ok := unverified(h, acked); ok {
		return unseen("nobody read each node's copy of " + stream)
	}
	if said == "" {
		return unseen("nobody saw how often the servers sync what they store")
	}
	return held(join(plural(len(acked), "acknowledged message")+" read back from every replica, once, in order and byte for byte the same", wrote.String(), said), measured...)
}

// writes is what became of messages in their streams, those that failed at the client apart.
type writes struct {
	twice, jumbled   []Event // of what was said once and acknowledged
	failed, kept     int     // writes that failed, and those of them that are there all the same
	retried, doubled int     // said again without a message id, and those of them that are there twice
}

// written goes through the streams in the order in which they were read.
func written(h History) writes {
	type message struct {
		stream string
		seq    int
	}
	acked, retried, repeated := map[message]bool{}, map[message]bool{}, map[message]bool{}
	var w writes
	for _, e := range h.Events {
		if e.From != Client {
			continue
		}
		switch m := (message{e.Stream, e.Seq}); e.Kind {
		case "acked":
			acked[m] = true
			w.failed--
		case "published":
			w.failed += e.Count
		case "retried":
			retried[m] = true
			repeated[m] = true
		case "said-again", "repeated", "publish-failed": // under its id: jetstream/no-duplicates-with-ids' subject
			repeated[m] = true
		}
	}
	w.failed, w.retried = max(0, w.failed), len(retried)
	stored, newest := map[message]int{}, map[string]int{}
	for _, e := range h.Kind(Client, "read") {
		m := message{e.Stream, e.Seq}
		stored[m]++
		switch {
		case retried[m] && stored[m] == 2:
			w.doubled++
		case !acked[m] && stored[m] == 1:
			w.kept++
		case repeated[m] || !acked[m]:
		case stored[m] == 2:
			w.twice = append(w.twice, e)
		case stored[m] == 1 && e.Seq < newest[e.Stream]:
			w.jumbled = append(w.jumbled, e)
		default:
			newest[e.Stream] = max(newest[e.Stream], e.Seq)
		}
	}
	return w
}

// failures are the numbers of what failed.
func (w writes) failures() []Measure {
	return []Measure{count("writes_failed", w.failed, "messages"), count("writes_failed_stored", w.kept, "messages"),
		count("writes_retried", w.retried, "messages"), count("retries_stored_twice", w.doubled, "messages")}
}

func (w writes) String() string {
	if w.failed == 0 && w.retried == 0 {
		return ""
	}
	said := fmt.Sprintf("counted apart: %s failed, of which %d are there", plural(w.failed, "write"), w.kept)
	if w.retried > 0 {
		said += fmt.Sprintf("; %d said again without a message id, of which %d are there twice", w.retried, w.doubled)
	}
	return said
}

// lossAdvice depends on who meets the balancer: those who replicate, or those who publish.
func lossAdvice(t Terms) []Advice {
	if slices.Contains(t.Links, "routes") || len(t.Links) == 0 {
		return eventAdvice(t)
	}
	return publishAdvice(t)
}

// uncompared returns a stream with acknowledged messages whose copies were not all seen, or of which no
// node had anything to say.
func uncompared(h History, acked []Event) (stream string, ok bool) {
	copies, holds := map[string]map[string]bool{}, map[string]bool{}
	for _, e := range h.Kind(Server, "replica") {
		if copies[e.Stream] == nil {
			copies[e.Stream] = map[string]bool{}
		}
		copies[e.Stream][e.Node] = true
		holds[e.Stream] = holds[e.Stream] || e.Count > 0
	}
	for _, e := range acked {
		if len(copies[e.Stream]) < members(h, e.Stream) || !holds[e.Stream] {
			return e.Stream, true
		}
	}
	return "", false
}

// disagreeing returns one replica of each stream whose copies differ.
func disagreeing(h History) []Event {
	first := map[string]Event{}
	var differ []Event
	told := map[string]bool{}
	for _, e := range h.Kind(Server, "replica") {
		was, ok := first[e.Stream]
		if !ok {
			first[e.Stream] = e
			continue
		}
		if (was.Count != e.Count || was.Seq != e.Seq) && !told[e.Stream] {
			told[e.Stream] = true
			differ = append(differ, e)
		}
	}
	return differ
}

// differing returns one replica of each stream whose copies, as they were read, are not the same byte for byte.
func differing(h History) []Event {
	first := map[string]Event{}
	var differ []Event
	told := map[string]bool{}
	for _, e := range h.Kind(Client, "copy") {
		was, ok := first[e.Stream]
		if !ok {
			first[e.Stream] = e
			continue
		}
		if (was.What != e.What || was.Count != e.Count) && !told[e.Stream] {
			told[e.Stream] = true
			differ = append(differ, e)
		}
	}
	return differ
}

// unverified returns a stream with acknowledged messages of which not every copy was read.
func unverified(h History, acked []Event) (stream string, ok bool) {
	copies := map[string]map[string]bool{}
	for _, e := range h.Kind(Client, "copy") {
		if copies[e.Stream] == nil {
			copies[e.Stream] = map[string]bool{}
		}
		copies[e.Stream][e.Node] = true
	}
	for _, e := range acked {
		if len(copies[e.Stream]) < members(h, e.Stream) {
			return e.Stream, true
		}
	}
	return "", false
}
