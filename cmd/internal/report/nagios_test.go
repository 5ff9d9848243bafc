package report

import (
	"bytes"
	"strings"
	"testing"

	"github.com/lbtest/lbtest/assertions"
)

func TestMonitoringGetsOneLineAndItsOwnCodes(t *testing.T) {
	of := func(v assertions.Verdict, reason string) Report {
		return New(Run{Runtime: RuntimeEndpoint}, []Scenario{{Name: "endpoint/h:4222", Verdict: v, Reason: reason}}, []Result{
			{Scenario: "endpoint/h:4222", Assertion: "client/connects", Verdict: assertions.Safe, Got: "12 connects"},
			{Scenario: "endpoint/h:4222", Assertion: "client/stays-connected-when-quiet", Verdict: v, Got: "it ends |\nafter 30 s", Measured: []Measure{
				{"idle_limit_min", 29.9, "s"}, {"time", 3.5, "ms"}, {"connects", 12, "connections"}}}})
	}
	for _, c := range []struct {
		report Report
		code   int
		want   string
	}{
		{of(assertions.Safe, ""), 0, "OK h:4222 2 promises held | idle_limit_min=29.9s time=3.5ms connects=12\n"},
		{of(assertions.Risky, ""), 1, "WARNING h:4222 Warn:client/stays-connected-when-quiet it ends / after 30 s 1 promise held | idle_limit_min=29.9s time=3.5ms connects=12\n"},
		{of(assertions.Unsafe, ""), 2, "CRITICAL h:4222 Crit:client/stays-connected-when-quiet it ends / after 30 s 1 promise held | idle_limit_min=29.9s time=3.5ms connects=12\n"},
		{of(assertions.Errored, "no address"), 3, "UNKNOWN h:4222 Unknown:client/stays-connected-when-quiet it ends / after 30 s Unknown:no address 1 promise held | idle_limit_min=29.9s time=3.5ms connects=12\n"},
		{New(Run{}, []Scenario{{Name: "endpoint/h", Verdict: assertions.Errored, Reason: "h has no address"}}, nil), 3, "UNKNOWN h Unknown:h has no address 0 promises held\n"},
	} {
		var b bytes.Buffer
		if err := writeNagios(&b, c.report, Style{}); err != nil {
			t.Fatal(err)
		}
		if b.String() != c.want || c.report.NagiosCode() != c.code || strings.Count(b.String(), "\n") != 1 {
			t.Errorf("code %d, want %d:\n%q, want\n%q", c.report.NagiosCode(), c.code, b.String(), c.want)
		}
	}
}
