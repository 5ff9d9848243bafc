package suite

import (
	"context"
	"fmt"
	"math"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/shirou/gopsutil/v4/cpu"
	"github.com/shirou/gopsutil/v4/mem"
	"golang.org/x/sync/semaphore"
)

// room is how many labs may be at work side by side. Each takes file descriptors and memory, which bound them, and CPU, of
// which one takes much and another hardly any, at its start more than later. So there is always room for some, and for
// others as long as the processors have something to spare: labs that are starved have to run again.
type room struct {
	slots *semaphore.Weighted
	// turns bound how many labs bring up their nodes at the same time: that is what needs the CPU, and labs that are being
	// watched must not be starved by it.
	turns  chan struct{}
	always int64 // slots whose labs wait for no processor
	taken  atomic.Int64
	// used measures for a while how much of this machine's processors is in use, in percent.
	used func(ctx context.Context, over time.Duration) (float64, error)
}

func newRoom(always, most int64) *room {
	return &room{slots: semaphore.NewWeighted(most), turns: make(chan struct{}, runtime.NumCPU()), always: always, used: processors}
}

// sideOf is how many labs may run side by side that are so many for each processor, on this machine.
func sideOf(each int) int64 { return fitting(each*runtime.NumCPU(), descriptors(), memory()) }

// fitting is how many of those labs find the files and the bytes of memory that they take.
func fitting(labs, files int, memory uint64) int64 {
	const filesEach = 100 // it takes up to fifty here
	return int64(max(4, min(labs, files/filesEach, int(min(memory/MemoryEach, math.MaxInt32)))))
}

// MemoryEach is what a lab of three nodes takes at the most, in bytes: 9 to 15 MB a node with streams, besides what all nodes
// share, and as much again for the balancer and whoever watches.
const MemoryEach = 75 << 20

// Memory is how much of it this machine has, and how much it could give, in bytes.
func Memory() (total, available uint64, err error) {
	m, err := mem.VirtualMemory()
	if err != nil {
		return 0, 0, fmt.Errorf("asking for this machine's memory: %w", err)
	}
	return m.Total, m.Available, nil
}

// memory is what a run begins with. Where nobody tells, it bounds nothing.
var memory = sync.OnceValue(func() uint64 {
	_, available, err := Memory()
	if err != nil {
		return math.MaxUint64
	}
	return available
})

const (
	// measured is how long the use of the processors is looked at: twenty of the ticks by which Linux counts, on each.
	measured = 200 * time.Millisecond
	// spare is in percent. A lab that starts takes more for a second or two than it does on average, and at 85 some were
	// starved now and then.
	spare = 80
)

// enter waits until there is room for that many slots, and for a lab in them to bring up its nodes. It is up, and leaves, as
// it says.
func (r *room) enter(ctx context.Context, slots int64) (up, leave func(), err error) {
	if err := r.slots.Acquire(ctx, slots); err != nil {
		return nil, nil, context.Cause(ctx)
	}
	if err := r.turn(ctx, slots); err != nil {
		r.slots.Release(slots)
		return nil, nil, err
	}
	r.taken.Add(slots)
	up = sync.OnceFunc(func() { <-r.turns })
	return up, func() {
		up()
		r.taken.Add(-slots)
		r.slots.Release(slots)
	}, nil
}

// turn waits for one, and for the processors: whoever has entered is up by then, and what it takes can be seen.
func (r *room) turn(ctx context.Context, slots int64) error {
	select {
	case r.turns <- struct{}{}:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	for taken := r.taken.Load(); taken > 0 && taken+slots > r.always && !r.spares(ctx); taken = r.taken.Load() {
		if ctx.Err() != nil {
			<-r.turns
			return context.Cause(ctx)
		}
	}
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

// processors is how much of this machine's is in use, as the system counts it.
func processors(ctx context.Context, over time.Duration) (float64, error) {
	used, err := cpu.PercentWithContext(ctx, over, false)
	if err != nil {
		return 0, err
	}
	return used[0], nil
}
