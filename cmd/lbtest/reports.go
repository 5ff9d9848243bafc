package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"

	"github.com/lbtest/lbtest/cmd/internal/report"
)

// stdout is the path that means it.
const stdout = "-"

// sink is one rendering and where it goes.
type sink struct {
	format report.Format
	path   string // or stdout
}

// sinks reads --report and --json. Text goes to stdout unless something else does. Every path is tried, so
// that a run of minutes does not end with a report that cannot be written.
func sinks(f *outFlags) ([]sink, error) {
	specs := f.reports
	if f.json {
		specs = append([]string{"json=" + stdout}, specs...)
	}
	var all []sink
	taken := map[string]string{}
	for _, spec := range specs {
		name, path, ok := strings.Cut(spec, "=")
		if !ok || path == "" {
			return nil, fmt.Errorf("--report %q: want FORMAT=PATH, as in json=report.json; - is stdout", spec)
		}
		format, ok := report.Find(name)
		if !ok {
			return nil, fmt.Errorf("--report %q: %w", spec, unknown("format", name, namesOf(listFormats())))
		}
		if other, ok := taken[filepath.Clean(path)]; ok {
			return nil, fmt.Errorf("--report %s and %s go to the same place; give one of them another path", other, spec)
		}
		taken[filepath.Clean(path)] = spec
		if path != stdout {
			if err := tryPath(path); err != nil {
				return nil, fmt.Errorf("--report %s: %w", spec, err)
			}
		}
		all = append(all, sink{format, path})
	}
	if _, ok := taken[stdout]; !ok {
		text, _ := report.Find("text")
		all = append(all, sink{text, stdout})
	}
	return all, nil
}

// tryPath says why no report can be written there.
func tryPath(path string) error {
	info, err := os.Stat(path)
	switch {
	case err == nil && info.IsDir():
		return errors.New("this is a directory, want a file in it")
	case err == nil && !info.Mode().IsRegular():
		f, err := os.OpenFile(path, os.O_WRONLY, 0)
		if err != nil {
			return fmt.Errorf("opening it: %w", err)
		}
		return f.Close()
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("looking at it: %w", err)
	}
	dir := filepath.Dir(path)
	if info, err := os.Stat(dir); err != nil {
		return fmt.Errorf("its directory: %w", err)
	} else if !info.IsDir() {
		return fmt.Errorf("%s is not a directory", dir)
	}
	f, err := beside(path)
	if err != nil {
		return fmt.Errorf("its directory cannot be written to: %w", err)
	}
	return errors.Join(f.Close(), os.Remove(f.Name()))
}

// beside creates a new file in the directory of path, with the rights a new file gets here.
func beside(path string) (*os.File, error) {
	name := fmt.Sprintf(".%s.%08x", filepath.Base(path), rand.Uint32())
	return os.OpenFile(filepath.Join(filepath.Dir(path), name), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
}

// write renders the report to where the sink goes. A file appears whole or not at all: nobody reads half a
// report, and a failed one leaves the last one in place.
func (s sink) write(out io.Writer, r report.Report, st report.Style) error {
	if s.path == stdout {
		return s.format.Write(out, r, st)
	}
	st.Colour, st.Width = false, 0
	path := s.path
	if real, err := filepath.EvalSymlinks(path); err == nil {
		path = real // or the link would be replaced instead of what it points to
	}
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() {
		return s.pour(path, r, st) // a device or a pipe is not to be replaced by a file
	}
	f, err := beside(path)
	if err != nil {
		return err
	}
	err = s.format.Write(f, r, st)
	if err == nil {
		err = f.Sync()
	}
	err = errors.Join(err, f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}

func (s sink) pour(path string, r report.Report, st report.Style) error {
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	return errors.Join(s.format.Write(f, r, st), f.Close())
}
