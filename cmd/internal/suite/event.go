package suite

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/lbtest/lbtest/assertions"
	"github.com/lbtest/lbtest/topologies"
)

// event is what happens once in the middle.
func (l lab) event(b balancer, t assertions.Target, rec *assertions.Recorder) func(context.Context) error {
	switch {
	case l.cut:
		return func(ctx context.Context) error {
			conn, ok := assertions.AppConnection(rec)
			if l.link() == topologies.Routes {
				conn, ok = assertions.PoolRoute(ctx, t, rec, t.Nodes[0])
			}
			if !ok || !b.Cut(conn) {
				return fmt.Errorf("cutting one of the %s: there is none", l.link())
			}
			return nil
		}
	case l.drains():
		return func(ctx context.Context) error {
			return errors.Join(b.Strike(ctx), l.rotate(ctx, b, t.Nodes[0].Name))
		}
	case l.profile.Strikes():
		return b.Strike
	}
	return func(context.Context) error { return nil }
}

// drains reports whether what becomes of a removed backend's connections is asked.
func (l lab) drains() bool { return l.proves["drain"] != "" }

// removed is how long a backend stays out of rotation beyond its drain time: long enough for what drain ends to
// be missed and made again.
const removed = 3 * time.Second

// rotate takes a backend out of rotation, leaves it time, and puts it back.
func (l lab) rotate(ctx context.Context, b balancer, backend string) error {
	if err := b.Remove(backend); err != nil {
		return err
	}
	timer := time.NewTimer(l.profile.Duration("drain") + removed)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
	return b.Restore(backend)
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
				if err := o.Watch(besideCtx, t, rec); err != nil {
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
			if err := o.Watch(ctx, t, rec); err != nil {
				return fmt.Errorf("watching %s: %w", o.Name, err)
			}
		case !o.Aside:
			side = append(side, o)
			if o.Strikes {
				strike.awaited++
			}
		}
	}
	errs := make([]error, len(side))
	for i, o := range side {
		wg.Go(func() {
			t := t
			if o.Strikes {
				hand := &hand{levers: with, strike: strike}
				defer hand.leave(ctx)
				t.Control = hand
			}
			if err := o.Watch(ctx, t, rec); err != nil {
				errs[i] = fmt.Errorf("watching %s: %w", o.Name, err)
			}
		})
	}
	wg.Wait()
	for _, o := range observations {
		if o.After != nil && ctx.Err() == nil {
			errs = append(errs, o.After(ctx, t, rec))
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

// levers are what a lab can do to its nodes.
type levers struct {
	balancer
	nodes []topologies.Node
}

func (l levers) node(name string) (topologies.Node, error) {
	for _, n := range l.nodes {
		if n.Name() == name {
			return n, nil
		}
	}
	return nil, fmt.Errorf("there is no node %s", name)
}

func (l levers) do(name string, what func(topologies.Node) error) error {
	n, err := l.node(name)
	if err != nil {
		return err
	}
	return what(n)
}

// Stop, Kill and Start implement assertions.Control.

func (l levers) Stop(node string) error { return l.do(node, topologies.Node.Stop) }
func (l levers) Kill(node string) error { return l.do(node, topologies.Node.Kill) }
func (l levers) Start(ctx context.Context, node string) error {
	return l.do(node, func(n topologies.Node) error { return n.Start(ctx) })
}

// hand is one watcher's part in the strike.
type hand struct {
	levers
	strike  *strike
	arrived bool
}

// Strike implements assertions.Control.
func (h *hand) Strike(ctx context.Context) error {
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
