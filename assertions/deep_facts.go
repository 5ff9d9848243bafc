package assertions

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// DeepFacts are what measuring the idle limit showed, and what a stand-in saw at the other end.
func DeepFacts(h History) []Fact {
	i := IdleOf(h)
	var facts []Fact
	for _, f := range []Fact{
		{"idle limit", i.limitFact()}, {"TCP keepalive", i.keepaliveFact()}, {"margins", i.marginFact()},
		{"behind it", sourceFact(h)}, {"PROXY header", headerFact(h)}, {"far ends", endFact(h)}, {"health checks", healthFact(h)},
	} {
		if f.Value != "" {
			facts = append(facts, f)
		}
	}
	return facts
}

func (i Idle) limitFact() string {
	var said string
	switch {
	case i.Survived+i.Ended == 0 && i.Lifetime == 0 && i.Doubtful > 0:
		return fmt.Sprintf("not known: %s set aside, for which this machine was up to %s late itself", plural(i.Doubtful, "silence"), spoken(i.Late))
	case i.Survived+i.Ended == 0 && i.Lifetime == 0:
		return ""
	case i.Met():
		said = fmt.Sprintf("connections end %s (%d ended, %d of a shorter silence did not)", i.ended(), i.Ended, i.Survived)
		if i.Uneven {
			said += "; not all at the same time: several balancers, or another reason than idleness"
		}
	case i.Hidden > 0:
		said = fmt.Sprintf("at least %s: then the server's own PINGs break the silence, and hide what is above; lbtest backend in the servers' place shows it", exact(i.Low))
	default:
		said = fmt.Sprintf("none up to %s", exact(i.Low))
	}
	if i.Doubtful > 0 {
		said += fmt.Sprintf("; %s set aside, for which this machine was up to %s late itself", plural(i.Doubtful, "more"), spoken(i.Late))
	}
	if i.Lifetime > 0 {
		said = join(said, fmt.Sprintf("busy or not, connections end at an age of %s", exact(i.Lifetime)))
	}
	return said
}

func (i Idle) keepaliveFact() string {
	switch i.Keepalive {
	case "counts":
		return fmt.Sprintf("counts as activity: probes each %s kept connections beyond the limit", spoken(i.Probe))
	case "ignored":
		return fmt.Sprintf("is no activity: connections with probes each %s ended all the same", spoken(i.Probe))
	}
	if i.Met() {
		return "not seen whether it counts"
	}
	return ""
}

// marginFact holds the limit against every link that might cross this balancer.
func (i Idle) marginFact() string {
	if i.Survived+i.Ended == 0 {
		return ""
	}
	var said []string
	for _, l := range lingers() {
		margin, sign := i.Low-l.silence, "+"
		if margin < 0 {
			margin, sign = -margin, "-"
		}
		text := fmt.Sprintf("%s (%s each %s) %s%s", l.link, l.why, spoken(l.silence), sign, exact(margin))
		if !i.Met() && sign == "-" {
			text = fmt.Sprintf("%s (%s each %s) unknown", l.link, l.why, spoken(l.silence))
		} else if !i.Met() {
			text += " at least"
		}
		said = append(said, text)
	}
	return strings.Join(said, "; ")
}

// ours are the stand-in's views of the tester's connections, and others those of everybody else.
func seenBehind(h History) (ours, others []Event) {
	name := nameOf(h)
	for _, e := range h.Kind(Server, "accepted") {
		if e.Far.Name == name {
			ours = append(ours, e)
		} else {
			others = append(others, e)
		}
	}
	return ours, others
}

func sourceFact(h History) string {
	ours, _ := seenBehind(h)
	if len(ours) == 0 {
		return ""
	}
	from := map[string]int{}
	for _, e := range ours {
		from[hostOf(e.Far.From)]++
	}
	// Of the quiet ones both ends are known.
	far, kept := farEnds(h), 0
	for _, e := range h.Kind(Client, "rested") {
		if f, known := far[e.Seq]; known && f.From == e.Caller {
			kept++
		}
	}
	var hosts []string
	for host, n := range from {
		hosts = append(hosts, fmt.Sprintf("%s (%s)", host, plural(n, "port")))
	}
	slices.Sort(hosts)
	text := fmt.Sprintf("%s came from %s", plural(len(ours), "connection"), strings.Join(hosts, ", "))
	switch {
	case len(far) == 0:
		return text
	case kept == 0:
		return text + ", none from the address and port it left here with"
	case kept == len(far):
		return text + ", each from the very address and port it left here with"
	}
	return text + fmt.Sprintf(", %d of %d from the very address and port they left here with", kept, len(far))
}

func headerFact(h History) string {
	ours, others := seenBehind(h)
	if len(ours)+len(others) == 0 {
		return ""
	}
	by := map[string]int{}
	example := ""
	for _, e := range ours {
		version, addr, _ := strings.Cut(e.Far.Header, " ")
		by[version]++
		if addr != "" {
			example = addr
		}
	}
	switch {
	case by[""] == len(ours):
		return "none"
	case len(by) == 1:
		for version := range by {
			return fmt.Sprintf("%s on every connection, such as %s", version, example)
		}
	}
	return fmt.Sprintf("on %d of %s", len(ours)-by[""], plural(len(ours), "connection"))
}

// endFact says how the stand-in saw the idle connections end.
func endFact(h History) string {
	far := farEnds(h)
	manners := map[string]int{}
	var shortest, longest time.Duration
	for _, e := range h.Kind(Client, "rested") {
		f, known := far[e.Seq]
		if !known || e.Silence.End == endAlive || e.Silence.End == endPinged {
			continue
		}
		how := f.End
		if how == "" {
			how = "never told"
		} else if shortest == 0 || f.Quiet < shortest {
			shortest = f.Quiet
		}
		if f.End != "" {
			longest = max(longest, f.Quiet)
		}
		manners[how]++
	}
	var said []string
	for how, n := range manners {
		said = append(said, fmt.Sprintf("%d %s", n, strings.Replace(strings.ToUpper(how), "NEVER TOLD", "never told", 1)))
	}
	if len(said) == 0 {
		return ""
	}
	slices.Sort(said)
	text := "of the connections that met the limit, the server's side saw " + strings.Join(said, ", ")
	if longest > 0 {
		text += fmt.Sprintf(", after %s to %s of silence", exact(shortest), exact(longest))
	}
	return text
}

// healthFact tells connections that said nothing of NATS: a balancer asking whether anybody is there.
func healthFact(h History) string {
	_, others := seenBehind(h)
	type manner struct{ from, first, end string }
	at := map[manner][]time.Duration{}
	for _, e := range others {
		if e.Far.First == "CONNECT" {
			continue
		}
		m := manner{hostOf(e.Far.From), e.Far.First, e.Far.End}
		at[m] = append(at[m], e.At)
	}
	var said []string
	for m, times := range at {
		slices.Sort(times)
		what := map[string]string{"": "a connect", "PING": "a PING", "HTTP": "HTTP", "TLS": "a TLS hello", "other": "something else than NATS"}[m.first]
		text := fmt.Sprintf("%s of %s from %s", plural(len(times), "visit"), what, m.from)
		if m.end != "" {
			text += ", ended by " + strings.ToUpper(m.end)
		}
		if len(times) > 2 {
			var gaps []time.Duration
			for i := range times[1:] {
				gaps = append(gaps, times[i+1]-times[i])
			}
			slices.Sort(gaps)
			text += ", each " + exact(gaps[len(gaps)/2])
		}
		said = append(said, text)
	}
	slices.Sort(said)
	if len(said) == 0 && len(others)+len(h.Kind(Server, "accepted")) > 0 {
		return "none seen"
	}
	return strings.Join(fewOf(said, 4), "; ")
}

func fewOf(all []string, most int) []string {
	if len(all) > most {
		return append(all[:most:most], fmt.Sprintf("and %d more kinds", len(all)-most))
	}
	return all
}
