package assertions

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
)

// The workloads, as applications have them; an application is called after its own and a number.
const (
	idler     = "idle-subscriber" // hears nothing for long
	receiver  = "receiver"        // only listens
	speaker   = "speaker"         // says something now and then, whereupon the server postpones its PING
	publisher = "publisher"       // says something all the time
	worker    = "worker"          // answers requests, in a queue group
	asker     = "asker"           // requests through the balancer
	caller    = "caller"          // requests past the balancer, so that what is unanswered is the workers' part
)

// workload is what an application does, "" for an application of others.
func workload(app string) string {
	i := strings.LastIndexByte(app, '-')
	if i > 0 && slices.Contains([]string{idler, receiver, speaker, publisher, worker, asker, caller}, app[:i]) {
		return app[:i]
	}
	return ""
}

// troupe is the applications of core NATS behind the balancer and, at every node, a partner past it: what one of
// an application's two ways does is counted at the other, which never fails.
type troupe struct {
	t        Target
	rec      *Recorder
	account  Account
	partners []*nats.Conn

	mu   sync.Mutex
	apps []*app
}

func assemble(t Target, rec *Recorder) (*troupe, error) {
	c := &troupe{t: t, rec: rec, account: t.plain()[0]}
	for _, n := range t.Nodes {
		nc, err := t.connect(n, c.account)
		if err != nil {
			c.leave()
			return nil, err
		}
		c.partners = append(c.partners, nc)
	}
	return c, nil
}

func (c *troupe) leave() {
	c.mu.Lock()
	apps := c.apps
	c.mu.Unlock()
	for _, p := range apps {
		p.leave()
	}
	for _, nc := range c.partners {
		nc.Close()
	}
}

// partner is the tester's own connection for the nth application of a workload: at another node each.
func (c *troupe) partner(nth int) *nats.Conn { return c.partners[nth%len(c.partners)] }

// enter connects an application. Never connected is an observation.
func (c *troupe) enter(kind string, nth int) (*app, bool) {
	name := fmt.Sprintf("%s-%d", kind, nth)
	p, err := c.t.open(c.rec, c.account, name)
	if err != nil {
		c.rec.Add(Event{From: Client, Kind: "unconnected", App: name, Why: failure(err)})
		return nil, false
	}
	c.mu.Lock()
	c.apps = append(c.apps, p)
	c.mu.Unlock()
	return p, true
}

func (c *troupe) series(p string, kinds wording, every int) *series {
	return &series{app: p, kinds: kinds, rec: c.rec, every: every}
}

// listens lets an application hear what its partner says.
func (c *troupe) listens(p *app, nth, every int) (*series, error) {
	s := c.series(p.name, ofMessages, every)
	subject, from := "core.to."+p.name, c.partner(nth)
	s.say = func(seq int) error { return from.Publish(subject, []byte(strconv.Itoa(seq))) }
	_, err := p.Subscribe(subject, func(m *nats.Msg) { s.hear(number(m.Data)) })
	return s, err
}

// speaks lets an application say what its partner hears.
func (c *troupe) speaks(p *app, nth, every int) (*series, error) {
	s := c.series(p.name, ofMessages, every)
	subject, to := "core.from."+p.name, c.partner(nth)
	s.say = func(seq int) error { return p.Publish(subject, []byte(strconv.Itoa(seq))) }
	_, err := to.Subscribe(subject, func(m *nats.Msg) { s.hear(number(m.Data)) })
	return s, err
}

// works lets an application answer requests as one of a queue group.
func (c *troupe) works(p *app) error {
	_, err := p.QueueSubscribe("core.ask", "workers", func(m *nats.Msg) { _ = m.Respond(m.Data) })
	return err
}

// asks lets a connection request. The replies are numbered, so that one which is late is not taken for lost.
func (c *troupe) asks(nc *nats.Conn, name string, every int) (*series, error) {
	s := c.series(name, ofRequests, every)
	inbox := "core.reply." + name + "."
	s.say = func(seq int) error {
		n := strconv.Itoa(seq)
		return nc.PublishRequest("core.ask", inbox+n, []byte(n))
	}
	_, err := nc.Subscribe(inbox+"*", func(m *nats.Msg) {
		seq := number([]byte(strings.TrimPrefix(m.Subject, inbox)))
		if m.Header.Get("Status") == "503" { // no responders
			s.refuse(seq)
			return
		}
		s.hear(seq)
	})
	return s, err
}

// number reads a message's, -1 for none.
func number(data []byte) int {
	n, err := strconv.Atoi(string(data))
	if err != nil {
		return -1
	}
	return n
}

// cast is what a number of applications of one workload do, each side by side.
func (c *troupe) cast(kind string, n int, do func(p *app, nth int) error) error {
	var all sync.WaitGroup
	errs := make([]error, n)
	for i := range n {
		all.Go(func() {
			if p, ok := c.enter(kind, i+1); ok {
				if err := do(p, i+1); err != nil {
					errs[i] = fmt.Errorf("preparing %s: %w", p.name, err)
				}
			}
		})
	}
	all.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// talk lets all series say something at their own pace, for at least least, until each of them is convincing and
// well agrees, or until limit is over. Woken, every series speaks at every pace. It reports whether all was well in the end.
func (c *troupe) talk(ctx context.Context, all []*series, woken bool, least, limit time.Duration, well func() bool) bool {
	start := c.rec.Now()
	from := make([]int, len(all))
	for i, s := range all {
		from[i] = s.length()
	}
	tick := time.NewTicker(pace)
	defer tick.Stop()
	for n := 0; ctx.Err() == nil && c.rec.Now()-start < limit; n++ {
		for _, s := range all {
			if woken || s.every > 0 && n%s.every == 0 {
				s.next()
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return false
		}
		agreed := c.rec.Now()-start >= least && well()
		for i, s := range all {
			agreed = agreed && s.convinced(from[i])
		}
		if agreed {
			return true
		}
	}
	return false
}

// strike lets all series go on at their own pace through the event.
func (c *troupe) strike(ctx context.Context, all []*series) error {
	never := func() bool { return false }
	c.talk(ctx, all, false, 2*time.Second, 2*time.Second, never) // what is usual

	during, over := context.WithCancel(ctx)
	defer over()
	struck := make(chan error, 1)
	go func() {
		err := c.t.Control.Strike(ctx)
		over()
		struck <- err
	}()
	// As long as it takes: others may not be ready for the event yet.
	c.talk(during, all, false, endless, endless, never)
	return <-struck
}

// settle gives what was said a last moment to be heard: half a second, a hundred times what a local delivery takes,
// from the last thing that was heard, since what is slow is not lost.
func (c *troupe) settle(ctx context.Context, all []*series) {
	limited, cancel := context.WithTimeout(ctx, back)
	defer cancel()
	began := c.rec.Now()
	until(limited, func() bool {
		waiting, latest := false, began
		for _, s := range all {
			some, heard := s.pending()
			waiting, latest = waiting || some, max(latest, heard)
		}
		return !waiting || c.rec.Now()-latest >= 500*time.Millisecond
	})
	for _, s := range all {
		s.report()
	}
}
