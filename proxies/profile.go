package proxies

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Profile is a load balancer described: a value that can be listed, changed, scaled and compared.
type Profile struct {
	Name, About string
	Source      string    // where the numbers were read, for a balancer that exists
	Checked     string    // the month of the source, or in which it was read
	Unverified  []Doubt   // what the source does not settle
	Ranges      []Range   // what its vendor lets users set
	Notes       []string  // what it does beyond its settings, a sentence each
	Seed        int64     // what chance in it starts from; the same seed gives the same choices
	Identity    *Identity // what it shows in TLS handshakes, where it ends TLS; nil for a throw-away one
	Behaviours  []Behaviour

	stated  []string // the settings that With was given, defaults included, by name
	settled bool     // it describes something that exists
	since   []Stated // what With was given after that
}

// Doubt is a setting that nobody has verified, and what is assumed.
type Doubt struct{ Setting, Assumed string }

// Range is what a vendor lets users set.
type Range struct {
	Setting  string
	Min, Max time.Duration // 0 for a bound that is not documented; the same for a value that is fixed
}

// String is the range as people say it: idle-timeout from 60s to 1h40m.
func (r Range) String() string {
	switch {
	case r.Min == r.Max:
		return r.Setting + " is fixed at " + formatDuration(r.Min)
	case r.Max == 0:
		return r.Setting + " from " + formatDuration(r.Min)
	case r.Min == 0:
		return r.Setting + " up to " + formatDuration(r.Max)
	}
	return r.Setting + " from " + formatDuration(r.Min) + " to " + formatDuration(r.Max)
}

// Stated is a setting that a profile says something about.
type Stated struct{ Setting, Value string }

// Stated lists what the profile says, in the table's order: what With was given, be it the default, and what
// differs from the default.
func (p Profile) Stated() []Stated {
	var all []Stated
	for _, s := range Settings() {
		if v := p.Value(s.Name); v != s.Default || slices.Contains(p.stated, s.Name) {
			all = append(all, Stated{s.Name, v})
		}
	}
	return all
}

// Doubtful reports whether a setting is unverified.
func (p Profile) Doubtful(setting string) bool {
	return slices.ContainsFunc(p.Unverified, func(d Doubt) bool { return d.Setting == setting })
}

// Unknown reports whether a setting is unverified and the profile assumes nothing about it either.
func (p Profile) Unknown(setting string) bool {
	return p.Doubtful(setting) && !slices.ContainsFunc(p.Stated(), func(s Stated) bool { return s.Setting == setting })
}

// Manners are the values of idle-expiry that the profile may stand for: one, or all of them where it ends
// idle connections in a manner that is unknown.
func (p Profile) Manners() []string {
	ends := slices.ContainsFunc([]string{idleTimeout, idleTimeoutClient, idleTimeoutServer}, func(s string) bool { return p.Duration(s) > 0 })
	if ends && p.Unknown(idleExpiry) {
		return []string{string(Close), string(Reset), string(Vanish), string(ResetOnNext)}
	}
	return []string{p.Value(idleExpiry)}
}

// Beyond says of a setting that its vendor would not take the profile's value; "" if it would, or nobody knows.
func (p Profile) Beyond(setting string) string {
	i := slices.IndexFunc(p.Ranges, func(r Range) bool { return r.Setting == setting })
	if i < 0 {
		return ""
	}
	r, d := p.Ranges[i], p.Duration(setting)
	switch {
	case r.Min == r.Max && d != r.Min:
		return fmt.Sprintf("%s=%s cannot be set on %s, which fixes it at %s", setting, p.Value(setting), p.Name, formatDuration(r.Min))
	case d == 0 || d >= r.Min && (r.Max == 0 || d <= r.Max):
		return ""
	case r.Max == 0:
		return fmt.Sprintf("%s=%s cannot be set on %s, which takes %s or more", setting, p.Value(setting), p.Name, formatDuration(r.Min))
	}
	return fmt.Sprintf("%s=%s cannot be set on %s, which takes %s to %s", setting, p.Value(setting), p.Name, formatDuration(r.Min), formatDuration(r.Max))
}

// Direct is the balancer that only forwards: the control of every comparison.
func Direct() Profile {
	return Profile{Name: "direct", About: "forwards and does nothing else"}
}

// With is the profile with one setting changed. Its errors are the user's: a setting that does not
// exist, or a value that the setting cannot have.
func (p Profile) With(setting, value string) (Profile, error) {
	r, ok := blankFor(setting)
	if !ok {
		return p, unknownSetting(setting)
	}
	changed := slices.Clone(p.Behaviours)
	at := slices.IndexFunc(changed, func(b Behaviour) bool { return speaksFor(b, setting) })
	if at < 0 {
		changed, at = append(changed, r.blank), len(changed)
	}
	b, err := changed[at].With(setting, value)
	if err != nil {
		return p, err
	}
	changed[at] = b
	// Policies act in the table's order whatever the order of the flags.
	slices.SortStableFunc(changed, byRow)
	p.Behaviours = changed
	if at, known := slices.BinarySearch(p.stated, setting); !known {
		p.stated = slices.Insert(slices.Clone(p.stated), at, setting)
	}
	if p.settled {
		p.since = append(slices.Clone(p.since), Stated{setting, value})
	}
	return p, nil
}

// Settled is the profile as a thing of its own, to be changed by others. What they turn off may leave some of its
// settings without effect, such as the manner of an expiry that does not come any more; Check has nothing
// against that.
func (p Profile) Settled() Profile {
	p.settled, p.since = true, nil
	return p
}

func unknownSetting(given string) error {
	var names []string
	for _, s := range Settings() {
		names = append(names, s.Name)
	}
	return fmt.Errorf("unknown setting %q%s (settings: %s)", given, Meant(given, names), strings.Join(names, ", "))
}

// Check says which settings make no sense together, and what to add. Its errors are the user's.
func (p Profile) Check() error {
	err := p.check()
	if err == nil || !p.settled {
		return err
	}
	alone := Direct()
	for _, s := range p.since {
		alone, _ = alone.With(s.Setting, s.Value) // it was accepted once
	}
	if alone.check() == nil {
		return nil
	}
	return err
}

func (p Profile) check() error {
	var errs []error
	for _, b := range p.Behaviours {
		if c, ok := b.(checker); ok {
			errs = append(errs, c.check())
		}
	}
	return errors.Join(errs...)
}

// Scaled is the profile with the settings that are marked Scaled divided by factor (1 or more).
func (p Profile) Scaled(factor float64) Profile {
	scaled := slices.Clone(p.Behaviours)
	for i, b := range scaled {
		scaled[i] = b.Scaled(factor)
	}
	p.Behaviours = scaled
	return p
}

// Value is the value that holds for a setting: what was set, or else its default. It is empty for a
// setting that does not exist.
func (p Profile) Value(setting string) string {
	for _, b := range p.Behaviours {
		if speaksFor(b, setting) {
			return b.Value(setting)
		}
	}
	r, ok := blankFor(setting)
	if !ok {
		return ""
	}
	return r.blank.Value(setting)
}

// Duration is a setting's value as a duration, and 0 where that is none or no duration at all.
func (p Profile) Duration(setting string) time.Duration {
	d, err := time.ParseDuration(p.Value(setting))
	if err != nil {
		return 0
	}
	return d
}

// Strikes says whether the profile has an event that happens once in the middle, such as an outage.
func (p Profile) Strikes() bool {
	return slices.ContainsFunc(p.Behaviours, func(b Behaviour) bool {
		_, strikes := b.Start().(Striker)
		return strikes
	})
}

// stager is a behaviour that may put toxics into every connection.
type stager interface{ stages() bool }

// Stages says whether the profile puts toxics into its connections, which are then carried at some cost.
func (p Profile) Stages() bool {
	return slices.ContainsFunc(p.Behaviours, func(b Behaviour) bool {
		s, ok := b.(stager)
		return ok && s.stages()
	})
}
