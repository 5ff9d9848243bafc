package suite

import (
	"context"
	"errors"
	"math"
	"testing"
	"testing/synctest"
	"time"
)

func TestBeyondWhatThereIsAlwaysRoomForLabsWaitForTheProcessors(t *testing.T) {
	for _, c := range []struct {
		name    string
		measure func(at time.Duration) (float64, error)
		want    []time.Duration // when labs of one, one, two and two slots get in, of which two slots are always free
	}{
		{"idle processors", func(time.Duration) (float64, error) { return 40, nil }, []time.Duration{0, 0, measured, 2 * measured}},
		{"busy ones", func(at time.Duration) (float64, error) {
			if at < time.Minute {
				return 97, nil
			}
			return 40, nil
		}, []time.Duration{0, 0, time.Minute, time.Minute + measured}},
		{"nobody tells", func(time.Duration) (float64, error) { return 0, errors.New("no such system") },
			[]time.Duration{0, 0, 2 * time.Minute, 3 * time.Minute}},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				began := time.Now()
				r := newRoom(2, 8)
				r.used = func(ctx context.Context, over time.Duration) (float64, error) {
					used, err := c.measure(time.Since(began))
					if err == nil {
						time.Sleep(over)
					}
					return used, err
				}
				// Whoever came first leaves after two minutes, the next after three.
				for i, slots := range []int64{1, 1, 2, 2} {
					up, leave, err := r.enter(t.Context(), slots)
					if err != nil {
						t.Fatal(err)
					}
					up()
					if at := time.Since(began); at < c.want[i] || at > c.want[i]+measured {
						t.Errorf("lab %d got in after %v, want %v", i, at, c.want[i])
					}
					time.AfterFunc(time.Until(began.Add(time.Duration(max(i+1, 2))*time.Minute)), leave)
				}
				time.Sleep(10 * time.Minute)
			})
		})
	}
}

func TestALabThatIsLargerThanAnyRoomGetsInAlone(t *testing.T) {
	r := newRoom(2, 8)
	r.used = func(context.Context, time.Duration) (float64, error) { return 100, nil }
	_, leave, err := r.enter(t.Context(), 8)
	if err != nil {
		t.Fatal(err)
	}
	leave()
}

func TestLabsBringUpTheirNodesInTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRoom(8, 8)
		var first func()
		for range cap(r.turns) {
			up, _, err := r.enter(t.Context(), 1)
			if err != nil {
				t.Fatal(err)
			}
			first = up
		}
		began := time.Now()
		time.AfterFunc(time.Second, first)
		if _, _, err := r.enter(t.Context(), 1); err != nil || time.Since(began) != time.Second {
			t.Errorf("one more was let in after %v, %v; want it when another was up", time.Since(began), err)
		}
	})
}

func TestWhoeverWaitsForRoomLeavesWithTheRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		over := errors.New("the run is over")
		ctx, cancel := context.WithCancelCause(t.Context())
		r := newRoom(1, 8)
		r.used = func(context.Context, time.Duration) (float64, error) {
			time.Sleep(measured)
			return 100, nil
		}
		if _, _, err := r.enter(ctx, 1); err != nil {
			t.Fatal(err)
		}
		time.AfterFunc(time.Minute, func() { cancel(over) })
		if _, _, err := r.enter(ctx, 1); !errors.Is(err, over) {
			t.Errorf("got %v", err)
		}
		if !r.slots.TryAcquire(7) || len(r.turns) > 1 {
			t.Error("who left has kept its slot, or its turn")
		}
	})
}

func TestTheProcessorsAreMeasured(t *testing.T) {
	if used, err := processors(t.Context(), measured); err != nil || used < 0 || used > 100 {
		t.Errorf("got %v percent, %v", used, err)
	}
}

func TestAMatrixUsesWhatTheProcessorsHaveToSpare(t *testing.T) {
	const cells = "axes:\n  topology: routes-behind-lb\n  stall: 1s\n"
	for _, c := range []struct{ given, most, always int64 }{
		{0, sideOf(48), side()},
		{7, 7, 7},
	} {
		p, err := cellsOf(t, cells, func(o *MatrixOptions) { o.Parallel = int(c.given) })
		if err != nil {
			t.Fatal(err)
		}
		if most, always := p.side(); most != c.most || always != c.always {
			t.Errorf("--parallel %d: %d side by side, %d of them always; want %d and %d", c.given, most, always, c.most, c.always)
		}
	}
}

func TestLabsAreBoundByWhatEachTakes(t *testing.T) {
	const gib = 1 << 30
	for _, c := range []struct {
		name        string
		labs, files int
		memory      uint64
		want        int64
	}{
		{"two processors", 24, 1 << 20, 24 * gib, 24},
		{"few files", 96, 1024, 24 * gib, 10},
		{"little memory", 96, 1 << 20, 2 * gib, 27},
		{"hardly any", 96, 256, gib / 16, 4},
		{"nobody tells", 96, math.MaxInt32, math.MaxUint64, 96},
	} {
		if got := fitting(c.labs, c.files, c.memory); got != c.want {
			t.Errorf("%s: %d labs, want %d", c.name, got, c.want)
		}
	}
}
