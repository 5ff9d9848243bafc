package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

// textWidth is what help and explanations are wrapped to: a terminal beside something else, a ticket.
const textWidth = 100

// json writes a value to stdout.
func (p *program) json(v any) error {
	e := json.NewEncoder(p.out)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return failure{fmt.Errorf("writing JSON: %w", err)}
	}
	return nil
}

// table writes rows to stdout, columns aligned.
func (p *program) table(rows [][]string) error {
	w := tabwriter.NewWriter(p.out, 0, 0, 2, ' ', 0)
	for _, r := range rows {
		fmt.Fprintln(w, strings.TrimRight(strings.Join(r, "\t"), "\t"))
	}
	if err := w.Flush(); err != nil {
		return failure{fmt.Errorf("writing to stdout: %w", err)}
	}
	return nil
}

// field writes a name and a wrapped text beside it; nothing where there is no text.
func field(w io.Writer, name, text string) {
	const column = 12
	lead := fmt.Sprintf("  %-*s", column-2, name)
	for _, line := range wrapped(text, textWidth-column) {
		fmt.Fprintf(w, "%s%s\n", lead, line)
		lead = strings.Repeat(" ", column)
	}
}

// wrapped breaks a text between words.
func wrapped(text string, width int) []string {
	var lines []string
	for _, w := range strings.Fields(text) {
		if last := len(lines) - 1; last >= 0 && len(lines[last])+1+len(w) <= width {
			lines[last] += " " + w
		} else {
			lines = append(lines, w)
		}
	}
	return lines
}
