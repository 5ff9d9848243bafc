package proxies

import (
	"errors"
	"io"
	"sync"
	"syscall"
	"time"
)

// Direction is one of the two ways through a flow.
type Direction int

const (
	Up   Direction = iota // from the client to the backend
	Down                  // from the backend to the client
)

// Flow is one connection crossing a balancer. Its life:
//
//	             ┌─ FIN from both ends, RST from one ─────────────────────────┐
//	forwarding ──┼─ ended by fin or rst ──────────────────────────────────────┼─► over
//	             └─ ended silent or rst-on-next ─► silent ─ both gave up ─────┘
type Flow struct {
	id      string
	front   Front
	backend Backend
	clock   *clock
	note    func(Event)
	client  *leg
	server  *leg
	began   time.Time
	start   time.Duration // began, in the balancer's time
	asks    []func(Quiet) time.Duration
	links   *links // nil while no toxic is staged

	done       chan struct{}  // closed when over
	directions sync.WaitGroup // the two ways of carrying bytes

	mu     sync.Mutex
	open   int    // directions whose end of stream was not delivered yet
	first  string // the side that closed first
	silent Ending // Vanish or ResetOnNext once it fell silent
	over   Ending // how it ended, once it has
	why    string // of silent and of over
}

func newFlow(id string, front Front, backend Backend, client, server *leg, clock *clock, note func(Event)) *Flow {
	f := &Flow{
		id: id, front: front, backend: backend, client: client, server: server, clock: clock, note: note,
		began: time.Now(), start: clock.now(), open: 2, done: make(chan struct{}),
	}
	client.touch(f.start)
	server.touch(f.start)
	return f
}

// Front is the frontend that the connection came in by.
func (f *Flow) Front() Front { return f.front }

// Watch has ask called with the connection's quiet times: at once, then each time after what it
// answered; 0 ends it. The calls of one connection do not overlap, and go on after a silent end.
// Watches are set in Admit.
func (f *Flow) Watch(ask func(Quiet) time.Duration) { f.asks = append(f.asks, ask) }

// Stage puts a byte fault into one direction, behind those staged before. Faults are staged in Admit.
func (f *Flow) Stage(d Direction, t Toxic) error {
	if f.links == nil {
		f.links = newLinks(f)
	}
	return f.links.stage(d, t)
}

// End ends the connection because of a standing setting: it is noted as expired. Ending what has
// ended or fallen silent does nothing.
func (f *Flow) End(how Ending, setting string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.over != "" || f.silent != "" {
		return
	}
	f.noteLocked(KindExpired, how, setting)
	if !how.silent() {
		f.endLocked(how, setting)
		return
	}
	f.silent, f.why = how, setting
	for _, l := range []*leg{f.client, f.server} {
		l.unblock()
		if l.heardEnd {
			f.giveUpLocked(l, Close)
		}
	}
}

// Probe is a TCP keepalive probe from the dialling side, as modelled: it moves no byte, but draws the
// RST of a connection that waits to give one.
func (f *Flow) Probe() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.over == "" && f.silent == ResetOnNext && !f.client.gaveUp {
		f.client.reset()
		f.giveUpLocked(f.client, Reset)
	}
}

// carry forwards until the connection is gone at both sides.
func (f *Flow) carry() {
	f.mu.Lock()
	f.noteLocked(KindBegin, "", "")
	f.mu.Unlock()

	f.directions.Add(2)
	if f.links != nil {
		f.links.start()
	} else {
		go f.copy(f.client, f.server)
		go f.copy(f.server, f.client)
	}
	watch(f.clock, f.done, f.quiet, f.asks)
	<-f.done
	if f.links != nil {
		f.links.release()
	}
	f.directions.Wait()
}

// noteEnd notes that a flow which was carried is gone.
func (f *Flow) noteEnd() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.noteLocked(KindEnd, f.over, f.why)
}

func (f *Flow) quiet() Quiet {
	now := f.clock.now()
	return Quiet{
		Age:    now - f.start,
		Client: now - time.Duration(f.client.last.Load()),
		Server: now - time.Duration(f.server.last.Load()),
	}
}

// copy is the plain lane: one direction without a toxic.
func (f *Flow) copy(from, to *leg) {
	for {
		data := f.take(from)
		if data == nil {
			break
		}
		f.give(to, data)
		release(data)
	}
	f.delivered(to)
}

// take reads the next bytes of a leg, to be given back with release; nil when no more will come.
func (f *Flow) take(from *leg) []byte {
	data, err := from.read()
	if err == nil {
		if len(f.asks) > 0 {
			from.touch(f.clock.now())
		}
		return data
	}
	// An end is passed on only by a balancer that is not stalled.
	f.clock.running(f.done)
	f.mu.Lock()
	switch {
	case f.over != "":
		f.mu.Unlock()
	case f.silent != "":
		from.readAgain()
		f.mu.Unlock()
		f.listen(from)
	case errors.Is(err, io.EOF) && (from.told || !from.wasReset()):
		from.heardEnd = true
		if f.first == "" {
			f.first = from.side
		}
		f.mu.Unlock()
	default:
		f.endLocked(Reset, from.side)
		f.mu.Unlock()
	}
	return nil
}

// give writes bytes to a leg; of a connection that has ended or fallen silent they are dropped.
func (f *Flow) give(to *leg, data []byte) {
	n, err := to.conn.Write(data)
	to.sent.Add(int64(n))
	if len(f.asks) > 0 && n > 0 {
		to.touch(f.clock.now())
	}
	if err == nil {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.over == "" && f.silent == "" {
		f.endLocked(Reset, to.side)
	}
}

// delivered passes the end of the stream on to a leg: a FIN, and the other direction goes on.
func (f *Flow) delivered(to *leg) {
	defer f.directions.Done()
	f.mu.Lock()
	defer f.mu.Unlock()
	f.open--
	switch {
	case f.over != "":
	case f.silent != "" && f.open == 0:
		f.endLocked(f.silent, f.why)
	case f.silent != "":
	case f.open == 0:
		f.endLocked(Close, f.first)
	default:
		to.told = true
		to.conn.CloseWrite()
	}
}

// swallowed is how much a vanished flow takes from each side before it stops reading. A box that
// drops packets lets the sender's buffer fill; what is taken here stands for that of the sender's
// path, so that small writers notice nothing for long and bulk writers block soon.
const swallowed = 256 << 10

// listen hears a leg of a silent connection out: until it gives up, or the connection is ended.
func (f *Flow) listen(l *leg) {
	for taken := 0; taken < swallowed; {
		data, err := l.read()
		if err != nil {
			f.giveUp(l, endingOf(err))
			return
		}
		taken += len(data)
		release(data)
		if f.silent == ResetOnNext { // settled before listen was called
			f.giveUp(l, Reset)
			return
		}
	}
	how, _ := l.waitHangup()
	f.giveUp(l, how)
}

// giveUp notes that a side of a silent connection has ended.
func (f *Flow) giveUp(l *leg, how Ending) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.over != "" || l.gaveUp {
		return
	}
	if f.silent == ResetOnNext {
		l.reset()
	}
	f.giveUpLocked(l, how)
}

func (f *Flow) giveUpLocked(l *leg, how Ending) {
	l.gaveUp = true
	f.noteLocked(KindGaveUp, how, l.side)
}

// end ends the connection at once because of an event or from outside, silent or not.
func (f *Flow) end(how Ending, why string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.over == "" {
		f.endLocked(how, why)
	}
}

// cut resets a connection that is being forwarded, and says whether it was one.
func (f *Flow) cut() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.over != "" || f.silent != "" {
		return false
	}
	f.endLocked(Reset, "cut")
	return true
}

// endLocked ends both sockets. Whoever carries bytes finds out by their errors.
func (f *Flow) endLocked(how Ending, why string) {
	f.over, f.why = how, why
	for _, l := range []*leg{f.client, f.server} {
		l.unblock()
		if how == Reset {
			l.reset()
		} else {
			l.finish()
		}
	}
	close(f.done)
}

func (f *Flow) noteLocked(kind string, how Ending, why string) {
	f.note(Event{
		At: time.Now(), Kind: kind, Front: f.front.Name, Backend: f.backend.Name, Conn: f.id,
		ClientAddr: f.client.conn.RemoteAddr().String(), FrontAddr: f.client.conn.LocalAddr().String(),
		LocalAddr: f.server.conn.LocalAddr().String(), BackendAddr: f.server.conn.RemoteAddr().String(),
		How: string(how), Why: why,
		Up: f.server.sent.Load(), Down: f.client.sent.Load(), Age: time.Since(f.began),
	})
}

// endingOf is the manner in which a far end ended, from the error that reading it gave.
func endingOf(err error) Ending {
	if errors.Is(err, syscall.ECONNRESET) {
		return Reset
	}
	return Close
}
