package assertions

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func namesOf(all []Assertion) []string {
	var names []string
	for _, a := range all {
		names = append(names, a.Name)
	}
	return names
}

func TestMatch(t *testing.T) {
	for pattern, want := range map[string][]string{
		"jetstream/*": {"jetstream/consumer-resumes", "jetstream/meta-leader-stable", "jetstream/mirror-catches-up", "jetstream/no-acked-loss", "jetstream/no-duplicates-with-ids",
			"jetstream/placement-works", "jetstream/publish-acked", "jetstream/quorum-holds"},
		"*/no-*":                   {"core/no-loss-when-quiet-then-busy", "core/no-silent-loss", "jetstream/no-acked-loss", "jetstream/no-duplicates-with-ids"},
		"routes/notice-silence":    {"routes/notice-silence"},
		"routes/stay-*-?*":         {"routes/stay-behind-lb", "routes/stay-up-when-quiet"},
		"*":                        namesOf(All()),
		"*/*":                      namesOf(All()),
		"routes":                   nil,
		"routes*":                  nil,
		"Routes/*":                 nil,
		"":                         nil,
		"routes/[mn]otice-silence": {"routes/notice-silence"},
	} {
		got, err := Match(pattern)
		if err != nil || cmp.Diff(want, namesOf(got)) != "" {
			t.Errorf("%q: %v %s", pattern, err, cmp.Diff(want, namesOf(got)))
		}
	}
	for _, pattern := range []string{"[", "routes/[a", "\\"} {
		if got, err := Match(pattern); err == nil || !strings.Contains(err.Error(), fmt.Sprintf("%q", pattern)) {
			t.Errorf("%q: %v, %v", pattern, namesOf(got), err)
		}
	}
}

func TestRegistryRefusesWhatIsIncompleteOrThereAlready(t *testing.T) {
	whole := Assertion{Name: "core/test", Promise: "A promise.", Explain: "Why.", Speaks: []string{"stall"}, Observe: Forming,
		Judge: judgeFullMesh, Hostile: []string{"stall=12s"}}
	for name, spoil := range map[string]func(*Assertion){
		"no name":              func(a *Assertion) { a.Name = "" },
		"no promise":           func(a *Assertion) { a.Promise = "" },
		"no explanation":       func(a *Assertion) { a.Explain = "" },
		"nothing it speaks of": func(a *Assertion) { a.Speaks = nil },
		"no observation":       func(a *Assertion) { a.Observe = nil },
		"no judge":             func(a *Assertion) { a.Judge = nil },
		"no hostile variant":   func(a *Assertion) { a.Hostile = nil },
		"a name that is taken": func(a *Assertion) { a.Name = "routes/full-mesh-forms" },
	} {
		t.Run(name, func(t *testing.T) {
			before := namesOf(All())
			spoiled := whole
			spoil(&spoiled)
			defer func() {
				if said := fmt.Sprint(recover()); !strings.HasPrefix(said, fmt.Sprintf("assertion %q ", spoiled.Name)) {
					t.Errorf("panicked with %q", said)
				}
				if diff := cmp.Diff(before, namesOf(All())); diff != "" {
					t.Errorf("the registry changed: %s", diff)
				}
			}()
			register(spoiled)
		})
	}
}

func TestAssertionsByName(t *testing.T) {
	all := All()
	if !slices.IsSorted(namesOf(all)) {
		t.Errorf("%v", namesOf(all))
	}
	for _, a := range all {
		if !a.SpeaksOf(a.Speaks[0]) || a.SpeaksOf("weather") {
			t.Errorf("%s does not know what it speaks of", a.Name)
		}
	}
}
