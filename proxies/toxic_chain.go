package proxies

import (
	"fmt"
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

	// Who holds enter may use in, who holds exit may use out; a change holds both.
	enter, exit sync.Mutex
	turn        turn
	in          chan *piece
	out         <-chan *piece
	links       []*link
	fed         bool   // the end of the stream has gone in, and in is closed
	cut         string // the toxic that ended the stream though more was to come
	gone        bool   // taken apart
	parting     bool   // feed and drain are to stop
	late        [][]byte
	unfed       chan struct{} // closed when feed has stopped

	batch []*piece // what drain has yet to write
}

// turn is the time until a change is over.
type turn struct {
	halt chan struct{} // closed to have those who wait on a queue let go
	over chan struct{} // closed when they may go on
}

func newTurn() turn { return turn{make(chan struct{}), make(chan struct{})} }

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
	c := &chain{flow: f, d: d, turn: newTurn(), in: make(chan *piece, queue)}
	c.out = c.in
	return c
}

// still has feed and drain let go of the queues, until what it answers with is called.
func (c *chain) still() (moves func()) {
	past := c.turn
	close(past.halt)
	c.enter.Lock()
	c.exit.Lock()
	c.turn = newTurn()
	return func() {
		c.exit.Unlock()
		c.enter.Unlock()
		close(past.over)
	}
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
	if c.gone || c.cut != "" || same == len(orders) && same == len(c.links) {
		return nil // what a toxic that cuts let pass is on its way out, and nothing follows
	}
	// The one before the first difference is stopped too, since its output will be another.
	start := max(same-1, 0)
	next, err := successors(orders[start:], c.links[start:])
	if err != nil {
		return err
	}
	for _, l := range next {
		if b, ok := l.toxic.Toxic.(bound); ok && l.stub == nil { // one that stays knows it, and is at work
			b.bind(c.flow)
		}
	}
	defer c.still()()

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
	if ended > 0 { // it has passed all before them, too
		for _, l := range c.links[:start] {
			if <-l.done; l.cut {
				c.cut = l.kind
			}
		}
		start = 0
	}

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
	case c.cut != "":
		q := queueFor(nil, ahead[0])
		close(q) // not c.in: feed may have more to put in
		input = q
	case ended > 0:
		c.in = queueFor(nil, ahead[0])
		close(c.in)
		input = c.in
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
	defer c.still()()
	c.stop(0)
	nothing := make(chan *piece)
	close(nothing)
	c.links, c.out, c.gone = nil, nothing, true
}

// start reads and writes until the end of the stream, or until the chain is left.
func (c *chain) start() {
	c.unfed = make(chan struct{})
	if c.fed {
		close(c.unfed)
	} else {
		go c.feed()
	}
	go c.drain()
}

func (c *chain) feed() {
	defer close(c.unfed)
	direct := len(c.flow.filters[c.d]) == 0
	for {
		p, ok := c.flow.pull(c.d)
		if !ok {
			return
		}
		if direct && p.read != nil && len(p.data) >= lendFrom {
			c.lent.lend(p.data)
			c.put(p.data)
			continue
		}
		data := p.data
		if p.read != nil {
			data = slices.Clone(data)
		}
		for piece := range slices.Chunk(data, chunk) { // what another lane left may be more
			c.put(piece)
		}
		p.release()
		if p.last {
			break
		}
	}
	c.enter.Lock()
	defer c.enter.Unlock()
	if c.fed = true; !c.gone {
		close(c.in)
	}
}

// put waits until there is room; it drops the bytes of a flow that is over.
func (c *chain) put(data []byte) {
	p := &piece{Data: data, Timestamp: time.Now()}
	for sent := len(data) == 0; !sent; {
		c.enter.Lock()
		t, wait := c.turn, false
		switch {
		case c.gone:
			sent = true
		case c.parting:
			c.late, sent = append(c.late, data), true
		default:
			select {
			case c.in <- p:
				sent = true
			case <-t.halt:
				wait = true
			}
		}
		c.enter.Unlock()
		if wait {
			<-t.over
		}
	}
}

func (c *chain) drain() {
	f := c.flow
	for {
		open, stay, change := c.get()
		switch {
		case !open:
			if by := c.cutBy(); by != "" {
				f.End(cutting(by), by)
			}
			f.delivered(c.d)
			return
		case stay && change != nil:
			<-change
			continue
		case stay:
			c.write()
			continue
		}
		select {
		case <-c.unfed:
			c.pack()
			if !f.parked(c.d) {
				<-change
				c.start()
			}
			return
		case <-change: // perhaps to stay after all
		}
	}
}

// pack leaves to the flow what is to be written.
func (c *chain) pack() {
	c.enter.Lock()
	defer c.enter.Unlock()
	c.exit.Lock()
	defer c.exit.Unlock()
	waiting, _ := emptied(c.out)
	var rest [][]byte
	for _, p := range append(c.batch, waiting...) {
		rest = append(rest, p.Data)
	}
	rest = append(append(rest, c.late...), c.flow.rest[c.d])
	c.batch, c.late = nil, nil
	c.flow.rest[c.d] = slices.Concat(rest...)
}

// together is how many pieces are written by one system call at most.
const together = 16

// get fills the batch with what there is, and waits for the first. It is not open at the end of the stream,
// and drain is not to stay when the chain is left. Where there is a change, it is to be waited for.
func (c *chain) get() (open, stay bool, change <-chan struct{}) {
	c.exit.Lock()
	defer c.exit.Unlock()
	if c.parting {
		return true, false, c.turn.over
	}
	most := together
	if slices.ContainsFunc(c.links, func(l *link) bool { return l.kind == "slicer" }) {
		most = 1 // each slice is to be a segment of its own
	}
	if len(c.batch) == 0 {
		select {
		case p, open := <-c.out:
			if !open {
				return false, true, nil
			}
			c.batch = append(c.batch, p)
		case <-c.turn.halt:
			return true, true, c.turn.over
		}
	}
	for len(c.batch) < most {
		select {
		case p, open := <-c.out:
			if !open {
				return true, true, nil // and is found closed again
			}
			c.batch = append(c.batch, p)
		default:
			return true, true, nil
		}
	}
	return true, true, nil
}

// write writes the batch, small pieces together, until the chain is to be left.
func (c *chain) write() {
	f := c.flow
	for len(c.batch) > 0 {
		data, n := c.batch[0].Data, 1
		var merged *[chunk]byte
		for _, p := range c.batch[1:] {
			if len(data)+len(p.Data) > chunk {
				break
			}
			if merged == nil {
				merged = chunks.Get().(*[chunk]byte)
				data = merged[:copy(merged[:], data)]
			}
			data = append(data, p.Data...)
			n++
		}
		rest, ok := f.push(c.d, data)
		if ok {
			for _, p := range c.batch[:n] {
				c.lent.back(p)
			}
		} else {
			n--
			c.batch[n] = &piece{Data: slices.Clone(rest)}
		}
		if merged != nil {
			chunks.Put(merged)
		}
		c.batch = slices.Delete(c.batch, 0, n)
		if !ok {
			return
		}
	}
}

// part has feed and drain stop, or stay after all.
func (c *chain) part(parting bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	defer c.still()()
	c.parting = parting
}

// ends says that the stream is ended by a toxic, once what has passed that is written.
func (c *chain) ends() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.cut != ""
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
