package suite

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lbtest/lbtest/assertions"
)

func TestARepeatedVerdictThatChangesIsFlakyAndKeepsItsWorseForm(t *testing.T) {
	a := assertions.All()[0]
	of := func(v assertions.Verdict) verdict {
		return verdict{results: []result{{assertion: a, finding: assertions.Finding{Verdict: v, Got: string(v)}}}}
	}
	for _, c := range []struct {
		first, second, want assertions.Verdict
		flaky               bool
	}{
		{assertions.Unsafe, assertions.Unsafe, assertions.Unsafe, false},
		{assertions.Unsafe, assertions.Safe, assertions.Unsafe, true},
		{assertions.Safe, assertions.Risky, assertions.Risky, true},
		{assertions.Risky, assertions.Unsafe, assertions.Unsafe, true},
		// A failure of lbtest's own says nothing about the balancer.
		{assertions.Errored, assertions.Safe, assertions.Safe, false},
		{assertions.Errored, assertions.Errored, assertions.Errored, false},
		{assertions.Unsafe, assertions.Errored, assertions.Unsafe, false},
	} {
		got := merge(of(c.first), of(c.second))
		if got.worst() != c.want || got.flaky != c.flaky || got.results[0].flaky != c.flaky {
			t.Errorf("%s then %s: got %s, flaky %v; want %s, flaky %v", c.first, c.second, got.worst(), got.flaky, c.want, c.flaky)
		}
	}
}

func TestTheEventHappensOnceWhenEveryWatcherIsReady(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		happened := 0
		var at time.Duration
		began := time.Now()
		ready := func(after time.Duration) *assertions.Observation {
			return &assertions.Observation{Name: after.String(), Strikes: true, Watch: func(ctx context.Context, t assertions.Target, _ *assertions.Recorder) error {
				time.Sleep(after)
				return t.Control.Strike(ctx)
			}}
		}
		gone := &assertions.Observation{Name: "gone", Strikes: true, Watch: func(context.Context, assertions.Target, *assertions.Recorder) error {
			return errors.New("gone before the event")
		}}
		rec := assertions.NewRecorder()
		err := watch(t.Context(), []*assertions.Observation{ready(time.Second), ready(3 * time.Second), gone}, assertions.Target{}, rec, levers{},
			func(context.Context) error { happened++; at = time.Since(began); return nil })
		if err == nil || !strings.Contains(err.Error(), "gone before the event") {
			t.Errorf("got %v, want the error of the watcher that failed", err)
		}
		if happened != 1 || at != 3*time.Second {
			t.Errorf("happened %d times, last at %s; want once, at 3s", happened, at)
		}
		if !rec.Saw(assertions.Lab, "strike-begin") || !rec.Saw(assertions.Lab, "strike-over") {
			t.Error("the event is not on the timeline")
		}
	})
}

func TestWhatOthersBuildOnIsWatchedFirstAndOnceMoreAtTheEnd(t *testing.T) {
	var order []string
	note := func(s string) func(context.Context, assertions.Target, *assertions.Recorder) error {
		return func(context.Context, assertions.Target, *assertions.Recorder) error {
			order = append(order, s)
			return nil
		}
	}
	err := watch(t.Context(), []*assertions.Observation{
		{Name: "first", First: true, Watch: note("first"), After: note("after")},
		{Name: "then", Watch: note("then")},
	}, assertions.Target{}, assertions.NewRecorder(), levers{}, nil)
	if got := strings.Join(order, " "); err != nil || got != "first then after" {
		t.Errorf("got %q and %v", got, err)
	}
}

func TestWhatTakesNoPartInTheEventIsOverBeforeIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var order []string
		err := watch(t.Context(), []*assertions.Observation{
			{Name: "a look", Watch: func(context.Context, assertions.Target, *assertions.Recorder) error {
				time.Sleep(time.Second)
				order = append(order, "look")
				return nil
			}},
			{Name: "part", Strikes: true, Watch: func(ctx context.Context, t assertions.Target, _ *assertions.Recorder) error {
				return t.Control.Strike(ctx)
			}},
		}, assertions.Target{}, assertions.NewRecorder(), levers{}, func(context.Context) error {
			order = append(order, "event")
			return nil
		})
		if got := strings.Join(order, " "); err != nil || got != "look event" {
			t.Errorf("got %q and %v", got, err)
		}
	})
}

func TestARunThatCannotStartIsErroredWithTheReason(t *testing.T) {
	for _, c := range []struct {
		name    string
		runtime paper
		says    string
	}{
		{"a runtime that cannot be used", paper{unusable: errors.New("no processes here")}, "no processes here"},
		{"nodes that do not start", paper{}, "there is no paper"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p, err := NewPlan(Options{Topologies: []string{routes}, Runtime: c.runtime, Set: []string{"stall=1s"}})
			if err != nil {
				t.Fatal(err)
			}
			r := p.Run(t.Context(), nil)
			if r.Verdict != assertions.Errored || r.ExitCode("unsafe") != 3 {
				t.Errorf("got %s, exit %d", r.Verdict, r.ExitCode("unsafe"))
			}
			if got := r.Scenarios[0].Reason; !strings.Contains(got, c.says) {
				t.Errorf("reason: got %q, want %q in it", got, c.says)
			}
		})
	}
}

func TestAnInterruptedRunStillReports(t *testing.T) {
	p, err := NewPlan(Options{Topologies: []string{routes}, Runtime: paper{}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("interrupted by the user"))
	r := p.Run(ctx, nil)
	if !r.Run.Interrupted || r.ExitCode("never") != 130 || len(r.Scenarios) != len(p.scenarios) {
		t.Errorf("got interrupted %v, exit %d, %d of %d scenarios", r.Run.Interrupted, r.ExitCode("never"), len(r.Scenarios), len(p.scenarios))
	}
	for _, s := range r.Scenarios {
		if s.Verdict != assertions.Errored || s.Reason == "" {
			t.Errorf("%s: got %s (%s), want errored with a reason", s.Name, s.Verdict, s.Reason)
		}
	}
}
