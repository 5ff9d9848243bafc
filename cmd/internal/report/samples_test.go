package report

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/lbtest/lbtest/assertions"
)

// The samples are the reports that the golden files and the schema test render: each has what one kind of
// run brings about. Their figures are invented.

func sampleRun(command ...string) Run {
	return Run{
		ID: "7f3a91c2", Command: append([]string{"lbtest"}, command...), Seed: 7,
		Started: time.Date(2026, 3, 1, 8, 40, 1, 0, time.UTC), Took: Seconds(151 * time.Second),
		Runtime: "embedded", TimeScale: 1,
		Versions: Versions{LBTest: "0.1.0", NATSServer: "2.15.2", NATSGo: "1.55.0", Toxiproxy: "2.12.0", Go: "1.26.8"},
	}
}

const (
	stay   = "routes/stay-up-when-quiet"
	loss   = "core/no-loss-when-quiet-then-busy"
	quorum = "jetstream/quorum-holds"
	mesh   = "routes/full-mesh-forms"
)

var promises = map[string]string{
	stay:   "A route that has nothing to say stays up.",
	loss:   "What is published after a quiet spell arrives.",
	quorum: "Streams keep their leaders and their quorum while no node fails.",
	mesh:   "Every server has all its routes to every other server.",
}

// builder puts a sample together: a scenario, then its results.
type builder struct {
	scenarios []Scenario
	results   []Result
}

func (b *builder) scenario(v assertions.Verdict, factor float64, settings ...string) *Scenario {
	s := Scenario{
		Name: "routes-behind-lb/" + strings.Join(settings, ","), Topology: "routes-behind-lb",
		Settings: map[string]string{}, Verdict: v, TimeScale: factor,
		Reproduce: "lbtest --topology routes-behind-lb",
	}
	for _, set := range settings {
		name, value, _ := strings.Cut(set, "=")
		s.Settings[name] = value
		s.Reproduce += " --set " + set
	}
	s.Reproduce += " --seed 7"
	b.scenarios = append(b.scenarios, s)
	return &b.scenarios[len(b.scenarios)-1]
}

func (b *builder) result(assertion string, v assertions.Verdict, got string, measured ...Measure) {
	s := &b.scenarios[len(b.scenarios)-1]
	b.results = append(b.results, Result{
		Scenario: s.Name, Assertion: assertion, Verdict: v, Promise: promises[assertion], Got: got,
		Measured: measured, FaultProved: true, Took: Seconds(12500 * time.Millisecond),
		Evidence: []string{fmt.Sprintf("e%d", 100+len(b.results))},
	})
	switch v {
	case assertions.Risky:
		s.Because = append(s.Because, assertion+": "+got)
	case assertions.Unsafe:
		s.Because = slices.Insert(s.Because, 0, assertion+": "+got)
	}
}

func closes(n float64) Measure { return Measure{"closes_per_minute", n, "1/min"} }

// sampleSweep has every verdict, flakiness, several manners of one timeout and both time factors.
func sampleSweep() Report {
	var b builder
	for _, idle := range []struct {
		after  string
		closes float64
		ping   string
	}{{"5s", 482, "2s"}, {"20s", 118, "8s"}, {"35s", 0, ""}, {"60s", 0, ""}} {
		for _, how := range []string{"fin", "rst", "silent", "rst-on-next"} {
			switch {
			case idle.closes == 0:
				b.scenario(assertions.Safe, 20, "idle-timeout="+idle.after, "idle-expiry="+how)
				b.result(mesh, assertions.Safe, "all 12 routes of 3 servers were there after 0.3 s", Measure{"formed_after", 0.31, "s"})
				b.result(stay, assertions.Safe, "no route was closed in 5 min", closes(0))
				b.result(quorum, assertions.Skipped, "JetStream is judged in real time only: add --time-scale 1")
			case how == "silent":
				s := b.scenario(assertions.Unsafe, 20, "idle-timeout="+idle.after, "idle-expiry="+how)
				s.Advice = []Advice{{Target: "nats-server", Text: "cluster { ping_interval: " + idle.ping + " }"}}
				b.result(mesh, assertions.Safe, "all 12 routes of 3 servers were there after 0.3 s", Measure{"formed_after", 0.3, "s"})
				b.result(stay, assertions.Risky, "12 route connections closed a minute", closes(12))
				b.result(loss, assertions.Unsafe, "silent after "+idle.after+", noticed after 90 s; 118 of 1,000 messages never arrived",
					Measure{"messages_lost", 118, "count"})
			default:
				s := b.scenario(assertions.Risky, 20, "idle-timeout="+idle.after, "idle-expiry="+how)
				s.Advice = []Advice{{Target: "nats-server", Text: "cluster { ping_interval: " + idle.ping + " }"}}
				b.result(mesh, assertions.Safe, "all 12 routes of 3 servers were there after 0.3 s", Measure{"formed_after", 0.3, "s"})
				b.result(stay, assertions.Risky, fmt.Sprintf("%g route connections closed a minute, %s", idle.closes, how), closes(idle.closes))
			}
		}
	}
	b.scenario(assertions.Safe, 1, "stall=1s")
	b.result(quorum, assertions.Safe, "the longest gap between two publish acks was 1.1 s", Measure{"ack_gap", 1.12, "s"})
	s := b.scenario(assertions.Unsafe, 1, "stall=12s")
	s.Flaky = true
	s.Advice = []Advice{{Target: "load balancer", Text: "keep stalls below 3 s\nfor example: maintenance windows without live migration"}}
	b.result(quorum, assertions.Unsafe, "5 of 5 streams lost their quorum; the longest gap between two publish acks was 14.2 s → late", Measure{"ack_gap", 14.2, "s"})
	b.results[len(b.results)-1].Timeline = []Moment{{"stream S1", Seconds(-2 * time.Second), "n1 leads in term 1"}, {"stream S1", 0, "stall begins"}, {"stream S1", Seconds(5200 * time.Millisecond), "no majority agrees on a leader"},
		{"the meta group", Seconds(12100 * time.Millisecond), "advisory at n2: n2 elected → late"}}
	b.scenario(assertions.Skipped, 1, "engine=kernel").Reason = "the embedded runtime has no kernel balancer"
	b.scenario(assertions.Errored, 1, "outage=5s").Reason = "starting node n2: it did not open its monitoring port in 10 s"
	run := sampleRun("--topology", "routes-behind-lb")
	run.TimeScale = 20
	return New(run, b.scenarios, b.results)
}

// sampleSafe is one configuration that holds.
func sampleSafe() Report {
	var b builder
	s := b.scenario(assertions.Safe, 1, "idle-timeout=20s")
	s.NATS = map[string]string{"cluster.ping_interval": "8s"}
	b.result(mesh, assertions.Safe, "all 12 routes of 3 servers were there after 0.3 s", Measure{"formed_after", 0.31, "s"})
	b.result(stay, assertions.Safe, "no route was closed in 5 min", closes(0))
	b.result(quorum, assertions.Skipped, "JetStream is judged in real time only: add --time-scale 1")
	return New(sampleRun("--topology", "routes-behind-lb", "--set", "idle-timeout=20s", "--nats", "cluster.ping_interval=8s"), b.scenarios, b.results)
}

// sampleInterrupted ended in the middle of the second scenario.
func sampleInterrupted() Report {
	var b builder
	b.scenario(assertions.Safe, 1, "stall=1s")
	b.result(quorum, assertions.Safe, "the longest gap between two publish acks was 1.1 s", Measure{"ack_gap", 1.12, "s"})
	for _, d := range []string{"3s", "6s", "12s"} {
		b.scenario(assertions.Errored, 1, "stall="+d).Reason = "the run was interrupted before this was measured"
	}
	run := sampleRun("--topology", "routes-behind-lb")
	run.Interrupted, run.Took = true, Seconds(9300*time.Millisecond)
	return New(run, b.scenarios, b.results)
}

// sampleErrored could judge nothing.
func sampleErrored() Report {
	var b builder
	b.scenario(assertions.Errored, 1, "restart=crash").Reason =
		"the fault was not proved: no connection ended within 5 s of the balancer's restart, though 12 were open when it was told to"
	return New(sampleRun("--topology", "routes-behind-lb", "--set", "restart=crash"), b.scenarios, b.results)
}

// sampleVerified has advice that was tried: one that helped, one that did not.
func sampleVerified() Report {
	yes, no := true, false
	r := sampleSweep()
	var b builder
	for _, s := range r.Scenarios {
		if len(s.Advice) == 0 {
			continue
		}
		s.Advice = slices.Clone(s.Advice)
		s.Advice[0].Verified = &yes
		if strings.Contains(s.Name, "stall") {
			s.Advice[0].Verified = &no
		}
		if strings.Contains(s.Name, "20s,idle-expiry=silent") {
			s.Advice[0].Verified = &no
		}
		b.scenarios = append(b.scenarios, s)
		for _, res := range r.Results {
			if res.Scenario == s.Name {
				b.results = append(b.results, res)
			}
		}
	}
	return New(sampleRun("--topology", "routes-behind-lb", "--verify-advice"), b.scenarios, b.results)
}

// sampleProfiles has load balancers that were asked about by name, one of them with a setting on top and one that
// cannot be judged.
func sampleProfiles() Report {
	var b builder
	for _, p := range []struct {
		name    string
		verdict assertions.Verdict
		notes   []string
	}{
		{"acme-l4", assertions.Safe, nil},
		{"acme-l4,idle-timeout=5s", assertions.Unsafe, []string{"idle-timeout=5s cannot be set on acme-l4, which takes 60s to 1h"}},
		{"acme-edge", assertions.Skipped, nil},
	} {
		s := b.scenario(p.verdict, 20, "idle-timeout=350s")
		s.Name, s.Notes = "routes-behind-lb/"+p.name, p.notes
		own, given, _ := strings.Cut(p.name, ",")
		s.Profile = own
		s.Reproduce = "lbtest --topology routes-behind-lb --profile " + own
		if given != "" {
			s.Reproduce += " --set " + given
		}
		s.Reproduce += " --seed 7"
		s.Source = "Acme, administration guide, chapter 7 (May 2026)"
		s.Unverified = map[string]string{"idle-expiry": "not documented; judged under fin, rst, silent and rst-on-next, of which the worst counts"}
		switch p.verdict {
		case assertions.Safe:
			b.result(stay, p.verdict, "all 12 routes stayed (with idle-expiry=fin; safe in each of the four manners)", closes(0))
		case assertions.Unsafe:
			b.result(loss, p.verdict, "118 messages were lost (with idle-expiry=silent, the worst of the four manners)", Measure{"messages_lost", 118, "count"})
		default:
			s.Unverified["idle-timeout"] = "no page states it; none is set, and nothing about idle connections is judged"
			s.Reason = "the idle timeout of acme-edge is not documented: add --set idle-timeout=… once you know it"
		}
	}
	return New(sampleRun("--topology", "routes-behind-lb", "--profile", "acme-l4", "--profile", "acme-edge"), b.scenarios, b.results)
}

// sampleEndpoint is a look at a real address.
func sampleEndpoint() Report {
	run := sampleRun("validate", "-s", "nats://lb.example.com:4222")
	run.Runtime, run.Seed, run.Took = RuntimeEndpoint, 0, Seconds(1200*time.Millisecond)
	s := Scenario{Name: "endpoint/lb.example.com:4222", Topology: "endpoint", Verdict: assertions.Risky, Reproduce: "lbtest validate -s nats://lb.example.com:4222",
		Because: []string{"proxy/address-arrives: servers see 10.0.0.1 in the place of 192.0.2.7"},
		Advice:  []Advice{{Target: "load-balancer", Text: "client address preservation"}},
		Facts: []Fact{{"addresses", "192.0.2.1:4222 connects in 9.1ms"}, {"servers", "n1 (2.15.2) 6, n2 (2.15.2) 6 of 12 connections; cluster C"},
			{"certificate", "CN=lb.example.com for lb.example.com nats.example.com, by CN=An Authority With A Long Name, O=Example, C=XX, until 2026-08-01"}}}
	results := []Result{
		{Scenario: s.Name, Assertion: "client/connects", Verdict: assertions.Safe, Promise: "Every client connects.", Got: "12 connects, the slowest in 31ms", FaultProved: true},
		{Scenario: s.Name, Assertion: "proxy/address-arrives", Verdict: assertions.Risky, Promise: "Servers see the address from which a client comes.",
			Got: "servers see 10.0.0.1 in the place of 192.0.2.7", FaultProved: true},
		{Scenario: s.Name, Assertion: "client/reconnects", Verdict: assertions.Skipped, Promise: "A client comes back.", Got: "it takes an event in the middle, which only a lab brings about"},
	}
	return New(run, []Scenario{s}, results)
}

// sampleMatrix has cells before several topologies, and each kind of difference from a baseline.
func sampleMatrix() Report {
	var b builder
	expect := Comparison{File: "baseline.txt", NewFailures: []Change{}, Fixed: []Change{}, StillFailing: []Change{}, NewlySkipped: []Change{}}
	for _, c := range []struct {
		topology, profile string
		is                assertions.Verdict
		change            *[]Change
		was               assertions.Verdict
	}{
		{"clients-behind-lb", "acme-l4", assertions.Safe, nil, ""},
		{"routes-behind-lb", "acme-l4", assertions.Unsafe, &expect.NewFailures, assertions.Safe},
		{"gateways-behind-lb", "acme-l4", assertions.Risky, &expect.StillFailing, assertions.Risky},
		{"clients-behind-lb", "acme-edge", assertions.Unsafe, &expect.StillFailing, assertions.Unsafe},
		{"routes-behind-lb", "acme-edge", assertions.Safe, &expect.Fixed, assertions.Unsafe},
		{"websocket-behind-lb", "acme-edge", assertions.Skipped, &expect.NewlySkipped, assertions.Safe},
		{"gateways-behind-lb", "acme-edge", assertions.Errored, nil, ""},
	} {
		s := b.scenario(c.is, 20, "idle-timeout=60s")
		s.Name, s.Topology, s.Profile = c.topology+"/"+c.profile, c.topology, c.profile
		s.Reproduce = "lbtest --topology " + c.topology + " --profile " + c.profile + " --seed 7"
		switch c.is {
		case assertions.Safe:
			b.result(stay, c.is, "no connection was closed in 5 min", closes(0))
		case assertions.Risky:
			b.result(stay, c.is, "12 connections closed a minute", closes(12))
		case assertions.Unsafe:
			b.result(loss, c.is, "118 of 1,000 messages never arrived", Measure{"messages_lost", 118, "count"})
			s.Advice = []Advice{{Target: "nats-server", Text: "ping_interval: 20s"}}
		case assertions.Skipped:
			s.Reason = "acme-edge speaks no HTTP"
		case assertions.Errored:
			s.Reason = "starting node n2: it did not open its monitoring port in 10 s"
		}
		if c.change != nil {
			*c.change = append(*c.change, Change{s.Name, c.was, c.is})
		}
	}
	r := New(sampleRun("matrix", "--suite", "smoke", "--baseline", "baseline.txt"), b.scenarios, b.results)
	r.Matrix = &Matrix{Suite: "smoke", Shard: "1/2", WallS: 151, CPUS: 210, BoundS: 112.5, Baseline: &expect}
	return r
}

// samplePictured has a lab that led to findings drawn with every kind of lane, and quotes from the outside that would do
// harm where they are not escaped.
func samplePictured() Report {
	var b builder
	s := b.scenario(assertions.Unsafe, 15.3, "stall=6s")
	s.Advice = []Advice{{Target: "load-balancer", Text: "keep pauses below 2 s\n# from 3 s on election timers begin to run out"}}
	b.result(quorum, assertions.Unsafe, `n1 logged "<script>alert(1)</script> | \"quoted\" & 'so on'" @everybody`, Measure{"ack_gap", 6.2, "s"})
	b.result(mesh, assertions.Safe, "all 12 routes of 3 servers were there after 0.3 s", Measure{"formed_after", 0.31, "s"})
	b.results[0].Evidence = []string{"lab4/e549", "lab4/e550"}
	at := func(f float64) Seconds { return Seconds(f * float64(time.Second)) }
	span := func(from, to float64, state, what string) Span { return Span{at(from), at(to), state, what} }
	s = &b.scenarios[0]
	s.Pictures = []Picture{{Findings: []string{quorum}, Since: "stall", From: at(-2), To: at(12), TimeScale: 15.3, Lanes: []Lane{
		{Kind: "lab", Of: "the lab", Spans: []Span{span(-2, -1, "quiet", "quiet spell 1")}, Marks: []Mark{{at(0), "stall begins", "lab4/e543"}, {at(6), "stall is over", "lab4/e677"}}},
		{Kind: "balancer", Of: "load balancer", Spans: []Span{span(0, 6, "less", "holds all bytes and new connections")}, Marks: []Mark{{at(0), "stall", "lab4/e544"}}},
		{Kind: "canary", Of: "canary", Marks: []Mark{{at(6.02), "canary: held on chatting after 6s", "lab4/e678"}}},
		{Kind: "link", Of: "to n1", Spans: []Span{span(-2, 6, "fine", "8 connections"), span(6, 7.1, "less", "3 of 8 connections"), span(7.1, 12, "fine", "8 connections")}},
		{Kind: "client", Of: "app <b>1</b>", Spans: []Span{span(-2, 5, "fine", "connected to n1"), span(5, 12, "gone", `without a connection: "EOF" <img src=x onerror=alert(1)>`)}},
		{Kind: "leader", Of: "the meta group", Spans: []Span{span(-2, 5.3, "fine", "n2 leads (term 2)"), span(5.3, 6.4, "gone", "no leader"), span(6.4, 12, "fine", "n3 leads (term 3)")}},
		{Kind: "evidence", Of: "evidence", Marks: []Mark{{at(5.3), "server: raft at n3", "lab4/e549"}, {at(5.4), "server: raft at n2", "lab4/e550"}}},
	}}}
	r := New(sampleRun("--topology", "routes-behind-lb", "--set", "stall=6s", "--artifacts", "out"), b.scenarios, b.results)
	r.Events = "out/events.jsonl"
	return r
}

func samples() map[string]Report {
	return map[string]Report{
		"matrix": sampleMatrix(), "pictured": samplePictured(),
		"sweep": sampleSweep(), "safe": sampleSafe(), "interrupted": sampleInterrupted(),
		"errored": sampleErrored(), "verified": sampleVerified(), "profiles": sampleProfiles(), "endpoint": sampleEndpoint(),
	}
}
