package assertions

import (
	"slices"
	"strings"
	"testing"
)

func TestNearAssertions(t *testing.T) {
	for given, want := range map[string][]string{
		"routes/full-mesh-form":  {"routes/full-mesh-forms"},
		"Routes/Full-Mesh-Forms": {"routes/full-mesh-forms"},
		"route/notices-silence":  {"routes/notice-silence", "client/notices-silence"},
		"clients/quorum-holds":   {"jetstream/quorum-holds"},
		"*quorum*":               {"jetstream/quorum-holds"},
		"nothing-alike/at-all":   nil,
		"*":                      nil,
		"":                       nil,
	} {
		if got := Near(given); !slices.Equal(got, want) {
			t.Errorf("near %q is %q, want %q", given, got, want)
		}
	}
}

func TestUnknownClientKeyNamesWhatWasMeant(t *testing.T) {
	_, err := ParseClientTuning([]string{"ping-intervall=3s"})
	if err == nil || !strings.Contains(err.Error(), "did you mean ping-interval?") {
		t.Errorf("got %v, want it to name ping-interval", err)
	}
}
