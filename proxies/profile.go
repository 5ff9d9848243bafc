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
	Source      string // where the numbers were read, for a balancer that exists
	Seed        int64  // what chance in it starts from; the same seed gives the same choices
	Behaviours  []Behaviour
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
	return p, nil
}

func unknownSetting(given string) error {
	var names []string
	for _, s := range Settings() {
		names = append(names, s.Name)
	}
	meant := ""
	if close := near(given, names); len(close) > 0 {
		meant = fmt.Sprintf(": did you mean %s?", strings.Join(close, " or "))
	}
	return fmt.Errorf("unknown setting %q%s (settings: %s)", given, meant, strings.Join(names, ", "))
}

// Check says which settings make no sense together, and what to add. Its errors are the user's.
func (p Profile) Check() error {
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
