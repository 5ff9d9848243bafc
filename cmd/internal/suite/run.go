package suite

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"

	"github.com/lbtest/lbtest/assertions"
	"github.com/lbtest/lbtest/cmd/internal/report"
	"github.com/lbtest/lbtest/topologies"
)

// run is one run of a plan.
type run struct {
	plan  Plan
	say   func(Progress)
	began time.Time
	slots *semaphore.Weighted
	start starting
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

// outcome is a finished lab. It is shared by those who wait for it.
type outcome struct {
	finished  chan struct{}
	histories []assertions.History // one a fresh start
	took      time.Duration
	err       error
}

// verdict is the answer on one scenario.
type verdict struct {
	scenario scenario
	results  []result
	err      error // why the whole scenario could not be judged
	flaky    bool
	verified map[string]bool    // advice text → whether it helped
	last     assertions.Verdict // when it was repeated; "" if it was not
}

// result is the answer of one assertion.
type result struct {
	assertion assertions.Assertion
	finding   assertions.Finding
	proved    bool
	took      time.Duration
	factor    float64
	marginal  bool
	flaky     bool
	manner    string // of expiry, where several were tried
	link      string // that it was judged on, where several are balanced
	start     int    // the fresh start that the finding is of
	drawn     *drawn // nil where nothing wants to be explained
}

// side is how many labs run side by side unless the user says otherwise. They mostly wait: two dozen keep two cores
// two thirds busy. Each takes up to fifty file descriptors here.
func side() int64 { return int64(max(4, min(12*runtime.NumCPU(), descriptors()/100))) }

// side is how many labs of this plan do.
func (p Plan) side() int64 {
	if p.options.Parallel > 0 {
		return int64(p.options.Parallel)
	}
	if _, containers := p.options.Runtime.(topologies.Host); containers {
		return max(4, side()/3) // making a container takes the engine half a second of a core
	}
	return side()
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
	r := &run{plan: *p, say: say, began: began, controls: map[string]*outcome{}, labs: map[string]*outcome{}, running: map[string]bool{}, all: p.side()}
	r.book.to = p.options.Events
	r.slots = semaphore.NewWeighted(r.all)
	r.start = make(starting, runtime.NumCPU())
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
	r.side(ctx, scenarios, verdicts)
	r.repeat(ctx, verdicts)
	r.retry(ctx, verdicts)
	if r.plan.options.VerifyAdvice {
		r.verify(ctx, verdicts)
	}
	return verdicts
}

// side judges scenarios side by side. The longest start first, so that none is left over at the end; but
// one short one goes before them, so that there is something to read soon.
func (r *run) side(ctx context.Context, scenarios []scenario, verdicts []verdict) {
	order := make([]int, len(scenarios))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return int(scenarios[b].length() - scenarios[a].length()) })
	if n := len(order); n > 2 {
		order = append([]int{order[n-1]}, order[:n-1]...)
	}
	var wg sync.WaitGroup
	for _, i := range order {
		r.begin(ctx, scenarios[i], &wg, func(v verdict) {
			verdicts[i] = v
			if !v.marginal() {
				r.finished(v)
			}
		})
	}
	wg.Wait()
}

// marginal reports whether the verdict is one to be repeated before it is told.
func (v verdict) marginal() bool {
	return slices.ContainsFunc(v.results, func(r result) bool { return r.marginal })
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

// settled reports whether every result was judged.
func settled(results []result) bool {
	return !slices.ContainsFunc(results, func(r result) bool { return r.finding.Verdict == assertions.Errored })
}

// launch runs a lab once there is room, as often as its outcome depends on luck.
func (r *run) launch(ctx context.Context, l lab, wg *sync.WaitGroup, started func()) *outcome {
	o := &outcome{finished: make(chan struct{}), histories: make([]assertions.History, l.starts)}
	errs, took := make([]error, l.starts), make([]time.Duration, l.starts)
	var starts sync.WaitGroup
	for i := range l.starts {
		weight := min(l.weight(), r.all)
		if err := r.slots.Acquire(ctx, weight); err != nil {
			errs[i] = context.Cause(ctx)
			continue
		}
		if i == 0 && started != nil {
			started()
		}
		starts.Go(func() {
			defer r.slots.Release(weight)
			began := time.Now()
			fresh := l
			fresh.profile.Seed += int64(i) // another start, another chance
			o.histories[i], errs[i] = fresh.run(ctx, fresh.ground(r.runtime(l)), r.start)
			took[i] = time.Since(began)
			r.mu.Lock()
			r.seen.see(o.histories[i])
			r.mu.Unlock()
			r.book.enter(fresh, began, o.histories[i], errs[i])
			if late, starved := assertions.Starved(o.histories[i]); starved {
				r.note("%s was short of CPU: a node answered up to %s late", l, late.Round(time.Millisecond))
			}
			if errs[i] != nil && ctx.Err() != nil {
				errs[i] = context.Cause(ctx)
			}
		})
	}
	wg.Go(func() {
		starts.Wait()
		o.err, o.took = errors.Join(errs...), slices.Max(took)
		close(o.finished)
	})
	return o
}

// control starts the control of a lab, or finds the one that others have started.
func (r *run) control(ctx context.Context, l lab, wg *sync.WaitGroup) *outcome {
	c := l.control()
	if o, ok := r.controls[c.key()]; ok {
		return o
	}
	o := r.startControl(ctx, c, wg)
	r.controls[c.key()] = o
	return o
}

// startControl runs a control and, if something is amiss with it, once more: every verdict hangs on it.
func (r *run) startControl(ctx context.Context, c lab, wg *sync.WaitGroup) *outcome {
	final := &outcome{finished: make(chan struct{})}
	first := r.launch(ctx, c, wg, nil)
	wg.Go(func() {
		defer close(final.finished)
		<-first.finished
		if why := amiss(c, *first); why != nil && ctx.Err() == nil {
			r.note("the control is run again: %v", why)
			var again sync.WaitGroup
			first = r.launch(ctx, c, &again, nil)
			again.Wait()
		}
		final.histories, final.took, final.err = first.histories, first.took, first.err
	})
	return final
}

// over reports whether a lab is done; its outcome may be read then.
func (o *outcome) over() bool {
	select {
	case <-o.finished:
		return true
	default:
		return false
	}
}

// amiss is what a control shows that it must not: behind nothing at all, everything is safe.
func amiss(c lab, o outcome) error {
	if o.err != nil {
		return o.err
	}
	if late, starved := assertions.Starved(o.histories[0]); starved {
		return fmt.Errorf("a node answered %s late in the control", late.Round(time.Millisecond))
	}
	for _, a := range c.judged {
		if err := o.excludes(a); err != nil {
			return err
		}
	}
	return nil
}

// excludes says why an assertion cannot be judged against this control.
func (o outcome) excludes(a assertions.Assertion) error {
	if o.err != nil {
		return o.err
	}
	if a.MootUnder(o.histories[0].Terms) != "" {
		return nil // without a balancer nothing of the kind happens at all
	}
	for _, f := range a.Judge(o.histories[0].Of(a.Observe)) {
		if f.Verdict != assertions.Safe && !a.Absolute {
			return fmt.Errorf("%s is %s in the control: %s", a.Name, f.Verdict, f.Got)
		}
	}
	return nil
}

// judge lets every assertion of a lab judge each fresh start and keeps the worst.
func judge(l lab, o, control outcome) []result {
	var results []result
	for _, a := range l.judged {
		res := result{assertion: a, took: o.took, factor: l.factor, manner: l.manner}
		if len(l.neighbours) > 0 {
			res.link = string(l.link())
		}
		if o.err != nil {
			res.finding = errored("%v", o.err)
		} else if err := control.excludes(a); err != nil {
			res.finding = errored("the control failed: %v", err)
		} else {
			res.finding, res.start, res.proved = o.worst(a, control)
		}
		res.marginal = res.finding.Marginal || res.finding.Verdict == assertions.Errored
		results = append(results, res)
	}
	o.draw(l, results)
	return results
}

// worst is an assertion's worst finding over the fresh starts, that start, and whether the fault was proved in each.
func (o outcome) worst(a assertions.Assertion, control outcome) (worst assertions.Finding, start int, proved bool) {
	for i, h := range o.histories {
		h.Control = &control.histories[0]
		if unproved := assertions.Proved(h); len(unproved) > 0 {
			slices.Sort(unproved)
			return errored("the fault was not proved: %s", unproved[0]), i, false
		}
		for j, f := range a.Judge(h.Of(a.Observe)) {
			if f.Unseen {
				f = errored("%s", f.Got)
			} else if late, starved := assertions.Starved(h); starved && !f.Firm && f.Verdict != assertions.Safe && f.Verdict != assertions.Skipped {
				f = errored("this machine was too busy to tell: a healthy node answered up to %s late (then seen: %s)", late.Round(time.Millisecond), f.Got)
			}
			if (i == 0 && j == 0) || f.Verdict.Worse(worst.Verdict) {
				worst, start = f, i
			}
		}
	}
	return worst, start, true
}

func errored(format string, args ...any) assertions.Finding {
	return assertions.Finding{Verdict: assertions.Errored, Got: fmt.Sprintf(format, args...)}
}

// calm is how many scenarios of three nodes are repeated side by side that failed for want of CPU: two a processor get
// what they need.
func calm() int64 { return int64(max(2, 2*runtime.NumCPU())) }

// repeat runs the labs in which something was marginal, or failed for lbtest's own reasons, again: what only failed a few
// at a time, and then alone what is still open. A scenario's other labs have said what they have to say, and beside them
// the second look would be no calmer than the first: where several links are balanced they fill every slot. A verdict that changes is flaky and keeps its worse form; a failure of ours that does not
// come back is forgotten.
func (r *run) repeat(ctx context.Context, verdicts []verdict) {
	open := make([]bool, len(verdicts))
	for i, v := range verdicts {
		open[i] = v.marginal()
	}
	r.again(ctx, verdicts, calm(), func(i int) bool { return open[i] && !verdicts[i].close() }, verdict.doubtful, "with less beside it")
	r.again(ctx, verdicts, 1, func(i int) bool { return open[i] && verdicts[i].marginal() }, verdict.doubtful, "alone")
	for i, v := range verdicts {
		if open[i] {
			r.finished(v)
		}
	}
}

// whole is the scenario of a verdict with all that it was judged by.
func (v verdict) whole() scenario { return v.scenario }

// doubtful is the scenario of a verdict with those labs alone that judge what was marginal.
func (v verdict) doubtful() scenario {
	s := v.scenario
	s.labs = slices.DeleteFunc(slices.Clone(s.labs), func(l lab) bool {
		return !slices.ContainsFunc(v.results, func(r result) bool { return r.marginal && l.says(r) })
	})
	return s
}

// says reports whether a result is one that this lab has a part in.
func (l lab) says(r result) bool {
	return (r.link == "" || r.link == string(l.link())) && slices.ContainsFunc(l.judged, func(a assertions.Assertion) bool { return a.Name == r.assertion.Name })
}

// doubt is what a verdict is repeated for: the first result that was marginal, or else why it is not better.
func (v verdict) doubt() string {
	for _, r := range v.byWeight() {
		if r.marginal {
			return r.assertion.Name + ": " + r.said()
		}
	}
	return strings.Join(v.because()[:min(1, len(v.because()))], "")
}

// again runs scenarios, or those labs of them that part chooses, once more: as many side by side as are told, or half as
// many with twice the nodes.
func (r *run) again(ctx context.Context, verdicts []verdict, side int64, which func(int) bool, part func(verdict) scenario, how string) {
	clear(r.labs) // what is repeated is seen afresh
	room := semaphore.NewWeighted(side)
	var wg sync.WaitGroup
	seconds := make([]*verdict, len(verdicts))
	for i, v := range verdicts {
		if !which(i) {
			continue
		}
		s, takes := part(v), min(crews(v.scenario.topology), side)
		if ctx.Err() != nil || room.Acquire(ctx, takes) != nil {
			break // the run ends
		}
		// A control that failed in the crowd gets another chance as well.
		for _, l := range s.labs {
			c := l.control() // an uncontrolled lab's never ran
			if o := r.controls[c.key()]; o != nil && o.over() && amiss(c, *o) != nil {
				delete(r.controls, c.key())
			}
		}
		r.note("%s is repeated %s: %s", v.scenario.name, how, v.doubt())
		r.begin(ctx, s, &wg, func(v verdict) {
			seconds[i] = &v
			room.Release(takes)
		})
	}
	wg.Wait()
	for i, second := range seconds {
		if second != nil && ctx.Err() == nil {
			verdicts[i] = merge(verdicts[i], *second)
		}
	}
}

// close reports whether a verdict was too near to its boundary to be told after one look.
func (v verdict) close() bool {
	return slices.ContainsFunc(v.results, func(r result) bool { return r.finding.Marginal })
}

// merge puts two runs of a scenario together.
func merge(first, second verdict) verdict {
	merged := first
	merged.err, merged.last = second.err, second.beside(first).worst()
	merged.results = slices.Clone(first.results)
	for i, was := range first.results {
		j := slices.IndexFunc(second.results, func(r result) bool { return r.assertion.Name == was.assertion.Name && r.link == was.link })
		if j < 0 {
			continue
		}
		now := second.results[j]
		switch {
		case was.finding.Verdict == assertions.Errored:
			merged.results[i] = now
		case now.finding.Verdict == was.finding.Verdict || now.finding.Verdict == assertions.Errored:
		default:
			if now.finding.Verdict.Worse(was.finding.Verdict) {
				merged.results[i] = now
			}
			merged.results[i].flaky = true
			merged.flaky = true
		}
	}
	return merged
}

// beside is a second verdict with what an earlier one said of what was not repeated.
func (v verdict) beside(earlier verdict) verdict {
	v.results = slices.Clone(v.results)
	for _, was := range earlier.results {
		if !slices.ContainsFunc(v.results, func(r result) bool { return r.assertion.Name == was.assertion.Name && r.link == was.link }) {
			v.results = append(v.results, was)
		}
	}
	return v
}

// worst is the scenario's verdict: errored > unsafe > risky > safe, skipped only if all are.
func (v verdict) worst() assertions.Verdict {
	switch {
	case v.err != nil:
		return assertions.Errored
	case v.scenario.skip != "":
		return assertions.Skipped
	}
	worst := assertions.Skipped
	for _, r := range v.results {
		if r.finding.Verdict.Worse(worst) {
			worst = r.finding.Verdict
		}
	}
	return worst
}

// length is how long a scenario takes at the least, to begin with the longest.
func (s scenario) length() time.Duration {
	var longest time.Duration
	for _, l := range s.labs {
		longest = max(longest, l.length())
	}
	return longest
}

// announce says before anything starts how long it will take.
func (r *run) announce(scenarios []scenario) {
	// What a lab takes beside its waiting: starting, forming, settling, reading back.
	const besides = 15 * time.Second
	var longest, together time.Duration
	shared := map[string]bool{}
	for _, s := range scenarios {
		longest = max(longest, s.length()+besides)
		for _, l := range s.labs {
			if r.plan.cells != nil {
				alike := l.likeness()
				if shared[alike] {
					continue
				}
				shared[alike] = true
			}
			together += time.Duration(int64(l.length()+besides) * min(l.weight(), r.all) * int64(l.starts) / r.all)
		}
	}
	r.mu.Lock()
	p := r.progress("plan", "")
	r.mu.Unlock()
	p.Text = fmt.Sprintf("%d scenarios, about %s", len(scenarios), max(longest, together).Round(10*time.Second))
	if len(scenarios) == 1 {
		p.Text = "1 scenario, about " + longest.Round(10*time.Second).String()
	}
	r.say(p)
}

func (r *run) started(s scenario) {
	r.mu.Lock()
	again := r.running[s.name]
	r.running[s.name] = true
	p := r.progress("started", s.name)
	r.mu.Unlock()
	if !again {
		r.say(p)
	}
}

func (r *run) finished(v verdict) {
	r.mu.Lock()
	delete(r.running, v.scenario.name)
	r.done++
	p := r.progress("finished", v.scenario.name)
	r.mu.Unlock()
	p.Verdict = v.worst()
	if because := v.because(); len(because) > 0 {
		p.Text = because[0]
	}
	r.say(p)
}

func (r *run) note(format string, args ...any) {
	r.mu.Lock()
	p := r.progress("note", "")
	r.mu.Unlock()
	p.Text = fmt.Sprintf(format, args...)
	r.say(p)
}

func (r *run) progress(kind, scenario string) Progress {
	return Progress{At: time.Since(r.began), Kind: kind, Scenario: scenario, Done: r.done, Total: len(r.plan.scenarios), Running: len(r.running)}
}

// runID names a run by its start, to the second, and its seed.
func runID(began time.Time, seed int64) string {
	return began.UTC().Format("20060102T150405Z") + "-" + strconv.FormatInt(seed, 36)
}
