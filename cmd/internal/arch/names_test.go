package arch_test

import (
	"go/ast"
	"path"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/lbtest/lbtest/assertions"
	"github.com/lbtest/lbtest/cmd/internal/report"
	"github.com/lbtest/lbtest/proxies"
	"github.com/lbtest/lbtest/topologies"
)

// TestNamesAreFiles holds that one finds a thing by its name: what is typed on the command line is the file
// that registers it, with underscores. A file that registers several names, as one behaviour's settings, is
// called after the first.
func TestNamesAreFiles(t *testing.T) {
	for _, c := range []struct {
		folder, what string
		names        []string
		several      bool // a file may register more than the one it is called after
	}{
		{"topologies", "topology", namesOf(topologies.All(), func(v topologies.Topology) string { return v.Name }), false},
		{"proxies", "setting", namesOf(proxies.Settings(), func(v proxies.Setting) string { return v.Name }), true},
		{"assertions", "assertion", namesOf(assertions.All(), func(v assertions.Assertion) string { return v.Name }), false},
		{"cmd/internal/report", "format", namesOf(report.Formats(), func(v report.Format) string { return v.Name }), false},
	} {
		t.Run(c.what, func(t *testing.T) {
			if len(c.names) == 0 {
				t.Fatalf("no %s is registered in %s", c.what, c.folder)
			}
			found := map[string]bool{}
			for file, names := range registering(t, c.folder, c.names) {
				switch {
				case len(names) == 0:
					t.Errorf("%s/%s registers something, but has no Name of a %s", c.folder, file, c.what)
					continue
				case fileOf(names[0]) != file:
					t.Errorf("%s/%s should be called %s after the %s %s", c.folder, file, fileOf(names[0]), c.what, names[0])
				case len(names) > 1 && !c.several:
					t.Errorf("%s/%s registers %v: one %s a file", c.folder, file, names, c.what)
				}
				for _, n := range names {
					found[n] = true
				}
			}
			for _, n := range c.names {
				if !found[n] {
					t.Errorf("%s %s is in no file of %s that registers something", c.what, n, c.folder)
				}
			}
		})
	}
}

func namesOf[T any](all []T, name func(T) string) []string {
	var names []string
	for _, v := range all {
		names = append(names, name(v))
	}
	return names
}

func fileOf(name string) string { return strings.NewReplacer("/", "_", "-", "_").Replace(name) + ".go" }

// registering finds the files of a folder that call register when the program starts, and which of the names
// stand in their literals as Name, in order.
func registering(t *testing.T, folder string, names []string) map[string][]string {
	t.Helper()
	constants, err := stringConstants(folder)
	if err != nil {
		t.Fatal(err)
	}
	found := map[string][]string{}
	err = sources(func(file string, parsed *ast.File) {
		if path.Dir(file) != folder || !registers(parsed) {
			return
		}
		var here []string
		ast.Inspect(parsed, func(n ast.Node) bool {
			field, ok := n.(*ast.KeyValueExpr)
			if !ok {
				return true
			}
			if key, ok := field.Key.(*ast.Ident); !ok || key.Name != "Name" {
				return true
			}
			name := ""
			switch v := field.Value.(type) {
			case *ast.BasicLit:
				name = unquoted(v)
			case *ast.Ident:
				name = constants[v.Name]
			}
			if slices.Contains(names, name) && !slices.Contains(here, name) {
				here = append(here, name)
			}
			return true
		})
		found[path.Base(file)] = here
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// stringConstants finds the constants of a folder that are plain text.
func stringConstants(folder string) (map[string]string, error) {
	found := map[string]string{}
	err := sources(func(file string, parsed *ast.File) {
		if path.Dir(file) != folder {
			return
		}
		ast.Inspect(parsed, func(n ast.Node) bool {
			spec, ok := n.(*ast.ValueSpec)
			if !ok {
				return true
			}
			for i, value := range spec.Values {
				if lit, ok := value.(*ast.BasicLit); ok && i < len(spec.Names) {
					found[spec.Names[i].Name] = unquoted(lit)
				}
			}
			return true
		})
	})
	return found, err
}

// unquoted is the text of a literal, and nothing for one that is no text.
func unquoted(lit *ast.BasicLit) string {
	s, err := strconv.Unquote(lit.Value)
	if err != nil {
		return ""
	}
	return s
}

// registers reports whether an init function of the file calls register.
func registers(file *ast.File) bool {
	for _, d := range file.Decls {
		f, ok := d.(*ast.FuncDecl)
		if !ok || f.Name.Name != "init" || f.Recv != nil {
			continue
		}
		calls := false
		ast.Inspect(f, func(n ast.Node) bool {
			if c, ok := n.(*ast.CallExpr); ok {
				if name, ok := c.Fun.(*ast.Ident); ok && name.Name == "register" {
					calls = true
				}
			}
			return true
		})
		if calls {
			return true
		}
	}
	return false
}
