package topologies

import (
	"slices"
	"strings"
	"testing"
)

func TestLimitsAreReadAndSaidAgain(t *testing.T) {
	for given, want := range map[string]string{
		"":                                       "",
		"memory=64MiB":                           "memory=64MiB",
		"memory=64MB cpus=0.50 gomemlimit=48MiB": "memory=62500KiB cpus=0.5 gomemlimit=48MiB",
		"gomemlimit=1GiB memory=1.5GiB":          "memory=1536MiB gomemlimit=1GiB",
		"memory=10000001B":                       "memory=10000001B",
		"cpus=2":                                 "cpus=2",
	} {
		l, err := ParseLimits(strings.Fields(given))
		if err != nil {
			t.Errorf("%s: %v", given, err)
			continue
		}
		if got := strings.Join(l.Pairs(), " "); got != want {
			t.Errorf("%s: said %q, want %q", given, got, want)
		}
		if again, err := ParseLimits(l.Pairs()); err != nil || again != l {
			t.Errorf("%s: said again it is %+v (%v), not %+v", given, again, err, l)
		}
	}
}

func TestLimitsThatCannotBeMeantAreRefused(t *testing.T) {
	for given, want := range map[string]string{
		"memory":                    "KEY=VALUE",
		"memory=":                   "KEY=VALUE",
		"memory=64":                 "with its unit",
		"memory=64m":                "with its unit",
		"memory=64mb":               "with its unit",
		"memory=5MiB":               "no less than 6MiB",
		"memory=0MiB":               "above zero",
		"gomemlimit=99999999999GiB": "could have",
		"cpus=0":                    "from 0.01 up",
		"cpus=-1":                   "from 0.01 up",
		"cpus=NaN":                  "from 0.01 up",
		"cpus=half":                 "from 0.01 up",
		"mem=64MiB":                 "memory, cpus, gomemlimit",
		"io=1MB/s":                  "not simulated",
		"cpus=1 cpus=2":             "given already",
	} {
		if _, err := ParseLimits(strings.Fields(given)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, which does not say %q", given, err, want)
		}
	}
}

func TestLimitsSayWhoKeepsThem(t *testing.T) {
	l, err := ParseLimits([]string{"gomemlimit=48MiB", "cpus=0.5", "memory=64MiB"})
	if err != nil {
		t.Fatal(err)
	}
	if got := l.Enforced(); !slices.Equal(got, []string{"memory=64MiB", "cpus=0.5"}) {
		t.Errorf("the kernel keeps %v", got)
	}
	if got := l.Environment()["GOMEMLIMIT"]; got != "50331648B" {
		t.Errorf("the server reads %q", got)
	}
	changed, err := l.With(map[string]string{"gomemlimit": "40MiB"})
	if err != nil || strings.Join(changed.Pairs(), " ") != "memory=64MiB cpus=0.5 gomemlimit=40MiB" {
		t.Errorf("changed it is %v, %v", changed.Pairs(), err)
	}
	if (Limits{}).Environment() != nil || (Limits{}).Enforced() != nil {
		t.Error("no limits are something")
	}
}

func FuzzParseLimits(f *testing.F) {
	f.Add("memory=64MiB")
	f.Add("cpus=0.5")
	f.Add("gomemlimit=1.5GiB")
	f.Fuzz(func(t *testing.T, given string) {
		l, err := ParseLimits([]string{given})
		if err != nil {
			return
		}
		if again, err := ParseLimits(l.Pairs()); err != nil || again != l {
			t.Errorf("%q is said as %v, which is %+v, %v", given, l.Pairs(), again, err)
		}
	})
}
