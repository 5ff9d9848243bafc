package profiles

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v4"

	"github.com/lbtest/lbtest/proxies"
)

// largest is how many bytes a profile may have: a hundred times what those of the catalogue take.
const largest = 256 << 10

// The keys of a profile.
const (
	keyName       = "name"
	keyAbout      = "about"
	keySource     = "source"
	keyChecked    = "checked"
	keyExtends    = "extends"
	keySettings   = "settings"
	keyUnverified = "unverified"
	keyNotes      = "notes"
)

var keys = []string{keyName, keyAbout, keySource, keyChecked, keyExtends, keySettings, keyUnverified, keyNotes}

// nameForm is what a name may look like: it stands in scenario names and command lines.
var nameForm = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,62}$`)

// Parse reads a user's profile. Its errors are the user's, one a line, each with the file, the line, the column and
// the key: my-lb.yaml:7:3: settings.idle-timout: unknown setting "idle-timout": did you mean idle-timeout?
func Parse(file string, text []byte) (proxies.Profile, error) {
	r := reader{file: file}
	p := r.profile(text)
	if len(r.errs) > 0 {
		return proxies.Profile{}, errors.Join(r.errs...)
	}
	return p.Settled(), nil
}

// reader collects what is wrong with a file.
type reader struct {
	file string
	errs []error
}

func (r *reader) refuse(at *yaml.Node, key, format string, args ...any) {
	place := r.file
	if at != nil && at.Line > 0 {
		place = fmt.Sprintf("%s:%d:%d", place, at.Line, at.Column)
	}
	if key != "" {
		place += ": " + key
	}
	r.errs = append(r.errs, fmt.Errorf("%s: %w", place, fmt.Errorf(format, args...)))
}

// entry is a key of a mapping and its value.
type entry struct {
	path       string // from the top, with dots
	key, value *yaml.Node
}

func (r *reader) profile(text []byte) proxies.Profile {
	top := r.document(text)
	if top == nil {
		return proxies.Profile{}
	}
	found := map[string]entry{}
	for _, e := range r.mapping(top, "") {
		if !slices.Contains(keys, e.key.Value) {
			r.refuse(e.key, e.path, "%w", unknown("key", e.key.Value, keys))
			continue
		}
		found[e.key.Value] = e
	}
	p := r.base(found)
	if e, ok := found[keyName]; !ok {
		r.refuse(top, keyName, "is missing: what the report calls this load balancer, as in name: my-lb")
	} else {
		p.Name = r.name(e)
	}
	for key, field := range map[string]*string{keyAbout: &p.About, keySource: &p.Source, keyChecked: &p.Checked} {
		if e, ok := found[key]; ok {
			*field = r.text(e)
		}
	}
	if e, ok := found[keySettings]; ok {
		p = r.settings(p, e)
	} else if _, extends := found[keyExtends]; !extends {
		r.refuse(top, keySettings, "is missing: what this load balancer does, as in idle-timeout: 350s")
	}
	if e, ok := found[keyUnverified]; ok {
		p.Unverified = append(slices.Clone(p.Unverified), r.doubts(e)...)
	}
	if e, ok := found[keyNotes]; ok {
		p.Notes = append(slices.Clone(p.Notes), r.sentences(e)...)
	}
	return p
}

// document parses the text down to its only mapping; nil where it is none.
func (r *reader) document(text []byte) *yaml.Node {
	switch {
	case len(text) > largest:
		r.refuse(nil, "", "too large for a profile: more than %d KiB", largest>>10)
		return nil
	case len(bytes.TrimSpace(text)) == 0:
		r.refuse(nil, "", "the file is empty; a profile has at least a name and settings (lbtest schema profile)")
		return nil
	}
	loader, err := yaml.NewLoader(bytes.NewReader(text))
	if err != nil {
		r.refuse(nil, "", "opening the YAML reader: %w", err)
		return nil
	}
	var doc, more yaml.Node
	if err := loader.Load(&doc); err != nil {
		r.malformed(err)
		return nil
	}
	switch err := loader.Load(&more); {
	case errors.Is(err, io.EOF):
	case err != nil:
		r.malformed(err)
		return nil
	default:
		r.refuse(&more, "", "a second document begins here; a file holds one profile")
		return nil
	}
	top := &doc
	if doc.Kind == yaml.DocumentNode && len(doc.Content) == 1 {
		top = doc.Content[0]
	}
	switch {
	case top.Kind == yaml.DocumentNode, top.Kind == yaml.ScalarNode && top.ShortTag() == "!!null":
		r.refuse(nil, "", "there is nothing in the file but comments; a profile has at least a name and settings (lbtest schema profile)")
		return nil
	case top.Kind != yaml.MappingNode:
		r.refuse(top, "", "a profile is a mapping of keys (%s), this is %s", strings.Join(keys, ", "), kindOf(top))
		return nil
	}
	return top
}

// malformed puts the parser's error into our form.
func (r *reader) malformed(err error) {
	var where *yaml.LoadError
	switch {
	case errors.Is(err, io.EOF):
		r.refuse(nil, "", "there is nothing in the file but comments; a profile has at least a name and settings (lbtest schema profile)")
	case errors.As(err, &where):
		r.refuse(&yaml.Node{Line: where.Mark.Line, Column: where.Mark.Column}, "", "not YAML: %s", where.Message)
	default:
		r.refuse(nil, "", "not YAML: %w", err)
	}
}

// mapping lists the entries of a mapping whose keys are plain and there once.
func (r *reader) mapping(n *yaml.Node, path string) []entry {
	var all []entry
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		if key.Kind != yaml.ScalarNode {
			r.refuse(key, path, "a key is a word, this is %s", kindOf(key))
			continue
		}
		e := entry{strings.TrimPrefix(path+"."+key.Value, "."), key, value}
		if j := slices.IndexFunc(all, func(o entry) bool { return o.key.Value == key.Value }); j >= 0 {
			r.refuse(key, e.path, "is given twice, first in line %d", all[j].key.Line)
			continue
		}
		if key.Anchor != "" || value.Anchor != "" || value.Kind == yaml.AliasNode {
			r.refuse(value, e.path, "anchors and aliases are not understood here; write the value out, or use extends")
			continue
		}
		all = append(all, e)
	}
	return all
}

// scalar is a plain value as it was written.
func (r *reader) scalar(e entry) (string, bool) {
	switch {
	case e.value.Kind != yaml.ScalarNode:
		r.refuse(e.value, e.path, "want a plain value, this is %s", kindOf(e.value))
	case e.value.ShortTag() == "!!null" || e.value.Value == "":
		r.refuse(e.value, e.path, "has no value")
	case !slices.Contains([]string{"!!str", "!!int", "!!float", "!!bool", "!!timestamp"}, e.value.ShortTag()):
		r.refuse(e.value, e.path, "the tag %s is not understood here", e.value.Tag)
	default:
		return e.value.Value, true
	}
	return "", false
}

func (r *reader) text(e entry) string {
	s, _ := r.scalar(e)
	return strings.Join(strings.Fields(s), " ")
}

func (r *reader) name(e entry) string {
	name, ok := r.scalar(e)
	if !ok {
		return ""
	}
	if _, taken := find(name); taken {
		r.refuse(e.value, e.path, "%s is a load balancer of the catalogue; give yours another name (extends: %[1]s takes over what it does)", name)
	} else if !nameForm.MatchString(name) {
		r.refuse(e.value, e.path, "%q will not do: want up to 63 small letters, digits, dashes, dots and underscores, beginning with a letter or a digit", name)
	}
	return name
}

// base is what the profile starts from.
func (r *reader) base(found map[string]entry) proxies.Profile {
	e, ok := found[keyExtends]
	if !ok {
		return proxies.Profile{}
	}
	name, ok := r.scalar(e)
	if !ok {
		return proxies.Profile{}
	}
	p, err := Find(name)
	if err != nil {
		r.refuse(e.value, e.path, "%w", err)
	}
	return p
}

// settings applies the settings to what the profile starts from.
func (r *reader) settings(p proxies.Profile, all entry) proxies.Profile {
	if all.value.Kind != yaml.MappingNode {
		r.refuse(all.value, all.path, "want a mapping from settings to values, as in idle-timeout: 350s; this is %s", kindOf(all.value))
		return p
	}
	before := len(r.errs)
	for _, e := range r.mapping(all.value, all.path) {
		setting := e.key.Value
		if !exists(setting) {
			r.refuse(e.key, e.path, "%w", unknown("setting", setting, settings()))
			continue
		}
		value, ok := r.scalar(e)
		if !ok {
			continue
		}
		changed, err := p.With(setting, value)
		if err != nil {
			r.refuse(e.value, e.path, "%w", err)
			continue
		}
		p = changed
		p.Unverified = slices.DeleteFunc(slices.Clone(p.Unverified), func(d proxies.Doubt) bool { return d.Setting == setting })
	}
	if err := p.Check(); err != nil && len(r.errs) == before {
		r.refuse(all.key, all.path, "%w", err)
	}
	return p
}

func (r *reader) doubts(all entry) []proxies.Doubt {
	if all.value.Kind != yaml.MappingNode {
		r.refuse(all.value, all.path, "want a mapping from settings to what is assumed of them; this is %s", kindOf(all.value))
		return nil
	}
	var doubts []proxies.Doubt
	for _, e := range r.mapping(all.value, all.path) {
		if !exists(e.key.Value) {
			r.refuse(e.key, e.path, "%w", unknown("setting", e.key.Value, settings()))
			continue
		}
		doubts = append(doubts, proxies.Doubt{Setting: e.key.Value, Assumed: r.text(e)})
	}
	return doubts
}

func (r *reader) sentences(all entry) []string {
	if all.value.Kind != yaml.SequenceNode {
		r.refuse(all.value, all.path, "want a list of sentences; this is %s", kindOf(all.value))
		return nil
	}
	var said []string
	for i, n := range all.value.Content {
		said = append(said, r.text(entry{fmt.Sprintf("%s[%d]", all.path, i), n, n}))
	}
	return said
}

func kindOf(n *yaml.Node) string {
	switch {
	case n.Kind == yaml.MappingNode:
		return "a mapping"
	case n.Kind == yaml.SequenceNode:
		return "a list"
	case n.Kind == yaml.AliasNode:
		return "an alias"
	case n.ShortTag() == "!!null":
		return "nothing"
	}
	return fmt.Sprintf("the value %q", n.Value)
}

// Render writes a profile as a user's file that says the same under a name of its own.
func Render(p proxies.Profile) ([]byte, error) {
	top := &yaml.Node{Kind: yaml.MappingNode}
	for _, e := range []struct{ key, value string }{
		{keyName, "my-" + p.Name}, {keyAbout, p.About}, {keySource, p.Source}, {keyChecked, p.Checked},
	} {
		if e.value != "" {
			top.Content = append(top.Content, word(e.key), word(e.value))
		}
	}
	said := &yaml.Node{Kind: yaml.MappingNode}
	for _, s := range p.Stated() {
		value := word(s.Value)
		if _, err := strconv.Atoi(s.Value); err == nil {
			value.Tag = "!!int" // written without quotes
		}
		said.Content = append(said.Content, word(s.Setting), value)
	}
	if len(said.Content) == 0 {
		said.Style = yaml.FlowStyle
	}
	top.Content = append(top.Content, word(keySettings), said)
	if len(p.Unverified) > 0 {
		doubts := &yaml.Node{Kind: yaml.MappingNode}
		for _, d := range p.Unverified {
			doubts.Content = append(doubts.Content, word(d.Setting), word(d.Assumed))
		}
		top.Content = append(top.Content, word(keyUnverified), doubts)
	}
	if len(p.Notes) > 0 {
		notes := &yaml.Node{Kind: yaml.SequenceNode}
		for _, n := range p.Notes {
			notes.Content = append(notes.Content, word(n))
		}
		top.Content = append(top.Content, word(keyNotes), notes)
	}
	// A line is broken after the word that passes the width, and paths are long words.
	text, err := yaml.Dump(top, yaml.WithLineWidth(60))
	if err != nil {
		return nil, fmt.Errorf("writing profile %s as YAML: %w", p.Name, err)
	}
	return text, nil
}

func word(s string) *yaml.Node { return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: s} }
