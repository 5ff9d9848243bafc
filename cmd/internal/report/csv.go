package report

import (
	"encoding/csv"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/lbtest/lbtest/assertions"
)

func init() {
	register(Format{
		Name:  "csv",
		About: "a table for spreadsheets: one row for each number that was measured, and for each result without one",
		Write: writeCSV,
	})
}

var csvColumns = []string{"scenario", "topology", "profile", "settings", "scenario_verdict", "flaky", "time_scale",
	"assertion", "link", "verdict", "got", "measure", "value", "unit"}

// writeCSV follows RFC 4180: a header, commas, quotes where needed, lines that end in CR LF.
func writeCSV(w io.Writer, r Report, _ Style) error {
	p := newPage(r, Style{})
	rows := csv.NewWriter(w)
	rows.UseCRLF = true
	// Errors are sticky: Error has them all.
	_ = rows.Write(csvColumns)
	for _, s := range r.Scenarios {
		head := []string{s.Name, s.Topology, s.Profile, csvSettings(s.Settings), string(s.Verdict), strconv.FormatBool(s.Flaky), csvNumber(s.TimeScale)}
		if len(p.by[s.Name]) == 0 {
			p.csvRow(rows, head, Result{Verdict: s.Verdict, Got: csvReason(s)}, Measure{})
		}
		for _, res := range p.by[s.Name] {
			if len(res.Measured) == 0 {
				p.csvRow(rows, head, res, Measure{})
			}
			for _, m := range res.Measured {
				p.csvRow(rows, head, res, m)
			}
		}
	}
	rows.Flush()
	if err := rows.Error(); err != nil {
		return fmt.Errorf("writing the report as CSV: %w", err)
	}
	return nil
}

func (p *page) csvRow(rows *csv.Writer, head []string, res Result, m Measure) {
	value := ""
	if m.Name != "" {
		value = csvNumber(m.Value)
	}
	row := append(slices.Clone(head), res.Assertion, res.Link, string(res.Verdict), res.Got, m.Name, value, m.Unit)
	for i, cell := range row {
		if i != len(row)-2 { // which is a number, and may be negative
			row[i] = harmless(clean(cell))
		}
	}
	_ = rows.Write(row)
}

// harmless keeps a spreadsheet from taking a text for a formula.
func harmless(cell string) string {
	if cell != "" && strings.ContainsRune("=+-@", rune(cell[0])) {
		return "'" + cell
	}
	return cell
}

func csvReason(s Scenario) string {
	if s.Verdict == assertions.Skipped || s.Verdict == assertions.Errored {
		return reason(s)
	}
	return strings.Join(s.Because, "; ")
}

func csvSettings(settings map[string]string) string {
	var pairs []string
	for name, value := range settings {
		pairs = append(pairs, name+"="+value)
	}
	slices.Sort(pairs)
	return strings.Join(pairs, " ")
}

func csvNumber(f float64) string { return strconv.FormatFloat(f, 'g', -1, 64) }
