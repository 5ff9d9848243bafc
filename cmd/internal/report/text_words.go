package report

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// pair is one setting and its value.
type pair struct{ setting, value string }

// pairs lists a scenario's settings in the order of its name, and what servers and clients are told in this scenario and
// not in all of the run. A scenario without any is its name.
func (p *page) pairs(s Scenario) []pair {
	label := p.label(s)
	if len(s.Settings) == 0 || s.Profile != "" || label == clean(s.Name) {
		return []pair{{label, ""}} // with several topologies the whole name has to stand; a profile's says it all
	}
	var found []pair
	for setting, value := range s.Settings {
		found = append(found, pair{clean(setting), clean(value)})
	}
	for _, told := range []map[string]string{s.NATS, s.Client, s.Node} {
		for key, value := range told {
			if slices.Contains(strings.Split(label, ","), clean(key+"="+value)) {
				found = append(found, pair{clean(key), clean(value)})
			}
		}
	}
	if own := "auth:" + s.Auth; s.Auth != "" && strings.HasSuffix(label, own) {
		found = append(found, pair{"auth", clean(s.Auth)})
	}
	where := func(a pair) int {
		if i := strings.Index(label, a.setting+"="); i >= 0 {
			return i
		}
		return len(label)
	}
	slices.SortFunc(found, func(a, b pair) int {
		if d := where(a) - where(b); d != 0 {
			return d
		}
		return strings.Compare(a.setting, b.setting)
	})
	return found
}

// brief names many settings in few words: values of one setting are listed behind it, and a second setting
// that takes the same values with each stands in brackets. What has more than two settings stands as it is.
//
//	idle-timeout 35s, 60s (idle-expiry rst, silent); stall 1s
func brief(scenarios [][]pair) string {
	type group struct {
		first, second string
		firsts        []string // values of the first setting
		seconds       []string // values of the second, for each of firsts
	}
	var groups []group
	for _, s := range scenarios {
		g := group{first: s[0].setting, firsts: []string{s[0].value}}
		switch len(s) {
		case 1:
		case 2:
			g.second, g.seconds = s[1].setting, []string{s[1].value}
		default:
			g.first, g.firsts = whole(s), []string{""}
		}
		// Collect the second setting's values under one first value.
		i := slices.IndexFunc(groups, func(o group) bool {
			return o.first == g.first && o.second == g.second && o.firsts[0] == g.firsts[0]
		})
		if i >= 0 {
			groups[i].seconds = append(groups[i].seconds, g.seconds...)
			continue
		}
		groups = append(groups, g)
	}
	// Then join the first values that have the same second ones.
	var joined []group
	for _, g := range groups {
		i := slices.IndexFunc(joined, func(o group) bool {
			return o.first == g.first && o.second == g.second && slices.Equal(o.seconds, g.seconds)
		})
		if i >= 0 {
			joined[i].firsts = append(joined[i].firsts, g.firsts...)
			continue
		}
		joined = append(joined, g)
	}
	var words []string
	for _, g := range joined {
		s := strings.TrimSpace(g.first + " " + strings.Join(g.firsts, ", "))
		if g.second != "" {
			s += " (" + g.second + " " + strings.Join(g.seconds, ", ") + ")"
		}
		words = append(words, s)
	}
	return strings.Join(words, "; ")
}

func whole(s []pair) string {
	var words []string
	for _, a := range s {
		words = append(words, a.setting+"="+a.value)
	}
	return strings.Join(words, " ")
}

// joined is a blank that no line is broken at, as between a number and its unit.
const joined = "\u00a0"

// wrap breaks s between words into lines of at most width columns; a longer word has a line of its own.
func wrap(s string, width int) []string {
	var lines []string
	line := ""
	for _, w := range strings.FieldsFunc(s, func(c rune) bool { return c == ' ' || c == '\n' || c == '\t' }) {
		switch {
		case line == "":
			line = w
		case utf8.RuneCountInString(line)+1+utf8.RuneCountInString(w) <= width:
			line += " " + w
		default:
			lines, line = append(lines, line), w
		}
	}
	return append(lines, line)
}

// breakable puts the parts of a long name on lines of their own.
func breakable(name string, width int) string {
	if utf8.RuneCountInString(name) <= width {
		return name
	}
	return strings.NewReplacer(",", ",\n ", "/", "/\n ").Replace(name)
}

// command writes a command line, broken before its flags in a way that a shell takes when pasted.
func (p *page) command(indent int, name, line string) {
	lead := strings.Repeat(" ", indent) + name + strings.Repeat(" ", max(10-len(name), 1))
	const more = ` \`
	now := ""
	for i, part := range flags(clean(line)) {
		switch {
		case i == 0:
			now = part
		case len(lead)+len(now)+1+len(part)+len(more) <= p.Width:
			now += " " + part
		default:
			p.line(lead + now + more)
			lead, now = strings.Repeat(" ", len(lead)), "  "+part
		}
	}
	p.line(lead + now)
}

// flags cuts a command line before each flag that is not inside single quotes.
func flags(line string) []string {
	var parts []string
	for i, s := range strings.Split(line, " --") {
		switch {
		case i == 0:
			parts = append(parts, s)
		case strings.Count(strings.Join(parts, ""), "'")%2 == 1:
			parts[len(parts)-1] += " --" + s
		default:
			parts = append(parts, "--"+s)
		}
	}
	return parts
}

// quoted joins arguments to what a shell would take apart again.
func quoted(args []string) string {
	var words []string
	for _, a := range args {
		if a == "" || strings.ContainsFunc(a, special) {
			a = "'" + strings.ReplaceAll(a, "'", `'\''`) + "'"
		}
		words = append(words, a)
	}
	return strings.Join(words, " ")
}

func special(c rune) bool {
	return !(c < utf8.RuneSelf && (unicode.IsLetter(c) || unicode.IsDigit(c)) || strings.ContainsRune("-_=./:,@%+", c))
}

// clean takes out what would move the cursor or hide text: sentences may quote what a server logged.
func clean(s string) string {
	return strings.Map(func(c rune) rune {
		switch {
		case c == '\n' || c == '\t':
			return ' '
		case unicode.IsControl(c), unicode.Is(unicode.Bidi_Control, c):
			return -1
		}
		return c
	}, s)
}

// cleanLines is clean of a text that may have several lines.
func cleanLines(s string) string {
	lines := strings.Split(strings.TrimRight(s, "\n"), "\n")
	for i, l := range lines {
		lines[i] = clean(l)
	}
	return strings.Join(lines, "\n")
}

var plainly = strings.NewReplacer(
	"·", "|", "→", "->", "←", "<-", "≥", ">=", "≤", "<=", "×", "x", "–", "-", "—", "-", "…", "...",
	"“", `"`, "”", `"`, "‘", "'", "’", "'", "µ", "u", "±", "+/-")

// ascii writes s with ASCII only. What has no plain spelling becomes a question mark.
func ascii(s string) string {
	return strings.Map(func(c rune) rune {
		if c > unicode.MaxASCII {
			return '?'
		}
		return c
	}, plainly.Replace(s))
}
