package assertions

import (
	"fmt"
	"strings"
	"time"
)

// Finding is one thing a judge has to say.
type Finding struct {
	Verdict Verdict
	// Got is what was seen, a sentence for an operator, with units.
	Got string
	// Measured are the numbers behind the sentence; present whatever the verdict.
	Measured []Measure
	Advice   []Advice
	Evidence []Event
	// Timeline quotes what happened around it, group by group.
	Timeline []Moment
	// Unseen marks a skipped promise that could have been judged, had the watching not been cut short.
	Unseen bool
	// Firm marks a verdict that no shortage of CPU explains: links that did not come in 30 s were not late.
	Firm bool
	// Beyond is by how much something took longer than it may, where that is what made the verdict; 0 otherwise.
	Beyond time.Duration
	// Once says that it was a single wait: a machine that was late has not made anybody miss a moment, and try again later.
	Once bool
	// Marginal marks a verdict near to any other boundary.
	Marginal bool
}

// Close reports whether a verdict is so near to its boundary that the run repeats it alone.
func (f Finding) Close() bool { return f.Marginal || f.Beyond > 0 && f.Beyond < tolerance }

// Late returns by how much this machine was late where it matters, and whether that may be what made the verdict.
func (f Finding) Late(h History) (by time.Duration, may bool) {
	// A wait passes through the tester, the balancer and a node, and back, and each of these turns may be as late: what
	// took longer than that is no lateness.
	const turns = 4
	by = f.lateness(h.Kind(Lab, "late"))
	enough := max(f.Beyond/turns, Unpunctual)
	if f.Beyond == 0 || !f.Once && enough > starved {
		enough = starved
	}
	return by, !f.Firm && by > enough
}

// lateness is the longest before and beside what the finding quotes, or of all where it quotes nothing.
func (f Finding) lateness(late []Event) time.Duration {
	// A PING that comes too late ends a silence half a second too late at the most, a client that missed its moment dials
	// again after two; and what is said is heard within half a second, or lost.
	const before, beside = 5 * time.Second, time.Second
	if len(f.Evidence) == 0 {
		return lateness(late, 0, endless)
	}
	var worst time.Duration
	for _, e := range f.Evidence {
		from := e.At - before
		if e.From != Balancer { // whose events tell how old a connection was
			from -= e.Took
		}
		worst = max(worst, lateness(late, from, e.At+beside))
	}
	return worst
}

// Moment is one line of a timeline that a finding quotes.
type Moment struct {
	Of   string        // whose timeline
	At   time.Duration // since the event began; negative before
	What string
}

// Measure is a number with its unit.
type Measure struct {
	Name  string
	Value float64
	Unit  string
}

// Advice is something to paste, and how the lab can try it.
type Advice struct {
	Target string // nats-server, load-balancer, client
	Text   string
	Nats   map[string]string // --nats KEY=VALUE that tries it
	Set    map[string]string // --set SETTING=VALUE that tries it
	Client map[string]string // --client KEY=VALUE that tries it
	Node   map[string]string // --node KEY=VALUE that tries it
}

func held(got string, m ...Measure) []Finding {
	return []Finding{{Verdict: Safe, Got: got, Measured: m}}
}

// unseen is what a judge says when what it needs was not written down: nothing was wrong, and nothing is
// known. A run makes it errored.
func unseen(why string) []Finding { return []Finding{{Verdict: Skipped, Unseen: true, Got: why}} }

// skip is what a judge says when its promise does not apply.
func skip(why string) []Finding { return []Finding{{Verdict: Skipped, Got: why}} }

func seconds(name string, d time.Duration) Measure {
	return Measure{Name: name, Value: round(d.Seconds()), Unit: "s"}
}

func count(name string, n int, unit string) Measure {
	return Measure{Name: name, Value: float64(n), Unit: unit}
}

// round keeps milliseconds: nothing here is known better.
func round(s float64) float64 { return float64(int64(s*1000+0.5)) / 1000 }

// spoken prints a duration as people write it: 350ms, 1.1s, 90s, 5m.
func spoken(d time.Duration) string {
	switch {
	case d < time.Second:
		return d.Round(time.Millisecond).String()
	case d < 10*time.Second:
		return trimmed(d.Round(100 * time.Millisecond))
	}
	return trimmed(d.Round(time.Second))
}

func trimmed(d time.Duration) string {
	if d > 2*time.Minute && d%time.Minute == 0 {
		return fmt.Sprintf("%dm", int(d.Minutes()))
	}
	return fmt.Sprintf("%gs", d.Seconds())
}

func plural(n int, one string) string {
	switch {
	case n == 1:
		return "1 " + one
	case strings.HasSuffix(one, "s"):
		return fmt.Sprintf("%d %ses", n, one)
	}
	return fmt.Sprintf("%d %ss", n, one)
}

func join(parts ...string) string {
	var said []string
	for _, p := range parts {
		if p != "" {
			said = append(said, p)
		}
	}
	return strings.Join(said, "; ")
}

// sample keeps evidence short: the first events of many say as much as all of them.
func sample(events []Event) []Event {
	const enough = 6
	if len(events) > enough {
		return events[:enough]
	}
	return events
}
