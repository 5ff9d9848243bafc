package proxies

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/Shopify/toxiproxy/v2/stream"
	"github.com/Shopify/toxiproxy/v2/toxics"
	"github.com/rs/zerolog"
	"github.com/rs/zerolog/log"
)

// Toxic is a byte fault by its toxiproxy type and attributes, such as latency with {"latency": 50}.
type Toxic struct {
	Type       string
	Attributes any // what encodes to the JSON object that toxiproxy documents for the type; nil for none
}

// What toxiproxy calls the two directions.
var streams = map[Direction]string{Up: "upstream", Down: "downstream"}

// The parts of toxiproxy that chains are made of.
type (
	piece   = stream.StreamChunk
	stub    = toxics.ToxicStub
	wrapper = toxics.ToxicWrapper
)

func newStub(in <-chan *piece, out chan<- *piece) *stub { return toxics.NewToxicStub(in, out) }

// order is a toxic that a flow is to have in one direction.
type order struct {
	name, kind string
	attributes string // as JSON
}

// ordered puts a toxic into the form in which chains compare it, once it is known to be possible.
func ordered(name string, t Toxic) (order, error) {
	o := order{name: name, kind: t.Type, attributes: "{}"}
	if t.Attributes != nil {
		attributes, err := json.Marshal(t.Attributes)
		if err != nil {
			return o, fmt.Errorf("staging %s: %w", t.Type, err)
		}
		o.attributes = string(attributes)
	}
	_, err := o.made()
	return o, err
}

// made is a toxic of its own for one flow, so that nobody changes the attributes of one that is running.
func (o order) made() (*wrapper, error) {
	// Toxicity is drawn for a connection, not as toxiproxy does each time a toxic is set going.
	w := &wrapper{Name: o.name, Type: o.kind, Toxicity: 1}
	if toxics.New(w) == nil {
		return nil, fmt.Errorf("staging %s: no such toxic (toxics: %s)", o.kind, strings.Join(slices.Sorted(maps.Keys(toxics.ToxicRegistry)), ", "))
	}
	if err := json.Unmarshal([]byte(o.attributes), w.Toxic); err != nil {
		return nil, fmt.Errorf("staging %s: %w", o.kind, err)
	}
	return w, nil
}

// bound is a toxic of ours that knows the flow it is in.
type bound interface{ bind(*Flow) }

// cleanup has a toxic do what it does on being taken off a connection: timeout ends it, since bytes are missing.
func cleanup(w *wrapper, s *stub) {
	if c, ok := w.Toxic.(toxics.CleanupToxic); ok {
		c.Cleanup(s)
	}
}

// state is what a toxic remembers about its connection, nil for most.
func state(w *wrapper) any {
	if s, ok := w.Toxic.(toxics.StatefulToxic); ok {
		return s.NewState()
	}
	return nil
}

func init() {
	log.Logger = zerolog.Nop() // toxiproxy's bandwidth toxic writes to it whatever logger a server has
	toxics.Register("reset_peer", new(resetPeer))
	toxics.Register("bandwidth", new(bandwidthToxic))
	toxics.Register("slicer", new(slicerToxic))
	toxics.Register(burst, new(credits))
}

// resetPeer is toxiproxy's reset_peer, which knows bare sockets only and sends a FIN on connections that were
// open before it came: the first bytes in its direction, or their end, start the time after which both
// ends are reset, and nothing passes from then on.
type resetPeer struct {
	Timeout int64 `json:"timeout"` // milliseconds
	flow    *Flow
}

func (r *resetPeer) bind(f *Flow) { r.flow = f }

// NewState implements toxics.StatefulToxic: the time of the reset, which a change elsewhere in the chain does
// not put off.
func (r *resetPeer) NewState() any { return new(time.Time) }

// Cleanup implements toxics.CleanupToxic: a connection that bytes are missing of is reset at once.
func (*resetPeer) Cleanup(stub *toxics.ToxicStub) {
	if at, ok := stub.State.(*time.Time); ok && !at.IsZero() {
		stub.Close()
	}
}

// cutting is the manner in which a type of toxic ends a connection early.
func cutting(kind string) Ending {
	if kind == "reset_peer" {
		return Reset
	}
	return Close
}

// Pipe implements toxics.Toxic.
func (r *resetPeer) Pipe(stub *toxics.ToxicStub) {
	at := stub.State.(*time.Time)
	input := stub.Input
	var due <-chan time.Time
	for {
		if due == nil && !at.IsZero() {
			due = time.After(time.Until(*at))
		}
		select {
		case <-stub.Interrupt:
			return
		case <-due:
			r.flow.End(Reset, "reset_peer")
			stub.Close()
			return
		case c := <-input:
			if at.IsZero() {
				*at = time.Now().Add(time.Duration(r.Timeout) * time.Millisecond)
			}
			if c == nil {
				input = nil
			}
		}
	}
}

// bandwidthToxic and slicerToxic are toxiproxy's, but for attributes with which those end the process: a
// negative rate slices out of range, a size of zero is halved for ever.
type (
	bandwidthToxic struct{ toxics.BandwidthToxic }
	slicerToxic    struct{ toxics.SlicerToxic }
)

// UnmarshalJSON implements json.Unmarshaler.
func (b *bandwidthToxic) UnmarshalJSON(data []byte) error {
	given := b.BandwidthToxic
	if err := json.Unmarshal(data, &given); err != nil {
		return err
	}
	if given.Rate < 0 {
		return fmt.Errorf("rate=%d: a rate is 0 (nothing passes) or more KB/s", given.Rate)
	}
	b.BandwidthToxic = given
	return nil
}

// UnmarshalJSON implements json.Unmarshaler.
func (s *slicerToxic) UnmarshalJSON(data []byte) error {
	given := s.SlicerToxic
	if err := json.Unmarshal(data, &given); err != nil {
		return err
	}
	switch {
	case given.AverageSize < 1:
		return fmt.Errorf("average_size=%d: slices are 1 byte or more", given.AverageSize)
	case given.SizeVariation < 0 || given.SizeVariation >= given.AverageSize:
		return fmt.Errorf("size_variation=%d: from 0 to less than the average_size of %d", given.SizeVariation, given.AverageSize)
	case given.Delay < 0:
		return fmt.Errorf("delay=%d: microseconds, from 0", given.Delay)
	}
	s.SlicerToxic = given
	return nil
}

// credits is the toxic of a burst: it passes bytes on at full speed while there is credit, and after that at
// its rate.
type credits struct {
	Rate  int64  `json:"rate"`  // bytes a second
	Burst int64  `json:"burst"` // bytes
	Way   string `json:"way"`   // the direction, for the event

	flow *Flow
	told bool // that the credit has run out once
}

func (c *credits) bind(f *Flow) { c.flow = f }

// UnmarshalJSON implements json.Unmarshaler.
func (c *credits) UnmarshalJSON(data []byte) error {
	type plain credits
	given := plain{Rate: c.Rate, Burst: c.Burst, Way: c.Way}
	if err := json.Unmarshal(data, &given); err != nil {
		return err
	}
	if given.Rate < 1 || given.Burst < 1 {
		return fmt.Errorf("rate=%d, burst=%d: bytes a second and bytes, 1 or more", given.Rate, given.Burst)
	}
	*c = credits(given)
	return nil
}

// NewState implements toxics.StatefulToxic: the credit, which a change elsewhere in the chain does not renew.
func (c *credits) NewState() any { return &credit{rate: float64(c.Rate), burst: float64(c.Burst)} }

// Pipe implements toxics.Toxic.
func (c *credits) Pipe(stub *toxics.ToxicStub) {
	for {
		select {
		case <-stub.Interrupt:
			return
		case p := <-stub.Input:
			if p == nil {
				stub.Close()
				return
			}
			if !c.spend(stub, p) {
				return
			}
		}
	}
}

// spend passes a piece on, in parts where there is credit for parts only; false is an interruption, at which
// the rest goes out at once.
func (c *credits) spend(stub *toxics.ToxicStub, p *piece) bool {
	left := stub.State.(*credit)
	for len(p.Data) > 0 {
		n, wait := left.pass(len(p.Data), time.Now())
		if n > 0 {
			stub.Output <- &piece{Data: p.Data[:n], Timestamp: p.Timestamp}
			p.Data = p.Data[n:]
			continue
		}
		if !c.told {
			c.told = true
			c.flow.Applied(burst, c.Way+" has used it up")
		}
		select {
		case <-time.After(wait):
		case <-stub.Interrupt:
			stub.Output <- p
			return false
		}
	}
	return true
}
