package proxies

import (
	"errors"
	"io"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// loop carries flows without a goroutine and, while nothing moves, without a buffer for each: it waits for all
// their sockets in one system call and moves what it finds. Only its own goroutine touches the
// sockets; who wants something done to a flow says so in the flow and posts it.
//
// A stall holds the loop as a whole: it heeds only what is posted, such as the end of a flow.
type loop struct {
	clock *clock
	epoll int
	bell  int // an eventfd that wakes it
	buf   []byte
	moved int // bytes written since others had the processor

	again []*crossing // have had their turn and are not done
	busy  []*crossing // again's other half

	mu      sync.Mutex
	asleep  bool // waits, or is about to
	closing bool
	slots   []slot
	free    []int32     // indices into slots
	todo    []*crossing // posted
	spare   []*crossing // todo's other half

	running sync.WaitGroup
}

// slot is a place in the loop, told to the system with each socket. The number of its uses keeps a late word about
// a socket from being taken for one about the next.
type slot struct {
	crossing *crossing
	use      int32
}

// newLoop starts a loop; the clock is the balancer's.
func newLoop(c *clock) (*loop, error) {
	epoll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("epoll_create1", err)
	}
	bell, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		return nil, errors.Join(os.NewSyscallError("eventfd", err), unix.Close(epoll))
	}
	l := &loop{clock: c, epoll: epoll, bell: bell, buf: make([]byte, gulp), slots: make([]slot, 1)} // slot 0 is the bell's
	if err := unix.EpollCtl(epoll, unix.EPOLL_CTL_ADD, bell, &unix.EpollEvent{Events: unix.EPOLLIN}); err != nil {
		return nil, errors.Join(os.NewSyscallError("epoll_ctl", err), unix.Close(bell), unix.Close(epoll))
	}
	l.running.Go(l.run)
	return l, nil
}

// gulp is how much is read at once into the loop's one buffer. A system call costs as much as copying some 50 KB: measured
// on two cores, 16 KB halve the throughput, and 256 KB carry 64 KB messages a fifth faster than 64 KB do.
const gulp = 256 << 10

// plenty is how much must have been moved for the loop to let others at the processor: a bulk writer that has had its turn
// fills its socket, and the next read finds many messages instead of one. That halves the cost of a message of 16 B and
// raises the throughput at 1 KB by a fifth; a request and its reply are below it, and wait for nobody.
const plenty = 4 << 10

// breathe lets others at the processor in the midst of bulk traffic.
func (l *loop) breathe() {
	if l.moved > plenty {
		syscall.RawSyscall(unix.SYS_SCHED_YIELD, 0, 0, 0)
	}
	l.moved = 0
}

// close waits until all flows are gone.
func (l *loop) close() error {
	l.mu.Lock()
	l.closing = true
	l.mu.Unlock()
	l.ring()
	l.running.Wait()
	return errors.Join(unix.Close(l.bell), unix.Close(l.epoll))
}

// ring wakes the loop, whatever it waits for.
func (l *loop) ring() {
	one := [8]byte{1}
	unix.Write(l.bell, one[:])
}

// silence hears the bell.
func (l *loop) silence() {
	var rings [8]byte
	unix.Read(l.bell, rings[:])
}

// post has the loop look at a flow.
func (l *loop) post(c *crossing) {
	l.mu.Lock()
	ring := l.asleep
	if !c.posted {
		c.posted = true
		l.todo = append(l.todo, c)
		l.asleep = false // one ring is enough
	}
	l.mu.Unlock()
	if ring {
		l.ring()
	}
}

// turn looks at what was posted, and says whether the loop is over.
func (l *loop) turn() (over bool) {
	for {
		l.mu.Lock()
		todo := l.todo
		l.todo, l.spare = l.spare[:0], nil
		for _, c := range todo {
			c.posted = false
		}
		over = l.closing && len(todo) == 0 && len(l.free) == len(l.slots)-1
		l.mu.Unlock()
		for _, c := range todo {
			c.look()
		}
		clear(todo)
		l.spare = todo
		if len(todo) == 0 {
			return over
		}
	}
}

// sleeps says whether the loop may wait: then who posts rings.
func (l *loop) sleeps() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.asleep = len(l.todo) == 0
	return l.asleep
}

func (l *loop) wakes() {
	l.mu.Lock()
	l.asleep = false
	l.mu.Unlock()
}

func (l *loop) run() {
	// A page of what the system tells about at once; beyond, no gain was measured.
	var told [256]unix.EpollEvent
	for !l.turn() {
		if l.clock.stands() {
			if l.sleeps() {
				if l.clock.stands() {
					unix.Poll([]unix.PollFd{{Fd: int32(l.bell), Events: unix.POLLIN}}, -1)
				}
				l.wakes()
				l.silence()
			}
			continue
		}
		n := 0
		l.breathe()
		if len(l.again) == 0 && l.sleeps() {
			n = l.wait(told[:])
			l.wakes()
		} else {
			n = l.poll(told[:])
		}
		for i := range n {
			e := &told[i]
			if e.Fd == 0 {
				l.silence()
				continue
			}
			l.mu.Lock()
			s := l.slots[e.Fd>>1]
			l.mu.Unlock()
			if s.crossing != nil && s.use == e.Pad {
				s.crossing.hears(Direction(e.Fd&1), e.Events)
			}
		}
		l.busy, l.again = l.again, l.busy[:0]
		for _, c := range l.busy {
			c.waits = false
			c.pump(Up)
			c.pump(Down)
		}
		clear(l.busy)
	}
}

// wait waits for sockets, poll looks for them without giving the processor to others.
func (l *loop) wait(told []unix.EpollEvent) int {
	n, err := unix.EpollWait(l.epoll, told, -1)
	if err != nil && err != unix.EINTR {
		panic(os.NewSyscallError("epoll_wait", err)) // our own mistake: nothing else makes it fail
	}
	return max(n, 0)
}

func (l *loop) poll(told []unix.EpollEvent) int {
	n, _, errno := syscall.RawSyscall6(unix.SYS_EPOLL_PWAIT, uintptr(l.epoll), uintptr(unsafe.Pointer(&told[0])), uintptr(len(told)), 0, 0, 0)
	if errno != 0 {
		return 0
	}
	return int(n)
}

// crossing is a flow in a loop.
type crossing struct {
	flow *Flow
	loop *loop
	fds  [2]int32 // of the leg that is read, by Direction; -1 once closed
	at   int32    // its slot
	use  int32

	posted bool // guarded by the loop's mu
	state  atomic.Int32
	called atomic.Bool // the loop is to look before it goes on

	// Guarded by the flow's mu.
	leaving chan bool // answers who wants the flow for another lane
	ending  [2]Ending // how a leg is to be closed, by the Direction in which it is read

	// The loop's own.
	ways   [2]way
	waits  bool // in again
	silent bool
	gone   bool // the loop has nothing to do with it any more
}

// way is one direction of a crossing.
type way struct {
	rest     []byte // is to be written before anything else
	buf      *[chunk]byte
	taken    int  // of a silent connection
	readable bool // there may be something to read
	hup      bool // the far end has gone or is going: what is read does not stop before its end
	wantsOut bool // the system tells when the sink has room
	stuck    bool // the sink has no room
	ended    bool // the end of the stream follows on rest
	done     bool // not carried any more
}

func newCrossing(f *Flow, l *loop) *crossing { return &crossing{flow: f, loop: l} }

// start implements lane.
func (c *crossing) start() {
	f := c.flow
	open := f.undelivered()
	f.mu.Lock()
	err := c.takeSocketsLocked()
	over := f.over
	f.mu.Unlock()
	if err == nil {
		return
	}
	c.gone = true
	if over == "" {
		f.end(Close, err.Error())
	}
	for _, d := range open {
		f.delivered(d)
	}
}

// takeSocketsLocked has the system tell the loop about the flow's sockets from now on.
func (c *crossing) takeSocketsLocked() error {
	f := c.flow
	ahead := 0
	for d := range c.fds {
		from := f.from(Direction(d))
		fd, err := from.bare()
		if err != nil {
			return err // out of descriptors, or ended by now
		}
		c.fds[d] = int32(fd)
		c.ways[d] = way{rest: f.rest[d], readable: true, done: f.shut[d]}
		ahead += len(f.rest[d]) + len(from.ahead)
	}
	c.takeSlot()
	for d := range c.fds {
		if err := c.listen(unix.EPOLL_CTL_ADD, Direction(d), heard); err != nil {
			c.depart()
			return err // out of memory
		}
	}
	f.client.kept, f.server.kept = c, c
	f.rest = [2][]byte{}
	f.carrying++ // the sockets
	if !c.state.CompareAndSwap(starting, moving) || ahead > 0 {
		c.state.Store(moving)
		c.call()
	}
	return nil
}

// The states of a crossing.
const (
	starting int32 = iota // not all of its sockets are listened to
	missed                // the same, and something was heard
	moving
)

func (c *crossing) takeSlot() {
	l := c.loop
	l.mu.Lock()
	defer l.mu.Unlock()
	if n := len(l.free); n > 0 {
		c.at, l.free = l.free[n-1], l.free[:n-1]
	} else {
		c.at = int32(len(l.slots))
		l.slots = append(l.slots, slot{})
	}
	s := &l.slots[c.at]
	s.crossing, c.use = c, s.use
}

func (c *crossing) listen(op int, d Direction, to uint32) error {
	return os.NewSyscallError("epoll_ctl", unix.EpollCtl(c.loop.epoll, op, int(c.fds[d]), &unix.EpollEvent{
		Events: to, Fd: c.at<<1 | int32(d), Pad: c.use,
	}))
}

// heard is what the system is to tell about every socket, each time that it changes.
const heard = unix.EPOLLIN | unix.EPOLLRDHUP | unix.EPOLLET

func (c *crossing) call() {
	c.called.Store(true)
	c.loop.post(c)
}

// leave implements lane.
func (c *crossing) leave() bool {
	f := c.flow
	f.mu.Lock()
	if f.over != "" || f.silent != "" {
		f.mu.Unlock()
		return false
	}
	left := make(chan bool, 1)
	c.leaving = left
	f.mu.Unlock()
	c.call()
	return <-left
}

// over implements lane.
func (c *crossing) over() { c.call() }

// The loop is the keeper of the sockets: they are closed when it gets to it. The flow's mu is held.

func (c *crossing) reset(l *leg)  { c.end(l, Reset) }
func (c *crossing) finish(l *leg) { c.end(l, Close) }

func (c *crossing) end(l *leg, how Ending) {
	if side := c.side(l); c.ending[side] == "" { // a reset may be under way when all ends
		c.ending[side] = how
	}
	c.call()
}

func (c *crossing) side(l *leg) Direction {
	if l == c.flow.server {
		return Down
	}
	return Up
}

func (c *crossing) unblock() { c.call() }

func (c *crossing) closeWrite(l *leg) { unix.Shutdown(int(c.fds[c.side(l)]), unix.SHUT_WR) }

func (c *crossing) wasReset(l *leg) bool { return hungUp(uintptr(c.fds[c.side(l)])) == Reset }

func (c *crossing) socket() int { return -1 }

// look does what others want done to the flow.
func (c *crossing) look() {
	if c.gone {
		return
	}
	f := c.flow
	c.called.Store(false)
	f.mu.Lock()
	over, silent, ending, leaving := f.over != "", f.silent != "", c.ending, c.leaving
	c.ending, c.leaving = [2]Ending{}, nil
	f.mu.Unlock()
	for d, how := range ending {
		if how != "" {
			c.close(Direction(d), how)
		}
	}
	switch {
	case over:
		c.finished(Up)
		c.finished(Down)
		c.depart()
		f.retired()
	case silent:
		c.fallSilent()
	case leaving != nil:
		leaving <- c.goElsewhere()
		return
	default:
		c.pump(Up)
		c.pump(Down)
	}
	if leaving != nil {
		leaving <- false
	}
}

// close closes the leg that is read for a direction.
func (c *crossing) close(d Direction, how Ending) {
	if c.fds[d] < 0 {
		return
	}
	closeSocket(int(c.fds[d]), how)
	c.fds[d] = -1
}

// finished counts a direction out.
func (c *crossing) finished(d Direction) {
	w := &c.ways[d]
	w.drop()
	if !w.done {
		w.done = true
		c.flow.delivered(d)
	}
}

// depart takes the flow out of the loop.
func (c *crossing) depart() {
	c.gone = true
	l := c.loop
	l.mu.Lock()
	defer l.mu.Unlock()
	s := &l.slots[c.at]
	s.crossing = nil
	s.use++
	l.free = append(l.free, c.at)
}

// goElsewhere gives the flow up with its sockets open, and says whether it did.
func (c *crossing) goElsewhere() bool {
	f := c.flow
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.over != "" || f.silent != "" {
		return false // since it was looked at; that is posted, too
	}
	for d := range c.fds {
		unix.EpollCtl(c.loop.epoll, unix.EPOLL_CTL_DEL, int(c.fds[d]), nil)
	}
	c.depart()
	f.carrying-- // the sockets
	for d := range c.ways {
		w := &c.ways[d]
		if !w.done {
			f.carrying--
			f.rest[d] = append(f.rest[d], w.rest...)
		}
		w.drop()
	}
	f.client.kept, f.server.kept = bareSocket(c.fds[Up]), bareSocket(c.fds[Down])
	return true
}

// hears is told by the system about the leg that is read for a direction.
func (c *crossing) hears(side Direction, what uint32) {
	if what&(unix.EPOLLIN|unix.EPOLLRDHUP|unix.EPOLLHUP|unix.EPOLLERR) != 0 {
		w := &c.ways[side]
		w.readable = true
		w.hup = w.hup || what&(unix.EPOLLRDHUP|unix.EPOLLHUP|unix.EPOLLERR) != 0
		if c.state.CompareAndSwap(starting, missed) || c.state.Load() == missed {
			return
		}
		c.pump(side)
	}
	if back := 1 - side; c.ways[back].stuck && what&(unix.EPOLLOUT|unix.EPOLLHUP|unix.EPOLLERR) != 0 {
		c.ways[back].stuck = false
		c.pump(back)
	}
}

// turns is how many reads a flow may have before others have theirs: enough that a bulk transfer spends its time in
// copying, few enough that a small message waits for well below a millisecond.
const turns = 4

// pump moves what can be moved in a direction.
func (c *crossing) pump(d Direction) {
	f, w := c.flow, &c.ways[d]
	for left := turns; !w.done && !c.gone; left-- {
		if c.called.Load() { // something was posted; the loop comes to it before anything else moves
			return
		}
		if c.silent {
			c.hear(d)
			return
		}
		if left == 0 || c.loop.clock.stands() {
			c.later()
			return
		}
		if len(w.rest) > 0 {
			if w.stuck {
				return
			}
			c.send(d, w.rest)
			continue
		}
		w.drop()
		if w.ended {
			w.done = true
			f.delivered(d)
			return
		}
		data := c.next(d)
		if data == nil && !w.ended {
			return
		}
		if data = f.filtered(d, data); len(data) > 0 {
			c.send(d, data)
		}
	}
}

// later gives the flow another turn.
func (c *crossing) later() {
	if !c.waits {
		c.waits = true
		c.loop.again = append(c.loop.again, c)
	}
}

// next reads for a direction, into the loop's buffer; nil if there is nothing, or nothing more.
func (c *crossing) next(d Direction) []byte {
	f, w := c.flow, &c.ways[d]
	from := f.from(d)
	if len(from.ahead) > 0 {
		data := from.ahead
		from.ahead = nil
		return data
	}
	if !w.readable {
		return nil
	}
	n, err := receive(c.fds[d], c.loop.buf)
	switch {
	case n > 0:
		if n < len(c.loop.buf) && !w.hup {
			w.readable = false // what comes from now on is told anew
		}
		if f.watch != nil {
			from.touch(f.clock.now())
		}
		return c.loop.buf[:n]
	case err == unix.EAGAIN:
		w.readable = false
		return nil
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.over == "" && f.silent == "" {
		if err == nil {
			err = io.EOF
		}
		f.endOfLocked(from, err)
		w.ended = true
	}
	return nil
}

// send writes what a direction carries, and keeps what the sink has no room for.
func (c *crossing) send(d Direction, data []byte) {
	f, w, sink := c.flow, &c.ways[d], 1-d
	n, err := transmit(c.fds[sink], data)
	c.loop.moved += n
	if err == unix.EAGAIN {
		err, w.stuck = nil, true
		if !w.wantsOut {
			w.wantsOut = true
			if err := c.listen(unix.EPOLL_CTL_MOD, sink, heard|unix.EPOLLOUT); err != nil {
				f.end(Close, err.Error())
			}
		}
	}
	w.keep(data, n)
	f.gave(f.to(d), n, err)
}

// keep holds on to data but for its first n bytes.
func (w *way) keep(data []byte, n int) {
	switch {
	case n == len(data):
		w.rest = nil
	case len(w.rest) > 0: // data is the rest
		w.rest = data[n:]
	case len(data)-n <= chunk:
		w.buf = chunks.Get().(*[chunk]byte)
		w.rest = w.buf[:copy(w.buf[:], data[n:])]
	default: // what a filter has held back may be more
		w.rest = slices.Clone(data[n:])
	}
}

// drop lets go of what was kept.
func (w *way) drop() {
	if w.rest = nil; w.buf != nil {
		chunks.Put(w.buf)
		w.buf = nil
	}
}

// fallSilent forwards no more, and listens.
func (c *crossing) fallSilent() {
	c.silent = true
	for d := range c.ways {
		w := &c.ways[d]
		w.drop()
		if w.ended {
			c.finished(Direction(d))
		}
		c.hear(Direction(d))
	}
}

// hear hears the leg out that is read for a direction, until it gives up. See Flow.listen.
func (c *crossing) hear(d Direction) {
	f, w := c.flow, &c.ways[d]
	from := f.from(d)
	if w.done {
		return
	}
	if c.fds[d] < 0 {
		c.finished(d)
		return
	}
	if c.loop.clock.stands() {
		c.later()
		return
	}
	for w.readable {
		if w.taken >= swallowed {
			if how := hungUp(uintptr(c.fds[d])); how != "" {
				f.giveUp(from, how)
				c.finished(d)
			}
			w.readable = false
			return
		}
		n, err := receive(c.fds[d], c.loop.buf)
		if err == unix.EAGAIN {
			w.readable = false
			return
		}
		w.taken += n
		if n > 0 && f.silent != ResetOnNext { // settled before the loop was told
			continue
		}
		how := Reset
		if n == 0 {
			how = endingOf(err)
		}
		f.giveUp(from, how)
		c.finished(d)
		return
	}
}

// receive and transmit are for sockets that do not block. They do not tell the scheduler: it need not look
// for a processor for others meanwhile.
func receive(fd int32, buf []byte) (int, error) {
	return exchange(unix.SYS_RECVFROM, fd, buf)
}

func transmit(fd int32, data []byte) (int, error) {
	return exchange(unix.SYS_SENDTO, fd, data)
}

func exchange(call uintptr, fd int32, data []byte) (int, error) {
	for {
		n, _, errno := syscall.RawSyscall6(call, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(data))), uintptr(len(data)),
			unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL, 0, 0)
		switch errno {
		case 0:
			return int(n), nil
		case unix.EINTR:
		default:
			return 0, errno
		}
	}
}
