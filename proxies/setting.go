package proxies

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// Setting describes one thing that can be set about a balancer.
type Setting struct {
	Name    string // as typed, such as idle-timeout
	Default string // the value that holds when nothing is set
	Values  string // what may be given: words, or DURATION
	About   string // one line
	Explain string // a paragraph: which real equipment does this, and how it is simulated
	Scaled  bool   // divided by the time scale
}

// Behaviour is something a balancer does. It is a value: nothing happens while it merely exists, and
// With and Scaled return changed copies.
type Behaviour interface {
	// Settings are those it speaks for, the one it is named after first. The answer is the same for
	// every value of the type.
	Settings() []Setting
	// Value is the current value of one of its settings, in the form With takes.
	Value(setting string) string
	// With is the behaviour with one of its settings changed. Its errors are the user's.
	With(setting, value string) (Behaviour, error)
	// Scaled is the behaviour with its scaled times divided by factor.
	Scaled(factor float64) Behaviour
	// Start gives its state in one running instance of a balancer.
	Start() Policy
}

// checker is a Behaviour whose settings can contradict each other.
type checker interface{ check() error }

// registered is a behaviour with nothing set, and where its settings stand among all.
type registered struct {
	row   int
	blank Behaviour
}

var registry []registered // by row

// register adds a behaviour with nothing set. row is the place of its first setting in the table of
// settings (see Settings). Mistakes panic at start-up, since they are the programmer's.
func register(row int, blank Behaviour) {
	if len(blank.Settings()) == 0 {
		panic(fmt.Sprintf("proxies: %T has no settings", blank))
	}
	for _, s := range blank.Settings() {
		if s.Name == "" || s.Default == "" || s.Values == "" || s.About == "" || s.Explain == "" {
			panic(fmt.Sprintf("proxies: %T: setting %q lacks a field", blank, s.Name))
		}
		if _, taken := blankFor(s.Name); taken {
			panic(fmt.Sprintf("proxies: %T: setting %q is registered twice", blank, s.Name))
		}
	}
	at, taken := slices.BinarySearchFunc(registry, row, func(r registered, row int) int { return r.row - row })
	if taken {
		panic(fmt.Sprintf("proxies: %T and %T both claim row %d", registry[at].blank, blank, row))
	}
	registry = slices.Insert(registry, at, registered{row, blank})
}

// Settings lists all settings in the order of the documentation's table: what is simply configured
// first, events last.
func Settings() []Setting {
	var all []Setting
	for _, r := range registry {
		all = append(all, r.blank.Settings()...)
	}
	return all
}

// blankFor finds the registered behaviour that speaks for a setting.
func blankFor(setting string) (registered, bool) {
	for _, r := range registry {
		if speaksFor(r.blank, setting) {
			return r, true
		}
	}
	return registered{}, false
}

func speaksFor(b Behaviour, setting string) bool {
	return slices.ContainsFunc(b.Settings(), func(s Setting) bool { return s.Name == setting })
}

// byRow orders behaviours as the table of settings does.
func byRow(a, b Behaviour) int { return row(a) - row(b) }

// row is where a behaviour's first setting stands in the table.
func row(b Behaviour) int {
	r, _ := blankFor(b.Settings()[0].Name)
	return r.row
}

// another is where one SETTING=VALUE ends and the next begins.
var another = regexp.MustCompile(`,(?:[a-z]+:)?[a-z]+(?:-[a-z]+)*=`)

// Pairs gives each SETTING=VALUE of a list with commas between, such as "bandwidth=1MB/s,burst=8MB". A pattern is the user's
// own text: a comma in it is part of it, and nothing follows it.
func Pairs(list string) []string {
	var pairs []string
	for {
		name, _, _ := strings.Cut(list, "=")
		at := another.FindStringIndex(list)
		if at == nil || strings.HasSuffix(name, "inspection-pattern") {
			return append(pairs, list)
		}
		pairs, list = append(pairs, list[:at[0]]), list[at[0]+1:]
	}
}
