package suite

import (
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/lbtest/lbtest/assertions"
	"github.com/lbtest/lbtest/cmd/internal/report"
)

// TestPingsOfServersHideNoLimitOfOthers measures where a server's own PINGs keep connections alive, at all servers or at
// one of two: a limit above these is not denied.
func TestPingsOfServersHideNoLimitOfOthers(t *testing.T) {
	if testing.Short() {
		t.Skip("real servers")
	}
	const often, limit = 3 * time.Second, 9 * time.Second // two PINGs' time is below the limit
	pinging := func(o *server.Options) { o.PingInterval = often }
	for _, c := range []struct {
		name      string
		servers   func(t *testing.T) []*server.Server
		precision assertions.Precision
		want      assertions.Verdict
		fact      string
	}{
		{"all servers speak sooner than it is known where", func(t *testing.T) []*server.Server { return []*server.Server{natsd(t, pinging)} }, assertions.Precision{Share: 0.02},
			assertions.Skipped, "at least 5."},
		{"all speak sooner, as near as was asked for", func(t *testing.T) []*server.Server { return []*server.Server{natsd(t, pinging)} }, assertions.Precision{Share: 0.5},
			assertions.Safe, "at least 5."},
		{"one of two speaks sooner", func(t *testing.T) []*server.Server { return []*server.Server{natsd(t, pinging), natsd(t, nil)} }, assertions.Precision{Share: 0.05},
			assertions.Unsafe, "connections end "},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			addr, serve := standing(t, "", "idle-timeout="+limit.String())
			serve(c.servers(t))
			a := at(addr)
			a.Timeout = 3 * time.Second
			plan, err := NewEndpointPlan(EndpointOptions{Access: a, Deep: &assertions.Depth{MaxWait: 12 * time.Second, Precision: c.precision, Mode: assertions.ModeLadder}})
			if err != nil {
				t.Fatal(err)
			}
			for range 3 { // balancer, servers and tester share this process: one that was late is asked again
				var h assertions.History
				plan.seen = func(seen assertions.History) { h = seen }
				r := plan.Run(t.Context(), nil)
				v, got := looked{Report: r}.of("client/stays-connected-when-quiet")
				fact := factOf(r, "idle limit")
				if v == c.want && strings.Contains(fact, c.fact) {
					return
				}
				late, _ := assertions.Starved(h)
				t.Logf("%s: %s; %s; this machine up to %s late", v, got, fact, late)
				if late < 50*time.Millisecond || v == assertions.Safe && c.want != assertions.Safe {
					break
				}
			}
			t.Errorf("want %s, %q", c.want, c.fact)
		})
	}
}

// factOf is one fact of the only scenario.
func factOf(r report.Report, name string) string {
	for _, f := range r.Scenarios[0].Facts {
		if f.Name == name {
			return f.Value
		}
	}
	return ""
}

// TestATesterThatWasLateAfterItsLookHasLooked has findings of the look stand, whatever happened to the tester while
// connections were quiet.
func TestATesterThatWasLateAfterItsLookHasLooked(t *testing.T) {
	late := assertions.Event{From: assertions.Lab, Kind: "late", Took: time.Second}
	measuring := assertions.Event{From: assertions.Lab, Kind: "measuring", What: "2%"}
	slow := []assertions.Event{{From: assertions.Client, Kind: "answered", Took: 2 * time.Second}}
	p := EndpointPlan{options: EndpointOptions{Deep: &assertions.Depth{}}}
	for _, c := range []struct {
		name   string
		events []assertions.Event
		want   assertions.Verdict
	}{
		{"never", slow, assertions.Risky},
		{"in the look", append([]assertions.Event{late}, append(slow, measuring)...), assertions.Errored},
		{"after it", append(slow, measuring, late), assertions.Risky},
	} {
		for _, r := range p.judge(assertions.History{Events: c.events}, time.Now()).results {
			if r.assertion.Name == "request/answered" && r.finding.Verdict != c.want {
				t.Errorf("late %s: %s, want %s", c.name, r.finding.Verdict, c.want)
			}
		}
	}
}

// TestWhatTheTesterWasLateForIsMeasuredAgain has the tester be late, as it would write down itself, for one pass or for
// all: what is said then is the limit, or nothing.
func TestWhatTheTesterWasLateForIsMeasuredAgain(t *testing.T) {
	if testing.Short() {
		t.Skip("real servers")
	}
	for _, c := range []struct {
		name   string
		limit  string // of the balancer, above what a server's first PING takes
		pings  time.Duration
		passes int // for how many the tester is late
		want   assertions.Verdict
	}{
		{"once", "4s", 0, 1, assertions.Unsafe}, {"all the time", "4s", 0, 100, assertions.Errored},
		{"once, before a server that speaks", "none", 3 * time.Second, 1, assertions.Safe},
		{"all the time, before a server that speaks", "none", 3 * time.Second, 100, assertions.Errored},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			addr, serve := standing(t, "", "idle-timeout="+c.limit)
			serve([]*server.Server{natsd(t, func(o *server.Options) { o.PingInterval = c.pings })})
			a := at(addr)
			a.Timeout = 3 * time.Second
			depth := assertions.Depth{MaxWait: 8 * time.Second, Precision: assertions.Precision{Share: 0.5}, Mode: assertions.ModeLadder} // so that this machine's own lateness does not count
			plan, err := NewEndpointPlan(EndpointOptions{Access: a, Deep: &depth})
			if err != nil {
				t.Fatal(err)
			}
			rec := assertions.NewRecorder()
			plan.endpoint.Looking(t.Context(), rec)
			var passes atomic.Int64
			stop := make(chan struct{})
			var late sync.WaitGroup
			late.Go(func() {
				for {
					select {
					case <-stop:
						return
					case <-time.After(100 * time.Millisecond):
					}
					if n := passes.Load(); n > 0 && n <= int64(c.passes) {
						rec.Add(assertions.Event{From: assertions.Lab, Kind: "late", Took: 2 * time.Second})
					}
				}
			})
			plan.endpoint.Lulling(t.Context(), depth, rec, func(text string) {
				passes.Add(1)
				t.Log(text)
			})
			close(stop)
			late.Wait()
			v := plan.judge(plan.history(rec), time.Now())
			i := assertions.IdleOf(plan.history(rec))
			if most := int64(4); passes.Load() < 2 || passes.Load() > most {
				t.Errorf("%d passes, want 2 to %d", passes.Load(), most)
			}
			for _, r := range v.results {
				if r.assertion.Name == "client/stays-connected-when-quiet" && r.finding.Verdict != c.want {
					t.Errorf("%s: %s; want %s; %+v", r.finding.Verdict, r.finding.Got, c.want, i)
				}
			}
		})
	}
}
