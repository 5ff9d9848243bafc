package assertions

import (
	"fmt"
	"slices"
	"time"
)

func init() {
	register(Assertion{
		Name:    "jetstream/consumer-resumes",
		Promise: "Pull, push and ordered consumers and a bucket's watcher go on by themselves and miss nothing.",
		Explain: "Two consumers of each kind, and a watcher of a bucket, each kind with a connection of its own through the balancer, hear what is published. Every acknowledged message must reach " +
			"each of them, an ordered consumer in the stream's order without gaps, and a watcher the last value of each key. A message that was under way when a connection ended comes again after " +
			"the consumer's ack wait, which is its own affair. How long what was acknowledged takes to arrive is compared with the control. While nobody publishes, heartbeats (push and ordered every 5 s, " +
			"pull every 15 s) and pings are all that keeps their connections from being ended.",
		Speaks:  ofStreams,
		Links:   []string{"clients"},
		Observe: pipelining,
		Judge:   judgeResumes,
		Hostile: []string{"idle-timeout=3s"},
	})
}

// consumed is one consumer's part of a timeline.
type consumed struct {
	app, stream string
	heard       map[int]time.Duration // number → when it came first
	order       []Event
	again       int
	keys        map[string]int
	over        string // caught-up, behind, or "" if nobody saw
}

func (c consumed) String() string {
	if c.app == watcherKind {
		return "the watcher of bucket " + c.stream
	}
	return "the " + c.app + " consumer of " + c.stream
}

// consumers are those of a timeline, in the order in which they began.
func consumers(h History) []*consumed {
	var all []*consumed
	find := func(e Event) *consumed {
		i := slices.IndexFunc(all, func(c *consumed) bool { return c.app == e.App && c.stream == e.Stream })
		if i < 0 {
			return &consumed{heard: map[int]time.Duration{}, keys: map[string]int{}} // one that never began
		}
		return all[i]
	}
	for _, e := range h.Kind(Client, "consuming") {
		all = append(all, &consumed{app: e.App, stream: e.Stream, heard: map[int]time.Duration{}, keys: map[string]int{}})
	}
	for _, e := range h.Events {
		if e.From != Client {
			continue
		}
		switch c := find(e); e.Kind {
		case "consumed":
			if _, known := c.heard[e.Seq]; !known && e.How == "" {
				c.heard[e.Seq] = e.At
			} else if !known {
				c.heard[e.Seq] = -1 // it came after an ack wait, which says nothing about the consumer
			}
			if e.How != "" {
				c.again++
			}
			c.order = append(c.order, e)
			c.keys[e.What] = e.Seq
		case "caught-up", "behind":
			c.over = e.Kind
		}
	}
	return all
}

func judgeResumes(h History) []Finding {
	if f, ok := judgeUnready(h); !ok {
		return f
	}
	all := consumers(h)
	if why := unwatched(all); why != "" {
		return unseen(why)
	}
	acked, kept := h.Kind(Client, "acked"), h.Kind(Client, "kept")
	if c, found := unfed(all, acked, kept); found {
		return skip("nothing was acknowledged that could reach " + c.String())
	}
	var lost, jumbled, stale []Event
	again := 0
	for _, c := range all {
		lost, stale = append(lost, c.missing(acked)...), append(stale, c.outdated(kept)...)
		jumbled = append(jumbled, c.jumbled()...)
		again += c.again
	}
	cuts := quietCuts(h, all)
	late, who := lag(all, acked)
	usual := usualLag(h.control())
	measured := []Measure{count("consumers", len(all), "consumers"), count("undelivered", len(lost), "messages"), count("out_of_order", len(jumbled), "messages"),
		count("keys_outdated", len(stale), "keys"), count("redelivered", again, "messages"), seconds("longest_delivery_gap", late)}
	if broken := join(told(lost, "acknowledged message", "never reached their consumer within 30 s of the end"), told(jumbled, "message", "of an ordered consumer missing, twice or out of order"),
		told(stale, "key", "whose last value its watcher never saw"), cut(cuts)); broken != "" {
		return []Finding{{Verdict: Unsafe, Got: broken, Measured: measured, Advice: streamAdvice(h.Terms), Evidence: sample(slices.Concat(lost, jumbled, stale, cuts)),
			Firm: len(lost)+len(stale) > 0}}
	}
	gap := fmt.Sprintf("what was acknowledged arrived within %s (%s; control %s)", spoken(late), who, spoken(usual))
	if beyond := late - latest(h, orPause(h, usual)); beyond > 0 {
		return []Finding{{Verdict: Risky, Got: "nothing lost, but " + gap, Measured: measured, Advice: streamAdvice(h.Terms), Beyond: beyond}}
	}
	return held(fmt.Sprintf("%s missed nothing; %s", plural(len(all), "consumer"), gap), measured...)
}

func told(events []Event, what, became string) string {
	if len(events) == 0 {
		return ""
	}
	e := events[0]
	return fmt.Sprintf("%s %s (%s)", plural(len(events), what), became, consumed{app: e.App, stream: e.Stream})
}

func cut(cuts []Event) string {
	if len(cuts) == 0 {
		return ""
	}
	return fmt.Sprintf("consumers' healthy connections were cut %s, first that of the %s application", times(len(cuts)), cuts[0].App)
}

func times(n int) string {
	if n == 1 {
		return "once"
	}
	return fmt.Sprintf("%d times", n)
}

// unwatched says what is missing for an answer.
func unwatched(all []*consumed) string {
	for _, kind := range []string{pullKind, pushKind, orderedKind, watcherKind} {
		if !slices.ContainsFunc(all, func(c *consumed) bool { return c.app == kind }) {
			return "no " + kind + " consumer was watched"
		}
	}
	for _, c := range all {
		if c.over == "" {
			return "nobody saw what became of " + c.String()
		}
	}
	return ""
}

// unfed returns a consumer for which there was nothing to consume.
func unfed(all []*consumed, acked, kept []Event) (*consumed, bool) {
	for _, c := range all {
		if !slices.ContainsFunc(slices.Concat(acked, kept), func(e Event) bool { return e.Stream == c.stream }) {
			return c, true
		}
	}
	return nil, false
}

// missing are the acknowledged messages of its stream that never reached a consumer.
func (c consumed) missing(acked []Event) []Event {
	var missing []Event
	for _, e := range acked {
		if _, came := c.heard[e.Seq]; e.Stream == c.stream && !came {
			e.App = c.app
			missing = append(missing, e)
		}
	}
	return missing
}

// outdated are the keys whose last value did not reach a watcher.
func (c consumed) outdated(kept []Event) []Event {
	var outdated []Event
	for _, e := range kept {
		if e.Stream == c.stream && c.keys[e.What] != e.Seq {
			e.App = c.app
			outdated = append(outdated, e)
		}
	}
	return outdated
}

// jumbled are the messages that reached an ordered consumer, or a watcher, out of order: the one skips nothing, the other
// only what is overwritten.
func (c consumed) jumbled() []Event {
	var jumbled []Event
	for i, e := range c.order {
		if i == 0 || c.app != orderedKind && c.app != watcherKind {
			continue
		}
		if was := c.order[i-1].Count; e.Count <= was || c.app == orderedKind && e.Count != was+1 {
			jumbled = append(jumbled, e)
		}
	}
	return jumbled
}

// lag is the longest time that an acknowledged message took to reach a consumer.
func lag(all []*consumed, acked []Event) (longest time.Duration, who string) {
	who = "all at once"
	for _, c := range all {
		for _, e := range acked {
			if at, came := c.heard[e.Seq]; e.Stream == c.stream && came && at-e.At > longest {
				longest, who = at-e.At, c.String()
			}
		}
	}
	return longest, who
}

// usualLag is what the control saw, but no more than its one cut connection explains: whoever was longer without messages
// there was so for a reason of its own, which is amiss with the control and no measure for a balancer.
func usualLag(control History) time.Duration {
	late, _ := lag(consumers(control), control.Kind(Client, "acked"))
	cost := costOfCut(control)
	if cost == 0 {
		return min(late, tolerance) // nothing was cut
	}
	return max(cost, min(late, cost+tolerance))
}

// quietCuts are the ends of consumers' connections that a balancer makes for no reason but their being quiet.
func quietCuts(h History, all []*consumed) []Event {
	if h.Terms.Idle == 0 || len(h.Terms.Strikes) > 0 {
		return nil
	}
	return h.Filter(func(e Event) bool {
		// The application's own end has no reason.
		return e.From == Client && e.Kind == "disconnected" && e.Why != "" && slices.ContainsFunc(all, func(c *consumed) bool { return c.app == e.App })
	})
}
