package profiles

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"

	"go.yaml.in/yaml/v4"

	"github.com/lbtest/lbtest/proxies"
	"github.com/lbtest/lbtest/proxies/written"
)

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
	r := reader{written.Reader{File: file, Kind: "profile", Keys: keys, Least: "a profile has at least a name and settings (lbtest schema profile)"}}
	p := r.profile(text)
	if err := r.Err(); err != nil {
		return proxies.Profile{}, err
	}
	return p.Settled(), nil
}

// reader reads a profile's file.
type reader struct{ written.Reader }

func (r *reader) profile(text []byte) proxies.Profile {
	found, top := r.Top(text)
	if top == nil {
		return proxies.Profile{}
	}
	p := r.base(found)
	if e, ok := found[keyName]; !ok {
		r.Refuse(top, keyName, "is missing: what the report calls this load balancer, as in name: my-lb")
	} else {
		p.Name = r.name(e)
	}
	for key, field := range map[string]*string{keyAbout: &p.About, keySource: &p.Source, keyChecked: &p.Checked} {
		if e, ok := found[key]; ok {
			*field = r.Text(e)
		}
	}
	if e, ok := found[keySettings]; ok {
		p = r.settings(p, e)
	} else if _, extends := found[keyExtends]; !extends {
		r.Refuse(top, keySettings, "is missing: what this load balancer does, as in idle-timeout: 350s")
	}
	if e, ok := found[keyUnverified]; ok {
		p.Unverified = append(slices.Clone(p.Unverified), r.doubts(e)...)
	}
	if e, ok := found[keyNotes]; ok {
		p.Notes = append(slices.Clone(p.Notes), r.sentences(e)...)
	}
	return p
}

func (r *reader) name(e written.Entry) string {
	name, ok := r.Scalar(e)
	if !ok {
		return ""
	}
	if _, taken := find(name); taken {
		r.Refuse(e.Value, e.Path, "%s is a load balancer of the catalogue; give yours another name (extends: %[1]s takes over what it does)", name)
	} else if !nameForm.MatchString(name) {
		r.Refuse(e.Value, e.Path, "%q will not do: want up to 63 small letters, digits, dashes, dots and underscores, beginning with a letter or a digit", name)
	}
	return name
}

// base is what the profile starts from.
func (r *reader) base(found map[string]written.Entry) proxies.Profile {
	e, ok := found[keyExtends]
	if !ok {
		return proxies.Profile{}
	}
	name, ok := r.Scalar(e)
	if !ok {
		return proxies.Profile{}
	}
	p, err := Find(name)
	if err != nil {
		r.Refuse(e.Value, e.Path, "%w", err)
	}
	return p
}

// settings applies the settings to what the profile starts from.
func (r *reader) settings(p proxies.Profile, all written.Entry) proxies.Profile {
	before := r.Faults()
	for _, e := range r.Mapping(all, "a mapping from settings to values, as in idle-timeout: 350s") {
		setting := e.Name()
		if !exists(setting) {
			r.Refuse(e.Key, e.Path, "%w", written.Unknown("setting", setting, settings()))
			continue
		}
		value, ok := r.Scalar(e)
		if !ok {
			continue
		}
		changed, err := p.With(setting, value)
		if err != nil {
			r.Refuse(e.Value, e.Path, "%w", err)
			continue
		}
		p = changed
		p.Unverified = slices.DeleteFunc(slices.Clone(p.Unverified), func(d proxies.Doubt) bool { return d.Setting == setting })
	}
	if err := p.Check(); err != nil && r.Faults() == before {
		r.Refuse(all.Key, all.Path, "%w", err)
	}
	return p
}

func (r *reader) doubts(all written.Entry) []proxies.Doubt {
	var doubts []proxies.Doubt
	for _, e := range r.Mapping(all, "a mapping from settings to what is assumed of them") {
		if !exists(e.Name()) {
			r.Refuse(e.Key, e.Path, "%w", written.Unknown("setting", e.Name(), settings()))
			continue
		}
		doubts = append(doubts, proxies.Doubt{Setting: e.Name(), Assumed: r.Text(e)})
	}
	return doubts
}

func (r *reader) sentences(all written.Entry) []string {
	var said []string
	for _, e := range r.List(all, "a list of sentences") {
		said = append(said, r.Text(e))
	}
	return said
}

// Render writes a profile as a user's file that says the same under a name of its own.
func Render(p proxies.Profile) ([]byte, error) {
	top := &yaml.Node{Kind: yaml.MappingNode}
	for _, e := range []struct{ key, value string }{
		{keyName, "my-" + p.Name}, {keyAbout, p.About}, {keySource, p.Source}, {keyChecked, p.Checked},
	} {
		if e.value != "" {
			top.Content = append(top.Content, written.Word(e.key), written.Word(e.value))
		}
	}
	said := &yaml.Node{Kind: yaml.MappingNode}
	for _, s := range p.Stated() {
		value := written.Word(s.Value)
		if _, err := strconv.Atoi(s.Value); err == nil {
			value.Tag = "!!int" // written without quotes
		}
		said.Content = append(said.Content, written.Word(s.Setting), value)
	}
	if len(said.Content) == 0 {
		said.Style = yaml.FlowStyle
	}
	top.Content = append(top.Content, written.Word(keySettings), said)
	if len(p.Unverified) > 0 {
		doubts := &yaml.Node{Kind: yaml.MappingNode}
		for _, d := range p.Unverified {
			doubts.Content = append(doubts.Content, written.Word(d.Setting), written.Word(d.Assumed))
		}
		top.Content = append(top.Content, written.Word(keyUnverified), doubts)
	}
	if len(p.Notes) > 0 {
		notes := &yaml.Node{Kind: yaml.SequenceNode}
		for _, n := range p.Notes {
			notes.Content = append(notes.Content, written.Word(n))
		}
		top.Content = append(top.Content, written.Word(keyNotes), notes)
	}
	// A line is broken after the word that passes the width, and paths are long words.
	text, err := written.Render(top, 60)
	if err != nil {
		return nil, fmt.Errorf("writing profile %s as YAML: %w", p.Name, err)
	}
	return text, nil
}
