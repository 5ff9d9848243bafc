package assertions

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
)

// framing lets messages of all sizes go both ways through a websocket, one client with compression and one without, and
// writes down of each whether it arrived as it was sent:
//
//	application ◄──websocket── balancer ──► node ◄── the tester, past the balancer
var framing = &Observation{Name: "framing", Watch: func(ctx context.Context, t Target, rec *Recorder) error {
	var all sync.WaitGroup
	errs := make([]error, 2)
	for i, compressed := range []bool{false, true} {
		all.Go(func() { errs[i] = frame(ctx, t, rec, compressed) })
	}
	all.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return ctx.Err()
}}

// letter is one message under way.
type letter struct {
	down    bool // towards the application
	payload []byte
	came    chan Event
}

func frame(ctx context.Context, t Target, rec *Recorder, compressed bool) error {
	name := "frames"
	if compressed {
		name = "compressed frames"
	}
	account := t.plain()[0]
	began := rec.Now()
	far, err := t.open(rec, account, name, nats.Compression(compressed))
	if err != nil {
		rec.Add(Event{From: Client, Kind: "unframed", App: name, Why: words(err, rec.Now()-began)})
		return nil
	}
	defer far.Close()
	// At the node where the application is, so that no route has a part in it.
	node := t.Nodes[0]
	for _, n := range t.Nodes {
		if n.Name == far.ConnectedServerName() {
			node = n
		}
	}
	near, err := t.connect(node, account)
	if err != nil {
		return err
	}
	defer near.Close()

	subject := "frames." + strings.ReplaceAll(name, " ", "-") + "."
	all := letters(far.MaxPayload())
	for _, end := range []struct {
		nc   *nats.Conn
		down bool
	}{{near, false}, {far.Conn, true}} {
		if _, err := end.nc.Subscribe(subject+way(end.down)+".*", func(m *nats.Msg) { arrive(all, end.down, m) }); err != nil {
			return fmt.Errorf("subscribing for %s: %w", name, err)
		}
		if err := end.nc.FlushTimeout(back); err != nil && end.nc == near {
			return fmt.Errorf("subscribing at %s: %w", node.Name, err)
		}
	}
	ended := far.StatusChanged(nats.RECONNECTING, nats.CLOSED)
	for i, missed := 0, 0; i < len(all) && missed < 2; i++ { // two that are missing have said enough
		l := all[i]
		from := far.Conn
		if l.down {
			from = near
		}
		// One after the other: what is slow is the balancer then, and not what was sent before.
		sent := rec.Now()
		e := Event{Kind: "unframed"}
		if err := from.Publish(subject+way(l.down)+"."+strconv.Itoa(i), l.payload); err != nil {
			e.Why = err.Error()
		} else {
			e = l.await(ctx, ended)
		}
		if e.Kind != "framed" {
			missed++
		}
		e.From, e.App, e.Seq, e.Count, e.How, e.Took = Client, name, i, len(l.payload), way(l.down), rec.Now()-sent
		rec.Add(e)
	}
	return nil
}

// await waits until the letter comes, or cannot be expected any more.
func (l letter) await(ctx context.Context, ended <-chan nats.Status) Event {
	limit := time.NewTimer(back)
	defer limit.Stop()
	why := "it did not come within " + spoken(back)
	for {
		select {
		case e := <-l.came:
			return e
		case <-ended:
			// What was under way is lost with the connection; what the client kept for the next one, which it makes within
			// about two seconds, may still come.
			why = "the connection ended"
			limit.Reset(5 * time.Second)
		case <-limit.C:
			return Event{Kind: "unframed", Why: why}
		case <-ctx.Done():
			return Event{Kind: "unframed", Why: ctx.Err().Error()}
		}
	}
}

// arrive compares what came with what was sent.
func arrive(all []letter, down bool, m *nats.Msg) {
	i, err := strconv.Atoi(m.Subject[strings.LastIndexByte(m.Subject, '.')+1:])
	if err != nil || i < 0 || i >= len(all) || all[i].down != down {
		return
	}
	e := Event{Kind: "framed"}
	if !bytes.Equal(m.Data, all[i].payload) {
		e.Kind, e.Why = "garbled", "it arrived changed"
	}
	select {
	case all[i].came <- e:
	default: // a second time; the first has been counted
	}
}

func way(down bool) string {
	if down {
		return "down"
	}
	return "up"
}

// A frame's length takes one, three or nine bytes; servers cut what they send to browsers at 4 KB. The largest message of the
// server's comes last.
var letterSizes = []int64{1, 100, 5 << 10, 70 << 10}

// lettersEach is how many messages each client has: every size, both ways.
var lettersEach = 2 * (len(letterSizes) + 1)

// letters are messages of those sizes. Half of each is one letter again and again, which compresses well and has no end of a
// line in it; the other half is noise, which does not compress.
func letters(largest int64) []letter {
	// The server holds what it inflates, the line before the payload included, against max_payload.
	largest = max(1, largest-1<<10)
	noise := rand.NewChaCha8([32]byte{}) // any, and the same each time
	var all []letter
	for _, size := range append(slices.Clone(letterSizes), largest) {
		payload := bytes.Repeat([]byte("x"), int(min(size, largest)))
		_, _ = noise.Read(payload[len(payload)/2:]) // never fails
		for _, down := range []bool{false, true} {
			all = append(all, letter{down: down, payload: payload, came: make(chan Event, 1)})
		}
	}
	return all
}
