package suite

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/lbtest/lbtest/assertions"
)

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
