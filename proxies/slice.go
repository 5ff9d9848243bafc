package proxies

import "fmt"

// Slice has bytes arrive in small pieces.
type Slice struct{ Size int64 } // bytes of a piece at most; 0 for pieces as they come

const slice = "slice"

func init() { register(44, Slice{}) }

// slicePause is the time (µs) between the pieces: what a waiting reader takes to wake up and read one before
// the next is there. A receiver that is busy reads several at once, as it does on any network.
const slicePause = 100

// Settings implements Behaviour.
func (Slice) Settings() []Setting {
	return []Setting{{
		Name: slice, Default: none, Values: "none, BYTES",
		About: "bytes arrive in pieces of at most this size, each way",
		Explain: "TCP has no messages: whoever stands in between may cut the stream anywhere. Tunnels and overlays with a small MTU (VXLAN, WireGuard, PPPoE) and inspecting boxes that hand on segment by segment do so all the time, " +
			"and a parser that takes one read for one message breaks behind them. " +
			"Here toxiproxy's slicer toxic halves what came until no piece is larger, and writes the pieces one by one with 100µs between them, which costs bulk throughput: about 10,000 pieces a second at most.",
	}}
}

// Value implements Behaviour.
func (s Slice) Value(string) string { return formatBytes(s.Size) }

// With implements Behaviour.
func (s Slice) With(setting, value string) (Behaviour, error) {
	size, err := parseBytes(setting, value)
	if err == nil && size > chunk {
		err = fmt.Errorf("%s=%s has no effect: no piece that crosses a balancer is larger than %s", setting, value, formatBytes(chunk))
	}
	return Slice{size}, err
}

// Scaled implements Behaviour.
func (s Slice) Scaled(float64) Behaviour { return s }

func (s Slice) stages() bool { return s.Size > 0 }

// Start implements Behaviour.
func (s Slice) Start() Policy { return s }

// Admit implements Policy.
func (s Slice) Admit(f *Flow) error {
	if !s.stages() {
		return nil
	}
	slicer := Toxic{Type: "slicer", Attributes: map[string]int64{"average_size": s.Size, "size_variation": 0, "delay": slicePause}}
	for _, d := range []Direction{Up, Down} {
		if err := f.Stage(d, slicer); err != nil {
			return err
		}
	}
	f.Applied(slice, "in pieces of at most "+formatBytes(s.Size))
	return nil
}
