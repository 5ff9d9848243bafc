package report

import (
	"encoding/json"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/lbtest/lbtest/assertions"
)

// of makes a report of scenarios with those verdicts.
func of(verdicts ...assertions.Verdict) Report {
	var scenarios []Scenario
	for i, v := range verdicts {
		scenarios = append(scenarios, Scenario{Name: string(rune('a' + i)), Verdict: v})
	}
	return New(Run{}, scenarios, nil)
}

const (
	safe    = assertions.Safe
	risky   = assertions.Risky
	unsafe  = assertions.Unsafe
	skipped = assertions.Skipped
	errored = assertions.Errored
)

func TestVerdictAndExitCodes(t *testing.T) {
	interrupted := of(unsafe)
	interrupted.Run.Interrupted = true
	hidden := New(Run{}, []Scenario{{Name: "a", Verdict: errored}}, []Result{{Scenario: "a", Verdict: unsafe}})
	for _, c := range []struct {
		name                                     string
		report                                   Report
		verdict                                  assertions.Verdict
		failOnUnsafe, failOnRisky, failOnNothing int
	}{
		{"all safe", of(safe, safe), safe, 0, 0, 0},
		{"safe and skipped", of(safe, skipped), safe, 0, 0, 0},
		{"risky", of(safe, risky, skipped), risky, 0, 1, 0},
		{"unsafe", of(safe, unsafe, risky), unsafe, 1, 1, 0},
		{"errored", of(safe, errored), errored, 3, 3, 3},
		{"errored outweighs risky, but fail-on risky asked about that", of(errored, risky), errored, 3, 1, 3},
		{"unsafe wins over errored", of(errored, unsafe), unsafe, 1, 1, 3},
		{"an unsafe result inside an errored scenario counts", hidden, unsafe, 1, 1, 3},
		{"all skipped", of(skipped, skipped), skipped, 3, 3, 3},
		{"nothing ran", of(), skipped, 3, 3, 3},
		{"interrupted, whatever was found", interrupted, unsafe, 130, 130, 130},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := c.report.Verdict; got != c.verdict {
				t.Errorf("verdict is %s, want %s", got, c.verdict)
			}
			for failOn, want := range map[string]int{FailOnUnsafe: c.failOnUnsafe, FailOnRisky: c.failOnRisky, FailOnNever: c.failOnNothing} {
				if got := c.report.ExitCode(failOn); got != want {
					t.Errorf("with fail-on %s it exits with %d, want %d", failOn, got, want)
				}
			}
		})
	}
}

func TestSummaryCountsScenarios(t *testing.T) {
	got := of(safe, safe, risky, unsafe, skipped, errored, errored).Summary
	if want := (Summary{Safe: 2, Risky: 1, Unsafe: 1, Skipped: 1, Errored: 2}); got != want {
		t.Errorf("summary is %+v, want %+v", got, want)
	}
	if got.Total() != 7 {
		t.Errorf("total is %d, want 7", got.Total())
	}
}

func TestNewLeavesItsArgumentsAlone(t *testing.T) {
	scenarios := []Scenario{{Name: "a", Verdict: safe}}
	results := []Result{{Scenario: "a", Verdict: safe, Measured: []Measure{{"ratio", math.NaN(), ""}, {"closes", 2, "count"}}}}
	r := New(Run{}, scenarios, results)
	if scenarios[0].Settings != nil || scenarios[0].TimeScale != 0 {
		t.Errorf("the scenario given became %+v", scenarios[0])
	}
	if got := results[0].Measured; len(got) != 2 || got[1].Name != "closes" {
		t.Errorf("the measures given became %v", got)
	}
	if got := r.Results[0].Measured; len(got) != 1 || got[0].Name != "closes" {
		t.Errorf("measured is %v, want only what is a number", got)
	}
}

// TestFieldsStandInTheOrderOfTheContract compares with the contract's own example, key by key.
func TestFieldsStandInTheOrderOfTheContract(t *testing.T) {
	yes := true
	r := New(Run{Interrupted: true}, []Scenario{{Name: "a", Verdict: safe, Reason: "r", Advice: []Advice{{Verified: &yes}}}},
		[]Result{{Scenario: "a", Verdict: safe, Flaky: true, Measured: []Measure{{}}}})
	r.Events = "events.jsonl"
	b, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	want := strings.Fields(`schema run id command seed started duration_s runtime time_scale versions
		lbtest nats_server nats_go toxiproxy go interrupted
		verdict summary safe risky unsafe skipped errored
		scenarios name topology profile settings nats client verdict flaky time_scale because
		advice target text verified reproduce reason
		results scenario assertion verdict promise got measured name value unit fault_proved took_s evidence flaky
		events`)
	if got := keys(t, b); strings.Join(got, " ") != strings.Join(want, " ") {
		t.Errorf("fields are\n%s\nwant\n%s", got, want)
	}
}

// keys lists the object keys of a document in their order.
func keys(t *testing.T, doc []byte) []string {
	t.Helper()
	var found []string
	d := json.NewDecoder(strings.NewReader(string(doc)))
	var open []json.Delim
	key := false
	for {
		tok, err := d.Token()
		if err != nil {
			return found
		}
		switch tok := tok.(type) {
		case json.Delim:
			if tok == '{' || tok == '[' {
				open = append(open, tok)
			} else {
				open = open[:len(open)-1]
			}
			key = len(open) > 0 && open[len(open)-1] == '{'
			continue
		case string:
			if key {
				found = append(found, tok)
				key = false
				continue
			}
		}
		key = len(open) > 0 && open[len(open)-1] == '{'
	}
}

func TestEmptyIsNeverNull(t *testing.T) {
	b, err := json.Marshal(New(Run{}, []Scenario{{Name: "a", Verdict: safe}}, []Result{{Scenario: "a", Verdict: safe}}))
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(b), "null") {
		t.Errorf("there is a null in %s", b)
	}
	if got, _ := json.Marshal(New(Run{}, nil, nil)); !strings.Contains(string(got), `"scenarios":[],"results":[]`) {
		t.Errorf("an empty report is %s", got)
	}
}

func TestSeconds(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0", 1234567 * time.Microsecond: "1.235", 90 * time.Second: "90", 100 * time.Microsecond: "0",
	} {
		b, err := json.Marshal(Seconds(d))
		if err != nil || string(b) != want {
			t.Errorf("%s is written as %s (%v), want %s", d, b, err, want)
		}
	}
	var s Seconds
	if err := json.Unmarshal([]byte("12.5"), &s); err != nil || s.Duration() != 12500*time.Millisecond {
		t.Errorf("12.5 is read as %s, %v", s.Duration(), err)
	}
	if err := json.Unmarshal([]byte("1e30"), &s); err == nil {
		t.Error("1e30 seconds were accepted")
	}
}
