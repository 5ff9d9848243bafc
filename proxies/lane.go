package proxies

import (
	"errors"
	"slices"
)

// lane is a way of carrying one flow's bytes.
type lane interface {
	// start carries the flow's directions that have not ended, and returns at once.
	start()
	// leave stops between two pieces, so that another lane can start. What was read and not
	// delivered is left in the flow's rest. False says that there is nothing to go on with: the flow has
	// ended or fallen silent, and this lane sees to the remainder.
	leave() bool
	// over is called when the flow's sockets are closed, with the flow's mu held: what still waits in
	// the lane is to be dropped. It must not block.
	over()
}

// change carries a flow in another lane from now on, and reports whether it does. Calls do not overlap.
func (f *Flow) change(to lane) bool {
	f.mu.Lock()
	from := f.lane
	f.mu.Unlock()
	if from == nil || !from.leave() {
		return false
	}
	f.mu.Lock()
	f.lane = nil
	f.mu.Unlock()
	f.begin(to)
	return true
}

// begin starts a lane, with the sockets in the hands in which it wants them.
func (f *Flow) begin(in lane) {
	if _, keeps := in.(keeper); !keeps {
		if err := f.native(); err != nil {
			f.end(Close, err.Error()) // out of descriptors, if it has not ended
			for _, d := range f.undelivered() {
				f.delivered(d)
			}
			return
		}
	}
	in.start()
	f.mu.Lock()
	defer f.mu.Unlock()
	f.lane = in
	switch { // it may have ended meanwhile
	case f.over != "":
		in.over()
	case f.silent != "":
		f.client.unblock()
		f.server.unblock()
	}
}

// native puts both sockets into the hands of Go's poller.
func (f *Flow) native() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return errors.Join(f.client.native(), f.server.native())
}

// workers is what lanes have in common that carry a direction each in a goroutine: they take turns with
// pull and give, and then say delivered, or parked when pull or give say that the lane is to be left.
type workers struct {
	flow *Flow
	run  func(Direction)
}

func (w *workers) start() {
	for _, d := range w.flow.undelivered() {
		go w.run(d)
	}
}

func (w *workers) leave() bool {
	f := w.flow
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.over != "" || f.silent != "" {
		return false
	}
	f.leaving = true
	for _, l := range []*leg{f.client, f.server} {
		l.interrupt()
	}
	for f.carrying > 0 && f.over == "" && f.silent == "" {
		f.left.Wait()
	}
	f.leaving = false
	var parked []Direction
	parked, f.stopped = f.stopped, nil
	if f.over == "" && f.silent == "" {
		for _, l := range []*leg{f.client, f.server} {
			l.uninterrupt()
		}
		return true
	}
	// It ended on the way out: who has left already comes back to see to that.
	f.carrying += len(parked)
	for _, d := range parked {
		go w.run(d)
	}
	return false
}

// over needs nothing: whoever waits finds its socket closed.
func (*workers) over() {}

// newCopying is the lane that any system has: a goroutine a direction, which reads and writes in turn.
func newCopying(f *Flow) lane {
	return &workers{flow: f, run: func(d Direction) {
		for {
			p, ok := f.pull(d)
			if ok {
				ok = f.give(d, p.data)
				p.release()
			}
			if !ok {
				if f.parked(d) {
					return
				}
				continue
			}
			if p.last {
				f.delivered(d)
				return
			}
		}
	}}
}

// undelivered lists the directions whose end of stream was not delivered yet, which are carried from
// now on, each until delivered or parked is called for it.
func (f *Flow) undelivered() []Direction {
	f.mu.Lock()
	defer f.mu.Unlock()
	both := slices.DeleteFunc([]Direction{Up, Down}, func(d Direction) bool { return f.shut[d] })
	f.carrying += len(both)
	return both
}

// parked says that a direction is not carried any more, and has not ended. False is that nobody waits for that now:
// the flow ended on the way out, and whoever wanted to leave sees to that.
func (f *Flow) parked(d Direction) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.leaving {
		return false
	}
	f.carrying--
	f.stopped = append(f.stopped, d)
	f.left.Broadcast()
	return true
}

// retired counts out what a lane had at work besides its directions.
func (f *Flow) retired() {
	f.mu.Lock()
	f.carrying--
	f.mu.Unlock()
	f.settle()
}
