package assertions

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Depth is how the idle limit of an endpoint is measured.
type Depth struct {
	MaxWait   time.Duration // no connection is quiet for longer
	Precision Precision
	Mode      string // ModeLadder, ModeBisect
	// StandIn says that `lbtest backend` stands behind the load balancer, which sends no PINGs.
	StandIn bool
}

// The ways to look for the limit.
const (
	// ModeLadder has many connections quiet at once, each for its own time: it takes little more than the limit.
	ModeLadder = "ladder"
	// ModeBisect has three quiet at once, and halves: for balancers that count connections.
	ModeBisect = "bisect"
)

// Modes lists the ways to look for the limit.
func Modes() []string { return []string{ModeLadder, ModeBisect} }

// Precision is how near the two ends of an answer are to be: a share of it, or a time.
type Precision struct {
	Share float64
	Time  time.Duration
}

// finest is the smallest difference that is looked for: what a busy machine is late by is not more.
const finest = 20 * time.Millisecond

// ParsePrecision reads 2% or 100ms. Its errors are the user's.
func ParsePrecision(text string) (Precision, error) {
	if number, ok := strings.CutSuffix(text, "%"); ok {
		share, err := strconv.ParseFloat(number, 64)
		if err != nil || !(share >= 0.1 && share <= 50) {
			return Precision{}, fmt.Errorf("--precision %s: want 0.1%% to 50%%, or a duration such as 100ms", text)
		}
		return Precision{Share: share / 100}, nil
	}
	d, err := time.ParseDuration(text)
	if err != nil || d < finest {
		return Precision{}, fmt.Errorf("--precision %s: want a share such as 2%%, or a duration from %s up", text, finest)
	}
	return Precision{Time: d}, nil
}

// String is the precision as it is typed.
func (p Precision) String() string {
	if p.Time > 0 {
		return p.Time.String()
	}
	return strconv.FormatFloat(p.Share*100, 'g', 4, 64) + "%"
}

// at is the precision around a time.
func (p Precision) at(d time.Duration) time.Duration {
	return max(p.Time, time.Duration(p.Share*float64(d)), finest)
}

// Check says what is wrong about a depth. Its errors are the user's.
func (d Depth) Check() error {
	switch {
	case d.MaxWait < 2*shortest || d.MaxWait > longest:
		return fmt.Errorf("--max-wait %s: want a duration from %s to %s", d.MaxWait, 2*shortest, longest)
	case d.Mode != ModeLadder && d.Mode != ModeBisect:
		return fmt.Errorf("--mode %s: want %s", d.Mode, strings.Join(Modes(), " or "))
	}
	return nil
}

const (
	// shortest is the lowest rung: what ends connections sooner is no idle limit but a closed door.
	shortest = 500 * time.Millisecond
	// longest is above every default in the catalogue but conntrack's five days.
	longest = 24 * time.Hour
	// ladderRungs is how many rungs a ladder has: forty from half a second to ten minutes are a fifth apart, and one more
	// ladder of a few between two of them is finer than 2 %.
	ladderRungs = 40
	// betweenRungs is how many rungs stand between two of the first ladder.
	betweenRungs = 9
	// probed is every which rung has a twin that sends TCP keepalive probes.
	probed = 4
)

// first are the silences to begin with, in order.
func (d Depth) first() []time.Duration {
	if d.Mode == ModeBisect {
		return []time.Duration{min(2*shortest, d.MaxWait)}
	}
	ratio := math.Pow(float64(d.MaxWait)/float64(shortest), 1.0/(ladderRungs-1))
	var all []time.Duration
	for i := range ladderRungs {
		all = append(all, time.Duration(float64(shortest)*math.Pow(ratio, float64(i))).Round(time.Millisecond))
	}
	return append(all[:ladderRungs-1], d.MaxWait)
}

// next are the silences to try after what is known, of which Doubtful is what the last ones left open; none when the answer
// is as near as it was asked for, or cannot be had any nearer.
func (d Depth) next(known Idle) []time.Duration {
	switch {
	case known.Died:
		return nil
	case known.Doubtful > 0 && known.High == 0 && known.Low < d.MaxWait && d.Mode == ModeLadder:
		return slices.DeleteFunc(d.first(), func(wait time.Duration) bool { return wait <= known.Low })
	case known.Hidden > 0 && known.High == 0:
		return nil
	case known.High == 0 && known.Low < d.MaxWait && d.Mode == ModeBisect:
		return []time.Duration{min(2*max(known.Low, shortest), d.MaxWait)}
	case known.High == 0 || known.Uneven, known.High-known.Low <= d.Precision.at(known.High):
		return nil
	}
	steps := betweenRungs
	if d.Mode == ModeBisect {
		steps = 1
	}
	// No more of them than the precision asks for.
	steps = min(steps, max(1, int((known.High-known.Low)/d.Precision.at(known.High))))
	var all []time.Duration
	for i := range steps {
		all = append(all, known.Low+time.Duration(i+1)*(known.High-known.Low)/time.Duration(steps+1))
	}
	return all
}

// beginning is what a quiet connection takes before its silence begins, and after it: a server's first PING comes two
// seconds after the connect, up to a fifth later, and an answer is waited for.
const beginning = 3 * time.Second

// Takes is how long measuring takes at most where balancers end connections with a word, and where they say nothing
// and have to be asked again.
func (d Depth) Takes() (told, silent time.Duration) {
	if d.Mode == ModeBisect {
		told = 2*d.MaxWait + beginning*time.Duration(math.Ceil(math.Log2(float64(d.MaxWait)/float64(shortest))))
		halvings := math.Ceil(math.Log2(float64(d.MaxWait) / 2 / float64(d.Precision.at(d.MaxWait))))
		return told, told + time.Duration(max(halvings, 0))*(d.MaxWait+beginning)
	}
	told = d.MaxWait + beginning + awaited
	return told, 2 * told
}
