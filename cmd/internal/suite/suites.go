package suite

import (
	"embed"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/lbtest/lbtest/proxies/written"
)

// The built-in suites are matrices like any user's. To add one, add a file; its name is the suite's.
//
//go:embed suites/*.yaml
var suiteFiles embed.FS

// Suites lists the built-in suites by name.
func Suites() []Matrix {
	entries, err := suiteFiles.ReadDir("suites")
	if err != nil {
		panic(fmt.Sprintf("the built-in suites: %v", err)) // they are in the program
	}
	var all []Matrix
	for _, e := range entries {
		name := strings.TrimSuffix(e.Name(), ".yaml")
		m, err := parseMatrix(e.Name(), suiteText(name))
		if err != nil {
			panic(fmt.Sprintf("the built-in suite %s: %v", name, err))
		}
		m.Suite = name
		all = append(all, m)
	}
	return all
}

// FindSuite gives the built-in suite of that name. Its error is the user's.
func FindSuite(name string) (Matrix, error) {
	var names []string
	for _, m := range Suites() {
		if m.Suite == name {
			return m, nil
		}
		names = append(names, m.Suite)
	}
	return Matrix{}, written.Unknown("suite", name, names)
}

// SuiteText is a built-in suite as it was written: something to begin with.
func SuiteText(name string) (string, bool) {
	if !slices.ContainsFunc(Suites(), func(m Matrix) bool { return m.Suite == name }) {
		return "", false
	}
	return string(suiteText(name)), true
}

func suiteText(name string) []byte {
	text, err := suiteFiles.ReadFile(path.Join("suites", name+".yaml"))
	if err != nil {
		panic(fmt.Sprintf("the built-in suite %s: %v", name, err))
	}
	return text
}
