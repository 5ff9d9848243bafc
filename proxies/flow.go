package proxies

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
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

// Flow is one connection crossing a balancer, from its acceptance on. Its life:
//
//	             ┌─ FIN from both ends, RST from one ─────────────────────────┐
//	forwarding ──┼─ ended by fin or rst ──────────────────────────────────────┼─► over
//	             └─ ended silent or rst-on-next ─► silent ─ both gave up ─────┘
type Flow struct {
	id      string
	front   Front
	backend Backend // none until one is chosen
	clock   *clock
	note    func(Event)
	client  *leg
	server  *leg // nil until the backend has answered
	began   time.Time
	start   time.Duration // began, in the balancer's time
	watch   *watch        // nil while nothing is asked of it
	filters [2][]Filter   // by Direction
	apart   bool          // to be carried by goroutines of its own, whatever else there is
	staged  [2][]order    // by Direction: the toxics of its policies
	toxics  *frontToxics  // those of its frontend
	loops   *loops        // its balancer's
	chance  int64         // the seed of what chance decides about it

	adapting sync.Mutex // held while the lane is chosen or changed

	dialFrom func() (*net.TCPAddr, error)
	onEnd    []func(closedFirst bool)

	after   func()    // called once when nothing of the flow is left
	rest    [2][]byte // by Direction: what the lane before had read and filtered, but not delivered
	flushed [2]bool   // by Direction: the filters have seen the end of the stream

	mu       sync.Mutex
	lane     lane // nil until it is carried
	leaving  bool // the lane is to stop
	left     sync.Cond
	carrying int           // goroutines and the like that a lane has at work
	stopped  []Direction   // not carried, though not at their end
	shut     [2]bool       // by Direction: its end of stream was delivered
	gone     chan struct{} // closed when over; nil until somebody waits for it
	finished bool          // after was called

	open   int    // directions whose end of stream was not delivered yet
	first  string // the side that closed first
	silent Ending // Vanish or ResetOnNext once it fell silent
	over   Ending // how it ended, once it has
	why    string // of silent and of over
}

// Filter sees the bytes of one direction, in pieces as they were read, and answers with those to pass on,
// which may be data itself or a part of it, and none to hold them back. Nil data is the end of the stream:
// what was held back may be passed on then. An error ends the flow; a *Refusal says how and why.
// Calls do not overlap; data is the filter's until it returns.
type Filter func(data []byte) ([]byte, error)

func newFlow(id string, front Front, client *leg, clock *clock, note func(Event)) *Flow {
	f := &Flow{id: id, front: front, client: client, clock: clock, note: note, began: time.Now(), open: 2}
	f.left.L = &f.mu
	return f
}

// reached makes a backend's answer the other side of the flow.
func (f *Flow) reached(server *leg) { f.server = server }

// ID is the connection's name in events.
func (f *Flow) ID() string { return f.id }

// Front is the frontend that the connection came in by.
func (f *Flow) Front() Front { return f.front }

// Client is the address it came from.
func (f *Flow) Client() netip.AddrPort { return f.client.remote }

// Local is the frontend's address as the client dialled it.
func (f *Flow) Local() netip.AddrPort { return f.client.local }

// Backend is the one that was chosen; only from Route on.
func (f *Flow) Backend() Backend { return f.backend }

// Applied notes that a standing setting acted on this connection; what is a phrase for the reader.
func (f *Flow) Applied(setting, what string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.noteLocked(KindApplied, "", setting, what)
}

// Peek waits until the client has sent at least n bytes and answers with all that is there; nothing is
// taken away. It ends early at the deadline (os.ErrDeadlineExceeded) or the client's end (io.EOF or the socket's
// error), with what there is by then; the zero time is no deadline. The bytes are the flow's and must not be changed.
// Until Admit.
func (f *Flow) Peek(ctx context.Context, n int, deadline time.Time) ([]byte, error) {
	return f.client.peek(ctx, n, deadline)
}

// Send writes the balancer's own bytes to one end, ahead of any that are forwarded: to the client
// (Down) from Arrive on, to the backend (Up) in Greet. It waits for at most as long as connecting may take.
func (f *Flow) Send(d Direction, data []byte) error {
	to := f.client
	if d == Up {
		to = f.server
	}
	data = data[to.writeAtOnce(data):]
	if len(data) == 0 {
		return nil
	}
	if err := to.native(); err != nil {
		return err
	}
	to.conn.SetWriteDeadline(time.Now().Add(dialFor))
	defer to.conn.SetWriteDeadline(time.Time{})
	_, err := to.write(data)
	return err
}

// Wrap puts a layer such as TLS between the balancer and one end: the client (Down) in Unwrap, the
// backend (Up) in Greet. The bytes that Peek has read come out of the connection given to wrap again, whose reads
// and writes fail with os.ErrDeadlineExceeded after the time given; deadlines set on it do nothing.
// What wrap returns is read and written from then on; its CloseWrite is used where it has one. Its reads must go
// on after an error of a net.Error that is Temporary, as those of crypto/tls do.
func (f *Flow) Wrap(ctx context.Context, d Direction, within time.Duration, wrap func(net.Conn) (net.Conn, error)) error {
	l := f.client
	if d == Up {
		l = f.server
	}
	if err := l.native(); err != nil {
		return err
	}
	l.conn.SetDeadline(time.Now().Add(within))
	stop := context.AfterFunc(ctx, l.unblock)
	layer, err := wrap(l.layerable())
	if stop() {
		l.uninterrupt()
	}
	if err == nil {
		l.layer = layer
	}
	return err
}

// DialFrom has the backend dialled from addresses that next gives, one an attempt, until one is free; an
// error of next's turns the connection away. Only in Route.
func (f *Flow) DialFrom(next func() (*net.TCPAddr, error)) { f.dialFrom = next }

// OnEnd has fn called once, when the connection is gone at both ends or was turned away. closedFirst says
// that the balancer ended its connection to the backend by a FIN before the backend did, which leaves
// the port it dialled from in TIME_WAIT.
func (f *Flow) OnEnd(fn func(closedFirst bool)) { f.onEnd = append(f.onEnd, fn) }

func (f *Flow) ended(closedFirst bool) {
	for _, fn := range f.onEnd {
		fn(closedFirst)
	}
}

// closedFirst: see OnEnd. The flow is over.
func (f *Flow) closedFirst() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.over == Close && f.first != serverSide
}

// Filter has a direction's bytes pass a filter, behind those set before. Filters are set in Admit.
func (f *Flow) Filter(d Direction, pass Filter) { f.filters[d] = append(f.filters[d], pass) }

// Watch has ask called with the connection's quiet times: at once, then each time after what it
// answered; 0 ends it. The calls of one connection do not overlap, and go on after a silent end.
// Watches are set in Admit.
func (f *Flow) Watch(ask func(Quiet) time.Duration) {
	if f.watch == nil {
		f.watch = &watch{quiet: f.quiet}
	}
	f.watch.asks = append(f.watch.asks, question{ask: ask})
}

// Stage puts a byte fault into one direction, behind those staged before. Faults are staged in Admit.
func (f *Flow) Stage(d Direction, t Toxic) error {
	o, err := ordered(fmt.Sprintf("%s_%s_%d", t.Type, streams[d], len(f.staged[d])), t)
	f.staged[d] = append(f.staged[d], o)
	return err
}

// End ends the connection because of a standing setting: it is noted as expired. Ending what has
// ended or fallen silent does nothing.
func (f *Flow) End(how Ending, setting string) { f.expire(how, setting, "") }

// expire is End with a phrase for the event.
func (f *Flow) expire(how Ending, setting, what string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.over != "" || f.silent != "" {
		return
	}
	if !how.silent() {
		f.noteLocked(KindExpired, how, setting, what)
		f.endLocked(how, setting)
		return
	}
	legs := []*leg{f.client, f.server}
	f.silent, f.why = how, setting
	f.left.Broadcast()
	for _, l := range legs {
		l.muted = true
		l.unblock()
	}
	f.noteLocked(KindExpired, how, setting, what) // now that nothing said from here on can be heard
	for _, l := range legs {
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

// carry begins to forward and returns at once; after is called when the connection is gone at both sides.
func (f *Flow) carry(b *Balancer, after func()) {
	f.adapting.Lock()
	defer f.adapting.Unlock()
	f.mu.Lock()
	f.began, f.start = time.Now(), f.clock.now()
	f.client.touch(f.start)
	f.server.touch(f.start)
	f.noteLocked(KindBegin, "", "", "")
	f.after = after
	if f.watch != nil {
		f.after = func() { b.watches.remove(f.watch); after() }
	}
	orders := f.orders()
	f.loops = b.loops
	f.mu.Unlock()
	if len(orders[Up])+len(orders[Down]) > 0 {
		f.begin(newToxicLane(f, orders))
	} else {
		f.begin(b.loops.lane(f))
	}
	if f.watch != nil {
		b.watches.add(f.watch)
	}
}

// settle calls after once the flow is over and no lane is at work on it any more.
func (f *Flow) settle() {
	f.mu.Lock()
	finished := f.over != "" && f.carrying == 0 && !f.finished
	f.finished = f.finished || finished
	f.mu.Unlock()
	if finished {
		f.after()
	}
}

// overLocked is closed when the flow is over.
func (f *Flow) overLocked() <-chan struct{} {
	if f.gone == nil {
		f.gone = make(chan struct{})
		if f.over != "" {
			close(f.gone)
		}
	}
	return f.gone
}

// held waits while the balancer's clock stands still and the flow is not over: in a stall nothing moves.
func (f *Flow) held() {
	if f.clock.stands() {
		f.mu.Lock()
		over := f.overLocked()
		f.mu.Unlock()
		f.clock.running(over)
	}
}

// noteEnd notes that a flow which was carried is gone.
func (f *Flow) noteEnd() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.noteLocked(KindEnd, f.over, f.why, "")
}

// will is the end that noteEnd would note if the process died now; false if no begin was noted.
func (f *Flow) will() (end Event, carried bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	how, why := Close, restart
	if f.over != "" { // and that was about to be noted
		how, why = f.over, f.why
	}
	return f.eventLocked(KindEnd, how, why, ""), !f.began.IsZero()
}

func (f *Flow) quiet() Quiet {
	now := f.clock.now()
	return Quiet{
		Age:    now - f.start,
		Client: now - time.Duration(f.client.last.Load()),
		Server: now - time.Duration(f.server.last.Load()),
	}
}

// pulled is bytes on their way through a flow.
type pulled struct {
	data []byte // past the filters; may be none
	last bool   // the end of the stream follows
	read []byte // what was read, in a pooled buffer that data may be a part of
}

// release gives the buffer back.
func (p pulled) release() {
	if p.read != nil {
		release(p.read)
	}
}

// pull waits for a direction's next bytes and takes them past its filters; false says that the lane is to be left.
func (f *Flow) pull(d Direction) (p pulled, ok bool) {
	if len(f.rest[d]) > 0 {
		p.data, f.rest[d] = f.rest[d], nil
		return p, true
	}
	data, ok := f.take(f.from(d))
	if !ok {
		return p, false
	}
	return pulled{data: f.filtered(d, data), last: data == nil, read: data}, true
}

// from and to are the legs of a direction.
func (f *Flow) from(d Direction) *leg {
	if d == Up {
		return f.client
	}
	return f.server
}

func (f *Flow) to(d Direction) *leg { return f.from(1 - d) }

// filtered takes what was read for a direction past its filters; nil is the end of the stream.
func (f *Flow) filtered(d Direction, data []byte) []byte {
	last := data == nil
	if last && f.flushed[d] {
		return nil // a lane before this one had come as far as that
	}
	f.flushed[d] = last
	for _, pass := range f.filters[d] {
		if len(data) > 0 || !last {
			var err error
			if data, err = pass(data); err != nil {
				f.forbid(err)
				return nil
			}
		}
		if last {
			rest, err := pass(nil)
			if err != nil {
				f.forbid(err)
				return nil
			}
			data = append(data, rest...)
		}
	}
	return data
}

// forbid ends the flow for a filter's error.
func (f *Flow) forbid(err error) {
	var r *Refusal
	if errors.As(err, &r) {
		f.expire(r.How, r.Setting, r.What)
		return
	}
	f.end(Close, err.Error())
}

// take reads the next bytes of a leg, to be given back with release; nil when no more will come. False
// says that the lane is to be left.
func (f *Flow) take(from *leg) (data []byte, ok bool) {
	f.held()
	data, err := from.read()
	if err == nil {
		if f.watch != nil {
			from.touch(f.clock.now())
		}
		return data, true
	}
	f.held() // an end is passed on only by a balancer that is not stalled
	f.mu.Lock()
	switch {
	case f.over != "":
		f.mu.Unlock()
	case f.silent != "":
		from.readAgain()
		f.mu.Unlock()
		f.listen(from)
	case f.leaving && errors.Is(err, os.ErrDeadlineExceeded):
		f.mu.Unlock()
		return nil, false
	default:
		f.endOfLocked(from, err)
		f.mu.Unlock()
	}
	return nil, true
}

// endOfLocked is what reading a leg came to in the end: a FIN, which is passed on behind what was read, or
// else the flow's end.
func (f *Flow) endOfLocked(from *leg, err error) {
	switch {
	case from.layer != nil && !errors.Is(err, io.EOF) && endingOf(err) == Close:
		// The far end said no in TLS, such as to the balancer's certificate, or sent what is no TLS.
		f.noteLocked(KindExpired, Close, endsTLS, from.side+": "+err.Error())
		f.endLocked(Close, endsTLS)
		return
	case !errors.Is(err, io.EOF) || !from.told && from.wasReset():
		f.endLocked(Reset, from.side)
		return
	}
	from.heardEnd = true
	if f.first == "" {
		f.first = from.side
	}
}

// give writes bytes that a direction carries; those of a connection that has ended or fallen silent are
// dropped. False says that the lane is to be left; what was not written is in rest.
func (f *Flow) give(d Direction, data []byte) (ok bool) {
	rest, ok := f.push(d, data)
	f.rest[d] = append(f.rest[d], rest...)
	return ok
}

// push is give, but answers with what was not written.
func (f *Flow) push(d Direction, data []byte) (rest []byte, ok bool) {
	to := f.to(d)
	for len(data) > 0 {
		f.held()
		n, err := to.writeSome(data, f.clock)
		data = data[n:]
		if !f.gave(to, n, err) {
			return data, false
		}
		if err != nil {
			break
		}
	}
	return nil, true
}

// gave counts what was written to a leg, and ends a flow that could not be written to. False says that
// the lane is to be left.
func (f *Flow) gave(to *leg, n int, err error) (ok bool) {
	to.sent.Add(int64(n))
	if f.watch != nil && n > 0 {
		to.touch(f.clock.now())
	}
	if err == nil {
		return true
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case f.over != "" || f.silent != "":
	case f.leaving && errors.Is(err, os.ErrDeadlineExceeded):
		return false
	default:
		f.endLocked(Reset, to.side)
	}
	return true
}

// delivered passes a direction's end of stream on: a FIN, and the other direction goes on. The direction
// is carried no more.
func (f *Flow) delivered(d Direction) {
	defer f.settle()
	to := f.to(d)
	f.mu.Lock()
	goes := f.over == "" && f.silent == ""
	f.mu.Unlock()
	if goes {
		to.farewell() // not under mu: it may wait for a slow reader
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.carrying--
	f.shut[d] = true
	f.left.Broadcast()
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
		to.closeWrite()
	}
}

// listen hears a leg of a silent connection out: until it gives up, or the connection is ended.
func (f *Flow) listen(l *leg) {
	if f.silent == ResetOnNext { // settled before listen was called
		data, err := l.readBare()
		if err != nil {
			f.giveUp(l, endingOf(err))
			return
		}
		release(data)
		f.giveUp(l, Reset)
		return
	}
	f.giveUp(l, l.swallow())
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
	f.noteLocked(KindGaveUp, how, l.side, "")
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
	if f.gone != nil {
		close(f.gone)
	}
	f.left.Broadcast()
	if f.lane != nil {
		f.lane.over()
	}
}

func (f *Flow) noteLocked(kind string, how Ending, why, what string) {
	if f.note != nil {
		f.note(f.eventLocked(kind, how, why, what))
	}
}

func (f *Flow) eventLocked(kind string, how Ending, why, what string) Event {
	e := Event{
		At: time.Now(), Kind: kind, Front: f.front.Name, Backend: f.backend.Name, Conn: f.id,
		ClientAddr: f.client.remote.String(), FrontAddr: f.client.local.String(), BackendAddr: f.backend.Addr,
		How: string(how), Why: why, What: what,
		Down: f.client.sent.Load(), Age: time.Since(f.began),
	}
	if f.server != nil {
		e.LocalAddr, e.BackendAddr = f.server.local.String(), f.server.remote.String()
		e.Up = f.server.sent.Load()
	}
	return e
}

// refuse turns a connection away that is not carried: it ends what there is of it, notes that, and says that it has ended.
func (f *Flow) refuse(ctx context.Context, err error) {
	how, why, what := Close, "", ""
	var r *Refusal
	if errors.As(err, &r) && ctx.Err() == nil {
		how, why, what = r.How, r.Setting, r.What
	} else {
		why = reason(ctx, err)
	}
	legs := []*leg{f.client}
	if f.server != nil {
		legs = append(legs, f.server)
	}
	f.mu.Lock()
	f.noteLocked(KindRefused, how, why, what)
	f.mu.Unlock()
	// A client that is told may be back at once, and is to find free what this connection held. One that is told
	// nothing holds it on.
	if f.server == nil && !how.silent() {
		f.ended(false)
	} else {
		defer f.ended(f.server != nil && how == Close)
	}
	var held sync.WaitGroup
	for _, l := range legs {
		switch {
		case how == Reset:
			l.reset()
		case how.silent():
			held.Go(func() {
				if l.native() != nil {
					return
				}
				l.muted = true
				l.readAgain()
				defer context.AfterFunc(ctx, l.unblock)()
				l.swallow()
				l.finish()
			})
		default:
			l.finish()
		}
	}
	held.Wait()
}

// endingOf is the manner in which a far end ended, from the error that reading it gave.
func endingOf(err error) Ending {
	if errors.Is(err, syscall.ECONNRESET) {
		return Reset
	}
	return Close
}

// linger leaves the client waiting for that long, or until it has gone.
func (f *Flow) linger(ctx context.Context, d time.Duration) {
	if f.client.native() != nil {
		return
	}
	f.client.conn.SetReadDeadline(time.Now().Add(d))
	defer context.AfterFunc(ctx, f.client.unblock)()
	f.client.waitHangup()
}
