package suite

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/shirou/gopsutil/v4/cpu"
	"golang.org/x/sync/semaphore"
)

// room is how many labs may be at work side by side. Each takes up to fifty file descriptors here, which bounds them, and
// CPU, of which one takes much and another hardly any, at its start more than later. So there is always room for some, and
// for others as long as the processors have something to spare: labs that are starved have to run again.
type room struct {
	slots  *semaphore.Weighted
	always int64 // slots whose labs wait for no processor
	taken  atomic.Int64
	// used measures for a while how much of this machine's processors is in use, in percent.
	used func(ctx context.Context, over time.Duration) (float64, error)
}

func newRoom(always, most int64) *room {
	return &room{slots: semaphore.NewWeighted(most), always: always, used: processors}
}

const (
	// measured is how long the use of the processors is looked at: twenty of the ticks by which Linux counts, on each.
	measured = 200 * time.Millisecond
	// spare is in percent. A lab that starts takes more for a second or two than it does on average.
	spare = 85
)

// enter waits until there is room for that many slots.
func (r *room) enter(ctx context.Context, slots int64) error {
	if err := r.slots.Acquire(ctx, slots); err != nil {
		return context.Cause(ctx)
	}
	for taken := r.taken.Load(); taken > 0 && taken+slots > r.always && !r.spares(ctx); taken = r.taken.Load() {
		if ctx.Err() != nil {
			r.slots.Release(slots)
			return context.Cause(ctx)
		}
	}
	r.taken.Add(slots)
	return nil
}

// spares looks for a while whether the processors have something to spare. Where nobody tells, they have not.
func (r *room) spares(ctx context.Context) bool {
	over, done := context.WithTimeout(ctx, measured)
	defer done()
	used, err := r.used(ctx, measured)
	if err != nil {
		<-over.Done()
	}
	return err == nil && used < spare
}

func (r *room) leave(slots int64) {
	r.taken.Add(-slots)
	r.slots.Release(slots)
}

// processors is how much of this machine's is in use, as the system counts it.
func processors(ctx context.Context, over time.Duration) (float64, error) {
	used, err := cpu.PercentWithContext(ctx, over, false)
	if err != nil {
		return 0, err
	}
	return used[0], nil
}
