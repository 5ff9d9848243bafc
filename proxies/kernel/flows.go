//go:build linux

package kernel

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/lbtest/lbtest/proxies"
)

// ends are a packet's two ends.
type ends struct{ from, to netip.AddrPort }

// entry is what the connection table says of one connection.
type entry struct {
	orig, reply ends // as the first packet came, and as answers come: from the backend to the balancer's own address
	state       tcpState
	initiator   string // who closes: client, server, or "" if nobody has been seen to
	sent        [2]traffic
}

// traffic is what went in one direction.
type traffic struct{ packets, bytes int64 }

// payload is the bytes without their headers: 52 a packet, as Linux sends them with timestamps, and 8 more in the first.
func (t traffic) payload() int64 { return max(0, t.bytes-52*t.packets-8) }

// tcpState is the connection table's, in its own numbers.
type tcpState uint8

const (
	synSent tcpState = iota + 1
	synReceived
	established
	finWait
	closeWait
	lastAck
	timeWait
	closed
)

// flow is one connection as it is known here.
type flow struct {
	entry
	name, front, backend string
	began                time.Time // that both ends have their connection; zero before
	forgotten            time.Time // by the table, though its ends believe in it; zero before
	how                  proxies.Ending
	why                  string  // what made the table forget it, or who ended it
	gaveUp               [2]bool // client and server, once it is forgotten
	over                 bool
}

// flows makes events of what the connection table and the packet filter tell. It has no clock and no sockets.
type flows struct {
	fronts []front
	manner proxies.Ending // of what is forgotten
	idle   time.Duration  // the table's timer, 0 for none that matters
	note   func(proxies.Event)

	all    map[ends]*flow // by the first packet's ends, until both ends have given them up
	began  map[string]int // by frontend: their names
	coming map[ends]time.Time

	emptied time.Time // when the table was emptied last, and why
	because string
}

func newFlows(fronts []front, manner proxies.Ending, idle time.Duration, note func(proxies.Event)) *flows {
	return &flows{fronts: fronts, manner: manner, idle: idle, note: note, all: map[ends]*flow{}, began: map[string]int{}, coming: map[ends]time.Time{}}
}

// changed takes an entry that is new or has another state.
func (f *flows) changed(at time.Time, e entry) {
	delete(f.coming, e.orig)
	known := f.all[e.orig]
	if known != nil && (known.over || !known.forgotten.IsZero()) && e.state < finWait {
		f.finish(at, known) // its ports are somebody else's now
		known = nil
	}
	if known == nil {
		front := f.frontAt(e.orig.to.Port())
		if front == nil || e.state == 0 || e.state >= timeWait || e.reply.from == e.orig.to { // the last is not translated, and refused
			return
		}
		known = &flow{front: front.name}
		for _, b := range front.backends {
			if b.at == e.reply.from {
				known.backend = b.name
			}
		}
		f.all[e.orig] = known
	}
	known.orig, known.reply, known.state = e.orig, e.reply, e.state
	if e.initiator != "" {
		known.initiator = e.initiator
	}
	if known.began.IsZero() && e.state >= established && e.state < timeWait {
		f.began[known.front]++
		known.name, known.began = fmt.Sprintf("%s#%d", known.front, f.began[known.front]), at
		f.tell(at, known, proxies.Event{Kind: proxies.KindBegin})
	}
	if e.state >= timeWait && !known.over {
		known.how, known.why = proxies.Close, known.initiator
		if e.state == closed {
			known.how = proxies.Reset
		}
	}
}

// ending says of a connection whether the table has just seen its end, so that its bytes are to be asked for.
func (f *flows) ending(orig ends) bool {
	known := f.all[orig]
	return known != nil && known.state >= timeWait && known.forgotten.IsZero() && !known.over
}

// ended takes the last figures of a connection whose end the table has seen.
func (f *flows) ended(at time.Time, orig ends, sent [2]traffic) {
	if known := f.all[orig]; known != nil && !known.over {
		known.sent = sent
		f.finish(at, known)
	}
}

// destroyed takes an entry that the table has no more. One that was established has been forgotten while its ends
// believe in it.
func (f *flows) destroyed(at time.Time, e entry) {
	known := f.all[e.orig]
	if known == nil || !known.forgotten.IsZero() {
		return
	}
	known.sent = e.sent
	switch {
	case known.began.IsZero(), known.over, known.state >= timeWait:
		if e.sent[1].packets > 0 || known.state == closed { // a backend that answered before it had begun refused
			known.how = cmp.Or(known.how, proxies.Reset)
		}
		f.finish(at, known)
		delete(f.all, e.orig)
	case known.state == established:
		f.forget(at, known, f.cause(at, known))
	default: // one end has said that it is done, and the other has not answered for a minute or two
		known.how, known.why = proxies.Vanish, known.initiator
		f.finish(at, known)
		delete(f.all, e.orig)
	}
}

// forget notes that the table has lost a connection, by its timer or because it was told to.
func (f *flows) forget(at time.Time, known *flow, why string) {
	known.forgotten, known.how, known.why = at, f.manner, why
	if why == "idle-timeout" {
		f.tell(at, known, proxies.Event{Kind: proxies.KindExpired, How: string(known.how), Why: why})
	}
}

// cause is why the table has an entry no more that nobody has taken out by name: its time was up, or else all were. What
// happened to it before may be heard of only now.
func (f *flows) cause(at time.Time, known *flow) string {
	const rumours = 5 * time.Second // far longer than they take on a busy machine
	young := f.idle == 0 || at.Sub(known.began) < f.idle
	if !f.emptied.IsZero() && at.Sub(f.emptied) < rumours && young {
		return f.because
	}
	return "idle-timeout"
}

// forgetAll is for a table that is being emptied.
func (f *flows) forgetAll(at time.Time, why string) {
	f.emptied, f.because = at, why
	for _, known := range f.inOrder() {
		switch {
		case known.began.IsZero() || known.over:
			delete(f.all, known.orig)
		case known.forgotten.IsZero():
			f.forget(at, known, why)
		}
	}
}

// stray takes a packet of a connection that the table does not have: with rst-on-next its sender is being reset, in
// silence it has given up if that is what the packet says.
func (f *flows) stray(at time.Time, p packet) {
	known, side := f.find(p.ends)
	if known == nil || known.over || known.began.IsZero() {
		return
	}
	if known.forgotten.IsZero() {
		if known.state != established {
			return
		}
		f.forget(at, known, f.cause(at, known)) // its entry is gone, and the news of that is on its way
	}
	if known.gaveUp[side] || known.how == proxies.Vanish && !p.fin && !p.rst {
		return
	}
	known.gaveUp[side] = true
	how, who := proxies.Reset, []string{"client", "server"}[side]
	if known.how == proxies.Vanish && p.fin {
		how = proxies.Close
	}
	f.tell(at, known, proxies.Event{Kind: proxies.KindGaveUp, How: string(how), Why: who})
	if known.gaveUp[0] && known.gaveUp[1] {
		f.finish(at, known)
		delete(f.all, known.orig)
	}
}

// arrives takes a first packet, for which an entry is to follow at once.
func (f *flows) arrives(at time.Time, p packet) {
	if _, again := f.coming[p.ends]; !again && f.all[p.ends] == nil {
		f.coming[p.ends] = at
	}
}

// arrival is how long after its first packet a connection has its entry: it is made when the packet leaves, which takes
// microseconds, and this process hears of it a moment later.
const arrival = 250 * time.Millisecond

// swallowed notes the connections for which there was no port, and how long until it is to be asked again; 0 for not at all.
func (f *flows) swallowed(at time.Time, why func() string) (again time.Duration) {
	for e, since := range f.coming {
		if since.IsZero() {
			continue
		}
		if waited := at.Sub(since); waited < arrival {
			if left := arrival - waited; again == 0 || left < again {
				again = left
			}
			continue
		}
		f.coming[e] = time.Time{} // the client tries again, and is told of once
		if front := f.frontAt(e.to.Port()); front != nil {
			f.note(proxies.Event{At: at, Kind: proxies.KindRefused, Front: front.name, ClientAddr: e.from.String(), FrontAddr: e.to.String(),
				How: string(proxies.Vanish), Why: "source-ports", What: why()})
		}
	}
	return again
}

// waiting are the connections that the timer may end, by their first packet's ends.
func (f *flows) waiting() (all []ends) {
	for _, known := range f.all {
		if known.state == established && known.forgotten.IsZero() && !known.over {
			all = append(all, known.orig)
		}
	}
	return all
}

// live is how many connections the table has towards each backend, at the most.
func (f *flows) live() (most int) {
	towards := map[netip.AddrPort]int{}
	for _, known := range f.all {
		if known.forgotten.IsZero() && !known.over {
			towards[known.reply.from]++
			most = max(most, towards[known.reply.from])
		}
	}
	return most
}

// named is the connection that has that name in events, if it lives.
func (f *flows) named(name string) *flow {
	for _, known := range f.all {
		if known.name == name && known.forgotten.IsZero() && !known.over {
			return known
		}
	}
	return nil
}

// end notes the end of whatever there still is.
func (f *flows) end(at time.Time) {
	for _, known := range f.inOrder() {
		if known.began.IsZero() {
			continue
		}
		if known.why == "" {
			known.how, known.why = f.manner, "close"
		}
		f.finish(at, known)
	}
}

// finish notes an end; of a connection that never began, that its backend did not answer.
func (f *flows) finish(at time.Time, known *flow) {
	if known.over {
		return
	}
	known.over = true
	switch {
	case !known.began.IsZero():
		f.tell(at, known, proxies.Event{Kind: proxies.KindEnd, How: string(known.how), Why: known.why, Up: known.sent[0].payload(), Down: known.sent[1].payload()})
	case known.how == proxies.Reset:
		f.tell(at, known, proxies.Event{Kind: proxies.KindRefused, How: string(known.how), Why: "connection refused"})
	default:
		f.tell(at, known, proxies.Event{Kind: proxies.KindRefused, How: string(proxies.Vanish), Why: "no answer"})
	}
}

func (f *flows) tell(at time.Time, known *flow, e proxies.Event) {
	e.At, e.Front, e.Backend, e.Conn = at, known.front, known.backend, known.name
	if !known.began.IsZero() {
		e.Age = at.Sub(known.began)
	}
	e.ClientAddr, e.FrontAddr = known.orig.from.String(), known.orig.to.String()
	e.LocalAddr, e.BackendAddr = known.reply.to.String(), known.reply.from.String()
	f.note(e)
}

func (f *flows) frontAt(port uint16) *front {
	if i := slices.IndexFunc(f.fronts, func(fr front) bool { return fr.port == port }); i >= 0 {
		return &f.fronts[i]
	}
	return nil
}

// find is the connection that a packet belongs to, and which side it comes from.
func (f *flows) find(e ends) (known *flow, side int) {
	if known := f.all[e]; known != nil {
		return known, 0
	}
	for _, known := range f.all {
		if known.reply == e && !known.over {
			return known, 1
		}
	}
	return nil, 0
}

// inOrder are all connections as they began.
func (f *flows) inOrder() []*flow {
	all := make([]*flow, 0, len(f.all))
	for _, known := range f.all {
		all = append(all, known)
	}
	slices.SortFunc(all, func(a, b *flow) int { return a.began.Compare(b.began) })
	return all
}
