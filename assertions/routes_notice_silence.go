package assertions

import (
	"fmt"
	"time"
)

func init() {
	register(Assertion{
		Name:    "routes/notice-silence",
		Promise: "No route stays dead unnoticed while messages are sent into it.",
		Explain: "A balancer that forgets a quiet connection without a FIN or an RST leaves both servers with a route that looks up. They " +
			"learn it only from unanswered PINGs: after ping_max + 1 intervals, 60 to 90 s by default; what is published meanwhile is " +
			"lost. Where the next packet draws an RST, the first message after the silence pays. Measured from the moment the balancer " +
			"ended the connection without saying so until the last end gave it up.",
		Speaks:  []string{"idle-timeout", "idle-timeout-client", "idle-timeout-server", "idle-expiry"},
		Links:   []string{"routes"},
		Observe: quietly,
		Judge:   judgeNoticeSilence,
		Hostile: []string{"idle-timeout=5s", "idle-expiry=silent"},
	})
}

func judgeNoticeSilence(h History) []Finding {
	var worst time.Duration
	var evidence []Event
	silently, unnoticed := 0, 0
	stop, ok := h.Last(Client, "healed")
	if !ok && len(h.Events) > 0 {
		stop = h.Events[len(h.Events)-1]
	}
	for _, gone := range h.Kind(Balancer, "expired") {
		if !onRoute(gone) || (gone.How != "silent" && gone.How != "rst-on-next") || gone.At > stop.At {
			continue
		}
		silently++
		known, ok := noticed(h, gone)
		if !ok {
			// Its time was not up when the lab ended: only what waited longer than the budget says something.
			if last := h.Events[len(h.Events)-1].At; last-gone.At > h.Terms.Notice()+tolerance {
				unnoticed++
				evidence = append(evidence, gone)
			}
			continue
		}
		if took := known.At - gone.At; took > worst {
			worst = took
			evidence = append(evidence, gone, known)
		}
	}
	if silently == 0 {
		return held("no route was ended silently", count("silent_ends", 0, "routes"))
	}
	lost := lostInSpells(h)
	measured := []Measure{count("silent_ends", silently, "routes"), seconds("noticed_after", h.Terms.Real(worst)), count("messages_lost", len(lost), "messages")}
	said := fmt.Sprintf("%s ended silently, noticed after %s at the latest", plural(silently, "route"), spoken(h.Terms.Real(worst)))
	if h.Terms.Expiry == "rst-on-next" {
		said = fmt.Sprintf("%s looked up until the next message, which drew an RST", plural(silently, "route"))
	}
	budget := h.Terms.Notice() + h.Terms.RoutePing/5 + tolerance // the first PING of a route is up to a fifth late
	switch {
	case unnoticed > 0:
		return []Finding{{Verdict: Unsafe, Got: fmt.Sprintf("%s; %s unnoticed beyond the servers' own budget of %s",
			said, plural(unnoticed, "route"), spoken(h.Terms.Real(h.Terms.Notice()))), Measured: measured, Advice: quietAdvice(h.Terms), Evidence: sample(evidence)}}
	case len(lost) > 0:
		return []Finding{{Verdict: Unsafe, Got: fmt.Sprintf("%s; %s lost meanwhile", said, plural(len(lost), "message")),
			Measured: measured, Advice: quietAdvice(h.Terms), Evidence: append(sample(evidence), sample(lost)...)}}
	case worst > budget:
		return []Finding{{Verdict: Unsafe, Got: fmt.Sprintf("%s, beyond the servers' own budget of %s", said, spoken(h.Terms.Real(h.Terms.Notice()))),
			Measured: measured, Advice: quietAdvice(h.Terms), Evidence: sample(evidence), Marginal: worst < 2*budget}}
	}
	return []Finding{{Verdict: Risky, Got: said, Measured: measured, Advice: quietAdvice(h.Terms), Evidence: sample(evidence)}}
}

// noticed returns the moment at which both ends had given a silently ended connection up.
func noticed(h History, gone Event) (Event, bool) {
	for _, e := range h.Kind(Balancer, "end") {
		if e.Conn == gone.Conn {
			return e, true
		}
	}
	return Event{}, false
}

// lostInSpells returns the messages that nobody heard after a quiet spell.
func lostInSpells(h History) []Event {
	return h.Filter(func(e Event) bool { return e.From == Client && e.Kind == "unheard" && e.Why == "spell" })
}
