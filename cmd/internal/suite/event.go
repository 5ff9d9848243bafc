package suite

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/lbtest/lbtest/assertions"
)

// event is what happens once in the middle.
func (l lab) event(with levers, t assertions.Target, rec *assertions.Recorder) func(context.Context) error {
	switch {
	case l.cut:
		return func(ctx context.Context) error {
			conns := assertions.AppConnections(rec) // none where no application stays: there is nothing to compare with
			if l.link().Joins() {
				conn, ok := assertions.UsersLink(ctx, t, rec)
				if !ok {
					return fmt.Errorf("cutting one of the %s: there is none", l.link())
				}
				conns = []string{conn}
			}
			cut := slices.DeleteFunc(slices.Clone(conns), func(conn string) bool { return !with.Cut(conn) })
			if len(conns) > 0 && len(cut) == 0 {
				return fmt.Errorf("cutting one of the %s: all have ended", l.link())
			}
			return nil
		}
	case l.fault() != "":
		return func(ctx context.Context) error {
			node := t.Nodes[0].Name
			if busy, ok := assertions.BusiestNode(rec); ok && !l.link().Joins() {
				node = busy
			}
			return errors.Join(with.Strike(ctx), l.fail(ctx, with, node))
		}
	case l.profile.Strikes():
		return with.Strike
	}
	return func(context.Context) error { return nil }
}

// fault is what becomes of a node in the middle; "" for nothing.
func (l lab) fault() string {
	if f := l.profile.Value("node-fault"); f != "none" {
		return f
	}
	return ""
}

// missed is how long a node stays away beyond what its loss is to show: long enough for what ended to be missed and
// made again.
const missed = 3 * time.Second

// leaving is how long a node's lame duck mode takes here: nats-server's grace period of 10 s, and a second for each of
// the few clients.
const leaving = 20 * time.Second

// away is how long a node is gone: until health checks have found it, or what drain ends has ended.
func (l lab) away() time.Duration {
	switch {
	case l.fault() == "remove":
		return l.profile.Duration("drain") + missed
	case l.profile.Value("health-check") != "off":
		return l.found() + missed
	}
	return missed
}

// fail lets a node meet its fate, leaves it time, and brings it back.
func (l lab) fail(ctx context.Context, with levers, node string) error {
	falls, rises := with.fate(ctx, l.fault(), node)
	if err := falls(); err != nil {
		return err
	}
	timer := time.NewTimer(l.away())
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
	return rises()
}

// watch runs the observations: what others build on first, then all side by side, then the last looks.
func watch(ctx context.Context, observations []*assertions.Observation, t assertions.Target, rec *assertions.Recorder, with levers, event func(context.Context) error) error {
	strike := &strike{event: event, rec: rec, over: make(chan struct{})}
	besideCtx, enough := context.WithCancel(ctx)
	defer enough()
	var wg, beside sync.WaitGroup
	var aside error
	var side []*assertions.Observation
	for _, o := range observations {
		if o.Aside {
			beside.Go(func() {
				if err := o.Watch(besideCtx, t, rec.For(o)); err != nil {
					aside = fmt.Errorf("watching %s: %w", o.Name, err)
				}
			})
		}
	}
	defer beside.Wait()
	defer enough()
	for _, o := range observations {
		switch {
		case o.First:
			if err := o.Watch(ctx, t, rec.For(o)); err != nil {
				return fmt.Errorf("watching %s: %w", o.Name, err)
			}
		case !o.Aside:
			side = append(side, o)
			if o.Strikes || !o.Alone {
				strike.awaited++
			}
		}
	}
	if !slices.ContainsFunc(side, func(o *assertions.Observation) bool { return o.Strikes }) {
		strike.awaited = 0 // nobody takes part, and nothing happens
	}
	errs := make([]error, len(side))
	for i, o := range side {
		wg.Go(func() {
			t := t
			hand := &hand{levers: with}
			t.Control = hand
			switch {
			case o.Strikes:
				hand.strike = strike
				defer hand.leave(ctx)
			case !o.Alone:
				defer strike.arrive(ctx) // what takes no part in the event has its look before it
			}
			if err := o.Watch(ctx, t, rec.For(o)); err != nil {
				errs[i] = fmt.Errorf("watching %s: %w", o.Name, err)
			}
		})
	}
	wg.Wait()
	for _, o := range observations {
		if o.After != nil && ctx.Err() == nil {
			errs = append(errs, o.After(ctx, t, rec.For(o)))
		}
	}
	enough()
	beside.Wait()
	return errors.Join(append(errs, aside, ctx.Err())...)
}

// strike lets an event happen once, when everybody who watches is ready for it.
type strike struct {
	event func(context.Context) error
	rec   *assertions.Recorder

	mu      sync.Mutex
	awaited int
	over    chan struct{} // closed when the event is over
	err     error         // valid then
}

// arrive counts one watcher as ready; the last one lets the event happen.
func (s *strike) arrive(ctx context.Context) {
	s.mu.Lock()
	s.awaited--
	last := s.awaited == 0
	s.mu.Unlock()
	if !last {
		return
	}
	s.rec.Add(assertions.Event{From: assertions.Lab, Kind: "strike-begin"})
	s.err = s.event(ctx)
	s.rec.Add(assertions.Event{From: assertions.Lab, Kind: "strike-over"})
	close(s.over)
}

// hand is one watcher's part in the strike.
type hand struct {
	levers
	strike  *strike // nil for one who has none
	arrived bool
}

// Strike implements assertions.Control.
func (h *hand) Strike(ctx context.Context) error {
	if h.strike == nil {
		return errors.New("striking: this watcher has not said that it takes part")
	}
	h.arrived = true
	h.strike.arrive(ctx)
	select {
	case <-h.strike.over:
		return h.strike.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// leave lets the others go on when a watcher ends without having been ready.
func (h *hand) leave(ctx context.Context) {
	if !h.arrived {
		h.strike.arrive(ctx)
	}
}
