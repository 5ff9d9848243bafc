package main

import (
	"io"
	"os"
	"strings"

	"golang.org/x/term"

	"github.com/lbtest/lbtest/cmd/internal/report"
)

// screen is what is known about where something is written.
type screen struct {
	report.Style
	terminal bool
}

// screenOf looks at a stream. Colour and redrawing are for terminals only, and not for those that cannot.
func (p *program) screenOf(w io.Writer, plain bool) screen {
	s := screen{Style: report.Style{Unicode: unicode(p.getenv)}}
	f, ok := w.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) || p.getenv("TERM") == "dumb" {
		return s
	}
	s.terminal = true
	s.Colour = !plain && p.getenv("NO_COLOR") == ""
	if width, _, err := term.GetSize(int(f.Fd())); err == nil {
		s.Width = min(width, widest)
	}
	return s
}

// widest is where lines end even if the terminal goes on: longer ones are hard to follow back.
const widest = 140

// unicode reports whether the locale is UTF-8, by the first of the variables that is set, as POSIX has it.
func unicode(getenv func(string) string) bool {
	for _, name := range []string{"LC_ALL", "LC_CTYPE", "LANG"} {
		if v := strings.ToLower(getenv(name)); v != "" {
			return strings.Contains(v, "utf-8") || strings.Contains(v, "utf8")
		}
	}
	return false
}
