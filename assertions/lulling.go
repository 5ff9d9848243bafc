package assertions

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
)

const (
	// awaited is how long an answer is waited for after a silence: a quarter of it is a satellite's way.
	awaited = 2 * time.Second
	// beat is how often busy connections speak. What ends within two beats of them was no idleness.
	beat = 250 * time.Millisecond
	// stagger is what the two busy connections begin apart, so that an age is told from a moment.
	stagger = 1500 * time.Millisecond
	// probing is the pause between TCP keepalive probes where they are sent: the shortest that systems have.
	probing = time.Second
	// atOnce is how many connections are opened side by side: a balancer that limits their rate is not tested here.
	atOnce = 8
	// anew is how many passes there may be in which the tester was late before it gives up: a machine that is busy for
	// three of them stays so.
	anew = 2
	// opened is when a server's first PING has come: two seconds after the connect, up to a fifth later.
	opened = 2500 * time.Millisecond
)

// lull is one connection that is to be quiet.
type lull struct {
	seq       int
	wait      time.Duration
	first     string // who speaks after it
	keepalive time.Duration
}

// Lulling measures the idle limit of the endpoint: connections are quiet, each for its own time, are spoken to once,
// and what has become of them is written down. Meanwhile two others are busy, so that idleness is told from an endpoint
// that dies. say hears how it goes. When ctx ends, the quiet ones are spoken to at once, and tell what they can.
func (e *Endpoint) Lulling(ctx context.Context, d Depth, rec *Recorder, say func(string)) {
	defer minding(rec)()
	l := lulls{Endpoint: e, depth: d, rec: rec, slots: make(chan struct{}, atOnce)}
	// The sockets outlive an interrupt: what they know by then is asked for.
	open, closeAll := context.WithCancel(context.WithoutCancel(ctx))
	defer closeAll()
	l.open = open
	busy, rest := context.WithCancel(open)
	defer rest()
	var controls sync.WaitGroup
	defer controls.Wait()
	defer rest() // before they are waited for
	speaker := l.control(&controls, busy)
	if speaker == nil {
		return
	}
	defer speaker.Close()
	rec.Add(Event{From: Lab, Kind: "measuring", What: d.Precision.String(), App: e.name})
	seq, spoilt := 0, 0
	for waits := d.first(); len(waits) > 0 && ctx.Err() == nil && spoilt <= anew; {
		known := IdleOf(l.history())
		plan := l.plan(waits, &seq, known)
		say(describe(plan, known))
		l.pass(ctx, plan, speaker)
		wait(l.open, 2*prompt) // whether the tester was late at the end is known a little later
		learnt := IdleOf(l.history())
		learnt.Doubtful -= known.Doubtful // what was late before has been made again
		if learnt.Doubtful > 0 {
			spoilt++
		}
		waits = d.next(learnt)
	}
	if d.StandIn {
		e.inspect(speaker, rec)
	}
}

// LookOf is what was written down before the idle limit was measured: a tester that is late an hour later was not late
// when it looked.
func LookOf(h History) History {
	if i := slices.IndexFunc(h.Events, func(e Event) bool { return e.Kind == "measuring" }); i >= 0 {
		h.Events = h.Events[:i]
	}
	return h
}

// lulls is a measurement of the idle limit while it goes on.
type lulls struct {
	*Endpoint
	depth Depth
	rec   *Recorder
	open  context.Context // ends every socket
	slots chan struct{}   // for those who connect
}

// describe says in a sentence what is waited for.
func describe(plan []lull, known Idle) string {
	longest := time.Duration(0)
	for _, q := range plan {
		longest = max(longest, q.wait)
	}
	text := fmt.Sprintf("%s, the last is spoken to after %s", plural(len(plan), "quiet connection"), spoken(longest))
	switch {
	case known.Met():
		text = fmt.Sprintf("the limit is between %s and %s; %s", spoken(known.Low), spoken(known.High), text)
	case known.Doubtful > 0:
		text = fmt.Sprintf("this machine was too busy to tell, up to %s late itself; once more: %s", spoken(known.Late), text)
	}
	return text
}

// plan makes quiet connections of silences. Who speaks first takes turns; some have a twin that sends TCP keepalive
// probes, unless it is known already whether these count.
func (l *lulls) plan(waits []time.Duration, seq *int, known Idle) []lull {
	var plan []lull
	add := func(q lull) {
		*seq++
		q.seq = *seq
		plan = append(plan, q)
	}
	for i, wait := range waits {
		first := "client"
		if (*seq+i)%2 == 1 {
			first = "server"
		}
		add(lull{wait: wait, first: first})
		single := len(waits) == 1 && known.Keepalive == ""
		if single || len(waits) == ladderRungs && i%probed == probed-1 {
			add(lull{wait: wait, first: "client", keepalive: probing})
		}
	}
	if known.Met() && known.Keepalive == "" && len(waits) > 1 {
		add(lull{wait: known.High + known.High/8, first: "client", keepalive: probing})
	}
	return plan
}

// control opens the busy connections, and one more that speaks on behalf of the server; nil if nobody was let in.
func (l *lulls) control(all *sync.WaitGroup, busy context.Context) *nats.Conn {
	speaker, err := l.join(l.open, l.rec)
	if err != nil {
		l.rec.Add(Event{From: Client, Kind: "unrested", Why: l.mask(err.Error())})
		return nil
	}
	all.Go(func() { // or it would be quiet itself
		for wait(busy, beat) && speaker.FlushTimeout(awaited) == nil {
			continue
		}
	})
	for i := range 2 {
		all.Go(func() {
			if wait(busy, time.Duration(i)*stagger) {
				l.chatter(busy, i)
			}
		})
	}
	return speaker
}

// chatter keeps one connection busy, writes down when it ends, and goes on with another.
func (l *lulls) chatter(busy context.Context, seq int) {
	for busy.Err() == nil {
		d := &watchedDialer{ctx: l.open, within: l.within}
		nc, err := l.enter(d)
		if err != nil {
			l.rec.Add(Event{From: Client, Kind: "control-refused", Seq: seq, Why: l.mask(err.Error())})
			wait(busy, stagger)
			continue
		}
		began := time.Now()
		how := l.beats(busy, nc, d.made)
		if busy.Err() == nil {
			l.rec.Add(Event{From: Client, Kind: "control-lost", Seq: seq, Took: time.Since(began), How: how})
		}
		nc.Close()
	}
}

// beats speaks on a connection until it ends, and says how it ended.
func (l *lulls) beats(busy context.Context, nc *nats.Conn, w *watched) string {
	for {
		if err := nc.FlushTimeout(awaited); err != nil {
			return cmp.Or(w.finish().how, endSilent)
		}
		select {
		case <-time.After(beat):
		case <-w.over:
			return w.finish().how
		case <-busy.Done():
			return ""
		}
	}
}

// enter connects one application over a watched socket, which sends no PING of its own.
func (e *Endpoint) enter(d *watchedDialer) (*nats.Conn, error) {
	return e.Target.dial(e.Target.Accounts[0], e.name, nats.SetCustomDialer(d), nats.PingInterval(-1), nats.ErrorHandler(nil))
}

// pass lets some connections be quiet at once. It ends when all have been spoken to; soon after the first has met the
// limit, those that are still quiet are spoken to at once.
func (l *lulls) pass(ctx context.Context, plan []lull, speaker *nats.Conn) {
	enough := make(chan struct{})
	var all sync.WaitGroup
	place := l.rec.Len()
	for _, q := range plan {
		all.Go(func() { l.rest(ctx, enough, q, speaker) })
	}
	over := make(chan struct{})
	var watching sync.WaitGroup
	watching.Go(func() {
		defer close(enough)
		l.untilEnough(ctx, over, place)
	})
	all.Wait()
	close(over)
	watching.Wait()
}

// untilEnough waits until no more can be learnt by waiting: a connection without probes has met the limit, and those
// with probes have had time to outlive it. One that a server spoke to says nothing of those at other servers.
func (l *lulls) untilEnough(ctx context.Context, over <-chan struct{}, place int) {
	await, stop := context.WithCancel(ctx)
	defer stop()
	go func() {
		select {
		case <-over:
			stop()
		case <-await.Done():
		}
	}()
	for {
		met, ok := l.rec.Await(await, place, func(e Event) bool {
			return e.Kind == "rested" && e.Silence.Keepalive == 0 && e.Silence.End != endAlive && e.Silence.End != endPinged
		})
		if !ok || !wait(await, 2*beat) {
			return
		}
		// One that fell together with a busy connection has met no limit, and those that rest longer go on.
		if withControl(met, l.history().Kind(Client, "control-lost"), 0) {
			place = l.rec.Len()
			continue
		}
		wait(await, met.Silence.Lasted/10+time.Second)
		return
	}
}

func (l *lulls) history() History { return l.rec.History(l.Target.Terms) }

// wait waits, and reports whether nothing ended it.
func wait(ctx context.Context, d time.Duration) bool {
	select {
	case <-time.After(d):
		return true
	case <-ctx.Done():
		return false
	}
}

// rest is one quiet connection from beginning to end.
func (l *lulls) rest(ctx context.Context, enough <-chan struct{}, q lull, speaker *nats.Conn) {
	d := &watchedDialer{ctx: l.open, within: l.within, keepalive: q.keepalive}
	l.slots <- struct{}{}
	nc, err := l.enter(d)
	<-l.slots
	if err != nil {
		l.rec.Add(Event{From: Client, Kind: "unrested", Seq: q.seq, Why: l.mask(err.Error())})
		return
	}
	defer nc.Close()
	w := d.made
	heard := l.listen(nc, speaker, &q)
	if !l.settle(ctx, nc, w) {
		l.rec.Add(Event{From: Client, Kind: "unrested", Seq: q.seq, Why: "it ended before its silence began"})
		return
	}
	s := Silence{Wait: q.wait, First: q.first, Keepalive: q.keepalive}
	s.ID, _ = nc.GetClientID()
	node, server := nc.ConnectedServerName(), nc.ConnectedServerId()
	s.End, s.Lasted = l.keepQuiet(ctx, enough, q, w)
	// A first PING may be late, and so may what this machine makes of it: that silence is begun anew.
	for again := 0; s.End == endPinged && time.Since(w.began) < 2*opened && again < 2 && l.restart(nc, w); again++ {
		s.End, s.Lasted = l.keepQuiet(ctx, enough, q, w)
	}
	s.AtMost = w.finish().most
	began := w.quietSince()
	switch s.End {
	case "":
		s.Lasted = time.Since(began)
		s.End = l.speak(nc, w, heard, speaker)
	case endPinged:
		began = began.Add(-s.Lasted) // what moved last has ended it
	}
	s.Began = l.rec.Since(began)
	s.Age = time.Since(w.began)
	l.rec.Add(Event{From: Client, Kind: "rested", Seq: q.seq, Took: s.Lasted, How: s.End, Node: node, Peer: server,
		Caller: w.LocalAddr().String(), Silence: &s})
}

// listen subscribes to an inbox of the connection's own, through which the server will speak first. Where that does not
// work (a user without inboxes, backends that do not know each other) the client speaks.
func (l *lulls) listen(nc, speaker *nats.Conn, q *lull) *nats.Subscription {
	if q.first != "server" {
		return nil
	}
	sub, err := nc.SubscribeSync(nc.NewInbox())
	if err == nil && nc.FlushTimeout(awaited) == nil {
		limited, cancel := context.WithTimeout(l.open, awaited)
		defer cancel()
		// An interest needs a moment to reach the other servers.
		if until(limited, func() bool { return l.nudge(speaker, sub, 100*time.Millisecond) }) {
			return sub
		}
	}
	q.first = "client"
	return nil
}

// nudge lets the server say something to a quiet connection, and reports whether it came.
func (l *lulls) nudge(speaker *nats.Conn, sub *nats.Subscription, within time.Duration) bool {
	if speaker.Publish(sub.Subject, []byte("?")) != nil {
		return false
	}
	_, err := sub.NextMsg(within)
	return err == nil
}

// settle waits until the server's first PING must have come, and speaks once more after it: a server leaves out its next
// PING if it has heard something since the last, so that nearly two of its intervals may be silent.
func (l *lulls) settle(ctx context.Context, nc *nats.Conn, w *watched) bool {
	if !l.depth.StandIn {
		select {
		case <-w.over:
			return false
		case <-time.After(time.Until(w.began.Add(opened))):
		case <-ctx.Done():
		}
	}
	return l.restart(nc, w)
}

// lazy is how long nothing moves before the last word: nginx does not set a timer anew for what comes within 300 ms, and
// would count from the word before.
const lazy = 400 * time.Millisecond

// restart speaks once, apart from all that was said before, and a silence begins anew.
func (l *lulls) restart(nc *nats.Conn, w *watched) bool {
	for left := lazy; left > 0; left = lazy - time.Since(w.quietSince()) {
		wait(l.open, left)
		if w.finish().how != "" || l.open.Err() != nil {
			return false
		}
	}
	if nc.FlushTimeout(awaited) != nil {
		return false
	}
	drain(w.moved)
	return true
}

func drain(c <-chan struct{}) {
	select {
	case <-c:
	default:
	}
}

// keepQuiet says nothing until the time is over. It says how and after what silence the connection ended, or that the
// server spoke; "" if it is quiet still.
func (l *lulls) keepQuiet(ctx context.Context, enough <-chan struct{}, q lull, w *watched) (end string, lasted time.Duration) {
	timer := time.NewTimer(time.Until(w.quietSince().Add(q.wait)))
	defer timer.Stop()
	select {
	case <-w.over:
		end := w.finish()
		return end.how, end.quiet
	case <-w.moved:
		return endPinged, w.pause()
	case <-timer.C:
	case <-enough:
	case <-ctx.Done():
	}
	return "", 0
}

// speak ends the silence and says what became of the connection.
func (l *lulls) speak(nc *nats.Conn, w *watched, inbox *nats.Subscription, speaker *nats.Conn) string {
	served := inbox != nil && speaker.IsConnected()
	if served && l.nudge(speaker, inbox, awaited) {
		return endAlive
	}
	// What the server took and did not bring here is lost, though a word from here might open the way again.
	deaf := served && speaker.FlushTimeout(awaited) == nil
	spoke := w.finish().how == "" && nc.FlushTimeout(awaited) == nil // whatever comes of it, an RST on the next packet shows
	if spoke && !deaf {
		return endAlive
	}
	switch w.finish().how {
	case endFIN:
		return endNextFIN
	case endRST:
		return endNextRST
	}
	return endSilent
}
