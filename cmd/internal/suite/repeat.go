package suite

import (
	"context"
	"iter"
	"runtime"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sync/semaphore"

	"github.com/lbtest/lbtest/assertions"
)

// calm is how many scenarios of three nodes are repeated side by side that failed for want of CPU: two a processor get
// what they need.
func calm() int64 { return int64(max(2, 2*runtime.NumCPU())) }

// repeat runs the labs in which something was marginal, or failed for lbtest's own reasons, again: what only failed a few
// at a time, and then alone what is still open, no more of its labs side by side than of several scenarios before. A
// scenario's other labs have said what they have to say, and beside them the second look would be no calmer than the first:
// where several links are balanced they fill every slot. A verdict that changes is flaky and keeps its worse form; a failure
// of ours that does not come back is forgotten.
//
// Ended tells which scenarios have been judged. Beside the last of them, what failed before is repeated already. Where there
// are so few that none had more beside it than it would have then, only the calm look is another one.
func (r *run) repeat(ctx context.Context, verdicts []verdict, ended <-chan int) {
	var open []int
	few := min(int(r.all), len(verdicts)) / 2
	crowded := int64(len(verdicts)) > calm()
	failed := func(yield func(int) bool) {
		var waiting []int
		goesOn := true
		for left := len(verdicts) - 1; left >= 0; left-- {
			if i := <-ended; verdicts[i].marginal() {
				open = append(open, i)
				if crowded && !verdicts[i].close() {
					waiting = append(waiting, i)
				}
			}
			for left <= few && goesOn && len(waiting) > 0 {
				goesOn, waiting = yield(waiting[0]), waiting[1:]
			}
		}
	}
	r.again(ctx, verdicts, calm(), failed, verdict.doubtful, "with less beside it")
	slices.Sort(open)
	still := slices.DeleteFunc(slices.Clone(open), func(i int) bool { return !verdicts[i].marginal() })
	r.calmly(func() { r.again(ctx, verdicts, 1, slices.Values(still), verdict.doubtful, "alone") })
	for _, i := range open {
		r.finished(verdicts[i])
	}
}

// calmly lets something run in a room in which what is beside it cannot starve it.
func (r *run) calmly(do func()) {
	room, all := r.room, r.all
	defer func() { r.room, r.all = room, all }()
	r.all = min(all, calm())
	r.room = newRoom(r.all, r.all)
	do()
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

// again runs those scenarios as they come, or those labs of them that part chooses, once more: as many side by side as are
// told, or half as many with twice the nodes.
func (r *run) again(ctx context.Context, verdicts []verdict, side int64, which iter.Seq[int], part func(verdict) scenario, how string) {
	clear(r.labs) // what is repeated is seen afresh
	room := semaphore.NewWeighted(side)
	var wg sync.WaitGroup
	seconds := map[int]*verdict{}
	for i := range which {
		v, second := verdicts[i], new(verdict)
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
		seconds[i] = second
		r.begin(ctx, s, &wg, func(v verdict) {
			*second = v
			room.Release(takes)
		})
	}
	wg.Wait()
	if ctx.Err() != nil {
		return
	}
	for i, second := range seconds {
		verdicts[i] = merge(verdicts[i], *second)
	}
}

// merge puts two looks at a scenario together. A promise is flaky if its verdict changed, and the scenario if its own did.
func merge(first, second verdict) verdict {
	merged := first
	merged.err, merged.last = second.err, second.beside(first).worst()
	merged.results = slices.Clone(first.results)
	was, is := slices.Clone(first.results), slices.Clone(first.results) // the two looks, without failures of ours
	for i, before := range first.results {
		j := slices.IndexFunc(second.results, func(r result) bool { return r.assertion.Name == before.assertion.Name && r.link == before.link })
		if j < 0 {
			continue
		}
		now := second.results[j]
		switch {
		case before.finding.Verdict == assertions.Errored:
			merged.results[i], was[i], is[i] = now, now, now
		case now.finding.Verdict == before.finding.Verdict || now.finding.Verdict == assertions.Errored:
		default:
			is[i] = now
			if now.finding.Verdict.Worse(before.finding.Verdict) {
				merged.results[i] = now
			}
			merged.results[i].flaky = true
		}
	}
	merged.flaky = first.flaky || worst(was) != worst(is)
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
