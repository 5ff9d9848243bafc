package arch_test

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
)

const module = "github.com/lbtest/lbtest"

// mayImport is the import table: for each package, the packages of this module that its non-test files may
// import. The three subjects know nobody; suite is where they meet. A package that is not in here is refused.
var mayImport = map[string][]string{
	"topologies":           {},
	"topologies/embedded":  {"topologies"},
	"docker":               {"topologies"},
	"proxies":              {},
	"proxies/written":      {"proxies"},
	"proxies/profiles":     {"proxies", "proxies/written"},
	"proxies/kernel":       {"proxies"},
	"assertions":           {},
	"cmd/internal/report":  {"assertions"},
	"cmd/internal/suite":   {"topologies", "proxies", "proxies/written", "proxies/profiles", "assertions", "cmd/internal/report"},
	"cmd/internal/backend": {},
	"cmd/internal/arch":    {},
	"cmd/lbtest": {"topologies", "topologies/embedded", "docker", "proxies", "proxies/profiles", "proxies/kernel", "assertions",
		"cmd/internal/report", "cmd/internal/suite", "cmd/internal/backend"},
}

// owner says where an outside module may be imported: in one package, or in some files of it.
type owner struct {
	pkg   string
	files []string // none: every file of the package
}

// owners lists the outside modules by import path. A module that is not in here is refused, so that a new
// dependency is a decision and has one place.
var owners = map[string][]owner{
	"github.com/nats-io/nats-server/v2":           {{pkg: "topologies/embedded"}},
	"github.com/testcontainers/testcontainers-go": {{pkg: "docker"}},
	"github.com/moby/moby/api":                    {{pkg: "docker"}}, // what testcontainers speaks of
	"github.com/moby/moby/client":                 {{pkg: "docker"}}, // pauses, kills and attaches, which testcontainers leaves to it
	"github.com/Shopify/toxiproxy/v2":             {{pkg: "proxies", files: []string{"toxics.go", "toxiproxy_api.go"}}},
	"github.com/rs/zerolog":                       {{pkg: "proxies", files: []string{"toxics.go", "toxiproxy_api.go"}}},                                                   // toxiproxy's logger is one
	"github.com/pires/go-proxyproto":              {{pkg: "proxies", files: []string{"proxy_protocol.go"}}, {pkg: "cmd/internal/backend", files: []string{"session.go"}}}, // writes headers; reads them
	"github.com/google/nftables":                  {{pkg: "proxies/kernel"}},
	"github.com/ti-mo/conntrack":                  {{pkg: "proxies/kernel"}}, // the connection table: its entries, and what changes
	"github.com/ti-mo/netfilter":                  {{pkg: "proxies/kernel"}}, // what conntrack speaks of
	"github.com/mdlayher/netlink":                 {{pkg: "proxies/kernel"}}, // the filter's log, which nftables and conntrack leave to it
	"github.com/vishvananda/netlink":              {{pkg: "proxies/kernel"}}, // its tests' networks
	"github.com/vishvananda/netns":                {{pkg: "proxies/kernel"}}, // the same
	"github.com/nats-io/nats.go":                  {{pkg: "assertions"}},
	"github.com/coder/websocket":                  {{pkg: "assertions", files: []string{"websocket_upgrades.go"}}},                   // websockets without NATS
	"github.com/nats-io/nkeys":                    {{pkg: "assertions"}, {pkg: "cmd/internal/suite", files: []string{"secrets.go"}}}, // signs; makes throw-away keys
	"github.com/nats-io/jwt/v2":                   {{pkg: "cmd/internal/suite", files: []string{"secrets.go"}}},                      // throw-away operators, accounts and users
	"github.com/nats-io/jsm.go/natscontext":       {{pkg: "assertions"}},
	"github.com/spf13/cobra":                      {{pkg: "cmd/lbtest"}},
	"github.com/spf13/pflag":                      {{pkg: "cmd/lbtest", files: []string{"flags.go"}}},
	"golang.org/x/term":                           {{pkg: "cmd/lbtest"}},
	"go.yaml.in/yaml/v4":                          {{pkg: "proxies/written"}, {pkg: "proxies/profiles", files: []string{"yaml.go"}}, {pkg: "cmd/internal/suite", files: []string{"baseline.go"}}},
	"github.com/jedib0t/go-pretty/v6":             {{pkg: "cmd/internal/report"}},
	"github.com/dustin/go-humanize":               {{pkg: "cmd/internal/report"}, {pkg: "proxies", files: []string{"bandwidth.go"}}, {pkg: "assertions"}, {pkg: "topologies", files: []string{"limits.go"}}},
	"github.com/agnivade/levenshtein": { // what a mistyped name was meant for
		{pkg: "proxies", files: []string{"values.go"}}, {pkg: "topologies/embedded", files: []string{"keys.go"}},
		{pkg: "assertions", files: []string{"near.go"}}, {pkg: "cmd/lbtest", files: []string{"near.go"}}},
	"github.com/shirou/gopsutil/v4": {{pkg: "cmd/internal/suite", files: []string{"room.go"}}}, // how busy the processors are, and how much memory there is
	"golang.org/x/sync":             {{pkg: "cmd/internal/suite"}},                             // how many labs run at once
	"golang.org/x/sys":              {{pkg: "topologies/embedded"}, {pkg: "proxies"}, {pkg: "proxies/kernel"}, {pkg: "assertions"}},
}

func TestImportsKeepToTheTable(t *testing.T) {
	seen := map[string]bool{}
	err := sources(func(file string, parsed *ast.File) {
		pkg := path.Dir(file)
		seen[pkg] = true
		for _, i := range parsed.Imports {
			imported, err := strconv.Unquote(i.Path.Value)
			if err != nil {
				t.Errorf("%s: %v", file, err)
				continue
			}
			if err := allowed(pkg, path.Base(file), imported); err != nil {
				t.Errorf("%s imports %s: %v", file, imported, err)
			}
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	for pkg := range seen {
		if _, ok := mayImport[pkg]; !ok {
			t.Errorf("package %s is not in the import table", pkg)
		}
	}
	for _, pkg := range []string{"topologies", "topologies/embedded", "proxies", "assertions", "cmd/internal/report", "cmd/internal/suite", "cmd/lbtest"} {
		if !seen[pkg] {
			t.Errorf("package %s is missing: nothing was parsed for it", pkg)
		}
	}
}

// allowed says why a file may not import what it imports, or nothing.
func allowed(pkg, file, imported string) error {
	if ours, ok := strings.CutPrefix(imported, module+"/"); ok {
		if !slices.Contains(mayImport[pkg], ours) {
			return fmt.Errorf("%s may import %v of ours", pkg, mayImport[pkg])
		}
		return nil
	}
	if first, _, _ := strings.Cut(imported, "/"); !strings.Contains(first, ".") {
		return nil // the standard library
	}
	for outside, places := range owners {
		if imported != outside && !strings.HasPrefix(imported, outside+"/") {
			continue
		}
		for _, o := range places {
			if o.pkg == pkg && (o.files == nil || slices.Contains(o.files, file)) {
				return nil
			}
		}
		return fmt.Errorf("it belongs to %v", places)
	}
	return errors.New("nobody owns this module; give it one place in the table")
}

func (o owner) String() string {
	if o.files == nil {
		return o.pkg
	}
	return o.pkg + "/" + strings.Join(o.files, ", ")
}

// sources hands out every Go file of the module that is not a test, by its path from the module's root,
// whatever system it is built for.
func sources(each func(file string, parsed *ast.File)) error {
	all, err := parsed()
	for _, s := range all {
		each(s.file, s.parsed)
	}
	return err
}

// source is one such file.
type source struct {
	file   string
	parsed *ast.File
}

// parsed reads all of them, once: every registry is looked for in them anew.
var parsed = sync.OnceValues(func() (all []source, err error) {
	root := filepath.Join("..", "..", "..")
	err = fs.WalkDir(os.DirFS(root), ".", func(file string, d fs.DirEntry, err error) error {
		switch name := d.Name(); {
		case err != nil:
			return fmt.Errorf("walking %s: %w", file, err)
		case d.IsDir() && file != "." && (name[0] == '.' || name[0] == '_' || name == "testdata" || name == "vendor"):
			return fs.SkipDir // as the go tool does
		case d.IsDir(), path.Ext(name) != ".go", strings.HasSuffix(name, "_test.go"), name[0] == '.', name[0] == '_':
			return nil
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), filepath.Join(root, file), nil, parser.SkipObjectResolution)
		if err != nil {
			return fmt.Errorf("parsing %s: %w", file, err)
		}
		all = append(all, source{file, parsed})
		return nil
	})
	return all, err
})

func TestTheTableRefuses(t *testing.T) {
	for _, c := range []struct {
		what, pkg, file, imported string
		ok                        bool
	}{
		{"subjects knowing each other", "proxies", "a.go", module + "/assertions", false},
		{"a subject knowing the suite", "assertions", "a.go", module + "/cmd/internal/suite", false},
		{"the suite knowing a subject", "cmd/internal/suite", "a.go", module + "/proxies", true},
		{"a package that is not in the table", "helpers", "a.go", module + "/proxies", false},
		{"the server outside its place", "topologies", "a.go", "github.com/nats-io/nats-server/v2/server", false},
		{"the server in its place", "topologies/embedded", "a.go", "github.com/nats-io/nats-server/v2/server", true},
		{"toxics outside their file", "proxies", "stall.go", "github.com/Shopify/toxiproxy/v2/toxics", false},
		{"toxics in their file", "proxies", "toxics.go", "github.com/Shopify/toxiproxy/v2/toxics", true},
		{"flags defined elsewhere", "cmd/lbtest", "run.go", "github.com/spf13/pflag", false},
		{"a module of which nobody heard", "proxies", "a.go", "example.com/x", false},
		{"a module whose name begins like another's", "assertions", "a.go", "github.com/nats-io/nats.go2", false},
		{"the standard library", "proxies", "a.go", "net/http", true},
	} {
		if err := allowed(c.pkg, c.file, c.imported); (err == nil) != c.ok {
			t.Errorf("%s: got %v", c.what, err)
		}
	}
}
