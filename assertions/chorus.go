package assertions

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
)

// chorus is one client a node and account, each of which hears all the others of its account. What one
// of them says must cross a link to every other node; accounts matter because each uses one
// connection of the route pool.
type chorus struct {
	rec    *Recorder
	voices []*voice

	mu     sync.Mutex
	ticks  []*tick
	latest time.Duration // when anything was heard last
}

type voice struct {
	node, account string
	nc            *nats.Conn
}

// tick is one round in which every voice says one thing.
type tick struct {
	at      time.Duration
	heard   map[hearing]bool
	slowest time.Duration
	last    time.Duration // when the last message of the round arrived
}

// hearing is one message at one listener.
type hearing struct{ account, from, to string }

// each is the pause between two rounds: a gap in delivery is known to that precision, a tenth of what counts as a delay.
const each = 50 * time.Millisecond

func gather(t Target, rec *Recorder, accounts ...Account) (*chorus, error) {
	c := &chorus{rec: rec}
	for _, account := range accounts {
		for _, n := range t.Nodes {
			nc, err := t.connect(n, account)
			if err != nil {
				c.close()
				return nil, err
			}
			v := &voice{node: n.Name, account: account.Name, nc: nc}
			c.voices = append(c.voices, v)
			if _, err := nc.Subscribe("say.>", func(m *nats.Msg) { c.hear(v, m) }); err != nil {
				c.close()
				return nil, fmt.Errorf("subscribing at %s: %w", n.Name, err)
			}
			if err := nc.Flush(); err != nil {
				c.close()
				return nil, fmt.Errorf("subscribing at %s: %w", n.Name, err)
			}
		}
	}
	return c, nil
}

func (c *chorus) close() {
	for _, v := range c.voices {
		v.nc.Close()
	}
}

// say lets every voice say one thing and returns the round's number. A publish that fails is a message
// that nobody hears.
func (c *chorus) say() int {
	c.mu.Lock()
	seq := len(c.ticks)
	c.ticks = append(c.ticks, &tick{at: c.rec.Now(), heard: map[hearing]bool{}})
	c.mu.Unlock()
	for _, v := range c.voices {
		_ = v.nc.Publish("say."+v.node, []byte(strconv.Itoa(seq)))
	}
	for _, v := range c.voices {
		_ = v.nc.FlushTimeout(time.Second) // one round trip to a healthy local server
	}
	return seq
}

func (c *chorus) hear(v *voice, m *nats.Msg) {
	from := strings.TrimPrefix(m.Subject, "say.")
	seq, err := strconv.Atoi(string(m.Data))
	if err != nil || from == v.node {
		return
	}
	now := c.rec.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	if seq < 0 || seq >= len(c.ticks) {
		return
	}
	t := c.ticks[seq]
	key := hearing{v.account, from, v.node}
	if !t.heard[key] {
		t.heard[key] = true
		t.slowest = max(t.slowest, now-t.at)
		t.last, c.latest = now, now
	}
}

// all lists every hearing a round should have.
func (c *chorus) all() []hearing {
	var all []hearing
	for _, from := range c.voices {
		for _, to := range c.voices {
			if from.account == to.account && from.node != to.node {
				all = append(all, hearing{from.account, from.node, to.node})
			}
		}
	}
	return all
}

// heard reports whether everybody heard round seq.
func (c *chorus) heard(seq int) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.ticks[seq].heard) == len(c.all())
}

// talk says a round every 50 ms for at least least, until ten rounds in a row were heard by all and
// well agrees, or until limit is over. It reports whether all was well in the end.
func (c *chorus) talk(ctx context.Context, least, limit time.Duration, well func() bool) bool {
	start := c.rec.Now()
	first := -1
	pace := time.NewTicker(each)
	defer pace.Stop()
	for ctx.Err() == nil && c.rec.Now()-start < limit {
		seq := c.say()
		if first < 0 {
			first = seq
		}
		select {
		case <-pace.C:
		case <-ctx.Done():
			return false
		}
		if c.rec.Now()-start < least {
			continue
		}
		if c.convinced(first) && (well == nil || well()) {
			c.drain(ctx, first)
			return true
		}
	}
	c.drain(ctx, first)
	return false
}

// convinced reports whether ten rounds in a row, half a second, were heard by all, and whatever was said
// after them may still be under way: it has had no more time than they took.
func (c *chorus) convinced(first int) bool {
	const enough = 10 // more than one lucky moment
	all := len(c.all())
	c.mu.Lock()
	defer c.mu.Unlock()
	before := len(c.ticks) - 2 // the newest round is hardly said
	last := before
	for last >= first && len(c.ticks[last].heard) < all {
		last--
	}
	if last-enough+1 < first {
		return false
	}
	var usual time.Duration
	for _, t := range c.ticks[last-enough+1 : last+1] {
		if len(t.heard) < all {
			return false
		}
		usual = max(usual, t.slowest)
	}
	return last == before || c.rec.Now()-c.ticks[last+1].at <= usual+each
}

// drain gives the rounds from first on a last moment to be heard: half a second, a hundred times what a local
// delivery takes, from the last thing that was heard, since what is slow is not lost.
func (c *chorus) drain(ctx context.Context, first int) {
	limited, cancel := context.WithTimeout(ctx, back)
	defer cancel()
	c.mu.Lock()
	last := len(c.ticks)
	c.mu.Unlock()
	began := c.rec.Now()
	until(limited, func() bool {
		c.mu.Lock()
		over := c.rec.Now()-max(began, c.latest) >= 500*time.Millisecond
		c.mu.Unlock()
		if over {
			return true
		}
		for seq := max(first, 0); seq < last; seq++ {
			if !c.heard(seq) {
				return false
			}
		}
		return true
	})
}

// report writes each round from first on to the timeline: said, heard (with the slowest delivery), and
// one unheard for each message that never arrived. It returns how many those are.
func (c *chorus) report(first int, phase string) (lost int) {
	all := c.all()
	c.mu.Lock()
	defer c.mu.Unlock()
	for seq := first; seq < len(c.ticks); seq++ {
		t := c.ticks[seq]
		c.rec.Add(Event{At: t.at, From: Client, Kind: "said", Seq: seq, Count: len(all), Why: phase})
		if len(t.heard) > 0 {
			c.rec.Add(Event{At: t.last, From: Client, Kind: "heard", Seq: seq, Count: len(t.heard), Took: t.slowest, Why: phase})
		}
		for _, h := range all {
			if !t.heard[h] {
				lost++
				c.rec.Add(Event{At: t.at, From: Client, Kind: "unheard", Seq: seq, Account: h.account, Node: h.from, Peer: h.to, Why: phase})
			}
		}
	}
	return lost
}

// next is the number of the next round.
func (c *chorus) next() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.ticks)
}

// tune talks until everybody hears everybody, so that what is lost later was not lost for want of
// interest. Where the links never became whole that does not happen, and is no error.
func (c *chorus) tune(ctx context.Context) {
	const limit = 5 * time.Second // interest crosses a healthy mesh within milliseconds
	ok := c.talk(ctx, 0, limit, nil)
	kind := "tuned"
	if !ok {
		kind = "out-of-tune"
	}
	c.rec.Add(Event{From: Client, Kind: kind})
}
