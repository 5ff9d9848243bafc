package assertions

import (
	"fmt"
	"strings"
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
		Endings: true,
		Judge:   judgeNoticeSilence,
		Hostile: []string{"idle-timeout=10s", "idle-expiry=silent"},
	})
}

func judgeNoticeSilence(h History) []Finding {
	if t := h.Terms; t.Idle > 0 && (t.Expiry == "fin" || t.Expiry == "rst") {
		return skip("this balancer says by " + strings.ToUpper(t.Expiry) + " that it ends a connection")
	}
	kind, ends := h.Terms.kind(), talks(h)
	if len(ends) == 0 {
		return unseen("no quiet spell was watched to its end")
	}
	stop, until := ends[len(ends)-1].At, watchedUntil(h)
	own := h.Terms.Notice() + time.Duration(kind.slack)*h.Terms.LinkPing
	budget := own + h.Terms.LinkPing/5 + tolerance // the first PING is up to a fifth late
	var worst time.Duration
	var evidence []Event
	silently, unnoticed := 0, 0
	for _, gone := range h.Kind(Balancer, "expired") {
		if !balanced(gone) || (gone.How != "silent" && gone.How != "rst-on-next") || gone.At > stop {
			continue
		}
		silently++
		known, ok := noticed(h, gone)
		switch {
		case ok && known.At <= until:
			if took := known.At - gone.At; took > worst {
				worst = took
				evidence = append(evidence, gone, known)
			}
		case until-gone.At > budget:
			// Only what waited longer than the budget says something: the others' time was not up when the lab ended.
			unnoticed++
			evidence = append(evidence, gone)
		}
	}
	lost := lostInSpells(h)
	if silently == 0 {
		return noneSilent(h, lost)
	}
	measured := []Measure{count(kind.silent.Name, silently, kind.silent.Unit), seconds("noticed_after", h.Terms.Real(worst)), count("messages_lost", len(lost), "messages")}
	allowed := spoken(h.Terms.Real(own))
	said := plural(silently, kind.one) + " ended silently"
	switch {
	case worst > 0:
		said += ", noticed after " + spoken(h.Terms.Real(worst)) + " at the latest"
	case unnoticed == 0:
		said += ", not noticed by the end of the watching, within the servers' own budget of " + allowed
	}
	switch {
	case unnoticed > 0:
		return []Finding{{Verdict: Unsafe, Got: fmt.Sprintf("%s; %s unnoticed beyond the servers' own budget of %s", said, plural(unnoticed, kind.one), allowed),
			Measured: measured, Advice: quietAdvice(h.Terms), Evidence: sample(evidence)}}
	case worst > budget:
		return []Finding{{Verdict: Unsafe, Got: join(fmt.Sprintf("%s, beyond the servers' own budget of %s", said, allowed), lostMeanwhile(lost)),
			Measured: measured, Advice: quietAdvice(h.Terms), Evidence: sample(evidence), Beyond: worst - budget, Marginal: worst < 2*budget && len(lost) == 0}}
	}
	if h.Terms.Expiry == "rst-on-next" && worst > 0 {
		said = fmt.Sprintf("%s looked up until the next message, which drew an RST", plural(silently, kind.one))
	}
	if len(lost) > 0 {
		return []Finding{{Verdict: Unsafe, Got: join(said, lostMeanwhile(lost)), Measured: measured, Advice: quietAdvice(h.Terms),
			Evidence: append(sample(evidence), sample(lost)...)}}
	}
	return []Finding{{Verdict: kind.cut, Got: said, Measured: measured, Advice: quietAdvice(h.Terms), Evidence: sample(evidence)}}
}

// noneSilent is safe only if all that could have ended silently was there and was watched long enough.
func noneSilent(h History, lost []Event) []Finding {
	kind := h.Terms.kind()
	if _, found := h.First(Client, "unhealed"); found {
		return skip("the " + kind.all + " were not all there to be ended silently")
	}
	// Two spells that cost messages end the watching early; what cost them was no silence.
	if finished := min(len(h.Kind(Lab, "quiet-end")), len(talks(h))); finished < Spells && (finished < 2 || len(lost) == 0) {
		return unseen(fmt.Sprintf("%d of %s finished", finished, plural(Spells, "quiet spell")))
	}
	return held("no "+kind.one+" was ended silently", count(kind.silent.Name, 0, kind.silent.Unit))
}

func lostMeanwhile(lost []Event) string {
	if len(lost) == 0 {
		return ""
	}
	return plural(len(lost), "message") + " lost meanwhile"
}

// watchedUntil is the last moment at which anybody but the balancer wrote something down. What it ends
// later, it ends because the nodes are taken down.
func watchedUntil(h History) time.Duration {
	for i := len(h.Events) - 1; i >= 0; i-- {
		if e := h.Events[i]; e.From != Balancer {
			return e.At
		}
	}
	return 0
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
