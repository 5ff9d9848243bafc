package suite

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/lbtest/lbtest/proxies"
	"github.com/lbtest/lbtest/topologies"
)

// balancerMode makes this program one balancer that obeys orders (see order).
const balancerMode = "__balancer"

// Main must be called first thing in main and in each TestMain of a program that uses a Host, with the engines that
// there are. In a process that was started as a balancer it never returns; in every other it does nothing.
func Main(engines ...Engine) {
	if len(os.Args) < 2 || os.Args[1] != balancerMode || os.Getenv(topologies.ModeVariable) != balancerMode {
		return
	}
	signal.Ignore(syscall.SIGINT) // a terminal's Ctrl-C is for the program that gives the orders
	if err := obey(os.Stdin, os.Stdout, engines...); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// obey is the whole life of a balancer that is run for somebody else. It ends at doClose, or when the
// orders do.
func obey(orders io.Reader, said io.Writer, engines ...Engine) error {
	out := speak(said)
	b := &obedient{out: out, engines: engines, strikes: map[int]context.CancelFunc{}}
	heard := json.NewDecoder(orders)
	for {
		var o order
		if err := heard.Decode(&o); err != nil {
			if errors.Is(err, io.EOF) {
				err = nil // whoever gave the orders is gone
			} else {
				err = fmt.Errorf("reading an order: %w", err)
			}
			return errors.Join(err, b.close(), out.close())
		}
		if o.Do == doClose {
			out.say(message{ID: o.ID, Error: text(b.close())})
			return out.close()
		}
		b.obey(o)
	}
}

func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// obedient is a balancer under orders. Only one goroutine gives them.
type obedient struct {
	out      *speech
	engines  []Engine
	balancer balancer // nil before listen
	striking sync.WaitGroup
	held     bool
	deaf     atomic.Bool // its process is about to be killed, and has said all it will say
	swallows []func()    // give back addresses that answer nobody

	mu      sync.Mutex
	strikes map[int]context.CancelFunc // under way, by their order
}

// obey does what an order says and answers it, an event's order when the event is over.
func (b *obedient) obey(o order) {
	answer := message{ID: o.ID}
	switch {
	case o.Do == doListen && b.balancer == nil && o.Profile != nil:
		addrs, err := b.listen(o)
		answer.Addrs, answer.Error = addrs, text(err)
	case b.balancer == nil:
		answer.Error = fmt.Sprintf("the first order is %s with a profile, not %q", doListen, o.Do)
	case o.Do == doServe:
		answer.Error = text(b.balancer.Serve(o.Backends))
	case o.Do == doCut:
		answer.Done = b.balancer.Cut(o.Name)
	case o.Do == doRemove:
		answer.Error = text(b.balancer.Remove(o.Name))
	case o.Do == doRestore:
		answer.Error = text(b.balancer.Restore(o.Name))
	case o.Do == doUnplug:
		answer.Error = text(b.balancer.Unplug(o.Name))
	case o.Do == doPlug:
		answer.Error = text(b.balancer.Plug(o.Name))
	case o.Do == doHold:
		answer.Error = text(b.hold())
	case o.Do == doRelease:
		b.release()
	case o.Do == doWill:
		answer.Lack, answer.Error = b.will()
	case o.Do == doSwallow:
		addr, release, err := unreachable("0.0.0.0", false)
		answer.Addr, answer.Error = addr, text(err)
		if err == nil {
			b.swallows = append(b.swallows, release)
		}
	case o.Do == doStrike:
		b.strike(o.ID)
		return
	case o.Do == doCancel:
		b.mu.Lock()
		defer b.mu.Unlock()
		if cancel, ok := b.strikes[o.Of]; ok {
			cancel()
		}
		return
	default:
		answer.Error = fmt.Sprintf("nothing is known of an order %q", o.Do)
	}
	b.out.say(answer)
}

func (b *obedient) listen(o order) (map[string]string, error) {
	p, err := o.Profile.profile()
	if err != nil {
		return nil, err
	}
	if p.Identity, err = o.Identity.identity(); err != nil {
		return nil, err
	}
	note := func(e proxies.Event) {
		if !b.deaf.Load() {
			b.out.say(message{Event: &e})
		}
	}
	if dies(p) {
		b.balancer, err = newMortal(o, note, func(err error) {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1) // as it would have ended itself
		})
	} else {
		b.balancer, err = listen(b.engines, p, o.Fronts, note)
	}
	if err != nil {
		b.balancer = nil // and no interface around one
		return nil, err
	}
	addrs := map[string]string{}
	for _, f := range o.Fronts {
		addrs[f.Name] = b.balancer.Addr(f.Name)
	}
	return addrs, nil
}

func (b *obedient) strike(id int) {
	ctx, cancel := context.WithCancel(context.Background())
	b.mu.Lock()
	b.strikes[id] = cancel
	b.mu.Unlock()
	b.striking.Go(func() {
		defer cancel()
		err := b.balancer.Strike(ctx)
		b.mu.Lock()
		delete(b.strikes, id)
		b.mu.Unlock()
		b.out.say(message{ID: id, Error: text(err)})
	})
}

// holder is a balancer that stands still with its process.
type holder interface {
	Hold()
	Release()
}

// will says how every connection ends, and leaves nothing to be said afterwards.
func (b *obedient) will() (lack, trouble string) {
	own, ok := b.balancer.(*proxies.Balancer)
	if !ok {
		return "", "asking for the balancer's will: it does not die with its process"
	}
	b.deaf.Store(true)
	ends, err := own.Will()
	for _, e := range ends {
		b.out.say(message{Event: &e})
	}
	return text(err), ""
}

// hold and release are a stall for the time in which the whole process stands still. The kernel goes on without its
// process.
func (b *obedient) hold() error {
	own, ok := b.balancer.(holder)
	if !ok {
		return errors.New("holding the balancer: it does not stand still with its process")
	}
	if !b.held {
		own.Hold()
	}
	b.held = true
	return nil
}

func (b *obedient) release() {
	if own, ok := b.balancer.(holder); ok && b.held {
		own.Release()
	}
	b.held = false
}

func (b *obedient) close() error {
	for _, release := range b.swallows {
		release()
	}
	b.swallows = nil
	if b.balancer == nil {
		return nil
	}
	b.release()
	err := b.balancer.Close() // ends an event under way
	b.striking.Wait()
	return err
}

// speech writes messages in the order in which they were said, without letting whoever says them wait
// for a reader: a balancer must not be slowed down by being watched.
type speech struct {
	w     io.Writer
	ended chan error

	mu     sync.Mutex
	more   *sync.Cond
	unsaid []message
	over   bool
}

func speak(w io.Writer) *speech {
	s := &speech{w: w, ended: make(chan error, 1)}
	s.more = sync.NewCond(&s.mu)
	go func() { s.ended <- s.write() }()
	return s
}

func (s *speech) say(m message) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.unsaid = append(s.unsaid, m)
	s.more.Signal()
}

func (s *speech) write() error {
	lines := json.NewEncoder(s.w)
	for {
		s.mu.Lock()
		for len(s.unsaid) == 0 && !s.over {
			s.more.Wait()
		}
		say, over := s.unsaid, s.over
		s.unsaid = nil
		s.mu.Unlock()
		for _, m := range say {
			if err := lines.Encode(m); err != nil {
				return fmt.Errorf("saying what happens: %w", err)
			}
		}
		if over && len(say) == 0 {
			return nil
		}
	}
}

// close returns once everything has been written that was said.
func (s *speech) close() error {
	s.mu.Lock()
	s.over = true
	s.more.Signal()
	s.mu.Unlock()
	return <-s.ended
}
