package assertions

import (
	"fmt"
	"time"
)

func init() {
	register(Assertion{
		Name:    "routes/stay-up-when-quiet",
		Promise: "Routes that have nothing to say are not closed.",
		Explain: "A quiet route carries nothing but PINGs, one per cluster.ping_interval from each end and at least one each 30 s. A balancer " +
			"whose idle timeout is shorter closes it between two PINGs, and the servers make it again a second later, for ever. " +
			"Counted while nothing is published: connections between nodes that end, beyond those that end in the control.",
		Speaks:  []string{"idle-timeout", "idle-timeout-client", "idle-timeout-server", "idle-expiry", "idle-keepalive", "max-lifetime"},
		Links:   []string{"routes"},
		Observe: quietly,
		Judge:   judgeStayUp,
		Hostile: []string{"max-lifetime=200ms"},
	})
}

func judgeStayUp(h History) []Finding {
	closed, watched, ok := closesWhileWatching(h)
	kind := h.Terms.kind()
	if !ok || watched <= 0 {
		return unseen("the quiet " + kind.all + " were not watched to the end")
	}
	measured := []Measure{count("closes", len(closed), "closes"), seconds("watched", watched)}
	if h.Terms.Factor <= 1 {
		// Only real time knows a rate: a scaled route spends its unscaled second of reconnecting too.
		measured = append(measured, Measure{Name: "closes_per_minute", Value: round(float64(len(closed)) / watched.Minutes()), Unit: "1/min"})
	}
	said := closesSpoken(h.Terms, len(closed), watched)
	begin, _ := h.First(Lab, "watch-begin")
	if e, found := h.First(Client, "unhealed"); found {
		never, advice := "; "+kind.absent+" from the start, though every node lived", unformedAdvice(h)
		if formed(h, begin.At) {
			advice = quietAdvice(h.Terms)
			never = fmt.Sprintf("; the %s were not all up again within %s of a quiet spell, though every node lived", kind.all, healingTime(h, e))
		}
		return []Finding{{Verdict: Unsafe, Got: said + never, Measured: measured, Advice: advice, Evidence: append(sample(closed), e), Firm: true}}
	}
	// None is closed behind a balancer that only forwards: the control would not be safe.
	if len(closed) > 0 {
		return []Finding{{Verdict: kind.cut, Got: said, Measured: measured, Advice: quietAdvice(h.Terms),
			Evidence: sample(closed), Marginal: len(closed) == 1}}
	}
	// Routes that are not there are not closed either.
	if !formed(h, begin.At) {
		return skip(kind.absent + " to be watched")
	}
	if _, found := h.First(Client, "healed"); !found {
		return unseen("nobody saw whether the " + kind.all + " were up after the quiet")
	}
	return held("no "+kind.one+" was closed while it was quiet", measured...)
}

// closesSpoken is a rate where there is one to speak of: in real time, and for more than one close.
func closesSpoken(t Terms, closes int, watched time.Duration) string {
	rate, one := float64(closes)/watched.Minutes(), t.kind().connection
	switch {
	case closes == 0:
		return fmt.Sprintf("no %s closed in %s of quiet", one, spoken(watched))
	case t.Factor <= 1 && closes > 1 && rate >= 1.5:
		return fmt.Sprintf("%.0f %ss closed a minute", rate, one)
	}
	// Closes are told as counted: a scaled connection spends its unscaled second of reconnecting too.
	scaled := ""
	if t.Factor > 1 {
		scaled = fmt.Sprintf(", time shortened %g times", t.Factor)
	}
	return fmt.Sprintf("%s closed in %s of quiet%s", plural(closes, one), spoken(watched), scaled)
}

// healingTime is what the links had for coming back after the quiet spell of that event.
func healingTime(h History, unhealed Event) string {
	for _, e := range h.Kind(Lab, "quiet-end") {
		if e.Seq == unhealed.Seq && e.Why == "cut" {
			return fmt.Sprintf("30 s, and the %s in which servers notice a dead peer,", spoken(h.Terms.Real(h.Terms.Notice())))
		}
	}
	return "30 s"
}

// closesWhileWatching returns the connections between servers that ended in the hands-off window, and its length.
func closesWhileWatching(h History) (closed []Event, watched time.Duration, ok bool) {
	begin, began := h.First(Lab, "watch-begin")
	end, finished := h.First(Lab, "watch-end")
	if !began || !finished {
		return nil, 0, false
	}
	seen := map[string]bool{}
	for _, e := range h.Events {
		if e.From != Balancer || (e.Kind != "expired" && e.Kind != "end") || !balanced(e) || seen[e.Conn] {
			continue
		}
		seen[e.Conn] = true // one that was ended silently is closed by its ends later
		if e.At > begin.At && e.At <= end.At {
			closed = append(closed, e)
		}
	}
	return closed, end.At - begin.At, true
}

// quietAdvice is the smallest change that keeps quiet links between servers alive: more frequent pings, or a more
// patient balancer.
func quietAdvice(t Terms) []Advice {
	var advice []Advice
	idle, patient := t.Real(t.Idle), t.Real(t.LinkPing)*5/2
	if idle > 0 && idle < patient {
		// Two pings and a bit fit into one idle timeout, so that a late or lost one does not matter.
		if ping := idle * 2 / 5; ping >= 500*time.Millisecond {
			text := trimmed(ping.Truncate(100 * time.Millisecond))
			advice = append(advice, t.kind().pinging(text))
		}
		longer := trimmed(patient.Round(time.Second))
		set := map[string]string{}
		for name := range t.Settings {
			if name == "idle-timeout" || name == "idle-timeout-client" || name == "idle-timeout-server" {
				set[name] = longer
			}
		}
		advice = append(advice, Advice{Target: "load-balancer", Text: "idle timeout of at least " + longer + " towards " + t.towards(), Set: set})
	}
	if t.Lifetime > 0 {
		advice = append(advice, ageless(t))
	}
	return advice
}
