package assertions

import (
	"fmt"
	"strings"
	"time"
)

func init() {
	register(Assertion{
		Name:    "client/notices-silence",
		Promise: "No client stays dead unnoticed.",
		Explain: "A balancer that forgets a quiet connection without a FIN or an RST leaves a client that believes to be connected. It learns otherwise from its own " +
			"unanswered PINGs: after max out + 1 intervals, six minutes by default; the server learns it the same way. Until then a subscriber hears nothing, a queue group's " +
			"half-open member swallows requests, and what the client publishes is lost. Where the next packet draws an RST, the next PING or message pays. Measured from the " +
			"moment the balancer ended the connection without saying so until the client knew, against the (max out + 1) intervals of the faster of the two sides.",
		Speaks:  []string{"idle-timeout", "idle-timeout-client", "idle-timeout-server", "idle-expiry"},
		Links:   []string{"clients", "websocket"},
		Observe: resting,
		Judge:   judgeClientNotices,
		Hostile: []string{"idle-timeout=50s", "idle-expiry=silent"},
	})
}

func judgeClientNotices(h History) []Finding {
	t := h.Terms
	if t.Idle > 0 && (t.Expiry == "fin" || t.Expiry == "rst") {
		return skip("this balancer says by " + strings.ToUpper(t.Expiry) + " that it ends a connection")
	}
	if never := strangers(h); len(never) > 0 {
		return neverConnected(h, never)
	}
	if _, ok := watchedTo(h); !ok || rested(h) < Spells {
		return unseen("the quiet clients were not watched to the end")
	}
	// The server's first PING is up to a fifth late, and every timer may be a little.
	budget := t.known() + min(t.ServerPing, max(t.ClientPing, t.ServerPing))/5 + tolerance
	app := appOf(h)
	var worst time.Duration
	var evidence, unnoticed []Event
	silently := 0
	for _, gone := range h.Filter(idled) {
		if app[gone.Caller] == "" || (gone.How != "silent" && gone.How != "rst-on-next") {
			continue
		}
		silently++
		known, ok := knew(h, app[gone.Caller], gone.At)
		switch took := known.At - gone.At; {
		case ok && took > worst:
			worst = took
			evidence = append(evidence, gone, known)
		case !ok:
			unnoticed = append(unnoticed, gone)
		}
	}
	lost := len(tallied(h, ofMessages).lost) + len(tallied(h, ofRequests).lost)
	if silently == 0 {
		if e, found := h.First(Client, "unwell"); found {
			return []Finding{{Verdict: Unsafe, Got: fmt.Sprintf("%s was not served any more, and nobody ended its connection", e.App),
				Advice: quietClientAdvice(t), Evidence: []Event{e}, Firm: true}}
		}
		if _, found := h.First(Client, "well"); !found {
			return unseen("nobody saw whether the clients were served after the quiet")
		}
		return held("no connection was ended silently", count("silent_cuts", 0, "clients"))
	}
	measured := []Measure{count("silent_cuts", silently, "clients"), seconds("client_knew_after", t.Real(worst)), count("lost_meanwhile", lost, "messages")}
	allowed := spoken(t.Real(t.known()))
	said := plural(silently, "client connection") + " ended silently"
	if worst > 0 {
		said += ", known to the client after " + spoken(t.Real(worst)) + " at the latest"
	}
	meanwhile := ""
	if lost > 0 {
		meanwhile = plural(lost, "message") + " and requests lost meanwhile" + shortened(t)
	}
	switch {
	case len(unnoticed) > 0:
		return []Finding{{Verdict: Unsafe, Got: join(fmt.Sprintf("%s; %d never noticed, beyond the %s in which the faster side's PINGs tell", said, len(unnoticed), allowed), meanwhile),
			Measured: measured, Advice: silenceAdvice(t), Evidence: append(sample(unnoticed), sample(evidence)...)}}
	case worst > budget:
		return []Finding{{Verdict: Unsafe, Got: join(fmt.Sprintf("%s, beyond the %s in which the faster side's PINGs tell", said, allowed), meanwhile),
			Measured: measured, Advice: silenceAdvice(t), Evidence: sample(evidence), Beyond: worst - budget, Marginal: worst < 2*budget && lost == 0}}
	case lost > 0:
		return []Finding{{Verdict: Unsafe, Got: join(said, meanwhile), Measured: measured, Advice: silenceAdvice(t), Evidence: sample(evidence)}}
	}
	return []Finding{{Verdict: Risky, Got: said, Measured: measured, Advice: silenceAdvice(t), Evidence: sample(evidence)}}
}

// knew returns when a client knew that its connection was gone.
func knew(h History, app string, after time.Duration) (Event, bool) {
	for _, e := range h.Events {
		if e.From == Client && e.App == app && (e.Kind == "disconnected" || e.Kind == "closed") && e.At >= after {
			return e, true
		}
	}
	return Event{}, false
}

// silenceAdvice keeps connections from being forgotten, or lets them say so.
func silenceAdvice(t Terms) []Advice {
	return append(quietClientAdvice(t), Advice{Target: "load-balancer", Text: "a reset for what is forgotten, so that clients know at once", Set: map[string]string{"idle-expiry": "rst"}})
}
