package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/agnivade/levenshtein"
)

// many is how many names an error lists beside those that were probably meant. Longer lists bury the suggestion.
const many = 30

// unknown is the error for a name that does not exist: what was given, what was probably meant, what exists.
func unknown(what, given string, known []string) error {
	meant := ""
	if names := near(given, known); len(names) > 0 {
		meant = fmt.Sprintf(", did you mean %s?", strings.Join(names, " or "))
		if len(known) > many {
			return fmt.Errorf("unknown %s %q%s", what, given, meant)
		}
	}
	return fmt.Errorf("unknown %s %q%s (%s)", what, given, meant, strings.Join(known, ", "))
}

// near lists the names that were probably meant, the likeliest first: those that differ in few letters, or
// that begin with what was given.
func near(given string, known []string) []string {
	given = strings.ToLower(given)
	few := max(2, len(given)/3) // one slip in three letters is still the same word
	type candidate struct {
		name  string
		slips int
	}
	var found []candidate
	for _, name := range known {
		slips := levenshtein.ComputeDistance(given, strings.ToLower(name))
		if given != "" && strings.HasPrefix(name, given) {
			slips = min(slips, 1)
		}
		if slips <= few && slips < len(name) {
			found = append(found, candidate{name, slips})
		}
	}
	slices.SortStableFunc(found, func(a, b candidate) int { return a.slips - b.slips })
	var names []string
	for _, c := range found[:min(len(found), 3)] {
		names = append(names, c.name)
	}
	return names
}
