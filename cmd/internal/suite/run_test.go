package suite

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
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

// A second look is a calm one: what was plain is not looked at again beside it, and keeps its verdict.
func TestOnlyTheLabsInDoubtAreRepeated(t *testing.T) {
	for _, c := range []struct {
		topology, set, marginal, link string
		want                          int
	}{
		{"all-behind-lb", "restart=reload", "routes/full-mesh-forms", "routes", 1},
		{"all-behind-lb", "restart=reload", "core/delivery-between-all-nodes", "gateways", 1}, // that of routes is another lab's
		{"all-behind-lb", "restart=reload", "", "", 0},
		{"gateways-behind-lb", "restart=reload", "links/resync-overhead", "", 1},
		{"routes-behind-lb", "idle-timeout=20s", "routes/stay-up-when-quiet", "", 1},
	} {
		p, err := NewPlan(Options{Topologies: []string{c.topology}, Set: []string{c.set}, Runtime: paper{}})
		if err != nil {
			t.Fatal(err)
		}
		v := verdict{scenario: p.scenarios[0]}
		for _, l := range v.scenario.labs {
			for _, a := range l.judged {
				r := result{assertion: a, finding: assertions.Finding{Verdict: assertions.Safe}}
				if len(l.neighbours) > 0 {
					r.link = string(l.link())
				}
				r.marginal = a.Name == c.marginal && r.link == c.link
				v.results = append(v.results, r)
			}
		}
		s := v.doubtful()
		if len(s.labs) != c.want || len(p.scenarios[0].labs) < c.want {
			t.Errorf("%s %s: %d of %d labs are repeated for %s of %q, want %d", c.topology, c.set, len(s.labs), len(p.scenarios[0].labs), c.marginal, c.link, c.want)
		}
		for _, l := range s.labs {
			if c.link != "" && string(l.link()) != c.link {
				t.Errorf("%s %s: a lab of %s is repeated for %s of %s", c.topology, c.set, l.link(), c.marginal, c.link)
			}
		}
	}
}

func TestWhatIsNotRepeatedKeepsItsVerdict(t *testing.T) {
	of := func(link string, v assertions.Verdict) result {
		return result{assertion: assertions.All()[0], link: link, finding: assertions.Finding{Verdict: v}}
	}
	first := verdict{results: []result{of("routes", assertions.Unsafe), of("clients", assertions.Risky)}}
	got := merge(first, verdict{results: []result{of("clients", assertions.Risky)}})
	if got.worst() != assertions.Unsafe || got.last != assertions.Unsafe || got.flaky || len(got.results) != 2 {
		t.Errorf("got %s, last %s, flaky %v, %d results", got.worst(), got.last, got.flaky, len(got.results))
	}
	got = merge(first, verdict{results: []result{of("routes", assertions.Safe)}})
	if got.worst() != assertions.Unsafe || got.last != assertions.Risky || !got.flaky {
		t.Errorf("got %s, last %s, flaky %v", got.worst(), got.last, got.flaky)
	}
}

func TestAScenarioIsFlakyIfItsOwnVerdictChanged(t *testing.T) {
	of := func(verdicts ...assertions.Verdict) (v verdict) {
		for i, is := range verdicts {
			v.results = append(v.results, result{assertion: assertions.All()[i], finding: assertions.Finding{Verdict: is}})
		}
		return v
	}
	safe, risky, unsafe, errored := assertions.Safe, assertions.Risky, assertions.Unsafe, assertions.Errored
	for _, c := range []struct {
		name          string
		first, second verdict
		flaky         bool
	}{
		{"one promise of two, less grave than the other", of(risky, risky), of(risky, safe), false},
		{"the gravest", of(risky, unsafe), of(risky, safe), true},
		{"both, in turn", of(risky, safe), of(safe, risky), false},
		{"one, where the other was not judged at first", of(errored, risky), of(safe, safe), true},
		{"none, where one was not judged at first", of(errored, risky), of(safe, risky), false},
		{"none, where one was not judged again", of(unsafe, risky), of(errored, risky), false},
	} {
		if got := merge(c.first, c.second); got.flaky != c.flaky {
			t.Errorf("%s: flaky %v, want %v", c.name, got.flaky, c.flaky)
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

func TestWhatMostlyWaitsIsSpread(t *testing.T) {
	waits := func(i int) bool { return i < 0 }
	for _, c := range []struct{ order, want []int }{
		{[]int{1, 2, 3}, []int{1, 2, 3}},
		{[]int{-1, -2}, []int{-1, -2}},
		{[]int{-1, -2, 1, 2, 3, 4, 5, 6}, []int{-1, 1, -2, 2, 3, 4, 5, 6}},
		{[]int{-1, -2, -3, 1, 2}, []int{-1, -2, -3, 1, 2}},
	} {
		if got := interleaved(c.order, waits); !slices.Equal(got, c.want) {
			t.Errorf("%v: got %v, want %v", c.order, got, c.want)
		}
	}
}

func TestWhatFailsIsRepeatedOnceWithLessBesideItAndOnceAlone(t *testing.T) {
	for name, set := range map[string][]string{"a sweep": nil, "a scenario on its own": {"stall=1s"}} {
		t.Run(name, func(t *testing.T) { testRepeats(t, set) })
	}
}

func testRepeats(t *testing.T, set []string) {
	p, err := NewPlan(Options{Topologies: []string{routes}, Runtime: paper{}, Set: set})
	if err != nil {
		t.Fatal(err)
	}
	how := []string{"with less beside it", "alone"}
	if int64(len(p.scenarios)) <= calm() {
		how = how[1:] // none had more beside it
	}
	var mu sync.Mutex
	notes, finished := map[string][]string{}, map[string]int{}
	r := p.Run(t.Context(), func(p Progress) {
		mu.Lock()
		defer mu.Unlock()
		if name, how, ok := strings.Cut(p.Text, " is repeated "); ok {
			how, _, _ = strings.Cut(how, ":")
			notes[name] = append(notes[name], how)
		}
		if p.Kind == "finished" {
			finished[p.Scenario]++
		}
	})
	for _, s := range r.Scenarios {
		want := how
		if s.Verdict == assertions.Skipped {
			want = nil
		}
		if !slices.Equal(notes[s.Name], want) || finished[s.Name] != 1 {
			t.Errorf("%s, which is %s, was repeated %q and told %d times", s.Name, s.Verdict, notes[s.Name], finished[s.Name])
		}
	}
}

func TestWhatIsRepeatedAloneIsNotCrowdedByItsOwnLabs(t *testing.T) {
	for _, c := range []struct{ all, want int64 }{{100, calm()}, {1, 1}} {
		crowd := newRoom(c.all, c.all)
		r := &run{room: crowd, all: c.all}
		r.calmly(func() {
			if r.all != c.want || !r.room.slots.TryAcquire(c.want) || r.room.slots.TryAcquire(1) {
				t.Errorf("there is room for another lab beside %d of %d", c.want, r.all)
			}
		})
		if r.room != crowd || r.all != c.all {
			t.Errorf("%d slots afterwards, want the %d that there were", r.all, c.all)
		}
	}
}
