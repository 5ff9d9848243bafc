package assertions

import (
	"slices"
	"strings"

	"github.com/agnivade/levenshtein"
)

// Near lists the assertions that a pattern which matches none may have been meant for, the nearest first.
func Near(pattern string) []string {
	var names []string
	for _, a := range All() {
		names = append(names, a.Name)
	}
	return near(pattern, names)
}

// near lists up to three names that differ from what was given in at most a third of its letters, and failing
// these, up to three that contain its part after the last slash.
func near(given string, names []string) []string {
	given = strings.ReplaceAll(strings.ToLower(given), "_", "-")
	slips := func(name string) int { return levenshtein.ComputeDistance(given, name) }
	found := slices.DeleteFunc(slices.Clone(names), func(n string) bool { return slips(n) > max(1, len(given)/3) })
	slices.SortStableFunc(found, func(a, b string) int { return slips(a) - slips(b) })
	if part := strings.Trim(given[strings.LastIndexByte(given, '/')+1:], "*?"); len(found) == 0 && part != "" {
		found = slices.DeleteFunc(slices.Clone(names), func(n string) bool { return !strings.Contains(n, part) })
	}
	return found[:min(len(found), 3)] // more is a list, not a suggestion
}

// meant puts what was probably meant into words, "" where nothing suggests itself.
func meant(given string, names []string) string {
	if found := near(given, names); len(found) > 0 {
		return ": did you mean " + strings.Join(found, " or ") + "?"
	}
	return ""
}
