package report

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/lbtest/lbtest/assertions"
)

func init() {
	register(Format{
		Name:  "nagios",
		About: "for monitoring: one line, its first word OK, WARNING, CRITICAL or UNKNOWN, with performance data",
		Write: writeNagios,
	})
}

// The states of a monitoring plugin, by its exit code.
var nagiosStates = []string{"OK", "WARNING", "CRITICAL", "UNKNOWN"}

// NagiosUnknown is the exit code of a plugin that could not find out.
const NagiosUnknown = 3

// NagiosCode is what a monitoring plugin ends with: 0 if nothing was objected to, 1 if something is risky, 2 if
// something is unsafe, 3 if it could not be found out. What was found to be unsafe counts even in an interrupted run.
func (r Report) NagiosCode() int {
	switch {
	case r.found(assertions.Unsafe):
		return 2
	case r.found(assertions.Errored), r.Run.Interrupted, r.Summary.Skipped == r.Summary.Total():
		return NagiosUnknown
	case r.found(assertions.Risky):
		return 1
	}
	return 0
}

func writeNagios(w io.Writer, r Report, _ Style) error {
	parts := []string{nagiosStates[r.NagiosCode()]}
	for _, s := range r.Scenarios {
		parts = append(parts, strings.TrimPrefix(s.Name, "endpoint/"))
	}
	held := 0
	for _, of := range []struct {
		verdict assertions.Verdict
		word    string
	}{{assertions.Unsafe, "Crit"}, {assertions.Errored, "Unknown"}, {assertions.Risky, "Warn"}} {
		for _, res := range r.Results {
			if res.Verdict == of.verdict {
				parts = append(parts, of.word+":"+res.Assertion+" "+res.Got)
			}
		}
	}
	for _, s := range r.Scenarios {
		if s.Reason != "" && !slices.ContainsFunc(r.Results, func(res Result) bool { return res.Scenario == s.Name && res.Got == s.Reason }) {
			parts = append(parts, "Unknown:"+s.Reason)
		}
	}
	for _, res := range r.Results {
		if res.Verdict == assertions.Safe {
			held++
		}
	}
	parts = append(parts, plural(held, "promise")+" held")
	line := NagiosLine(strings.Join(parts, " ")) + performance(r) + "\n"
	if _, err := io.WriteString(w, line); err != nil {
		return fmt.Errorf("writing the report for monitoring: %w", err)
	}
	return nil
}

// NagiosLine is text that fits the one line of a plugin, before its performance data.
func NagiosLine(text string) string {
	return strings.ReplaceAll(strings.Join(strings.Fields(clean(text)), " "), "|", "/")
}

// performance is what was measured, as monitoring draws it: label=value and unit.
func performance(r Report) string {
	var said []string
	taken := map[string]bool{}
	for _, res := range r.Results {
		for _, m := range res.Measured {
			label := m.Name
			if taken[label] {
				label = strings.ReplaceAll(res.Assertion, "/", "_") + "_" + m.Name
			}
			if taken[label] {
				continue // the same promise on another link
			}
			taken[label] = true
			unit := ""
			if slices.Contains([]string{"s", "ms", "%"}, m.Unit) {
				unit = m.Unit
			}
			said = append(said, label+"="+strconv.FormatFloat(m.Value, 'f', -1, 64)+unit)
		}
	}
	if len(said) == 0 {
		return ""
	}
	return " | " + strings.Join(said, " ")
}
