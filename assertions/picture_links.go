package assertions

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"time"
)

// backendLine is the connections to one backend as a picture shows them.
type backendLine struct {
	before int   // the frame
	deltas []int // by bin: how many more or fewer there are after it
	least  []int // by bin: how few there were in it
	now    int
	marks  []Mark
}

// links is how many connections the balancer carries to each backend, and how they were ended.
func (d *drawing) links() {
	backends := map[string]*backendLine{}
	alive := map[string]bool{}
	for _, e := range d.h.Events {
		if e.From != Balancer || e.Conn == "" || !balanced(e) {
			continue
		}
		c := backends[e.Backend]
		if c == nil {
			c = &backendLine{deltas: make([]int, bins), least: slices.Repeat([]int{math.MaxInt}, bins)}
			backends[e.Backend] = c
		}
		switch {
		case e.Kind == "begin":
			alive[e.Conn] = true
			c.change(d, e.At, 1)
		case e.Kind == "refused":
			c.marks = append(c.marks, Mark{e.At, "a connection is refused: " + e.Why, e.ID})
		case (e.Kind == "expired" || e.Kind == "end") && alive[e.Conn]: // an end that was foretold is no second one
			delete(alive, e.Conn)
			c.change(d, e.At, -1)
			if e.Kind == "expired" || e.How != "fin" || e.Why != "client" && e.Why != "server" {
				c.marks = append(c.marks, Mark{e.At, fmt.Sprintf("%s ends a connection (%s)", e.Why, e.How), e.ID})
			}
		}
	}
	for _, backend := range slices.Sorted(maps.Keys(backends)) {
		c := backends[backend]
		d.add(Lane{Kind: LaneLink, Of: strings.TrimSpace("to " + backend), Marks: c.marks, Spans: c.spans(d)})
	}
}

func (c *backendLine) change(d *drawing, at time.Duration, n int) {
	c.now += n
	switch {
	case at <= d.from:
		c.before += n
	case at < d.to:
		bin := d.bin(at)
		c.deltas[bin] += n
		c.least[bin] = min(c.least[bin], c.now)
	}
}

// spans tell the fewest connections that there were in each piece of the picture.
func (c *backendLine) spans(d *drawing) []Span {
	after, n := make([]int, bins), c.before
	for i := range bins {
		n += c.deltas[i]
		after[i] = n
	}
	whole := usual(after)
	if whole == 0 {
		return nil
	}
	return d.binned(func(i int) (string, string) {
		switch least := min(after[i], c.least[i]); {
		case least >= whole:
			return StateFine, plural(whole, "connection")
		case least <= 0:
			return StateGone, "no connection"
		default:
			return StateLess, fmt.Sprintf("%d of %s", least, plural(whole, "connection"))
		}
	})
}

// usual is the number that stands most often, zero aside.
func usual(steps []int) int {
	times, most := map[int]int{}, 0
	for _, n := range steps {
		if n > 0 {
			times[n]++
			if times[n] > times[most] {
				most = n
			}
		}
	}
	return most
}
