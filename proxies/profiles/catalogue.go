// Package profiles is the catalogue: load balancers, firewalls and address translators that exist, as they
// come, each with the source of its numbers and with what nobody has verified. It also reads the profiles
// that users write themselves.
//
// One file holds one product, and each of its names begins with the file's. To add one, write a file that
// registers a Profile and the settings that it comes with, as they would be typed after --set. What happens
// when a node fails or is taken out (health checks, on-down, drain) is not set, since asking for it makes a
// node fail in a run; a profile's notes say what to add for that.
package profiles

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/lbtest/lbtest/proxies"
	"github.com/lbtest/lbtest/proxies/written"
)

// entry is a load balancer as its file has it.
type entry struct {
	profile  proxies.Profile
	settings []string
}

// entries are what the files hold. They become profiles when somebody asks: every node of a lab is a process of this
// program, and none of them does.
var entries []entry

// register adds a load balancer with its settings, each as SETTING=VALUE.
func register(p proxies.Profile, settings ...string) { entries = append(entries, entry{p, settings}) }

var catalogue = sync.OnceValue(func() []proxies.Profile {
	var all []proxies.Profile
	for _, e := range entries {
		all = append(all, made(all, e.profile, e.settings...))
	}
	return all
})

// made checks and finishes an entry. A mistake in one is a mistake in this program, which stops it.
func made(before []proxies.Profile, p proxies.Profile, settings ...string) proxies.Profile {
	if p.Name == "" || p.About == "" || p.Source == "" || p.Checked == "" {
		panic(fmt.Sprintf("profile %q lacks its name, what it is about, its source or when that was read", p.Name))
	}
	for _, pair := range settings {
		setting, value, _ := strings.Cut(pair, "=")
		var err error
		if p, err = p.With(setting, value); err != nil {
			panic(fmt.Sprintf("profile %s: %v", p.Name, err))
		}
	}
	if err := check(p); err != nil {
		panic(fmt.Sprintf("profile %s: %v", p.Name, err))
	}
	if slices.ContainsFunc(before, func(b proxies.Profile) bool { return b.Name == p.Name }) {
		panic(fmt.Sprintf("profile %s is registered twice", p.Name))
	}
	return p.Settled()
}

// check says what contradicts itself in a profile.
func check(p proxies.Profile) error {
	errs := []error{p.Check()}
	for _, d := range p.Unverified {
		if !exists(d.Setting) {
			errs = append(errs, fmt.Errorf("unverified.%s: %w", d.Setting, written.Unknown("setting", d.Setting, settings())))
		}
	}
	for _, r := range p.Ranges {
		if said := p.Beyond(r.Setting); said != "" {
			errs = append(errs, errors.New(said))
		}
	}
	return errors.Join(errs...)
}

// All lists the catalogue, by name.
func All() []proxies.Profile {
	return slices.SortedFunc(slices.Values(catalogue()), func(a, b proxies.Profile) int { return strings.Compare(a.Name, b.Name) })
}

// Names lists the names of the catalogue.
func Names() []string {
	var names []string
	for _, p := range All() {
		names = append(names, p.Name)
	}
	return names
}

// Find gives a load balancer of the catalogue. The error is the user's and says which name was probably meant.
func Find(name string) (proxies.Profile, error) {
	if p, ok := find(name); ok {
		return p, nil
	}
	return proxies.Profile{}, written.Unknown("profile", name, Names())
}

func find(name string) (proxies.Profile, bool) {
	all := catalogue()
	i := slices.IndexFunc(all, func(p proxies.Profile) bool { return p.Name == name })
	if i < 0 {
		return proxies.Profile{}, false
	}
	return all[i], true
}

// Load gives what was typed after --profile: a name of the catalogue, or the path of a profile in YAML,
// which holds a slash or ends like one. Errors are the user's.
func Load(given string) (proxies.Profile, error) {
	if !IsFile(given) {
		return Find(given)
	}
	text, err := written.Open(given, "profile")
	if err != nil {
		return proxies.Profile{}, err
	}
	return Parse(given, text)
}

// IsFile reports whether what was typed after --profile is a path and not a name.
func IsFile(given string) bool {
	return strings.ContainsRune(given, '/') || strings.ContainsRune(given, filepath.Separator) ||
		slices.Contains([]string{".yaml", ".yml", ".json"}, strings.ToLower(filepath.Ext(given)))
}

// What stands for a manner of expiry and for keepalives of which nobody knows.
const (
	expiryUnknown = "not documented; judged under fin, rst, silent and rst-on-next, of which the worst counts"
	probesUnknown = "not documented whether a TCP keepalive probe counts; taken for ignored, which is the harsher"
	idleUnknown   = "no page states it; none is set, and nothing about idle connections is judged"
)

// doubts pairs settings with what is assumed of them.
func doubts(pairs ...string) []proxies.Doubt {
	var all []proxies.Doubt
	for pair := range slices.Chunk(pairs, 2) {
		all = append(all, proxies.Doubt{Setting: pair[0], Assumed: pair[1]})
	}
	return all
}

// settable is the range that a vendor documents for its idle timeout; 0 for a bound that is not documented.
func settable(least, most time.Duration) []proxies.Range {
	return []proxies.Range{{Setting: "idle-timeout", Min: least, Max: most}}
}

func fixed(at time.Duration) []proxies.Range { return settable(at, at) }

func exists(setting string) bool { return slices.Contains(settings(), setting) }

func settings() []string {
	var names []string
	for _, s := range proxies.Settings() {
		names = append(names, s.Name)
	}
	return names
}
