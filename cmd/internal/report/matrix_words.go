package report

import (
	"fmt"
	"slices"
	"time"
)

// called is the suite by its name, and which part of it this is.
func (m Matrix) called() string {
	if m.Shard == "" {
		return clean(m.Suite)
	}
	return clean(m.Suite + ", shard " + m.Shard)
}

// cost says what a matrix took, and how near that is to the least it could have taken.
func (m Matrix) cost() string {
	s := func(f float64) string { return duration(time.Duration(f * float64(time.Second))) }
	said := fmt.Sprintf("wall %s, CPU %s, lower bound %s", s(m.WallS), s(m.CPUS), s(m.BoundS))
	if m.BoundS > 0 {
		said += fmt.Sprintf(", ratio %.2f", m.WallS/m.BoundS)
	}
	if m.Apart {
		said += " (CPU of containers not counted: the bound may be higher, and the ratio lower)"
	}
	return said
}

// changeGroup is one kind of difference from the baseline.
type changeGroup struct {
	Title, Means string
	Changes      []Change
}

// changed lists the kinds of difference, what wants attention first.
func (c Comparison) changed() []changeGroup {
	return []changeGroup{
		{"new failures", "worse than the baseline expects", c.NewFailures},
		{"fixed", "better than the baseline expects: write it anew", c.Fixed},
		{"newly skipped", "judged in the baseline", c.NewlySkipped},
	}
}

// groups are the differences and, after them, what is bad and expected; without what did not occur.
func (c Comparison) groups() []changeGroup {
	all := append(c.changed(), changeGroup{"still failing", "as the baseline expects", c.StillFailing})
	return slices.DeleteFunc(all, func(g changeGroup) bool { return len(g.Changes) == 0 })
}

// sentence is the comparison in one line.
func (c Comparison) sentence() string {
	return fmt.Sprintf("Against %s: %s, %d fixed, %d newly skipped, %d still failing.", clean(c.File), plural(len(c.NewFailures), "new failure"),
		len(c.Fixed), len(c.NewlySkipped), len(c.StillFailing))
}
