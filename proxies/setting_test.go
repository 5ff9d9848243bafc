package proxies

import (
	"slices"
	"strings"
	"testing"
)

func TestSettingsCanStandInOneListWithCommas(t *testing.T) {
	for list, want := range map[string]string{
		"idle-timeout=5s":                                  "idle-timeout=5s",
		"bandwidth=1MB/s,burst=8MB":                        "bandwidth=1MB/s burst=8MB",
		"gateways:bandwidth=1MB/s,routes:burst=8MB":        "gateways:bandwidth=1MB/s routes:burst=8MB",
		"bandwidth=1MB/s,burst=8MB,idle-timeout=5s":        "bandwidth=1MB/s burst=8MB idle-timeout=5s",
		"bandwidth=1MB/s,burst":                            "bandwidth=1MB/s,burst",
		"inspection=signature,inspection-pattern=a,burst=": "inspection=signature inspection-pattern=a,burst=",
		"inspection-pattern=x,idle-timeout=5s":             "inspection-pattern=x,idle-timeout=5s",
		",burst=8MB":                                       " burst=8MB",
		"":                                                 "",
	} {
		if got := Pairs(list); strings.Join(got, " ") != want {
			t.Errorf("%q: got %q, want %q", list, got, want)
		}
	}
	if all := Pairs("bandwidth=1MB/s,burst=8MB"); !slices.Equal(all, []string{"bandwidth=1MB/s", "burst=8MB"}) {
		t.Errorf("got %q", all)
	}
}
