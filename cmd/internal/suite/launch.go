package suite

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/lbtest/lbtest/assertions"
)

// outcome is a finished lab. It is shared by those who wait for it.
type outcome struct {
	finished  chan struct{}
	histories []assertions.History // one a fresh start
	took      time.Duration
	err       error
}

// launch runs a lab once there is room, as often as its outcome depends on luck.
func (r *run) launch(ctx context.Context, l lab, wg *sync.WaitGroup, started func()) *outcome {
	o := &outcome{finished: make(chan struct{}), histories: make([]assertions.History, l.starts)}
	errs, took := make([]error, l.starts), make([]time.Duration, l.starts)
	var starts sync.WaitGroup
	for i := range l.starts {
		up, leave, err := r.room.enter(ctx, min(l.weight(), r.all))
		if err != nil {
			errs[i] = err
			continue
		}
		if i == 0 && started != nil {
			started()
		}
		starts.Go(func() {
			defer leave()
			began := time.Now()
			fresh := l
			fresh.profile.Seed += int64(i) // another start, another chance
			o.histories[i], errs[i] = fresh.run(ctx, fresh.ground(r.runtime(l)), up)
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

// over reports whether a lab is done; its outcome may be read then.
func (o *outcome) over() bool {
	select {
	case <-o.finished:
		return true
	default:
		return false
	}
}
