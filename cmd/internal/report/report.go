// Package report is what a run has to say: the scenarios it judged, what was measured, and the renderings
// of both. It holds plain data; whoever runs the scenarios fills it, and nothing in here reaches out.
//
// To add a rendering, add one file that registers a Format.
package report

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"time"

	"github.com/lbtest/lbtest/assertions"
)

// SchemaName names the form of the report. Fields may be added under the same name; none changes its meaning.
const SchemaName = "lbtest.report/v1"

// Report is one run. Make one with New or Read, which see to it that lists are lists (never null) and that
// the verdict and the summary are those of the scenarios.
type Report struct {
	Schema    string             `json:"schema"`
	Run       Run                `json:"run"`
	Verdict   assertions.Verdict `json:"verdict"`
	Summary   Summary            `json:"summary"`
	Scenarios []Scenario         `json:"scenarios"`
	Results   []Result           `json:"results"`
	// Events is the path of the event file, if artifacts were asked for.
	Events string `json:"events,omitempty"`
	// Matrix is there if the scenarios are the cells of a matrix.
	Matrix *Matrix `json:"matrix,omitempty"`
}

// Run says how the report came about, and all that is needed to do it again.
type Run struct {
	ID      string    `json:"id"`
	Command []string  `json:"command"`
	Seed    int64     `json:"seed"`
	Started time.Time `json:"started"`
	// Took is the wall-clock time of the run, unscaled by nature.
	Took    Seconds `json:"duration_s"`
	Runtime string  `json:"runtime"`
	// TimeScale is the largest factor by which waiting was shortened; 1 is real time. Settings, and times
	// that follow from them alone, are told unscaled; closes, messages and seconds lost are as counted.
	TimeScale float64  `json:"time_scale"`
	Versions  Versions `json:"versions"`
	// Interrupted is set when a signal ended the run; the report holds what was measured until then.
	Interrupted bool `json:"interrupted,omitempty"`
}

// RuntimeEndpoint is the runtime of a report about a real address, where lbtest ran nothing.
const RuntimeEndpoint = "endpoint"

// Versions are those of the parts whose behaviour the verdicts depend on.
type Versions struct {
	LBTest     string `json:"lbtest"`
	NATSServer string `json:"nats_server"`
	NATSGo     string `json:"nats_go"`
	Toxiproxy  string `json:"toxiproxy"`
	Go         string `json:"go"`
}

// Summary counts scenarios by verdict.
type Summary struct {
	Safe    int `json:"safe"`
	Risky   int `json:"risky"`
	Unsafe  int `json:"unsafe"`
	Skipped int `json:"skipped"`
	Errored int `json:"errored"`
}

// Scenario is one configuration of one topology, and the verdict on it.
type Scenario struct {
	// Name is topology and settings, `routes-behind-lb/idle-timeout=5s`, and unique in a report.
	Name     string `json:"name"`
	Topology string `json:"topology"`
	Profile  string `json:"profile"`
	// Source is where the profile's numbers stand, and Unverified, by setting, what is assumed where they say
	// nothing.
	Source     string            `json:"source,omitempty"`
	Unverified map[string]string `json:"unverified,omitempty"`
	// Notes are what else is to be known about the profile here.
	Notes []string `json:"notes,omitempty"`
	// Facts are what was found out about a real endpoint, whatever the verdict.
	Facts    []Fact             `json:"facts,omitempty"`
	Settings map[string]string  `json:"settings"`
	NATS     map[string]string  `json:"nats"`
	Client   map[string]string  `json:"client"`
	Node     map[string]string  `json:"node,omitempty"` // limits of every node
	Auth     string             `json:"auth,omitempty"` // how clients log in; "" for user and password
	Verdict  assertions.Verdict `json:"verdict"`
	// Flaky marks a verdict that changed when the scenario was repeated; the worse one is kept.
	Flaky bool `json:"flaky"`
	// TimeScale is the factor this scenario ran with; 1 is real time.
	TimeScale float64 `json:"time_scale"`
	// Because holds one sentence for each assertion that was not safe, the worst first.
	Because []string `json:"because"`
	Advice  []Advice `json:"advice"`
	// Reproduce is the command line that runs just this scenario.
	Reproduce string `json:"reproduce"`
	// Reason says why a scenario was skipped or errored.
	Reason string `json:"reason,omitempty"`
	// Pictures show what led to the findings, one for each lab that led to some.
	Pictures []Picture `json:"pictures,omitempty"`
}

// Fact is something found out about an endpoint.
type Fact struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// Advice is something to paste, and where.
type Advice struct {
	Target string `json:"target"`
	Text   string `json:"text"`
	// Verified says whether the scenario was safe with the advice applied; nil if that was not tried.
	Verified *bool `json:"verified,omitempty"`
}

// Result is the answer to one assertion in one scenario.
type Result struct {
	Scenario  string             `json:"scenario"`
	Assertion string             `json:"assertion"`
	Link      string             `json:"link,omitempty"` // that it was judged on, where several are balanced
	Verdict   assertions.Verdict `json:"verdict"`
	Promise   string             `json:"promise"`
	Got       string             `json:"got"`
	Measured  []Measure          `json:"measured"`
	// FaultProved says that the fault was seen to bite before NATS was judged.
	FaultProved bool    `json:"fault_proved"`
	Took        Seconds `json:"took_s"`
	// Evidence holds the ids of the events that the verdict rests on.
	Evidence []string `json:"evidence"`
	Flaky    bool     `json:"flaky,omitempty"`
	// Timeline quotes what happened around a finding, group by group.
	Timeline []Moment `json:"timeline,omitempty"`
	// Advice travels from a judge to its scenario, which is where the report has it.
	Advice []Advice `json:"-"`
}

// Moment is one line of a timeline.
type Moment struct {
	// Of says whose timeline: that of a stream, a consumer, the meta group.
	Of string `json:"of"`
	// At counts from the beginning of the event; it is negative before.
	At   Seconds `json:"at_s"`
	What string  `json:"what"`
}

// Measure is one number with its unit: `s`, `1/min`, `count`, …
type Measure struct {
	Name  string  `json:"name"`
	Value float64 `json:"value"`
	Unit  string  `json:"unit"`
}

// New makes the report of a run. It does not keep or change the slices and maps it is given.
func New(run Run, scenarios []Scenario, results []Result) Report {
	r := Report{Schema: SchemaName, Run: run, Scenarios: scenarios, Results: results}
	r.Run.Started = run.Started.UTC().Round(time.Millisecond)
	r.Run.TimeScale = max(run.TimeScale, 1)
	r.fill()
	for i := range r.Scenarios {
		s := &r.Scenarios[i]
		s.TimeScale = max(s.TimeScale, 1) // one that never ran has no factor yet
		r.Summary.add(s.Verdict)
	}
	r.Verdict = r.judge()
	return r
}

// fill copies every list and map, an absent one becoming an empty one, so that readers of the JSON need not
// tell null from nothing.
func (r *Report) fill() {
	r.Run.Command = filled(r.Run.Command)
	r.Scenarios = filled(r.Scenarios)
	for i := range r.Scenarios {
		s := &r.Scenarios[i]
		s.Settings, s.NATS, s.Client = filledMap(s.Settings), filledMap(s.NATS), filledMap(s.Client)
		s.Because, s.Advice = filled(s.Because), filled(s.Advice)
	}
	r.Results = filled(r.Results)
	for i := range r.Results {
		s := &r.Results[i]
		s.Evidence = filled(s.Evidence)
		// A ratio to a control of zero is no number that JSON can hold; the sentence beside it says as much.
		s.Measured = slices.DeleteFunc(filled(s.Measured), func(m Measure) bool {
			return math.IsNaN(m.Value) || math.IsInf(m.Value, 0)
		})
	}
}

func filled[T any](s []T) []T { return append(make([]T, 0, len(s)), s...) }

func filledMap(m map[string]string) map[string]string {
	if m == nil {
		return map[string]string{}
	}
	return maps.Clone(m)
}

func (s *Summary) add(v assertions.Verdict) {
	if n := s.count(v); n != nil {
		*n++
	}
}

// Count is the number of scenarios with that verdict.
func (s Summary) Count(v assertions.Verdict) int {
	if n := s.count(v); n != nil {
		return *n
	}
	return 0
}

// Total is the number of scenarios.
func (s Summary) Total() int { return s.Safe + s.Risky + s.Unsafe + s.Skipped + s.Errored }

func (s *Summary) count(v assertions.Verdict) *int {
	switch v {
	case assertions.Safe:
		return &s.Safe
	case assertions.Risky:
		return &s.Risky
	case assertions.Unsafe:
		return &s.Unsafe
	case assertions.Skipped:
		return &s.Skipped
	case assertions.Errored:
		return &s.Errored
	}
	return nil
}

// ofRun lists the verdicts by what a whole run is called when it holds one, the first that is found winning.
// Unlike in a scenario, unsafe outweighs errored: a broken promise stays broken whatever else went wrong.
var ofRun = []assertions.Verdict{assertions.Unsafe, assertions.Errored, assertions.Risky, assertions.Safe}

func (r Report) judge() assertions.Verdict {
	for _, v := range ofRun {
		if r.found(v) {
			return v
		}
	}
	return assertions.Skipped
}

// found reports whether a scenario has that verdict. An unsafe result counts even where its scenario is
// errored for another reason.
func (r Report) found(v assertions.Verdict) bool {
	if r.Summary.Count(v) > 0 {
		return true
	}
	return v == assertions.Unsafe && slices.ContainsFunc(r.Results, func(s Result) bool { return s.Verdict == v })
}

// Seconds is a duration that the report writes as a number of seconds, to the millisecond.
type Seconds time.Duration

// MarshalJSON writes seconds with at most three decimals.
func (s Seconds) MarshalJSON() ([]byte, error) {
	return json.Marshal(float64(time.Duration(s).Round(time.Millisecond).Milliseconds()) / 1000)
}

// UnmarshalJSON reads a number of seconds.
func (s *Seconds) UnmarshalJSON(b []byte) error {
	var f float64
	if err := json.Unmarshal(b, &f); err != nil {
		return err
	}
	// A century; beyond 292 years a time.Duration would wrap around.
	const most = 100 * 365 * 24 * 3600
	if math.Abs(f) > most {
		return fmt.Errorf("%g seconds are out of range", f)
	}
	*s = Seconds(math.Round(f*1000) * float64(time.Millisecond))
	return nil
}

// Duration is s for arithmetic and printing.
func (s Seconds) Duration() time.Duration { return time.Duration(s) }
