package report

import (
	"fmt"
	"io"
	"strings"

	"github.com/lbtest/lbtest/assertions"
)

func init() {
	register(Format{
		Name:  "markdown",
		About: "for a job summary or a pull request: verdict, differences from the baseline, heat map, findings; never above GitHub's 1 MiB",
		Write: writeMarkdown,
	})
}

const (
	// summaryCap is GitHub's own for the summary of one step. One byte more, and nothing of it is shown.
	summaryCap = 1 << 20
	// summaryReserve is room for what must come at the end: what was left out, and the ends of what is open.
	summaryReserve = 4 << 10
)

// squares are the colours of verdicts; a letter stands beside each.
var squares = map[assertions.Verdict]string{
	assertions.Safe: "🟩", assertions.Risky: "🟨", assertions.Unsafe: "🟥", assertions.Skipped: "⬜", assertions.Errored: "🟪",
}

// digest is a Markdown report that is being written: in the order of importance, until it is full.
type digest struct {
	*page
	cap  int
	left []leftOver
}

// leftOver is how many of a kind had no room.
type leftOver struct {
	what string
	n    int
}

func writeMarkdown(w io.Writer, r Report, _ Style) error {
	d := &digest{page: newPage(r, Style{Unicode: true}), cap: summaryCap}
	if _, err := io.WriteString(w, d.written()); err != nil {
		return fmt.Errorf("writing the report as Markdown: %w", err)
	}
	return nil
}

func (d *digest) written() string {
	d.block("part", "## "+squares[d.r.Verdict]+" lbtest: "+strings.ToUpper(string(d.r.Verdict))+"\n\n"+escaped(d.sentence())+"\n")
	d.expected()
	d.found()
	d.heatMap()
	d.explained()
	d.skipped()
	d.sources()
	d.all()
	d.howItWasRun()
	d.noRoom()
	return strings.ReplaceAll(d.out.String(), joined, " ")
}

// block adds a text if there is room for it; once something had to be left out, everything after it is.
func (d *digest) block(what, text string) {
	if len(d.left) == 0 && d.out.Len()+len(text) <= d.cap-summaryReserve {
		d.out.WriteString(text)
		return
	}
	for i := range d.left {
		if d.left[i].what == what {
			d.left[i].n++
			return
		}
	}
	d.left = append(d.left, leftOver{what, 1})
}

// table adds rows below their head, each by itself.
func (d *digest) rows(what string, head []string, rows [][]string) {
	if len(rows) == 0 {
		return
	}
	d.block("part", "\n| "+strings.Join(head, " | ")+" |\n|"+strings.Repeat(" --- |", len(head))+"\n")
	for _, r := range rows {
		d.block(what, "| "+strings.Join(r, " | ")+" |\n")
	}
}

// noRoom says how much had no room.
func (d *digest) noRoom() {
	if len(d.left) == 0 {
		return
	}
	var said []string
	for _, l := range d.left {
		said = append(said, plural(l.n, l.what))
	}
	fmt.Fprintf(&d.out, "\n> **Not everything is here.** Left out: %s. A job summary has room for %d KiB; the other formats of this report hold all of it.\n",
		strings.Join(said, ", "), d.cap>>10)
}

// lettered is a verdict by its colour, its letter and its word.
func lettered(v assertions.Verdict) string { return squares[v] + " " + letters[v] + " " + string(v) }

func (d *digest) expected() {
	m := d.r.Matrix
	if m == nil {
		return
	}
	if m.Baseline != nil {
		d.block("part", "\n"+escaped(m.Baseline.sentence())+"\n")
		for _, g := range m.Baseline.groups() {
			d.block("part", "\n**"+g.Title+"** – "+g.Means+"\n")
			var rows [][]string
			for _, c := range g.Changes {
				rows = append(rows, []string{lettered(c.Was), lettered(c.Is), escaped(c.Scenario)})
			}
			d.rows("change", []string{"was", "is", "scenario"}, rows)
		}
	}
	d.block("part", "\nSuite "+escaped(m.called())+": "+m.cost()+".\n")
}

// facts lists what was found out about a real endpoint.
func (d *digest) found() {
	var rows [][]string
	for _, s := range d.r.Scenarios {
		for _, f := range s.Facts {
			rows = append(rows, []string{escaped(f.Name), escaped(f.Value)})
		}
	}
	d.rows("fact", []string{"fact", "value"}, rows)
}

func (d *digest) heatMap() {
	h := d.heat()
	if !h.Any() {
		return
	}
	var rows [][]string
	for _, r := range h.Rows {
		row := []string{escaped(r.Name)}
		if h.Columns == nil {
			var cells []string
			for _, c := range r.Cells {
				cells = append(cells, strings.TrimSpace(squares[c.Verdict]+" "+c.Letter+" "+escaped(c.Label)))
			}
			rows = append(rows, append(row, strings.Join(cells, " · ")))
			continue
		}
		for _, c := range r.Cells {
			row = append(row, strings.TrimSpace(squares[c.Verdict]+" "+c.Letter))
		}
		rows = append(rows, row)
	}
	head := []string{" "}
	for _, c := range h.Columns {
		head = append(head, escaped(c))
	}
	if h.Columns == nil {
		head = append(head, "verdicts")
	}
	d.rows("row of the heat map", head, rows)
	var legend []string
	for _, v := range byAttention {
		legend = append(legend, lettered(v))
	}
	d.block("part", "\n<sub>"+strings.Join(legend, " · ")+" · ~ flaky</sub>\n")
}

func (d *digest) explained() {
	all := d.htmlFindings()
	if len(all) > 0 {
		d.block("part", "\n### Findings\n")
	}
	for _, f := range all {
		d.block("finding", f.markdown())
	}
}

// mostNamed is how many scenarios a finding names before it counts.
const mostNamed = 12

func (f htmlFinding) markdown() string {
	var out strings.Builder
	out.WriteString("\n")
	for i, s := range f.Scenarios {
		if i == mostNamed {
			fmt.Fprintf(&out, "and %d more<br>\n", len(f.Scenarios)-i)
			break
		}
		flaky := map[bool]string{true: " (flaky)"}[s.Flaky]
		out.WriteString("**" + lettered(s.Verdict) + "** " + escaped(s.Label) + flaky + "<br>\n")
	}
	out.WriteString("\n")
	for _, p := range f.Promises {
		if p.Promise != "" {
			out.WriteString("- promised: " + escaped(p.Promise) + "\n")
		}
		for i, s := range p.Seen {
			if i == mostNamed {
				fmt.Fprintf(&out, "- and in %d more\n", len(p.Seen)-i)
				break
			}
			out.WriteString("- seen: ")
			if s.Label != "" {
				out.WriteString(escaped(s.Label) + ": ")
			}
			out.WriteString("**" + escaped(s.Got) + "**")
			if s.Assertion != "" {
				out.WriteString(" (" + escaped(s.Assertion) + ")")
			}
			out.WriteString("\n")
		}
	}
	for _, a := range f.Advice {
		tried := ""
		if a.Tried != "" {
			tried = " (" + a.Tried + ")"
		}
		out.WriteString("- advice for " + escaped(a.Target) + tried + ":\n" + fenced(a.Text, "  "))
	}
	for _, a := range f.Again {
		out.WriteString("- again:\n" + fenced(a, "  "))
	}
	return out.String()
}

func (d *digest) skipped() {
	var rows [][]string
	for _, u := range d.reasons() {
		rows = append(rows, []string{lettered(u.Verdict), escaped(u.What), escaped(u.Why), escaped(u.Which)})
	}
	if len(rows) > 0 {
		d.block("part", "\n### Not judged, and why\n")
	}
	d.rows("reason", []string{"verdict", "what", "why", "which"}, rows)
}

func (d *digest) sources() {
	notes := d.profileNotes()
	if len(notes) > 0 {
		d.block("part", "\n### What the profiles stand on\n\n")
	}
	for _, n := range notes {
		text := "- " + escaped(n.Name)
		if n.Source != "" {
			text += ": " + escaped(n.Source)
		}
		for _, assumed := range n.Assumed {
			text += "\n  - assumed: " + escaped(assumed)
		}
		for _, note := range n.Notes {
			text += "\n  - note: " + escaped(note)
		}
		d.block("profile", text+"\n")
	}
}

// everything lists all scenarios, folded away.
func (d *digest) all() {
	if len(d.r.Scenarios) == 0 {
		return
	}
	var rows [][]string
	telling := d.telling()
	for _, s := range d.r.Scenarios {
		flaky := map[bool]string{true: " (flaky)"}[s.Flaky]
		rows = append(rows, []string{lettered(s.Verdict) + flaky, escaped(d.label(s)), escaped(d.why(s, telling))})
	}
	d.out.WriteString("\n<details><summary>All " + plural(len(d.r.Scenarios), "scenario") + "</summary>\n")
	d.rows("scenario", []string{"verdict", "scenario", "why"}, rows)
	d.out.WriteString("\n</details>\n")
}

func (d *digest) howItWasRun() {
	var text strings.Builder
	text.WriteString("\n<details><summary>How it was run</summary>\n\n")
	if len(d.r.Run.Command) > 0 {
		text.WriteString(fenced(clean(quoted(d.r.Run.Command)), ""))
	}
	for _, f := range d.about() {
		text.WriteString("- " + escaped(f.Name) + ": " + escaped(f.Value) + "\n")
	}
	text.WriteString("\n</details>\n")
	d.block("part", text.String())
}

var markdownEscaped = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `\`, `\\`, "`", "\\`", "*", `\*`, "_", `\_`, "[", `\[`, "]", `\]`, "|", `\|`,
	"#", `\#`, "~", `\~`, "$", `\$`, "!", `\!`, "@", "&#64;", "://", ":&#47;&#47;", "www.", "www&#46;") // no link and no name to be called

// escaped makes a text mean itself in Markdown, on one line of a table too.
func escaped(s string) string { return markdownEscaped.Replace(clean(s)) }

// fenced is a text to be pasted, in a fence that nothing in it can end.
func fenced(text, indent string) string {
	fence := "```"
	for strings.Contains(text, fence) {
		fence += "`"
	}
	var out strings.Builder
	for _, l := range append(append([]string{fence}, strings.Split(text, "\n")...), fence) {
		out.WriteString(indent + l + "\n")
	}
	return out.String()
}
