package report

import (
	"io"
	"slices"
	"strings"
)

// Format is one rendering of a report: a function from a report to a writer, and nothing else.
type Format struct {
	Name, About string
	Write       func(io.Writer, Report, Style) error
}

// Style is how a rendering for people may look. Formats for machines take no notice of it. The zero value is
// plain ASCII without colour, 100 columns wide.
type Style struct {
	// Colour paints verdicts; each is a word as well, always.
	Colour bool
	// Unicode allows more than ASCII.
	Unicode bool
	// Width is in columns; 0 is 100.
	Width int
	// Verbose adds what held, every measured value and the ids of the evidence.
	Verbose bool
}

var formats []Format

// register adds a format; a mistake in one is a mistake in this program and stops it at once.
func register(f Format) {
	if f.Name == "" || f.About == "" || f.Write == nil {
		panic("report format " + f.Name + " needs a name, a sentence about it and a writer")
	}
	if _, taken := Find(f.Name); taken {
		panic("report format " + f.Name + " is registered twice")
	}
	formats = append(formats, f)
}

// Formats lists the formats by name.
func Formats() []Format {
	return slices.SortedFunc(slices.Values(formats), func(a, b Format) int { return strings.Compare(a.Name, b.Name) })
}

// Find gives the format of that name.
func Find(name string) (Format, bool) {
	i := slices.IndexFunc(formats, func(f Format) bool { return f.Name == name })
	if i < 0 {
		return Format{}, false
	}
	return formats[i], true
}
