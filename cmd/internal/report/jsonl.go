package report

import (
	"encoding/json"
	"fmt"
	"io"
)

func init() {
	register(Format{
		Name:  "jsonl",
		About: "the report as JSON lines, for log pipelines: the run, then each scenario and each of its results, every line by itself",
		Write: writeJSONLines,
	})
}

// writeJSONLines: each line says what it is and which run it belongs to; the rest are the fields that the JSON report has.
func writeJSONLines(w io.Writer, r Report, _ Style) error {
	lines := json.NewEncoder(w)
	lines.SetEscapeHTML(false)
	type line struct {
		Kind string `json:"kind"` // run, scenario or result
		ID   string `json:"run_id"`
	}
	all := []any{struct {
		line
		Schema  string  `json:"schema"`
		Run     Run     `json:"run"`
		Verdict any     `json:"verdict"`
		Summary Summary `json:"summary"`
		Events  string  `json:"events,omitempty"`
		Matrix  *Matrix `json:"matrix,omitempty"`
	}{line{"run", r.Run.ID}, r.Schema, r.Run, r.Verdict, r.Summary, r.Events, r.Matrix}}
	p := newPage(r, Style{})
	for _, s := range r.Scenarios {
		all = append(all, struct {
			line
			Scenario
		}{line{"scenario", r.Run.ID}, s})
		for _, res := range p.by[s.Name] {
			all = append(all, struct {
				line
				Result
			}{line{"result", r.Run.ID}, res})
		}
	}
	for _, l := range all {
		if err := lines.Encode(l); err != nil {
			return fmt.Errorf("writing the report as JSON lines: %w", err)
		}
	}
	return nil
}
