package proxies

import (
	"bytes"
	"fmt"
)

// The kinds of inspection that look at every byte, in each direction on its own.

// from names the sender of a direction's bytes.
func (d Direction) from() string {
	if d == Up {
		return clientSide
	}
	return serverSide
}

// signatures acts on a byte pattern.
type signatures struct {
	pattern []byte
	how     Ending // "": it is only noted
}

// Admit implements Policy.
func (s signatures) Admit(f *Flow) error {
	for _, d := range []Direction{Up, Down} {
		search := &finder{pattern: s.pattern}
		f.Filter(d, func(data []byte) ([]byte, error) {
			at, found := search.find(data)
			if !found {
				return data, nil
			}
			what := fmt.Sprintf("the pattern came from the %s at byte %d", d.from(), at)
			if s.how != "" {
				return nil, &Refusal{s.how, inspection, what}
			}
			f.Applied(inspection, what)
			return data, nil
		})
	}
	return nil
}

// finder finds the first occurrence of a pattern in a stream that comes in pieces.
type finder struct {
	pattern []byte
	tail    []byte // what an occurrence may have begun in: shorter than the pattern
	passed  int64  // bytes before the next piece
	over    bool   // it was found
}

// find looks at the next piece. It answers once, with the pattern's place in the stream.
func (s *finder) find(data []byte) (at int64, found bool) {
	if s.over {
		return 0, false
	}
	reach := len(s.pattern) - 1
	seam := append(s.tail, data[:min(reach, len(data))]...)
	if i := bytes.Index(seam, s.pattern); i >= 0 {
		at, s.over = s.passed-int64(len(s.tail))+int64(i), true
	} else if i := bytes.Index(data, s.pattern); i >= 0 {
		at, s.over = s.passed+int64(i), true
	}
	if s.over {
		s.tail = nil
		return at, true
	}
	s.passed += int64(len(data))
	if len(data) >= reach {
		s.tail = append(s.tail[:0], data[len(data)-reach:]...)
	} else {
		s.tail = append(seam[:0], seam[max(0, len(seam)-reach):]...)
	}
	return 0, false
}

// lines cuts lines that are too long.
type lines struct {
	limit int
	how   Ending // "": what is left of the line is passed on
}

// Admit implements Policy.
func (l lines) Admit(f *Flow) error {
	for _, d := range []Direction{Up, Down} {
		cutter, noted := &lineCutter{limit: l.limit}, false
		f.Filter(d, func(data []byte) ([]byte, error) {
			out, cut := cutter.pass(data)
			if !cut || noted {
				return out, nil
			}
			what := fmt.Sprintf("a line from the %s is longer than %d bytes", d.from(), l.limit)
			if l.how != "" {
				return nil, &Refusal{l.how, inspection, what}
			}
			f.Applied(inspection, what+", and is cut") // once a direction: a stream may be nothing but such lines
			noted = true
			return out, nil
		})
	}
	return nil
}

// lineCutter drops what stands in a line beyond its limit. The end of the line, LF or CR LF, stays and does not count.
type lineCutter struct {
	limit int
	seen  int    // bytes of the present line so far
	cr    bool   // the last byte beyond the limit was a CR, which belongs to the line's end if that is next
	out   []byte // what is left of a piece that was cut
}

// pass takes the next piece, and says whether the part of it that is to be dropped begins here.
func (c *lineCutter) pass(data []byte) (out []byte, cut bool) {
	if c.fits(data) {
		return data, false
	}
	out = c.out[:0]
	for len(data) > 0 {
		part, rest, ended := bytes.Cut(data, []byte("\n"))
		data = rest
		room := min(max(c.limit-c.seen, 0), len(part))
		out = append(out, part[:room]...)
		if over := part[room:]; len(over) > 0 {
			switch before := c.seen + room - c.limit; {
			case before == 0:
				cut = cut || len(over) > 1 || over[0] != '\r'
			case before == 1:
				cut = cut || c.cr // what might have been the line's end was not
			}
			c.cr = over[len(over)-1] == '\r'
		}
		c.seen += len(part)
		if ended {
			if c.cr {
				out = append(out, '\r')
			}
			out = append(out, '\n')
			c.seen, c.cr = 0, false
		}
	}
	c.out = out
	if len(out) == 0 {
		return data[:0], cut // nil would be the end to whoever comes next
	}
	return out, cut
}

// fits passes a piece with nothing to drop, which is the rule, at the speed of looking for line ends.
func (c *lineCutter) fits(data []byte) bool {
	seen := c.seen
	for seen <= c.limit {
		end := bytes.IndexByte(data, '\n')
		if end < 0 {
			if seen+len(data) > c.limit {
				return false
			}
			c.seen = seen + len(data)
			return true
		}
		if length := seen + end; length > c.limit+1 || length == c.limit+1 && data[end-1] != '\r' {
			return false
		}
		seen, data = 0, data[end+1:]
	}
	return false
}

// buffers passes on whole buffers only.
type buffers struct{ size int }

// Admit implements Policy.
func (b buffers) Admit(f *Flow) error {
	for _, d := range []Direction{Up, Down} {
		g, noted := &gatherer{size: b.size}, false
		f.Filter(d, func(data []byte) ([]byte, error) {
			out := g.pass(data)
			if len(g.held) > 0 && !noted {
				f.Applied(inspection, fmt.Sprintf("holds what the %s sends until it fills %d bytes", d.from(), b.size)) // once a direction
				noted = true
			}
			return out, nil
		})
	}
	return nil
}

// gatherer makes whole buffers of a stream, and passes the rest on at its end.
type gatherer struct {
	size      int
	held, out []byte
}

// pass takes the next piece, nil at the end.
func (g *gatherer) pass(data []byte) []byte {
	whole := len(g.held) + len(data)
	whole -= whole % g.size
	switch {
	case data == nil:
		out := g.held
		g.held = nil
		return out
	case whole == 0:
		g.held = append(g.held, data...)
		return data[:0] // nil would be the end to whoever comes next
	case len(g.held) == 0:
		g.held = append(g.held, data[whole:]...)
		return data[:whole]
	}
	now := whole - len(g.held)
	g.out = append(append(g.out[:0], g.held...), data[:now]...)
	g.held = append(g.held[:0], data[now:]...)
	return g.out
}
