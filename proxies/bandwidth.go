package proxies

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/dustin/go-humanize"
)

// Bandwidth limits how fast bytes cross the balancer, each direction of each connection by itself.
type Bandwidth struct {
	Rate  int64 // bytes a second, a multiple of 1,000; 0 for no limit
	Burst int64 // bytes that pass at full speed before the limit applies; 0 for none

	given string // the burst that With was given
}

const (
	bandwidth = "bandwidth"
	burst     = "burst"
)

func init() { register(42, Bandwidth{}) }

// Settings implements Behaviour.
func (Bandwidth) Settings() []Setting {
	return []Setting{{
		Name: bandwidth, Default: none, Values: "none, BYTES/s",
		About: "no more bytes a second, each direction of each connection by itself",
		Explain: "A single connection gets less than its host: EC2 limits one flow to 5 Gbit/s outside a placement group, and instances documented as up to so many have a much lower baseline; " +
			"FortiGate, Palo Alto and MikroTik shape by policy, HAProxy has filter bwlim-in and bwlim-out. " +
			"Here toxiproxy's bandwidth toxic delays what is too fast, so that the sender is held up by TCP. Its unit is 1,000 bytes a second (KB/s); rates between are refused.",
	}, {
		Name: burst, Default: none, Values: "none, BYTES",
		About: "bytes at full speed before bandwidth applies: credits that run out",
		Explain: "EC2 instances of the smaller sizes send and receive at full speed while they have network credits, typically for 5 to 60 minutes, and fall to their baseline after that; credits come back while less than the baseline is used. " +
			"Shaping firewalls allow a burst in the same manner. " +
			"Here each direction of each connection begins with that many bytes of credit and earns them back at the rate of bandwidth, up to that many. " +
			"Toxiproxy has no such toxic; this is one of ours in its chain, in the place of its bandwidth toxic.",
	}}
}

// Value implements Behaviour.
func (b Bandwidth) Value(setting string) string {
	switch {
	case setting == burst:
		return formatBytes(b.Burst)
	case b.Rate == 0:
		return none
	}
	return formatBytes(b.Rate) + "/s"
}

// With implements Behaviour.
func (b Bandwidth) With(setting, value string) (Behaviour, error) {
	var err error
	if setting == burst {
		b.given = setting + "=" + value
		b.Burst, err = parseBytes(setting, value)
		return b, err
	}
	b.Rate, err = parseRate(setting, value)
	return b, err
}

// check refuses what would silently do nothing. See IdleTimeout.check.
func (b Bandwidth) check() error {
	if b.given == "" || b.Burst == 0 || b.Rate > 0 {
		return nil
	}
	return fmt.Errorf("%s has no effect without a bandwidth that applies after it: add one, such as %s=1MB/s", b.given, bandwidth)
}

// Scaled implements Behaviour.
func (b Bandwidth) Scaled(float64) Behaviour { return b }

func (b Bandwidth) stages() bool { return b.Rate > 0 }

// Start implements Behaviour.
func (b Bandwidth) Start() Policy { return b }

// kilo is toxiproxy's unit of bandwidth: it passes rate bytes a millisecond (toxics/bandwidth.go of v2.12.0).
const kilo = 1000

// Admit implements Policy.
func (b Bandwidth) Admit(f *Flow) error {
	if !b.stages() {
		return nil
	}
	for _, d := range []Direction{Up, Down} {
		limit := Toxic{Type: "bandwidth", Attributes: map[string]int64{"rate": b.Rate / kilo}}
		if b.Burst > 0 {
			limit = Toxic{Type: burst, Attributes: map[string]any{"rate": b.Rate, "burst": b.Burst, "way": streams[d]}}
		}
		if err := f.Stage(d, limit); err != nil {
			return err
		}
	}
	f.Applied(bandwidth, "at most "+b.Value(bandwidth)+" each way")
	return nil
}

// credit is what one direction may still pass at full speed. It begins full.
type credit struct {
	rate, burst float64 // bytes a second; bytes at most
	spent       float64 // of burst
	asked       time.Time
}

// creditStep is how often a sender without credit is let through: as often as toxiproxy's own bandwidth toxic
// does with large pieces.
const creditStep = 100 * time.Millisecond

// pass says how many of n bytes may pass at that time, at least one and counted as passed; or, if none may, how
// long to wait before asking again.
func (c *credit) pass(n int, at time.Time) (now int, wait time.Duration) {
	if earned := at.Sub(c.asked).Seconds() * c.rate; !c.asked.IsZero() && earned > 0 {
		c.spent = max(0, c.spent-earned)
	}
	c.asked = at
	worth := max(1, min(float64(n), c.burst, c.rate*creditStep.Seconds()))
	have := c.burst - c.spent
	if have < worth {
		return 0, time.Duration((worth-have)/c.rate*float64(time.Second)) + 1 // rounded up: never early
	}
	now = min(n, int(have))
	c.spent += float64(now)
	return now, 0
}

var numberOfBytes = regexp.MustCompile(`^(\d+)(?:\.(\d+))?\s*([A-Za-z]*)$`)

// parseBytes reads a setting's number of bytes, 0 for none, without rounding it.
func parseBytes(setting, value string) (int64, error) {
	if value == none {
		return 0, nil
	}
	if slices.Contains(offWords, strings.ToLower(value)) {
		return 0, fmt.Errorf("%s=%s: to turn it off, %[1]s=none; otherwise a number of bytes such as 64KB", setting, value)
	}
	parts := numberOfBytes.FindStringSubmatch(value)
	if parts == nil {
		return 0, fmt.Errorf("%s=%s: not a number of bytes; allowed are none and sizes such as 1500, 64KB or 1MiB", setting, value)
	}
	whole, fraction, unit := parts[1], parts[2], parts[3]
	if len(unit) > 1 && strings.HasSuffix(unit, "b") {
		return 0, fmt.Errorf("%s=%s: %s may mean bits; bytes have a capital B: %s%sB?", setting, value, unit, strings.TrimSuffix(value, unit), unit[:len(unit)-1])
	}
	// Without its point the number is whole, which the library reads exactly.
	n, err := humanize.ParseBytes(whole + fraction + unit)
	if err != nil || n > 1<<62 {
		return 0, fmt.Errorf("%s=%s: not a number of bytes; units are B, KB, MB, GB, KiB, MiB and GiB", setting, value)
	}
	for range fraction {
		if n%10 != 0 {
			return 0, fmt.Errorf("%s=%s: not a whole number of bytes", setting, value)
		}
		n /= 10
	}
	if n == 0 {
		return 0, fmt.Errorf("%s=%s: must be more than zero; to turn it off, %[1]s=none", setting, value)
	}
	return int64(n), nil
}

// parseRate reads a number of bytes a second, 0 for none.
func parseRate(setting, value string) (int64, error) {
	if value == none {
		return 0, nil
	}
	size, ok := strings.CutSuffix(value, "/s")
	if slices.Contains(offWords, strings.ToLower(value)) {
		return 0, fmt.Errorf("%s=%s: to turn it off, %[1]s=none; otherwise bytes a second such as 10MB/s", setting, value)
	}
	rate, err := parseBytes(setting, size)
	switch unitless := strings.IndexFunc(size, isLetter) < 0; {
	case err != nil || size == none:
		return 0, fmt.Errorf("%s=%s: not a number of bytes a second above zero; allowed are none and rates such as 10MB/s or 500KB/s, with a capital B (8 bits are a byte: 100Mbit/s is 12.5MB/s)", setting, value)
	case unitless:
		return 0, fmt.Errorf("%s=%s: bytes a second need a unit: %sB/s?", setting, value, size)
	case !ok:
		return 0, fmt.Errorf("%s=%s: bytes a second: %s/s?", setting, value, value)
	case rate%kilo != 0:
		above := (rate/kilo + 1) * kilo
		return 0, fmt.Errorf("%s=%s: toxiproxy limits to whole KB/s (1,000 bytes a second): %s/s?", setting, value, formatBytes(above))
	}
	return rate, nil
}

func isLetter(r rune) bool { return r >= 'A' && r <= 'Z' || r >= 'a' && r <= 'z' }

// formatBytes writes a number of bytes exactly, in the largest unit in which it is whole; none for 0.
func formatBytes(n int64) string {
	if n == 0 {
		return none
	}
	for _, u := range []struct {
		size int64
		name string
	}{
		{humanize.GByte, "GB"}, {humanize.GiByte, "GiB"}, {humanize.MByte, "MB"}, {humanize.MiByte, "MiB"}, {humanize.KByte, "KB"}, {humanize.KiByte, "KiB"},
	} {
		if n%u.size == 0 {
			return fmt.Sprintf("%d%s", n/u.size, u.name)
		}
	}
	return fmt.Sprintf("%dB", n)
}
