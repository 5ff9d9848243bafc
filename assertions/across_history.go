package assertions

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// What judges read of a history of what crosses.

// formOf is the form of a way, "" for what is none.
func formOf(app string) string {
	if form, _, ok := strings.Cut(app, " "); ok && strings.Contains(app, "→") {
		return form
	}
	return ""
}

// crossings are what became of all that was said in some forms.
func crossings(h History, forms []string) tally {
	var t tally
	for _, e := range h.Events {
		if e.From != Client || !slices.Contains(forms, formOf(e.App)) {
			continue
		}
		switch e.Kind {
		case ofMessages.said, ofRequests.said:
			t.said += e.Count
		case ofMessages.heard, ofRequests.heard:
			t.heard += e.Count
			t.slowest = max(t.slowest, e.Took)
		case ofMessages.unheard, ofRequests.unheard:
			t.lost = append(t.lost, e)
		case ofMessages.twice, ofRequests.twice:
			t.twice += e.Count
		}
	}
	return t
}

// waysOf names the ways that events are about, the first few of them.
func waysOf(events []Event) string {
	var names []string
	for _, e := range events {
		if !slices.Contains(names, e.App) {
			names = append(names, e.App)
		}
	}
	slices.Sort(names)
	n := len(names)
	if n > 3 {
		names = append(names[:3], "…")
	}
	return fmt.Sprintf("%s affected: %s", plural(n, "way"), strings.Join(names, ", "))
}

// interestAfter is how long after all was connected again a way that had been lost was still not heard, at the most.
func interestAfter(lost []Event, apart []window) time.Duration {
	var longest time.Duration
	began, last := map[string]Event{}, map[string]Event{}
	for _, e := range lost {
		if was, ok := last[e.App]; !ok || e.Seq != was.Seq+1 {
			began[e.App] = e
		}
		last[e.App] = e
		for _, w := range apart {
			if connected := w.to - tolerance; w.from <= began[e.App].At && began[e.App].At <= connected {
				longest = max(longest, e.At+between-connected)
			}
		}
	}
	return longest
}

// judgeCrossing judges what became of what crossed in some forms: one is called that, and has that done to it.
func judgeCrossing(h History, one, done string, forms ...string) []Finding {
	kind, t := h.Terms.kind(), crossings(h, forms)
	if t.said == 0 {
		return unseen("no " + one + " was sent")
	}
	begin, _ := struck(h)
	apart := unlinked(h)
	counted := t.lost
	if severed(h.Terms) {
		away := append(besides(h), apart...) // inside a cluster they travel on over routes, which may have met the same event
		counted = slices.DeleteFunc(slices.Clone(t.lost), func(e Event) bool { return e.At >= begin-between && within(e.At, away) })
	}
	gap := outage(t.lost)
	measured := []Measure{count(one+"s_lost", len(t.lost), one+"s"), count(one+"s_sent", t.said, one+"s"), seconds("longest_gap", gap),
		seconds("interest_after", interestAfter(t.lost, apart)), seconds("slowest_delivery", t.slowest)}
	for _, form := range forms {
		if len(forms) > 1 {
			measured = append(measured, seconds("longest_gap_"+form, outage(crossings(h, []string{form}).lost)))
		}
	}
	finding := func(v Verdict, evidence []Event, format string, args ...any) []Finding {
		return []Finding{{Verdict: v, Got: fmt.Sprintf(format, args...), Measured: measured, Advice: eventAdvice(h.Terms), Evidence: sample(evidence)}}
	}
	broken := h.Filter(func(e Event) bool {
		return e.From == Client && e.Kind == "unwell" && slices.Contains(forms, formOf(e.App))
	})
	// Where every way is well and the links are not, nobody is named.
	unlinked := h.Filter(func(e Event) bool { return e.From == Client && e.Kind == "unwell" && e.App == "" })
	if unwell := append(broken, unlinked...); len(unwell) > 0 {
		before, struck := formed(h, unwell[0].At), len(h.Terms.Strikes) > 0
		limit := " within 30 s"
		if struck {
			limit += " of the event"
		}
		var f []Finding
		switch {
		case len(broken) > 0 && before:
			f = finding(Unsafe, append(broken, t.lost...), "not every %s %s again%s; %d of %d lost, %s", one, done, limit, len(t.lost), t.said, waysOf(broken))
		case len(broken) > 0:
			f = finding(Unsafe, append(broken, t.lost...), "%s; %d of %s not %s, %s", kind.never, len(t.lost), plural(t.said, one), done, waysOf(broken))
		case before && struck:
			f = finding(Unsafe, append(unwell, counted...), "every %s %s in the end, but not all %s were up again%s", one, done, kind.all, limit)
		default:
			// Nothing is missed by users of what is missing.
			f = finding(Risky, unwell, "every %s %s in the end, but %s", one, done, kind.never)
			if before {
				f = finding(Risky, unwell, "every %s %s in the end, but not all %s were up again%s", one, done, kind.all, limit)
			}
		}
		f[0].Firm = true
		return f
	}
	control := crossings(h.control(), forms)
	switch {
	case len(counted) > 0 && severed(h.Terms):
		f := finding(Unsafe, counted, "%d of %s not %s although all was connected, the longest gap %s, %s", len(counted), plural(t.said, one), done, spoken(gap), waysOf(counted))
		f[0].Marginal = len(counted) < 5
		return f
	case len(counted) > 0:
		f := finding(Unsafe, counted, "%d of %s not %s, the longest gap %s, %s%s", len(counted), plural(t.said, one), done, spoken(gap), waysOf(counted), shortened(h.Terms))
		f[0].Marginal = len(counted) < 5
		return f
	case t.twice > control.twice:
		return finding(Unsafe, nil, "%s came twice", plural(t.twice, one))
	case t.heard+len(t.lost) < t.said:
		return unseen(fmt.Sprintf("what became of %d of %s was not written down", t.said-t.heard-len(t.lost), plural(t.said, one)))
	}
	// "well" says that nobody was told not to be; another form's way that was is no matter of this promise.
	_, watched := h.Last(Lab, "watched")
	_, well := h.First(Client, "well")
	if _, other := h.First(Client, "unwell"); !watched || !well && !other {
		return unseen("what crosses was not watched to the end")
	}
	// The servers' own pause is part of every cut, and differs by chance; the control cuts one connection.
	usual := max(outage(control.lost), kind.retry)
	switch later := gap - usual; {
	case later > tolerance:
		f := finding(Risky, t.lost, "%s again %s after the first that was lost, while nothing was connected (control %s for one cut %s); %s", done, spoken(gap), spoken(outage(control.lost)),
			kind.one, plural(len(t.lost), one)+" lost")
		f[0].Beyond = later - tolerance
		return f
	case len(h.Terms.Strikes) > 0 && t.slowest > pureDelay:
		f := finding(Risky, nil, "%d of %s %s, but delayed up to %s", t.heard, plural(t.said, one), done, spoken(t.slowest))
		f[0].Beyond = t.slowest - pureDelay
		return f
	case len(h.Terms.Strikes) == 0 && t.slowest > control.slowest+tolerance:
		f := finding(Risky, nil, "nothing lost, but a %s took %s (control %s)", one, spoken(t.slowest), spoken(control.slowest))
		f[0].Beyond = t.slowest - control.slowest - tolerance
		return f
	case gap > 0:
		return held(fmt.Sprintf("%s again %s after the first that was lost; %d of %s %s", done, spoken(gap), t.heard, plural(t.said, one), done), measured...)
	}
	return held(fmt.Sprintf("%d of %s %s, the slowest after %s", t.heard, plural(t.said, one), done, spoken(t.slowest)), measured...)
}
