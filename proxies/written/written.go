// Package written reads what users write in YAML: profiles, matrices, baselines. What is wrong with a file is said for
// all of it at once, each with the line, the column and the key, and with what was probably meant.
package written

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"

	"github.com/lbtest/lbtest/proxies"
)

// Largest is how many bytes a file may have: a hundred times what the largest that are known take.
const Largest = 256 << 10

// Reader reads one file and collects what is wrong with it.
type Reader struct {
	File  string   // its path, as errors name it
	Kind  string   // what it holds, in a word: profile, matrix
	Keys  []string // those of its top mapping; none: any
	Least string   // what it has at the least, and where to read more
	errs  []error
}

// Entry is a key of a mapping and its value.
type Entry struct {
	Path string // from the top, with dots
	// Key and Value are where they stand in the file. Key is that of the item itself in a list.
	Key, Value *yaml.Node
}

// Name is the key as it was written.
func (e Entry) Name() string { return e.Key.Value }

// Open reads a file up to one byte more than Largest, which Document refuses.
func Open(path, kind string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("reading a %s: %w", kind, err)
	}
	defer f.Close()
	if info, err := f.Stat(); err == nil && info.IsDir() {
		return nil, fmt.Errorf("reading a %s: %s is a directory, want a file in YAML", kind, path)
	}
	text, err := io.ReadAll(io.LimitReader(f, Largest+1))
	if err != nil {
		return nil, fmt.Errorf("reading a %s: %w", kind, err)
	}
	return text, nil
}

// Err is all that is wrong with the file, one error a line.
func (r *Reader) Err() error { return errors.Join(r.errs...) }

// Faults counts what is wrong so far.
func (r *Reader) Faults() int { return len(r.errs) }

// Refuse says what is wrong at a place, which may be nil, with a key, which may be empty.
func (r *Reader) Refuse(at *yaml.Node, key, format string, args ...any) {
	place := r.File
	if at != nil && at.Line > 0 {
		place = fmt.Sprintf("%s:%d:%d", place, at.Line, at.Column)
	}
	if key != "" {
		place += ": " + key
	}
	r.errs = append(r.errs, fmt.Errorf("%s: %w", place, fmt.Errorf(format, args...)))
}

// Top parses the text and gives the keys of its only mapping by their names, and the mapping itself; nil where it is none.
func (r *Reader) Top(text []byte) (map[string]Entry, *yaml.Node) {
	top := r.document(text)
	if top == nil {
		return nil, nil
	}
	found := map[string]Entry{}
	for _, e := range r.entries(top, "") {
		if len(r.Keys) > 0 && !slices.Contains(r.Keys, e.Name()) {
			r.Refuse(e.Key, e.Path, "%w", Unknown("key", e.Name(), r.Keys))
			continue
		}
		found[e.Name()] = e
	}
	return found, top
}

// document parses the text down to its only mapping; nil where it is none.
func (r *Reader) document(text []byte) *yaml.Node {
	switch {
	case len(text) > Largest:
		r.Refuse(nil, "", "too large for a %s: more than %d KiB", r.Kind, Largest>>10)
		return nil
	case len(bytes.TrimSpace(text)) == 0:
		r.Refuse(nil, "", "the file is empty; %s", r.Least)
		return nil
	}
	loader, err := yaml.NewLoader(bytes.NewReader(text))
	if err != nil {
		r.Refuse(nil, "", "opening the YAML reader: %w", err)
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
		r.Refuse(&more, "", "a second document begins here; a file holds one %s", r.Kind)
		return nil
	}
	top := &doc
	if doc.Kind == yaml.DocumentNode && len(doc.Content) == 1 {
		top = doc.Content[0]
	}
	switch {
	case top.Kind == yaml.DocumentNode, top.Kind == yaml.ScalarNode && top.ShortTag() == "!!null":
		r.commentsAlone()
		return nil
	case top.Kind != yaml.MappingNode && len(r.Keys) > 0:
		r.Refuse(top, "", "a %s is a mapping of keys (%s), this is %s", r.Kind, strings.Join(r.Keys, ", "), kindOf(top))
		return nil
	case top.Kind != yaml.MappingNode:
		r.Refuse(top, "", "a %s is a mapping, this is %s", r.Kind, kindOf(top))
		return nil
	}
	return top
}

func (r *Reader) commentsAlone() {
	r.Refuse(nil, "", "there is nothing in the file but comments; %s", r.Least)
}

// malformed puts the parser's error into our form.
func (r *Reader) malformed(err error) {
	var where *yaml.LoadError
	switch {
	case errors.Is(err, io.EOF):
		r.commentsAlone()
	case errors.As(err, &where):
		r.Refuse(&yaml.Node{Line: where.Mark.Line, Column: where.Mark.Column}, "", "not YAML: %s", where.Message)
	default:
		r.Refuse(nil, "", "not YAML: %w", err)
	}
}

// Mapping lists the entries of a value that must be a mapping; want says of what, as in "a mapping from settings to values".
func (r *Reader) Mapping(all Entry, want string) []Entry {
	if all.Value.Kind != yaml.MappingNode {
		r.Refuse(all.Value, all.Path, "want %s; this is %s", want, kindOf(all.Value))
		return nil
	}
	return r.entries(all.Value, all.Path)
}

// entries lists those of a mapping whose keys are plain and there once.
func (r *Reader) entries(n *yaml.Node, path string) []Entry {
	var all []Entry
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		if key.Kind != yaml.ScalarNode {
			r.Refuse(key, path, "a key is a word, this is %s", kindOf(key))
			continue
		}
		e := Entry{strings.TrimPrefix(path+"."+key.Value, "."), key, value}
		if j := slices.IndexFunc(all, func(o Entry) bool { return o.Name() == e.Name() }); j >= 0 {
			r.Refuse(key, e.Path, "is given twice, first in line %d", all[j].Key.Line)
			continue
		}
		if key.Anchor != "" || value.Anchor != "" || value.Kind == yaml.AliasNode {
			r.Refuse(value, e.Path, "anchors and aliases are not understood here; write the value out, or use extends")
			continue
		}
		all = append(all, e)
	}
	return all
}

// List gives the items of a value that must be a list; want says of what, as in "a list of sentences".
func (r *Reader) List(all Entry, want string) []Entry {
	if all.Value.Kind != yaml.SequenceNode {
		r.Refuse(all.Value, all.Path, "want %s; this is %s", want, kindOf(all.Value))
		return nil
	}
	return items(all)
}

// Several gives the items of a list, or a value that stands alone.
func (r *Reader) Several(all Entry) []Entry {
	if all.Value.Kind != yaml.SequenceNode {
		return []Entry{all}
	}
	return items(all)
}

func items(all Entry) []Entry {
	var each []Entry
	for i, n := range all.Value.Content {
		each = append(each, Entry{fmt.Sprintf("%s[%d]", all.Path, i), n, n})
	}
	return each
}

// Scalar is a plain value as it was written.
func (r *Reader) Scalar(e Entry) (string, bool) {
	switch {
	case e.Value.Kind != yaml.ScalarNode:
		r.Refuse(e.Value, e.Path, "want a plain value, this is %s", kindOf(e.Value))
	case e.Value.ShortTag() == "!!null" || e.Value.Value == "":
		r.Refuse(e.Value, e.Path, "has no value")
	case !slices.Contains([]string{"!!str", "!!int", "!!float", "!!bool", "!!timestamp"}, e.Value.ShortTag()):
		r.Refuse(e.Value, e.Path, "the tag %s is not understood here", e.Value.Tag)
	default:
		return e.Value.Value, true
	}
	return "", false
}

// Text is a plain value with single spaces between its words.
func (r *Reader) Text(e Entry) string {
	s, _ := r.Scalar(e)
	return strings.Join(strings.Fields(s), " ")
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

// Unknown is the error for a name that does not exist: what was given, and what was probably meant or what exists.
func Unknown(what, given string, names []string) error {
	if meant := proxies.Meant(given, names); meant != "" {
		return fmt.Errorf("unknown %s %q%s", what, given, meant)
	}
	return fmt.Errorf("unknown %s %q (%ss: %s)", what, given, what, strings.Join(names, ", "))
}

// Word is a text as YAML holds it.
func Word(s string) *yaml.Node { return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: s} }

// Render writes nodes as YAML.
func Render(top *yaml.Node, width int) ([]byte, error) {
	return yaml.Dump(top, yaml.WithLineWidth(width))
}
