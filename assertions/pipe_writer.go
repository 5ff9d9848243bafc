package assertions

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const (
	// publishWait is how long a publish waits for its ack: nats.go's own.
	publishWait = 5 * time.Second
	// sayAgain is how often a message is said twice without need, as if its ack had been lost: once a second.
	sayAgain = 10
	// bucketKeys is how many keys the bucket has; each is written twice a second.
	bucketKeys = 5
)

// pipeWriter publishes numbers to one stream, one after the other: each is said, under its own id, until it is acknowledged.
type pipeWriter struct {
	app    *app
	js     jetstream.JetStream
	stream string
	last   int // the newest number that was said
	since  int // the app's connection when it was acknowledged
}

func newPipeWriter(a *app, stream string) (*pipeWriter, error) {
	js, err := jetstream.New(a.Conn, jetstream.WithDefaultTimeout(publishWait))
	if err != nil {
		return nil, fmt.Errorf("publishing to %s: %w", stream, err)
	}
	return &pipeWriter{app: a, js: js, stream: stream}, nil
}

// write goes on until enough is closed, and then until its last message is acknowledged or the context ends.
func (w *pipeWriter) write(ctx context.Context, enough <-chan struct{}, p *pipeline) {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for ticked(ctx, tick, enough) {
		w.last++
		began := p.rec.Now()
		if !w.deliver(ctx, p.rec) {
			return
		}
		p.acknowledged(w, w.last, p.rec.Now()-began)
		if nth := w.app.connection(); nth != w.since {
			// As one does that never saw the last ack of the connection before: it may have got lost with it.
			w.since = nth
			w.repeat(ctx, p.rec, w.last-1)
		}
		if w.last%sayAgain == 0 {
			w.repeat(ctx, p.rec, w.last)
		}
	}
}

// ticked waits for the next tick. It reports false once enough is closed or the context has ended.
func ticked(ctx context.Context, tick *time.Ticker, enough <-chan struct{}) bool {
	select {
	case <-enough:
		return false
	case <-ctx.Done():
		return false
	case <-tick.C:
		return true
	}
}

// deliver says the newest number until it is acknowledged, as long as the context lives.
func (w *pipeWriter) deliver(ctx context.Context, rec *Recorder) bool {
	for ctx.Err() == nil {
		_, err := w.say(ctx, w.last)
		switch {
		case err == nil:
			return true
		case errors.Is(err, errRenewed):
			rec.Add(Event{From: Client, Kind: "said-again", App: w.app.name, Stream: w.stream, Seq: w.last})
			continue
		case ctx.Err() == nil:
			rec.Add(Event{From: Client, Kind: "publish-failed", App: w.app.name, Stream: w.stream, Seq: w.last, Why: err.Error()})
		}
		rest(ctx, 250*time.Millisecond) // nats.go's own pause before it asks again
	}
	return false
}

// repeat says a number once more that was acknowledged, and writes down what the stream made of it.
func (w *pipeWriter) repeat(ctx context.Context, rec *Recorder, seq int) {
	if seq == 0 {
		return
	}
	ack, err := w.say(ctx, seq)
	e := Event{From: Client, Kind: "repeated", App: w.app.name, Stream: w.stream, Seq: seq, How: "stored"}
	switch {
	case err != nil:
		e.How, e.Why = "unanswered", err.Error()
	case ack.Duplicate:
		e.How = "dropped"
	}
	rec.Add(e)
}

// errRenewed is no failure of a publish: its connection was lost under it, and is back.
var errRenewed = errors.New("the connection was made again")

// say publishes a number under its id and waits for the ack, but no longer than until a connection that was lost
// meanwhile is back: what was said into the old one may have got lost with it.
func (w *pipeWriter) say(ctx context.Context, seq int) (*jetstream.PubAck, error) {
	limited, cancel := context.WithTimeout(ctx, publishWait)
	defer cancel()
	asked, forget := context.WithCancelCause(limited)
	defer forget(nil)
	// What is said while there is no connection is kept by nats.go for the next one.
	if w.app.IsConnected() {
		changed := w.app.StatusChanged(nats.CONNECTED)
		defer w.app.RemoveStatusListener(changed)
		go func() {
			select {
			case <-changed:
				forget(errRenewed)
			case <-asked.Done():
			}
		}()
	}
	ack, err := w.js.Publish(asked, "to."+w.stream, []byte(strconv.Itoa(seq)), jetstream.WithMsgID(w.stream+"-"+strconv.Itoa(seq)))
	if err != nil && errors.Is(context.Cause(asked), errRenewed) {
		return nil, errRenewed
	}
	return ack, err
}

// bucketKeeper writes numbers to the keys of a bucket in turn, each until it is acknowledged.
type bucketKeeper struct {
	bucket jetstream.KeyValue
	last   int
}

func newBucketKeeper(ctx context.Context, a *app) (*bucketKeeper, error) {
	js, err := jetstream.New(a.Conn, jetstream.WithDefaultTimeout(publishWait))
	if err != nil {
		return nil, err
	}
	bucket, err := js.KeyValue(ctx, bucketName)
	if err != nil {
		return nil, fmt.Errorf("finding the bucket: %w", err)
	}
	return &bucketKeeper{bucket: bucket}, nil
}

func keyOf(seq int) string { return "k" + strconv.Itoa(seq%bucketKeys) }

func (k *bucketKeeper) keep(ctx context.Context, enough <-chan struct{}) {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for ticked(ctx, tick, enough) {
		k.last++
		for ctx.Err() == nil && k.put(ctx) != nil {
			rest(ctx, 250*time.Millisecond)
		}
	}
}

func (k *bucketKeeper) put(ctx context.Context) error {
	limited, cancel := context.WithTimeout(ctx, publishWait)
	defer cancel()
	_, err := k.bucket.Put(limited, keyOf(k.last), []byte(strconv.Itoa(k.last)))
	return err
}
