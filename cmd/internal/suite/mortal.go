package suite

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/lbtest/lbtest/proxies"
	"github.com/lbtest/lbtest/topologies"
)

// mortal is a balancer in a process of its own, which a crash kills: the kernel closes its sockets as it does those of
// any program, and keeps what is the kernel's, such as ports in TIME_WAIT, since the network outlives the process.
// Another process is started at once with the same settings, at the same addresses.
//
//	whoever gives orders ──► mortal ──► process 1, SIGKILL
//	                                └─► process 2
type mortal struct {
	note   func(proxies.Event)
	died   func(error) // called when a process ends that nobody has killed
	listen order       // with the addresses that the first process was given
	addrs  map[string]string
	ctx    context.Context // ends at Close
	stop   context.CancelFunc

	event sync.Mutex // held by whatever changes the balancer
	serve map[string][]proxies.Backend
	gone  map[string]string // what became of backends that are out: doRemove or doUnplug, by name
	lacks []error           // what processes ran out of

	mu   sync.Mutex
	live *life
}

var (
	_ balancer = (*mortal)(nil)
	_ holder   = (*mortal)(nil)
)

// dies reports whether a crash of such a balancer is its process's: this program's own, which does not remember itself
// which ports rest. What is modelled within a process would end with it, and the kernel's ports do not know of it.
func dies(p proxies.Profile) bool {
	if p.Value("restart") != "crash" || p.Value("engine") != proxies.Direct().Value("engine") {
		return false
	}
	_, sysctls := p.SystemPorts()
	return sysctls != nil || !slices.ContainsFunc(p.Stated(), func(s proxies.Stated) bool {
		return s.Setting == "source-ports" || s.Setting == "port-reuse-delay" || s.Setting == "port-exhaustion"
	})
}

// newMortal starts the first process with an order to listen. died is called if a process ends by itself.
func newMortal(o order, note func(proxies.Event), died func(error)) (*mortal, error) {
	without := *o.Profile
	without.Settings = slices.DeleteFunc(slices.Clone(without.Settings), func(s proxies.Stated) bool { return s.Setting == "restart" })
	o.Profile, o.Fronts = &without, slices.Clone(o.Fronts)
	m := &mortal{note: note, died: died, listen: o, serve: map[string][]proxies.Backend{}, gone: map[string]string{}}
	m.ctx, m.stop = context.WithCancel(context.Background())
	l, addrs, err := m.begin(1)
	if err != nil {
		return nil, err
	}
	m.live, m.addrs = l, addrs
	for i, f := range o.Fronts {
		m.listen.Fronts[i].Listen = addrs[f.Name]
	}
	return m, nil
}

// begin starts a process that listens. On an error nothing is left of it.
func (m *mortal) begin(number int) (*life, map[string]string, error) {
	l, err := m.bear(number)
	if err != nil {
		return nil, nil, fmt.Errorf("starting the balancer's process: %w", err)
	}
	heard, err := l.tell(context.Background(), m.listen)
	if err != nil {
		return nil, nil, errors.Join(err, l.kill())
	}
	return l, heard.Addrs, nil
}

func (m *mortal) current() *life {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.live
}

func (m *mortal) Addr(front string) string { return m.addrs[front] }

func (m *mortal) Serve(backends map[string][]proxies.Backend) error {
	m.event.Lock()
	defer m.event.Unlock()
	err := m.current().Serve(backends)
	if err == nil {
		maps.Copy(m.serve, backends)
	}
	return err
}

func (m *mortal) Remove(backend string) error  { return m.change(backend, doRemove, true) }
func (m *mortal) Restore(backend string) error { return m.change(backend, doRestore, false) }
func (m *mortal) Unplug(backend string) error  { return m.change(backend, doUnplug, true) }
func (m *mortal) Plug(backend string) error    { return m.change(backend, doPlug, false) }

// change tells the process what becomes of a backend, and remembers it for the next.
func (m *mortal) change(backend, do string, out bool) error {
	m.event.Lock()
	defer m.event.Unlock()
	_, err := m.current().tell(context.Background(), order{Do: do, Name: backend})
	switch {
	case err != nil:
	case out:
		m.gone[backend] = do
	default:
		delete(m.gone, backend)
	}
	return err
}

// Cut ends a connection of the process that lives.
func (m *mortal) Cut(conn string) bool {
	l := m.current()
	own, ok := l.own(conn)
	return ok && l.Cut(own)
}

// Hold and Release have the process stand still. One that does not answer is missed by whoever gives the next order.
func (m *mortal) Hold()    { m.current().tell(context.Background(), order{Do: doHold}) }
func (m *mortal) Release() { m.current().tell(context.Background(), order{Do: doRelease}) }

// Strike has the process perform its other events, which come before a restart, and kills it.
func (m *mortal) Strike(ctx context.Context) error {
	m.event.Lock()
	defer m.event.Unlock()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(m.ctx, cancel)()
	if _, err := m.current().tell(ctx, order{Do: doStrike}); err != nil {
		return err
	}
	return m.crashLocked()
}

// crashLocked kills the process with SIGKILL and starts another.
func (m *mortal) crashLocked() error {
	old := m.current()
	began := time.Now()
	m.note(proxies.Event{At: began, Kind: proxies.KindCrash, What: "its process was killed"})
	will, err := old.tell(context.Background(), order{Do: doWill})
	if err != nil {
		return err
	}
	if will.Lack != "" {
		m.lacks = append(m.lacks, errors.New(will.Lack))
	}
	if err := old.kill(); err != nil {
		return err
	}
	next, _, err := m.begin(old.number + 1)
	if err != nil {
		return err
	}
	m.mu.Lock()
	m.live = next
	m.mu.Unlock()
	if err := next.Serve(m.serve); err != nil {
		return err
	}
	for backend, do := range m.gone {
		if _, err := next.tell(context.Background(), order{Do: do, Name: backend}); err != nil {
			return err
		}
	}
	next.risen.Store(true)
	m.note(proxies.Event{At: time.Now(), Kind: proxies.KindRestarted, What: fmt.Sprintf("another process, %v after the crash", time.Since(began).Round(time.Millisecond))})
	return nil
}

// Close lets the process that lives end everything by itself.
func (m *mortal) Close() error {
	m.stop() // an event under way ends early
	m.event.Lock()
	defer m.event.Unlock()
	return errors.Join(append(m.lacks, m.current().end())...)
}

// life is one process of a mortal balancer.
type life struct {
	*talk
	number int // from 1
	cmd    *exec.Cmd
	input  io.Closer
	wanted atomic.Bool   // that it ends: somebody has asked for it
	risen  atomic.Bool   // it knows all that the one before it knew
	gone   chan struct{} // closed once it has ended and was waited for
	how    error         // how it ended; valid after gone
}

// bear starts a process of this same program that obeys orders. It ends when they do, whatever becomes of this one.
func (m *mortal) bear(number int) (*life, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	l := &life{number: number, cmd: exec.Command(self), gone: make(chan struct{})}
	l.risen.Store(number == 1)
	l.cmd.Args = []string{self, balancerMode}
	l.cmd.Env = append(os.Environ(), topologies.ModeVariable+"="+balancerMode)
	l.cmd.Stderr = os.Stderr // its last words
	in, err := l.cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	l.input = in
	out, err := l.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := l.cmd.Start(); err != nil {
		return nil, err
	}
	l.talk = newTalk(struct {
		io.Reader
		io.Writer
	}{out, in}, func(e proxies.Event) { l.pass(e, m.note) })
	go func() {
		defer close(l.gone)
		<-l.done // all that it said was read
		l.how = l.cmd.Wait()
		if !l.wanted.Load() {
			m.died(fmt.Errorf("the balancer's process ended by itself: %s", l.cmd.ProcessState))
		}
	}()
	return l, nil
}

// pass hands an event on. Each process counts its connections from one, so that those of later ones are told apart; and
// what it was told that the one before it knew is no news.
func (l *life) pass(e proxies.Event, note func(proxies.Event)) {
	if e.Kind == proxies.KindRemoved && !l.risen.Load() {
		return
	}
	if e.Conn != "" && l.number > 1 {
		e.Conn = fmt.Sprintf("%s/%d", e.Conn, l.number)
	}
	note(e)
}

// own is a connection's name within the process; false for one of another process.
func (l *life) own(conn string) (name string, ok bool) {
	if l.number == 1 {
		return conn, !strings.Contains(conn, "/")
	}
	return strings.CutSuffix(conn, fmt.Sprintf("/%d", l.number))
}

// kill ends the process by SIGKILL and returns once it is gone.
func (l *life) kill() error {
	l.wanted.Store(true)
	if err := l.cmd.Process.Kill(); err != nil {
		return fmt.Errorf("killing the balancer's process: %w", err)
	}
	<-l.gone
	return nil
}

// end lets the process end everything by itself, and returns once it is gone.
func (l *life) end() error {
	l.wanted.Store(true)
	_, err := l.tell(context.Background(), order{Do: doClose})
	if err != nil {
		l.input.Close() // which ends it as well; closed already once it has been waited for
	}
	<-l.gone
	return errors.Join(err, l.how)
}
