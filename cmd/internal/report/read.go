package report

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/lbtest/lbtest/assertions"
)

// Read parses a saved report, JSON or HTML, which holds it as well. Fields it does not know are ignored, as later
// versions may add some; a report of another schema, or one that contradicts itself, is refused with an error that says
// where.
func Read(from io.Reader) (Report, error) {
	var r Report
	from, err := unwrapped(from)
	if err != nil {
		return Report{}, fmt.Errorf("reading the report: %w", err)
	}
	d := json.NewDecoder(from)
	if err := d.Decode(&r); err != nil {
		return Report{}, fmt.Errorf("reading the report: %w", atWhere(err))
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return Report{}, fmt.Errorf("reading the report: something follows its end at byte %d", d.InputOffset())
	}
	if err := r.check(); err != nil {
		return Report{}, fmt.Errorf("reading the report: %w", err)
	}
	r.fill()
	return r, nil
}

// unwrapped is the report in a page, or what is no page as it is.
func unwrapped(from io.Reader) (io.Reader, error) {
	buffered := bufio.NewReader(from)
	if start, _ := buffered.Peek(len(doctype)); string(start) != doctype {
		return buffered, nil
	}
	page, err := io.ReadAll(buffered)
	if err != nil {
		return nil, err
	}
	_, data, ok := strings.Cut(string(page), dataBegins)
	if !ok {
		return nil, errors.New("this page holds no report")
	}
	data, _, ok = strings.Cut(data, dataEnds)
	if !ok {
		return nil, errors.New("it ends in the middle")
	}
	return strings.NewReader(data), nil
}

// atWhere turns the decoder's errors into what a person can act upon.
func atWhere(err error) error {
	var syntax *json.SyntaxError
	var kind *json.UnmarshalTypeError
	switch {
	case errors.Is(err, io.EOF):
		return errors.New("it is empty")
	case errors.Is(err, io.ErrUnexpectedEOF):
		return errors.New("it ends in the middle")
	case errors.As(err, &syntax):
		return fmt.Errorf("not JSON at byte %d: %w", syntax.Offset, err)
	case errors.As(err, &kind) && kind.Field == "":
		return fmt.Errorf("a report is a JSON object, this is a %s", kind.Value)
	case errors.As(err, &kind):
		return fmt.Errorf("%s is a %s at byte %d, expected a %s", kind.Field, kind.Value, kind.Offset, kind.Type)
	}
	return err
}

func (r Report) check() error {
	if r.Schema != SchemaName {
		return fmt.Errorf("its schema is %q, this lbtest reads %s", r.Schema, SchemaName)
	}
	if err := known("the run", r.Verdict); err != nil {
		return err
	}
	names := map[string]bool{}
	for i, s := range r.Scenarios {
		what := fmt.Sprintf("scenario %d (%q)", i+1, s.Name)
		switch {
		case s.Name == "":
			return fmt.Errorf("scenario %d has no name", i+1)
		case names[s.Name]:
			return fmt.Errorf("%s is there twice", what)
		}
		names[s.Name] = true
		if err := known(what, s.Verdict); err != nil {
			return err
		}
	}
	for i, s := range r.Results {
		if !names[s.Scenario] {
			return fmt.Errorf("result %d belongs to scenario %q, which is not in the report", i+1, s.Scenario)
		}
		if err := known(fmt.Sprintf("result %d (%s of %s)", i+1, s.Assertion, s.Scenario), s.Verdict); err != nil {
			return err
		}
	}
	return nil
}

func known(what string, v assertions.Verdict) error {
	if slices.Contains(assertions.Verdicts(), v) {
		return nil
	}
	return fmt.Errorf("%s has the verdict %q, verdicts are %v", what, v, assertions.Verdicts())
}
