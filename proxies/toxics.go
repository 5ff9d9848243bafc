package proxies

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"

	"github.com/Shopify/toxiproxy/v2"
	"github.com/Shopify/toxiproxy/v2/stream"
	"github.com/Shopify/toxiproxy/v2/toxics"
	"github.com/rs/zerolog"
)

// Toxic is a byte fault by its toxiproxy type and attributes, such as latency with {"latency": 50}.
type Toxic struct {
	Type       string
	Attributes any // what encodes to the JSON object that toxiproxy documents for the type; nil for none
}

// engine holds what toxiproxy's links want of their server: metrics and a log, both unused here.
var engine = sync.OnceValue(func() *toxiproxy.ApiServer {
	return toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop())
})

// links is the toxic lane: a flow as two toxiproxy links. Each flow has a toxiproxy collection of its own, so
// that a client which does not read can hold up nobody else, names cannot collide, and a toxic can
// know its connection.
type links struct {
	flow  *Flow
	proxy *toxiproxy.Proxy
}

func newLinks(f *Flow) *links {
	return &links{flow: f, proxy: toxiproxy.NewProxy(engine(), f.id, "", "")}
}

// stage adds a toxic to the end of one direction's chain.
func (l *links) stage(d Direction, t Toxic) error {
	if t.Type == "reset_peer" {
		// Toxiproxy sets the linger time of bare sockets only, and panics on others.
		return errors.New("staging reset_peer: a flow is reset by ending it with Reset")
	}
	streams := map[Direction]string{Up: "upstream", Down: "downstream"}
	spec, err := json.Marshal(map[string]any{
		"name":       fmt.Sprintf("%s-%s-%d", t.Type, streams[d], len(l.proxy.Toxics.GetToxicArray())),
		"type":       t.Type,
		"stream":     streams[d],
		"toxicity":   1, // always: chance per connection is not a matter of the chain
		"attributes": t.Attributes,
	})
	if err != nil {
		return fmt.Errorf("staging %s: %w", t.Type, err)
	}
	added, err := l.proxy.Toxics.AddToxicJson(bytes.NewReader(spec))
	if err != nil {
		return fmt.Errorf("staging %s: %w", t.Type, err)
	}
	if h, ok := added.Toxic.(*hold); ok {
		h.flow = l.flow
	}
	return nil
}

func (l *links) start() {
	f := l.flow
	l.proxy.Toxics.StartLink(engine(), "up", source{f.client.conn, f, f.client}, sink{f.server.conn, f, f.server}, stream.Upstream)
	l.proxy.Toxics.StartLink(engine(), "down", source{f.server.conn, f, f.server}, sink{f.client.conn, f, f.client}, stream.Downstream)
}

// release takes the toxics out of a flow that is over, so that bytes which wait in them (a latency
// holds up to 1,024 chunks) do not keep its goroutines.
func (l *links) release() { l.proxy.Toxics.ResetToxics(context.Background()) }

// piece is the largest chunk given to a link: the largest that toxiproxy's own links pass, so that its
// toxics see what they see there. Twice as much was measured to be no faster.
const piece = 32 << 10

// source is the end of a link that is read. io.Copy uses its WriteTo.
type source struct {
	io.Reader
	flow *Flow
	leg  *leg
}

func (s source) WriteTo(w io.Writer) (int64, error) {
	total := int64(0)
	for {
		data := s.flow.take(s.leg)
		if data == nil {
			n, err := w.Write(s.flow.filtered(s.leg, nil))
			return total + int64(n), err
		}
		for rest := range slices.Chunk(s.flow.filtered(s.leg, data), piece) {
			n, err := w.Write(rest) // copies
			total += int64(n)
			if err != nil {
				release(data)
				return total, err
			}
		}
		release(data)
	}
}

// sink is the end of a link that is written. io.Copy uses its ReadFrom. It goes on reading when the
// socket cannot be written any more: a link whose writer stops early leaves the goroutines before it
// blocked for ever.
type sink struct {
	io.Writer
	flow *Flow
	leg  *leg
}

// ReadFrom waits with a buffer of one byte, so that idle connections cost little, and takes what else
// is there without waiting.
func (s sink) ReadFrom(r io.Reader) (int64, error) {
	in, ok := r.(*stream.ChanReader)
	if !ok {
		return 0, fmt.Errorf("reading toxiproxy's link: unexpected %T", r)
	}
	var first [1]byte
	total := int64(0)
	for {
		in.SetInterrupt(nil)
		n, err := in.Read(first[:])
		if err != nil {
			return total, ignoreEOF(err)
		}
		if n == 0 {
			continue // an empty chunk
		}
		buf := chunks.Get().(*[chunk]byte)
		buf[0] = first[0]
		in.SetInterrupt(closed)
		more, err := in.Read(buf[1:])
		s.flow.give(s.leg, buf[:1+more])
		chunks.Put(buf)
		total += int64(1 + more)
		if err != nil && !errors.Is(err, stream.ErrInterrupted) {
			return total, ignoreEOF(err)
		}
	}
}

// Close is the end of the stream, not of the connection: toxiproxy calls it when its chain has run
// dry, while the other direction may well go on.
func (s sink) Close() error {
	s.flow.delivered(s.leg)
	return nil
}

func ignoreEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

// closed interrupts a ChanReader at once.
var closed = func() chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}()

// hold is the toxic of a stall: it passes chunks on, in order, while the balancer's clock runs.
type hold struct{ flow *Flow }

func init() { toxics.Register(stall, new(hold)) }

// Pipe implements toxics.Toxic.
func (h *hold) Pipe(stub *toxics.ToxicStub) {
	for {
		select {
		case <-stub.Interrupt:
			return
		case c := <-stub.Input:
			h.flow.clock.running(h.flow.done) // of a flow that is over, bytes go on to be dropped
			if c == nil {
				stub.Close()
				return
			}
			stub.Output <- c
		}
	}
}
