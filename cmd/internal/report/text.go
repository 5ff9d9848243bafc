package report

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"

	"github.com/lbtest/lbtest/assertions"
)

func init() {
	register(Format{
		Name:  "text",
		About: "for people: a table of settings, which of them are safe, and what to change",
		Write: writeText,
	})
}

// defaultWidth fits a terminal beside something else, a mail and a ticket.
const defaultWidth = 100

// writeText renders for an operator, in the order of their questions: what was asked, which settings are
// safe, what is wrong with the others and what to change, and what is not known.
func writeText(w io.Writer, r Report, st Style) error {
	if st.Width <= 0 {
		st.Width = defaultWidth
	}
	p := newPage(r, st)
	p.headline()
	p.cost()
	p.facts()
	p.table()
	if p.sweep() {
		p.which()
	}
	p.findings()
	p.unjudged()
	if st.Verbose {
		p.everything()
	}
	p.profiles()
	p.baseline()
	p.verdict()

	out := strings.ReplaceAll(p.out.String(), joined, " ")
	if !st.Unicode {
		out = ascii(out)
	}
	if _, err := io.WriteString(w, out); err != nil {
		return fmt.Errorf("writing the report as text: %w", err)
	}
	return nil
}

// page is a report that is being written for people: what the renderings for them have in common, and the text so far.
type page struct {
	Style
	r   Report
	by  map[string][]Result // results by scenario
	out strings.Builder
}

func newPage(r Report, st Style) *page {
	p := &page{Style: st, r: r, by: map[string][]Result{}}
	for _, s := range r.Results {
		p.by[s.Scenario] = append(p.by[s.Scenario], s)
	}
	return p
}

// topologies are those of the scenarios, each once.
func (p *page) topologies() []string {
	var all []string
	for _, s := range p.r.Scenarios {
		if !slices.Contains(all, s.Topology) {
			all = append(all, s.Topology)
		}
	}
	return all
}

func (p *page) line(s string) { p.out.WriteString(strings.TrimRight(s, " ") + "\n") }

// field writes a name and a wrapped text beside it.
func (p *page) field(indent int, name, value string) {
	const column = 10 // the longest name, promised, and two spaces
	lead := strings.Repeat(" ", indent) + fmt.Sprintf("%-*s", column, name)
	for _, l := range wrap(clean(value), p.Width-len(lead)) {
		p.line(lead + l)
		lead = strings.Repeat(" ", len(lead))
	}
}

func (p *page) headline() {
	run := p.r.Run
	parts := append([]string{"lbtest " + run.Versions.LBTest}, p.topologies()...)
	if !p.outside() { // whose servers are among the facts, and where nothing is random
		parts = append(parts, run.Runtime+" nats-server "+run.Versions.NATSServer, fmt.Sprintf("seed %d", run.Seed))
	}
	parts = append(parts, "took "+duration(run.Took.Duration()))
	head := ""
	for _, s := range parts {
		switch {
		case head == "":
			head = s
		case len(head)+len(" · ")+len(s) > p.Width:
			p.line(clean(head))
			head = "  " + s
		default:
			head += " · " + s
		}
	}
	p.line(clean(head))
	if len(run.Command) > 0 {
		p.command(0, "asked", quoted(run.Command))
	}
	if !p.outside() {
		p.field(0, "time", p.time())
	}
	if run.Interrupted {
		p.field(0, "stopped", "The run was interrupted. Only what was measured until then is reported.")
	}
}

// outside reports whether the report is about a real address.
func (p *page) outside() bool { return p.r.Run.Runtime == RuntimeEndpoint }

// facts lists what was found out about a real endpoint.
func (p *page) facts() {
	for _, s := range p.r.Scenarios {
		if len(s.Facts) == 0 {
			continue
		}
		p.line("")
		column := 0
		for _, f := range s.Facts {
			column = max(column, len(clean(f.Name)))
		}
		for _, f := range s.Facts {
			lead := fmt.Sprintf("%-*s  ", column, clean(f.Name))
			for _, l := range wrap(clean(f.Value), p.Width-len(lead)) {
				p.line(lead + l)
				lead = strings.Repeat(" ", len(lead))
			}
		}
	}
}

// time says in a sentence what the time factor did to the run.
func (p *page) time() string {
	most, scaled := 1.0, 0
	for _, s := range p.r.Scenarios {
		most = max(most, s.TimeScale)
		if s.TimeScale > 1 {
			scaled++
		}
	}
	switch {
	case scaled == 0:
		return "real; nothing was shortened"
	case scaled == len(p.r.Scenarios):
		return fmt.Sprintf("idle timeouts and pings were shortened up to %s times; timers are told as set, losses as counted", number(most))
	}
	return fmt.Sprintf("idle timeouts and pings were shortened up to %s times in %d of %d scenarios, the others ran in real time; "+
		"timers are told as set, losses as counted", number(most), scaled, len(p.r.Scenarios))
}

// row is one line of the table before it is laid out.
type row struct {
	name     string
	verdict  assertions.Verdict
	flaky    bool
	measured []Measure
	why      string
}

// table has one row a scenario, or, where one configuration was asked about, one row an assertion.
func (p *page) table() {
	if len(p.r.Scenarios) == 1 && len(p.by[p.r.Scenarios[0].Name]) > 0 {
		var rows []row
		for _, res := range p.by[p.r.Scenarios[0].Name] {
			if p.outside() && res.Verdict == assertions.Skipped {
				continue // they are many, of few reasons, by which they stand below
			}
			why := res.Got
			if why == "" {
				why = res.Promise
			}
			rows = append(rows, row{clean(res.Assertion), res.Verdict, res.Flaky, res.Measured, clean(why)})
		}
		p.lay("assertion", rows)
		return
	}
	const setting = 30 // columns; two settings with long values take two lines
	telling := p.telling()
	var rows []row
	for _, s := range p.r.Scenarios {
		if p.r.Run.Interrupted && s.Verdict == assertions.Errored {
			continue // what did not run stands below, in one piece
		}
		rows = append(rows, row{breakable(p.label(s), setting), s.Verdict, s.Flaky, p.telltale(s, telling).Measured, p.why(s, telling)})
	}
	p.lay("setting", rows)
}

// lay draws the table. Where there is no room for a readable column of sentences, the number stands in front
// of the sentence.
func (p *page) lay(first string, rows []row) {
	if len(rows) == 0 {
		return
	}
	p.line("")
	const (
		frame    = 13 // what borders and padding of four columns take; three take 10
		number   = 20
		readable = 24
	)
	t := table.NewWriter()
	style := table.StyleDefault
	if p.Unicode {
		style = table.StyleLight
	}
	style.Format.Header = text.FormatDefault
	t.SetStyle(style)

	wide := [3]int{len(first), len("verdict"), len("measured")}
	numbers := make([]string, len(rows))
	for i, r := range rows {
		if len(r.measured) > 0 {
			numbers[i] = strings.Join(wrap(measure(r.measured[0]), number), "\n")
		}
		wide[0] = max(wide[0], text.LongestLineLen(r.name))
		wide[2] = max(wide[2], text.LongestLineLen(numbers[i]))
	}
	why, narrow := p.Width-frame-wide[0]-wide[1]-wide[2], false
	if why < readable {
		why, narrow = max(why+wide[2]+3, readable), true
	}
	head := table.Row{first, "verdict", "measured", "why"}
	if narrow {
		head = slices.Delete(head, 2, 3)
	}
	t.AppendHeader(head)
	for i, r := range rows {
		verdict := p.Word(r.verdict, 0)
		if r.flaky {
			verdict += "\nflaky"
		}
		if !narrow {
			t.AppendRow(table.Row{r.name, verdict, numbers[i], strings.Join(wrap(r.why, why), "\n")})
			continue
		}
		if numbers[i] != "" {
			r.why = numbers[i] + "; " + r.why
		}
		t.AppendRow(table.Row{r.name, verdict, strings.Join(wrap(r.why, why), "\n")})
	}
	p.line(t.Render())
}

// telling finds, for each leading setting (the part of a name before its value), the assertion that broke
// most often and measured something. Safe rows quote the same assertion, so that the numbers of a column
// compare.
func (p *page) telling() map[string]string {
	type broken struct{ lead, assertion string }
	times, name := map[broken]int{}, map[string]string{}
	for _, s := range p.r.Scenarios {
		for _, res := range p.broken(s) {
			if len(res.Measured) == 0 {
				continue
			}
			b := broken{p.leading(s), res.Assertion}
			times[b]++
			if times[b] > times[broken{b.lead, name[b.lead]}] {
				name[b.lead] = b.assertion
			}
		}
	}
	return name
}

func (p *page) leading(s Scenario) string {
	lead, _, _ := strings.Cut(p.label(s), "=")
	return lead
}

// telltale is the result that a scenario's row quotes.
func (p *page) telltale(s Scenario, telling map[string]string) Result {
	var best Result
	for _, res := range p.by[s.Name] {
		switch {
		case res.Verdict != s.Verdict:
		case s.Verdict != assertions.Safe, res.Assertion == telling[p.leading(s)]:
			return res
		case best.Assertion == "", len(best.Measured) == 0 && len(res.Measured) > 0:
			best = res
		}
	}
	return best
}

// why is the sentence of a scenario's row.
func (p *page) why(s Scenario, telling map[string]string) string {
	if s.Verdict == assertions.Safe {
		held := 0
		for _, res := range p.by[s.Name] {
			if res.Verdict == assertions.Safe {
				held++
			}
		}
		all := plural(held, "promise") + " held"
		if got := p.telltale(s, telling).Got; got != "" {
			return all + ": " + clean(got)
		}
		return all
	}
	if s.Verdict == assertions.Skipped || s.Verdict == assertions.Errored {
		return reason(s)
	}
	because := s.Because
	if broken := p.broken(s); len(broken) > 0 {
		because = nil
		for _, res := range broken {
			because = append(because, res.Assertion+": "+res.Got)
		}
	}
	switch len(because) {
	case 0:
		return unexplained
	case 1:
		return clean(because[0])
	}
	return fmt.Sprintf("%s (and %d more)", clean(because[0]), len(because)-1)
}

const unexplained = "no reason was given"

// reason says why a scenario was not judged.
func reason(s Scenario) string {
	switch {
	case s.Reason != "":
		return clean(s.Reason)
	case len(s.Because) > 0:
		return clean(s.Because[0])
	}
	return unexplained
}

// sweep reports whether several settings were compared.
func (p *page) sweep() bool {
	n := 0
	for _, s := range p.r.Scenarios {
		if len(s.Settings) > 0 {
			n++
		}
	}
	return n > 1
}

// which answers "which are safe" in one paragraph.
func (p *page) which() {
	first := true
	for _, v := range []assertions.Verdict{assertions.Safe, assertions.Risky, assertions.Unsafe} {
		if found := p.whichOf(v); found != "" {
			if first {
				p.line("")
			}
			first = false
			p.field(0, word(v), found)
		}
	}
}

// whichOf names the scenarios with a verdict, in few words; "" where there are none.
func (p *page) whichOf(v assertions.Verdict) string {
	var found [][]pair
	for _, s := range p.r.Scenarios {
		if s.Verdict == v {
			found = append(found, p.pairs(s))
		}
	}
	return brief(found)
}

// label is a scenario's name, without the topology where there is only one.
func (p *page) label(s Scenario) string {
	for _, o := range p.r.Scenarios {
		if o.Topology != s.Topology {
			return clean(s.Name)
		}
	}
	return clean(strings.TrimPrefix(s.Name, s.Topology+"/"))
}

func (p *page) verdict() {
	v := p.r.Verdict
	p.line("")
	p.line(p.paint(v, strings.ToUpper(string(v))) + "  " + p.counts())
}

// counts says how many scenarios have each verdict.
func (p *page) counts() string {
	var counts []string
	for _, w := range []assertions.Verdict{assertions.Safe, assertions.Risky, assertions.Unsafe, assertions.Skipped, assertions.Errored} {
		counts = append(counts, fmt.Sprintf("%d %s", p.r.Summary.Count(w), w))
	}
	return plural(p.r.Summary.Total(), "scenario") + ": " + strings.Join(counts, ", ")
}

// sentence says what the verdict of the run means for whoever reads nothing else.
func (p *page) sentence() string {
	var said []string
	for _, v := range []struct {
		verdict   assertions.Verdict
		one, many string
	}{
		{assertions.Unsafe, "breaks a promise", "break a promise"}, {assertions.Errored, "could not be judged", "could not be judged"},
		{assertions.Risky, "holds at a cost", "hold at a cost"}, {assertions.Safe, "is safe", "are safe"}, {assertions.Skipped, "was skipped", "were skipped"},
	} {
		switch n := p.r.Summary.Count(v.verdict); {
		case n == 1:
			said = append(said, "1 "+v.one)
		case n > 1:
			said = append(said, fmt.Sprintf("%d %s", n, v.many))
		}
	}
	text := strings.Join(p.topologies(), ", ") + ". "
	switch {
	case p.outside() && len(p.r.Scenarios) == 1:
		text = strings.TrimPrefix(p.r.Scenarios[0].Name, "endpoint/") + ", looked at from outside. "
	case len(p.r.Scenarios) == 1:
		text = p.r.Scenarios[0].Name + ". "
	}
	if len(p.r.Scenarios) != 1 {
		text += "Of " + plural(p.r.Summary.Total(), "scenario") + ": " + strings.Join(said, ", ") + "."
	} else if because := p.r.Scenarios[0].Because; len(because) > 0 {
		text += because[0]
	}
	if p.r.Run.Interrupted {
		text += " The run was interrupted: only what was measured until then is reported."
	}
	return clean(text)
}

// word is a verdict as it stands in the text: what wants attention is in capitals, so that it is found
// without colour.
func word(v assertions.Verdict) string {
	switch v {
	case assertions.Safe, assertions.Skipped:
		return string(v)
	}
	return strings.ToUpper(string(v))
}

// Word is a verdict as people read it, filled with blanks to a width and coloured if the style allows.
func (st Style) Word(v assertions.Verdict, width int) string {
	return st.paint(v, fmt.Sprintf("%-*s", width, word(v)))
}

// paint colours a verdict's word where colour is wanted. The colours are the terminal's own green, yellow,
// red, grey and magenta.
func (st Style) paint(v assertions.Verdict, s string) string {
	code := map[assertions.Verdict]string{
		assertions.Safe: "32", assertions.Risky: "33", assertions.Unsafe: "31;1", assertions.Skipped: "90", assertions.Errored: "35;1",
	}[v]
	if !st.Colour || code == "" {
		return s
	}
	return "\x1b[" + code + "m" + s + "\x1b[0m"
}

// measure is one number as people write it: closes 118/min, ack gap 3.2 s.
func measure(m Measure) string {
	name, value := strings.ReplaceAll(clean(m.Name), "_", " "), number(m.Value)
	switch unit := clean(m.Unit); {
	case unit == "" || unit == "count":
	case slices.Contains(strings.Fields(name), unit): // messages lost 118
	case strings.HasPrefix(unit, "1/"):
		name, _, _ = strings.Cut(name, " per ")
		value += unit[1:]
	case unit == "%":
		value += unit
	default:
		value += joined + unit
	}
	return name + " " + value
}

// number keeps what can be told apart at a glance: three digits, and all of those before the point.
func number(v float64) string {
	digits := 1.0
	switch a := math.Abs(v); {
	case a >= 100:
	case a >= 10:
		digits = 10
	case a >= 0.1 || a == 0:
		digits = 100
	default:
		return fmt.Sprintf("%.2g", v)
	}
	return humanize.Commaf(math.Round(v*digits) / digits)
}

// duration is d as people write it: 850ms, 12.3s, 2m31s.
func duration(d time.Duration) string {
	switch {
	case d >= time.Minute:
		s := d.Round(time.Second).String()
		if strings.HasSuffix(s, "m0s") {
			s = strings.TrimSuffix(s, "0s")
		}
		return s
	case d >= time.Second:
		return d.Round(100 * time.Millisecond).String()
	}
	return d.Round(time.Millisecond).String()
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return humanize.Comma(int64(n)) + " " + what + "s"
}
