package assertions

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
)

// compare gives the endpoint another way to the same servers, with the same credentials. Its errors are the user's.
func (e *Endpoint) compare(url string) error {
	past := &Endpoint{first: e.first, name: e.name, within: e.within, certs: e.certs, roots: e.roots, Target: Target{Accounts: e.Target.Accounts, Client: e.Target.Client}}
	login, err := past.locate("--direct", url)
	if err != nil {
		return err
	}
	if login != nil {
		past.Target.Client = past.Target.Client.With(login)
	}
	e.secrets = append(e.secrets, past.secrets...)
	e.direct = past
	return nil
}

// turns is how often each way is timed, in turn: what else the machine and the way carry comes and goes.
const turns = 5

// comparing looks at the same servers past the load balancer: whose certificate they show, and how fast bytes go either
// way. Medians of alternating turns are compared.
func (e *Endpoint) comparing(ctx context.Context, rec *Recorder) {
	if e.direct == nil || ctx.Err() != nil {
		return
	}
	apart := NewRecorder()
	e.direct.knocking(ctx, apart)
	told := Event{From: Client, Kind: "direct", Addr: e.direct.doors[0].String()}
	for _, ev := range apart.Events() {
		if ev.TLS != nil {
			told.TLS = ev.TLS
		}
		if ev.Info != nil {
			told.Node = ev.Info.Name
		}
		if ev.Kind == "undialled" || ev.Kind == "unresolved" || ev.Kind == "greeting" && ev.Info == nil {
			told.Why = e.mask(ev.Why)
		}
	}
	rec.Add(told)
	ways := map[string]*carrier{}
	for how, over := range map[string]*Endpoint{"balanced": e, "direct": e.direct} {
		c, err := over.carrying(ctx)
		if err != nil {
			rec.Add(Event{From: Client, Kind: "uncarried", How: how, Why: e.mask(err.Error())})
			return
		}
		defer c.close()
		ways[how] = c
	}
	// As much as either way carries in a fifth of a second, so that all is done in two.
	size := 4 << 20
	for how, c := range ways {
		const probe = 4 * parcel
		took, err := c.carry(ctx, probe)
		if err != nil { // what is under way still would be taken for what comes next
			rec.Add(Event{From: Client, Kind: "uncarried", How: how, Why: e.mask(err.Error())})
			return
		}
		fits := int(float64(probe) * float64(200*time.Millisecond) / float64(max(took, time.Microsecond)))
		size = max(parcel, min(size, fits/parcel*parcel))
	}
	for range turns {
		for _, how := range []string{"balanced", "direct"} {
			took, err := ways[how].carry(ctx, size)
			if err != nil {
				rec.Add(Event{From: Client, Kind: "uncarried", How: how, Why: e.mask(err.Error())})
				return
			}
			rec.Add(Event{From: Client, Kind: "carried", How: how, Took: took, Bytes: int64(size)})
		}
	}
}

// carrier is a pair of connections over one way.
type carrier struct {
	from, to *nats.Conn
	sub      *nats.Subscription
}

func (c *carrier) close() {
	for _, nc := range []*nats.Conn{c.from, c.to} {
		if nc != nil {
			nc.Close()
		}
	}
}

// carrying opens a pair, at one server where that can be had within a few tries: routes are not what is compared.
func (e *Endpoint) carrying(ctx context.Context) (*carrier, error) {
	c := &carrier{}
	var err error
	if c.from, err = e.enter(&watchedDialer{ctx: ctx, within: e.within}); err != nil {
		return nil, err
	}
	const tries = 4
	for range tries {
		if c.to != nil {
			c.to.Close()
		}
		if c.to, err = e.enter(&watchedDialer{ctx: ctx, within: e.within}); err != nil {
			c.close()
			return nil, err
		}
		if c.to.ConnectedServerId() == c.from.ConnectedServerId() {
			break
		}
	}
	if c.sub, err = c.to.SubscribeSync(c.to.NewInbox()); err == nil {
		err = c.to.FlushTimeout(clientPatience)
	}
	if err != nil {
		c.close()
		return nil, fmt.Errorf("subscribing to an inbox: %w", err)
	}
	return c, nil
}

// parcel is the size of a message that is timed: small beside what buffers hold, large beside what a message costs.
const parcel = 16 << 10

// carry sends that many bytes, whole parcels, and returns what it took until all were there.
func (c *carrier) carry(ctx context.Context, size int) (time.Duration, error) {
	limited, cancel := context.WithTimeout(ctx, clientPatience)
	defer cancel()
	payload := make([]byte, parcel)
	began := time.Now()
	var sending sync.WaitGroup
	defer sending.Wait()
	var sent error
	sending.Go(func() {
		for range size / parcel {
			if sent = c.from.Publish(c.sub.Subject, payload); sent != nil {
				return
			}
		}
		sent = c.from.FlushTimeout(clientPatience)
	})
	for range size / parcel {
		if _, err := c.sub.NextMsgWithContext(limited); err != nil {
			return 0, fmt.Errorf("waiting for %d bytes: %w", size, err)
		}
	}
	return time.Since(began), nil
}

// throughputFact compares both ways.
func throughputFact(h History) string {
	if lost, ok := h.First(Client, "uncarried"); ok {
		return fmt.Sprintf("not compared: %s failed (%s)", map[string]string{"balanced": "the way through the balancer", "direct": "the direct way"}[lost.How], lost.Why)
	}
	rate := func(how string) float64 {
		var all []Event
		for _, e := range h.Kind(Client, "carried") {
			if e.How == how {
				all = append(all, e)
			}
		}
		if len(all) == 0 || middle(all) <= 0 {
			return 0
		}
		slices.SortFunc(all, func(a, b Event) int { return int(a.Took - b.Took) })
		return float64(all[len(all)/2].Bytes) / all[len(all)/2].Took.Seconds() / 1e6
	}
	balanced, direct := rate("balanced"), rate("direct")
	if balanced == 0 || direct == 0 {
		return ""
	}
	return fmt.Sprintf("%.0f %% of the direct way's: %s through the balancer, %s past it (medians of %d, in turn)", 100*balanced/direct, speed(balanced), speed(direct), turns)
}

// speed prints megabytes a second, those below ten to a tenth.
func speed(rate float64) string {
	if rate < 10 {
		return fmt.Sprintf("%.1f MB/s", rate)
	}
	return fmt.Sprintf("%.0f MB/s", rate)
}
