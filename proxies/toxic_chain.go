package proxies

import (
	"fmt"
	"net"
	"slices"
	"sync"
	"time"
)

// chain carries one direction of a flow past toxics, each in a goroutine of its own as toxiproxy has it:
//
//	leg ─► feed ─► queue ─► toxic ─► queue ─► toxic ─► queue ─► drain ─► leg
//
// Toxics come and go while bytes move. A change stops those from the first that differs on, takes out of the
// queues what was on its way, and puts it before the next toxic that stays, or before drain. It never waits
// for a socket: feed and drain let go of their queues at once, whatever else they wait for.
type chain struct {
	flow *Flow
	d    Direction
	lent lent

	mu sync.Mutex // one change at a time

	// Who holds enter may use in, who holds exit may use out; a change holds both, and closes halt first to
	// have those let go who wait on a queue.
	enter, exit sync.Mutex
	halt        chan struct{}
	in          chan *piece
	out         <-chan *piece
	links       []*link
	fed         bool   // the end of the stream has gone in, and in is closed
	cut         string // the toxic that ended the stream though more was to come
	gone        bool   // taken apart

	batch []*piece // drain's
	bytes net.Buffers
}

// link is a toxic at work in a chain.
type link struct {
	order
	toxic *wrapper
	stub  *stub
	out   chan *piece
	done  chan struct{} // closed when the toxic has returned
	cut   bool          // it closed its output though more was to come; settled once done is closed
}

// queue is how many pieces may wait before a toxic that does not ask for more. Toxiproxy lets none wait, which costs
// two changes of goroutine a piece; with 16 both ends stay in their system calls under load.
const queue = 16

func newChain(f *Flow, d Direction) *chain {
	c := &chain{flow: f, d: d, halt: make(chan struct{}), in: make(chan *piece, queue)}
	c.out = c.in
	return c
}

// still has feed and drain let go of the queues, until moves.
func (c *chain) still() {
	close(c.halt)
	c.enter.Lock()
	c.exit.Lock()
	c.halt = make(chan struct{})
}

func (c *chain) moves() {
	c.exit.Unlock()
	c.enter.Unlock()
}

// change has the chain hold these toxics in this order. Those that stay, by name and attributes, keep what they
// remember of the connection and the bytes before them.
func (c *chain) change(orders []order) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	same := 0 // so many at the front are as wanted
	for same < min(len(orders), len(c.links)) && c.links[same].order == orders[same] {
		same++
	}
	if c.gone || same == len(orders) && same == len(c.links) {
		return nil
	}
	// The one before the first difference is stopped too, since its output will be another.
	start := max(same-1, 0)
	next, err := successors(orders[start:], c.links[start:])
	if err != nil {
		return err
	}
	for _, l := range next {
		if b, ok := l.toxic.Toxic.(bound); ok {
			b.bind(c.flow)
		}
	}
	c.still()
	defer c.moves()

	stopped := c.links[start:]
	behind := c.stop(start)
	ended := 0 // so many of the stopped have passed the end of the stream on
	for ended < len(stopped) && stopped[ended].stub.Closed() {
		ended++
	}
	for i, l := range stopped {
		if !slices.Contains(next, l) && !l.stub.Closed() {
			cleanup(l.toxic, l.stub)
			l.cut = l.stub.Closed()
		}
		if l.cut { // what has passed it is still delivered, nothing else
			c.cut, next = l.kind, nil
			clear(behind[:i])
		}
	}
	next = slices.DeleteFunc(next, func(l *link) bool { return slices.Contains(stopped[:ended], l) })

	// For each of the next, and for drain, what goes in ahead of all that is still to come.
	ahead := make([][]*piece, len(next)+1)
	for i := range slices.Backward(stopped) {
		at := len(next)
		for _, later := range slices.Backward(stopped[i+1:]) {
			if n := slices.Index(next, later); n >= 0 {
				at = n
			}
		}
		ahead[at] = append(ahead[at], behind[i]...)
	}

	var input <-chan *piece
	switch {
	case c.cut != "" || ended > 0:
		q := queueFor(nil, ahead[0])
		close(q)
		input = q
	case same > 0:
		input = c.links[start].stub.Input
	default:
		waiting, _ := emptied(c.in)
		var consumer *wrapper
		if len(next) > 0 {
			consumer = next[0].toxic
		}
		c.in = queueFor(consumer, append(ahead[0], waiting...))
		if c.fed {
			close(c.in)
		}
		input = c.in
	}
	for i, l := range next {
		var consumer *wrapper
		if i+1 < len(next) {
			consumer = next[i+1].toxic
		}
		l.out, l.done = queueFor(consumer, ahead[i+1]), make(chan struct{})
		before := l.stub
		l.stub = newStub(input, l.out)
		if before != nil {
			l.stub.State = before.State
		} else {
			l.stub.State = state(l.toxic)
		}
		input = l.out
		go c.run(l)
	}
	c.out = input
	c.links = append(c.links[:start:start], next...)
	return nil
}

// successors is what is to follow the links that are stopped: those of them that are ordered again, and new ones.
func successors(orders []order, stopped []*link) ([]*link, error) {
	var next []*link
	for _, o := range orders {
		n := slices.IndexFunc(stopped, func(l *link) bool { return l.order == o })
		if n >= 0 {
			next = append(next, stopped[n])
			stopped = stopped[n+1:] // one that is to overtake is made anew
			continue
		}
		made, err := o.made()
		if err != nil {
			return nil, err
		}
		next = append(next, &link{order: o, toxic: made})
	}
	return next, nil
}

// queueFor is a queue before a toxic, or before drain, with pieces in it.
func queueFor(consumer *wrapper, ahead []*piece) chan *piece {
	size := max(queue, len(ahead))
	if consumer != nil {
		size = max(size, consumer.BufferSize)
	}
	q := make(chan *piece, size)
	for _, p := range ahead {
		q <- p
	}
	return q
}

// emptied takes out of a queue what waits in it, and says whether it is closed.
func emptied(q <-chan *piece) (waiting []*piece, closed bool) {
	for {
		select {
		case p, open := <-q:
			if !open {
				return waiting, true
			}
			waiting = append(waiting, p)
		default:
			return waiting, false
		}
	}
}

// stop stops the toxics from the n-th on, the last first, and answers with what was on its way behind each.
func (c *chain) stop(n int) [][]*piece {
	behind := make([][]*piece, len(c.links)-n)
	for i, l := range slices.Backward(c.links[n:]) {
		interrupt, out := l.stub.Interrupt, (<-chan *piece)(l.out)
		for running := true; running; {
			select {
			case interrupt <- struct{}{}:
				interrupt = nil
			case p, open := <-out: // one that waits to give a piece away cannot be interrupted
				if !open {
					out = nil
					break
				}
				behind[i] = append(behind[i], p)
			case <-l.done:
				running = false
			}
		}
		rest, _ := emptied(l.out)
		behind[i] = append(behind[i], rest...)
	}
	return behind
}

// run has a toxic work until it is stopped or the stream has ended.
func (c *chain) run(l *link) {
	defer close(l.done)
	defer func() {
		if r := recover(); r != nil { // such as toxiproxy's random numbers out of an impossible range
			c.flow.end(Reset, fmt.Sprintf("toxic %s: %v", l.name, r))
		}
	}()
	l.stub.Run(l.toxic)
	if !l.stub.Closed() {
		return
	}
	select {
	case _, l.cut = <-l.stub.Input:
	default:
		l.cut = true
	}
}

// dissolve stops everything and drops what is on its way. The flow is over.
func (c *chain) dissolve() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.still()
	defer c.moves()
	c.stop(0)
	nothing := make(chan *piece)
	close(nothing)
	c.links, c.out, c.gone = nil, nothing, true
}

// feed reads until the end of the stream.
func (c *chain) feed() {
	f := c.flow
	direct := len(f.filters[c.d]) == 0
	for {
		p, _ := f.pull(c.d)
		if direct && p.read != nil && len(p.data) >= lendFrom {
			c.lent.lend(p.data)
			c.put(p.data)
			continue
		}
		c.put(slices.Clone(p.data))
		p.release()
		if p.last {
			break
		}
	}
	c.enter.Lock()
	defer c.enter.Unlock()
	if !c.gone {
		c.fed = true
		close(c.in)
	}
}

// put waits until there is room; it drops the bytes of a flow that is over.
func (c *chain) put(data []byte) {
	p := &piece{Data: data, Timestamp: time.Now()}
	for sent := len(data) == 0; !sent; {
		c.enter.Lock()
		if sent = c.gone; !sent {
			select {
			case c.in <- p:
				sent = true
			case <-c.halt:
			}
		}
		c.enter.Unlock()
	}
}

// drain writes until the end of the stream.
func (c *chain) drain() {
	f := c.flow
	for c.get() {
		f.held()
		c.give()
		for _, p := range c.batch {
			c.lent.back(p)
		}
		clear(c.batch)
	}
	if by := c.cutBy(); by != "" {
		f.End(Close, by)
	}
	f.delivered(c.d)
}

// together is how many pieces are written by one system call at most.
const together = 16

// get fills the batch with what there is, and waits for the first; false is the end of the stream.
func (c *chain) get() bool {
	c.exit.Lock()
	defer c.exit.Unlock()
	c.batch = c.batch[:0]
	select {
	case p, open := <-c.out:
		if !open {
			return false
		}
		c.batch = append(c.batch, p)
	case <-c.halt:
		return true
	}
	most := together
	if slices.ContainsFunc(c.links, func(l *link) bool { return l.kind == "slicer" }) {
		most = 1 // each slice is to be a segment of its own
	}
	for len(c.batch) < most {
		select {
		case p, open := <-c.out:
			if !open {
				return true // and is found closed again
			}
			c.batch = append(c.batch, p)
		default:
			return true
		}
	}
	return true
}

// give writes the batch.
func (c *chain) give() {
	f, to := c.flow, c.flow.to(c.d)
	if len(c.batch) == 1 || to.layer != nil {
		for _, p := range c.batch {
			f.give(c.d, p.Data)
		}
		return
	}
	c.bytes = c.bytes[:0]
	for _, p := range c.batch {
		c.bytes = append(c.bytes, p.Data)
	}
	all := c.bytes
	n, err := all.WriteTo(to.conn)
	f.gave(to, int(n), err)
	clear(c.bytes)
}

// cutBy is the type of the toxic that ended a stream though more was to come, if one did.
func (c *chain) cutBy() string {
	c.exit.Lock()
	defer c.exit.Unlock()
	if c.cut != "" {
		return c.cut
	}
	for _, l := range slices.Backward(c.links) {
		<-l.done // its output is closed, or so was its input
		if l.cut {
			return l.kind
		}
	}
	return ""
}

// lent is the buffers on their way through a chain, oldest first. Toxics pass pieces on in order, whole or
// sliced, so a buffer has come back when its last byte has.
type lent struct {
	mu   sync.Mutex
	bufs [][]byte
}

const (
	// lendFrom is how much a read must have brought to go on in its own buffer: less is copied, so that a
	// toxic which holds many small pieces does not hold a large buffer for each.
	lendFrom = chunk / 16

	// lentMost is more than toxiproxy's longest queue, of 1,024. A toxic that drops bytes lets none come back:
	// the oldest are left to the garbage collector.
	lentMost = 2048
)

func (l *lent) lend(data []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.bufs) == lentMost {
		l.bufs = slices.Delete(l.bufs, 0, lentMost/2)
	}
	l.bufs = append(l.bufs, data)
}

// back takes back what was lent for a piece, if it was the last of it.
func (l *lent) back(p *piece) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.bufs) == 0 || len(p.Data) == 0 {
		return
	}
	buf := l.bufs[0]
	// Slices of one array with the same capacity left begin at the same byte.
	if lastOf(buf) == lastOf(p.Data) && cap(buf)-len(buf) == cap(p.Data)-len(p.Data) {
		l.bufs = slices.Delete(l.bufs, 0, 1)
		release(buf)
	}
}

// lastOf is the last byte of the array behind a slice, which tells arrays apart.
func lastOf(data []byte) *byte { return &data[:cap(data)][cap(data)-1] }

// toxicLane carries a flow past toxics.
type toxicLane struct {
	flow   *Flow
	orders [2][]order
	chains [2]*chain
}

func newToxicLane(f *Flow) *toxicLane { return &toxicLane{flow: f} }

// stage adds a toxic to the end of one direction's chain, before start.
func (l *toxicLane) stage(d Direction, t Toxic) error {
	o, err := ordered(fmt.Sprintf("%s_%s_%d", t.Type, streams[d], len(l.orders[d])), t)
	l.orders[d] = append(l.orders[d], o)
	return err
}

func (l *toxicLane) start() {
	f := l.flow
	f.undelivered()
	l.chains = [2]*chain{Up: newChain(f, Up), Down: newChain(f, Down)}
	for d, c := range l.chains {
		if err := c.change(l.orders[d]); err != nil {
			f.end(Close, err.Error())
		}
		go c.feed()
		go c.drain()
	}
}

// leave is not possible yet.
func (l *toxicLane) leave() bool { return false }

// over takes the chains apart, so that bytes which wait in them do not keep the flow's goroutines.
func (l *toxicLane) over() {
	l.flow.carrying++
	go func() {
		defer l.flow.retired()
		for _, c := range l.chains {
			c.dissolve()
		}
	}()
}
