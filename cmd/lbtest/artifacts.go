package main

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/lbtest/lbtest/cmd/internal/report"
)

// artifacts is a directory for what verdicts rest on. Events are written as labs end, so that of a run which was killed
// those are there that it had seen. nil is none.
type artifacts struct {
	dir string
	f   *os.File // nil until there is something to write
	to  *bufio.Writer
	err error
}

// artifactsIn makes the directory and tries whether it can be written to; its error is the user's.
func artifactsIn(dir string) (*artifacts, error) {
	if dir == "" {
		return nil, nil
	}
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return nil, fmt.Errorf("--artifacts %s: making the directory: %w", dir, err)
	}
	a := &artifacts{dir: dir}
	for _, path := range []string{a.events(), a.report()} {
		if err := tryPath(path); err != nil {
			return nil, fmt.Errorf("--artifacts %s: %w", dir, err)
		}
	}
	return a, nil
}

func (a *artifacts) events() string { return filepath.Join(a.dir, "events.jsonl") }
func (a *artifacts) report() string { return filepath.Join(a.dir, "report.json") }

// sinks are the reports that belong into the directory.
func (a *artifacts) sinks() []sink {
	if a == nil {
		return nil
	}
	json, _ := report.Find("json")
	return []sink{{json, a.report()}}
}

// Write adds to the events. The first error is kept for close, and returned from then on.
func (a *artifacts) Write(p []byte) (int, error) {
	if a.f == nil && a.err == nil {
		if a.f, a.err = os.Create(a.events()); a.err == nil {
			a.to = bufio.NewWriter(a.f)
		}
	}
	if a.err != nil {
		return 0, a.err
	}
	var n int
	n, a.err = a.to.Write(p)
	return n, a.err
}

// close ends the events and gives their path.
func (a *artifacts) close() (events string, err error) {
	if a == nil {
		return "", nil
	}
	if _, err = a.Write(nil); a.f != nil { // a run without a lab has seen nothing, in a file all the same
		err = errors.Join(err, a.to.Flush(), a.f.Close())
	}
	if err != nil {
		return "", fmt.Errorf("writing the events to %s: %w", a.events(), err)
	}
	return a.events(), nil
}
