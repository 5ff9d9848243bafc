package proxies

import (
	"fmt"
	"time"
)

// Latency delays what crosses the balancer, each way. Both are whole milliseconds.
type Latency struct {
	Delay  time.Duration // 0 for none
	Jitter time.Duration // each piece of bytes is delayed by up to this much more or less

	given string // the jitter that With was given
}

const (
	latency = "latency"
	jitter  = "jitter"
)

func init() { register(40, Latency{}) }

// Settings implements Behaviour.
func (Latency) Settings() []Setting {
	return []Setting{{
		Name: latency, Default: none, Values: "none, DURATION",
		About: "bytes arrive this much later, each way",
		Explain: "The way through a balancer costs time: well under a millisecond in one zone, one or two between the zones of a region (AWS NLB and Google's proxies with cross-zone balancing), " +
			"tens to hundreds where the balancer stands at another region's edge (Cloudflare Spectrum, AWS Global Accelerator). " +
			"Here toxiproxy's latency toxic holds each piece of bytes back for that long in each direction, in whole milliseconds and in order, so a round trip takes twice that. " +
			"What the balancer says itself is not delayed: the TCP handshake, its TLS handshakes and a PROXY header.",
	}, {
		Name: jitter, Default: none, Values: "none, DURATION",
		About: "the latency varies by up to this much more or less",
		Explain: "Delay on a shared path is not even: queues in front of busy hosts and microbursts, as EC2 counts them, make it vary. " +
			"Here toxiproxy's latency toxic draws each piece's delay evenly between latency minus and latency plus jitter. Pieces never overtake each other. " +
			"Toxiproxy draws from a source of its own, so a seed does not repeat these delays.",
	}}
}

// Value implements Behaviour.
func (l Latency) Value(setting string) string {
	if setting == jitter {
		return formatDuration(l.Jitter)
	}
	return formatDuration(l.Delay)
}

// With implements Behaviour.
func (l Latency) With(setting, value string) (Behaviour, error) {
	d, err := parseDuration(setting, value)
	if err != nil {
		return l, err
	}
	if below := d.Truncate(time.Millisecond); below != d {
		return l, fmt.Errorf("%s=%s: toxiproxy delays by whole milliseconds: %s?", setting, value, formatDuration(below+time.Millisecond))
	}
	if setting == jitter {
		l.Jitter, l.given = d, setting+"="+value
	} else {
		l.Delay = d
	}
	return l, nil
}

// check refuses a jitter that would have to deliver bytes before they came. A profile may well state a jitter
// whose latency a flag has turned off.
func (l Latency) check() error {
	switch {
	case l.Jitter <= l.Delay:
		return nil
	case l.Delay > 0:
		return fmt.Errorf("%s=%s is more than %s=%s, and nothing can arrive before it was sent: at most %[1]s=%[4]s", jitter, formatDuration(l.Jitter), latency, formatDuration(l.Delay))
	case l.given != "":
		return fmt.Errorf("%s has no effect without a latency that it varies: add one, such as %s=%s", l.given, latency, formatDuration(l.Jitter))
	}
	return nil
}

// Scaled implements Behaviour: a path is as long as it is.
func (l Latency) Scaled(float64) Behaviour { return l }

func (l Latency) stages() bool { return l.Delay > 0 }

// Start implements Behaviour.
func (l Latency) Start() Policy { return l }

// Admit implements Policy.
func (l Latency) Admit(f *Flow) error {
	if !l.stages() {
		return nil
	}
	delay := Toxic{Type: "latency", Attributes: map[string]int64{"latency": l.Delay.Milliseconds(), "jitter": l.Jitter.Milliseconds()}}
	for _, d := range []Direction{Up, Down} {
		if err := f.Stage(d, delay); err != nil {
			return err
		}
	}
	what := formatDuration(l.Delay) + " later each way"
	if l.Jitter > 0 {
		what = fmt.Sprintf("%s ± %s later each way", formatDuration(l.Delay), formatDuration(l.Jitter))
	}
	f.Applied(latency, what)
	return nil
}
