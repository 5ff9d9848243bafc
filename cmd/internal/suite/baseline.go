package suite

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"

	"github.com/lbtest/lbtest/assertions"
	"github.com/lbtest/lbtest/cmd/internal/report"
	"github.com/lbtest/lbtest/proxies/written"
)

// A baseline is a mapping from cells to verdicts in YAML. A cell that it does not mention is expected to be safe.

// expectable are the verdicts that can be expected.
var expectable = []string{string(assertions.Safe), string(assertions.Risky), string(assertions.Unsafe), string(assertions.Skipped)}

// expectations reads a baseline. Where it is to be written there need not be one yet, and what it says of cells that are
// no more goes. Its errors are the user's.
func expectations(file string, write bool, cells []string) (map[string]assertions.Verdict, error) {
	text, err := written.Open(file, "baseline")
	switch {
	case write && errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("%w; --write-baseline makes one of what is found", err)
	case err != nil:
		return nil, err
	}
	return parseBaseline(file, text, write, cells)
}

func parseBaseline(file string, text []byte, write bool, cells []string) (map[string]assertions.Verdict, error) {
	r := written.Reader{File: file, Kind: "baseline", Least: "a baseline has a line for each cell, as in routes-behind-lb/stall=1s: safe (--write-baseline writes them)"}
	found, _ := r.Top(text)
	expected := map[string]assertions.Verdict{}
	for _, e := range inOrder(found) {
		name := e.Name()
		v, ok := r.Scalar(e)
		switch {
		case !ok:
		case v == string(assertions.Errored):
			r.Refuse(e.Value, name, "a failure of lbtest's own is never expected")
		case !slices.Contains(expectable, v):
			r.Refuse(e.Value, name, "%w", written.Unknown("verdict", v, expectable))
		case !slices.Contains(cells, name) && write:
		case !slices.Contains(cells, name):
			r.Refuse(e.Key, "", "%w", noCell(name, cells))
		default:
			expected[name] = assertions.Verdict(v)
		}
	}
	return expected, r.Err()
}

// inOrder are the entries as they stand in the file.
func inOrder(found map[string]written.Entry) []written.Entry {
	var all []written.Entry
	for _, e := range found {
		all = append(all, e)
	}
	slices.SortFunc(all, func(a, b written.Entry) int { return a.Key.Line - b.Key.Line })
	return all
}

func noCell(name string, cells []string) error {
	topology, _, _ := strings.Cut(name, "/")
	var near []string
	for _, c := range cells {
		if strings.HasPrefix(c, topology+"/") {
			near = append(near, strings.TrimPrefix(c, topology+"/"))
		}
	}
	err := written.Unknown("cell", strings.TrimPrefix(name, topology+"/"), near)
	if !strings.Contains(err.Error(), "did you mean") {
		return fmt.Errorf("%q is no cell of this matrix; take the line away, or write the baseline anew (--write-baseline)", name)
	}
	return fmt.Errorf("%q is no cell of this matrix: %w", name, err)
}

// WriteBaseline writes what was found as what is expected from now on: of each cell that was run its verdict, of each
// other what was expected already. A cell that errored keeps its line, if it has one.
func (p MatrixPlan) WriteBaseline(w io.Writer, made report.Report) error {
	is := map[string]assertions.Verdict{}
	for _, s := range made.Scenarios {
		if s.Verdict != assertions.Errored {
			is[s.Name] = s.Verdict
		}
	}
	top := &yaml.Node{Kind: yaml.MappingNode}
	for _, cell := range slices.Sorted(slices.Values(p.all)) {
		v, ok := is[cell]
		if !ok {
			v, ok = p.cells.expected[cell]
		}
		if ok {
			top.Content = append(top.Content, written.Word(cell), written.Word(string(v)))
		}
	}
	if len(top.Content) == 0 {
		return errors.New("writing the baseline: no cell has a verdict")
	}
	const wide = 1 << 12 // a cell is one line, however long its name is
	text, err := written.Render(top, wide)
	if err == nil {
		head := fmt.Sprintf("# What `lbtest matrix` finds in %s. What differs, for better or worse, fails a run with --baseline;\n"+
			"# --write-baseline writes this anew. A cell without a line is expected to be safe.\n", p.cells.suite)
		_, err = io.WriteString(w, head+string(text))
	}
	if err != nil {
		return fmt.Errorf("writing the baseline: %w", err)
	}
	return nil
}
