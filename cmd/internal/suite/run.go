package suite

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/lbtest/lbtest/cmd/internal/report"
	"github.com/lbtest/lbtest/topologies"
)

// run is one run of a plan.
type run struct {
	plan  Plan
	say   func(Progress)
	began time.Time
	room  *room
	all   int64
	book  book
	// controls are by lab.key; only the goroutine that begins scenarios touches them.
	controls map[string]*outcome
	labs     map[string]*outcome // of this round that scenarios share, by lab.likeness; as controls

	mu      sync.Mutex
	seen    servers
	running map[string]bool // scenarios that have begun and are not told yet
	done    int
}

// side is how many labs run side by side unless the user says otherwise: a dozen for each processor, which mostly wait.
func side() int64 { return sideOf(12) }

// side is how many labs of this plan do at the most, and how many of them do so however busy the processors are.
func (p Plan) side() (most, always int64) {
	switch _, containers := p.options.Runtime.(topologies.Host); {
	case p.options.Parallel > 0:
		most, always = int64(p.options.Parallel), int64(p.options.Parallel)
	case containers:
		most, always = side(), max(4, side()/3) // making a container takes the engine half a second of a core
	case p.cells != nil:
		// Many cells wait for minutes side by side, and others between them are at work.
		most, always = sideOf(48), side()
	default:
		most, always = side(), side()
	}
	return most, always
}

// overdue is why a scenario has no answer at the end of the time that the run was given.
type overdue struct{ limit time.Duration }

func (o overdue) Error() string { return fmt.Sprintf("the run timeout of %s was over", o.limit) }

// Run does what the plan says and reports what was measured, whatever happens. When the context ends,
// what did not finish is errored with the reason.
func (p Plan) Run(ctx context.Context, say func(Progress)) report.Report {
	began := time.Now()
	verdicts, interrupted := p.run(ctx, say, began)
	return p.report(verdicts, began, interrupted)
}

// run judges the scenarios, and puts down which servers were seen.
func (p *Plan) run(ctx context.Context, say func(Progress), began time.Time) (verdicts []verdict, interrupted bool) {
	if say == nil {
		say = func(Progress) {}
	}
	r := &run{plan: *p, say: say, began: began, controls: map[string]*outcome{}, labs: map[string]*outcome{}, running: map[string]bool{}}
	r.book.to = p.options.Events
	most, always := p.side()
	r.all, r.room = most, newRoom(always, most)
	limited := ctx
	if p.options.RunTimeout > 0 {
		var cancel context.CancelFunc
		limited, cancel = context.WithTimeoutCause(ctx, p.options.RunTimeout, overdue{p.options.RunTimeout})
		defer cancel()
	}
	verdicts = r.verdicts(limited)
	if seen := r.seen.String(); seen != "" {
		p.options.Versions.NATSServer = seen // what was run, rather than what was built in
	}
	return verdicts, errors.Is(ctx.Err(), context.Canceled)
}

func (r *run) verdicts(ctx context.Context) []verdict {
	scenarios := r.plan.scenarios
	verdicts := make([]verdict, len(scenarios))
	if err := r.plan.usable(ctx); err != nil {
		for i, s := range scenarios {
			verdicts[i] = verdict{scenario: s, err: err}
		}
		return verdicts
	}
	r.announce(scenarios)
	for _, s := range scenarios {
		for _, note := range s.notes {
			r.note("%s: %s", s.name, note)
		}
	}
	r.repeat(ctx, verdicts, r.side(ctx, scenarios, verdicts))
	r.retry(ctx, verdicts)
	if r.plan.options.VerifyAdvice {
		r.verify(ctx, verdicts)
	}
	return verdicts
}

// side judges scenarios side by side, and returns when all have begun; ended then tells which are judged, as they end. The
// longest start first, so that none is left over at the end; but one short one goes before them, so that there is something
// to read soon.
func (r *run) side(ctx context.Context, scenarios []scenario, verdicts []verdict) (ended <-chan int) {
	order := make([]int, len(scenarios))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return int(scenarios[b].length() - scenarios[a].length()) })
	if r.plan.cells != nil {
		order = interleaved(order, func(i int) bool { return slices.ContainsFunc(scenarios[i].labs, lab.jetStream) })
	}
	if n := len(order); n > 2 {
		order = append([]int{order[n-1]}, order[:n-1]...)
	}
	judged := make(chan int, len(order))
	var wg sync.WaitGroup // a scenario is judged when all of its labs are done
	for _, i := range order {
		r.begin(ctx, scenarios[i], &wg, func(v verdict) {
			verdicts[i] = v
			if !v.marginal() {
				r.finished(v)
			}
			judged <- i
		})
	}
	return judged
}

// interleaved spreads those that mostly wait over the first half of all. They take the slots of several others, and one after
// the other would leave the processors idle, and those that use them for the end.
func interleaved(order []int, wait func(int) bool) []int {
	waiting := slices.DeleteFunc(slices.Clone(order), func(i int) bool { return !wait(i) })
	others := slices.DeleteFunc(slices.Clone(order), wait)
	if len(waiting) == 0 {
		return order
	}
	between := len(others) / 2 / len(waiting)
	var spread []int
	for i, w := range waiting {
		spread = append(append(spread, w), others[i*between:(i+1)*between]...)
	}
	return append(spread, others[len(waiting)*between:]...)
}

// begin starts a scenario's labs as soon as there is room for them, in the order of the calls, and judges
// them in the background.
func (r *run) begin(ctx context.Context, s scenario, wg *sync.WaitGroup, done func(verdict)) {
	started := sync.OnceFunc(func() { r.started(s) })
	labs := make([]*outcome, len(s.labs))
	controls := make([]*outcome, len(s.labs))
	for i, l := range s.labs {
		if !l.uncontrolled() {
			controls[i] = r.control(ctx, l, wg)
		}
		labs[i] = r.once(ctx, l, wg, started)
		if controls[i] == nil {
			controls[i] = labs[i] // which its judges do not look at
		}
	}
	wg.Go(func() {
		v := verdict{scenario: s}
		for i, l := range s.labs {
			<-labs[i].finished
			<-controls[i].finished
			v.results = append(v.results, judge(l, l.read(*labs[i]), *controls[i])...)
		}
		v.results = gravest(v.results)
		if cause := context.Cause(ctx); cause != nil && len(s.labs) > 0 && !settled(v.results) {
			v = r.unfinished(v, cause)
		}
		done(v)
	})
}

// length is how long a scenario takes at the least, to begin with the longest.
func (s scenario) length() time.Duration {
	var longest time.Duration
	for _, l := range s.labs {
		longest = max(longest, l.length())
	}
	return longest
}

// runID names a run by its start, to the second, and its seed.
func runID(began time.Time, seed int64) string {
	return began.UTC().Format("20060102T150405Z") + "-" + strconv.FormatInt(seed, 36)
}
