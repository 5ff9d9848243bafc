package proxies

import (
	"slices"
	"strings"
	"testing"
	"time"
)

// documented is the documentation's table of settings, in its order.
var documented = []string{
	"idle-timeout", "idle-timeout-client", "idle-timeout-server", "idle-expiry", "idle-keepalive", "max-lifetime",
	"frontends", "balance", "hairpin", "inspection", "inspection-delay", "inspection-verdict", "inspection-pattern", "inspection-limit",
	"tls", "proxy-protocol", "source-ports", "port-reuse-delay", "port-exhaustion", "max-connections", "connection-limit", "connect-rate",
	"health-check", "health-interval", "health-fall", "on-down", "drain", "node-fault", "stall", "outage", "restart", "bypass", "engine",
	"latency", "jitter", "bandwidth", "burst", "slice",
}

func TestSettingsStandInTheTablesOrder(t *testing.T) {
	var got []string
	for _, s := range Settings() {
		got = append(got, s.Name)
	}
	want := slices.DeleteFunc(slices.Clone(documented), func(name string) bool { return !slices.Contains(got, name) })
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestNothingSetIsTheDefault(t *testing.T) {
	for _, s := range Settings() {
		if got := Direct().Value(s.Name); got != s.Default {
			t.Errorf("%s: got %q, want the default %q", s.Name, got, s.Default)
		}
	}
	if got := Direct().Value("no-such"); got != "" {
		t.Errorf("a setting that does not exist has the value %q", got)
	}
}

func TestValuesThatAreListedAreTaken(t *testing.T) {
	for _, s := range Settings() {
		for v := range strings.SplitSeq(s.Values, ", ") {
			given := strings.NewReplacer("DURATION", "1500ms", "COUNT", "12", "BYTES", "10KB", "HEX", "0d0a").Replace(v)
			p, err := Direct().With(s.Name, given)
			if err != nil {
				t.Errorf("%s=%s: %v", s.Name, given, err)
				continue
			}
			if got, want := p.Value(s.Name), strings.ReplaceAll(given, "1500ms", "1.5s"); got != want {
				t.Errorf("%s=%s: got %q back, want %q", s.Name, given, got, want)
			}
		}
	}
}

func TestBadInputIsExplained(t *testing.T) {
	for _, c := range []struct{ given, want string }{
		{"idle-timout=5s", `unknown setting "idle-timout": did you mean idle-timeout?`},
		{"idle_timeout=5s", `unknown setting "idle_timeout": did you mean idle-timeout?`},
		{"keepalive=counts", `unknown setting "keepalive": did you mean idle-keepalive?`},
		{"idle=5s", `unknown setting "idle": did you mean idle-timeout or idle-timeout-client or idle-timeout-server?`},
		{"zzz=5s", `unknown setting "zzz" (settings: idle-timeout, `},
		{"=5s", `unknown setting "" (settings: `},
		{"idle-timeout=30", "idle-timeout=30: a duration needs a unit: 30s?"},
		{"idle-timeout=2.5", "idle-timeout=2.5: a duration needs a unit: 2.5s?"},
		{"idle-timeout=30sec", "idle-timeout=30sec: not a duration: 30s?"},
		{"idle-timeout=5 min", "idle-timeout=5 min: not a duration: 5m?"},
		{"idle-timeout=1H", "idle-timeout=1H: not a duration: 1h?"},
		{"idle-timeout=-5s", "idle-timeout=-5s: a duration cannot be negative: 5s? To turn it off, idle-timeout=none"},
		{"stall=0", "stall=0: a duration must be longer than zero; to turn it off, stall=none"},
		{"stall=0s", "stall=0s: a duration must be longer than zero; to turn it off, stall=none"},
		{"outage=off", "outage=off: to turn it off, outage=none; otherwise a duration such as 60s"},
		{"outage=", "outage=: to turn it off, outage=none"},
		{"max-lifetime=soon", "max-lifetime=soon: not a duration; allowed are none and durations such as 250ms, 60s or 5m"},
		{"max-lifetime=9999999999h", "max-lifetime=9999999999h: not a duration; allowed are"},
		{"idle-expiry=FIN", "idle-expiry=FIN: did you mean fin? (allowed: fin, rst, silent, rst-on-next)"},
		{"idle-expiry=rst_on_next", "did you mean rst-on-next?"},
		{"idle-expiry=drop", "idle-expiry=drop (allowed: fin, rst, silent, rst-on-next)"},
		{"idle-keepalive=count", "did you mean counts? (allowed: ignored, counts)"},
		{"balance=leastconn", "(allowed: round-robin, least-connections, source-hash, random)"},
		{"balance=least", "did you mean least-connections?"},
		{"frontends=per node", "did you mean per-node?"},
		{"restart=kill", "(allowed: none, reload, crash)"},
		{"max-connections=0", "max-connections=0: to turn it off, max-connections=none; otherwise a count such as 100"},
		{"max-connections=unlimited", "max-connections=unlimited: to turn it off, max-connections=none"},
		{"max-connections=1k", "max-connections=1k: not a count: 1000? (allowed are none and counts from 1 to 2147483647)"},
		{"max-connections=-5", "max-connections=-5: a count cannot be negative: 5?"},
		{"max-connections=ten", "max-connections=ten: not a count it can have; allowed are none and counts"},
		{"connect-rate=100/s", "connect-rate=100/s: not a count: 100?"},
		{"connect-rate=2000000", "connect-rate=2000000: not a count it can have; allowed are none and counts from 1 to 1000000"},
		{"source-ports=none", "source-ports=none: not a count it can have; allowed are counts from 1 to 64512"},
		{"source-ports=0", "source-ports=0: not a count it can have; allowed are counts from 1 to 64512"},
		{"source-ports=64,000", "source-ports=64,000: not a count: 64000?"},
		{"port-reuse-delay=none", "port-reuse-delay=none: it cannot be turned off; allowed are durations such as 60s"},
		{"port-reuse-delay=0s", "port-reuse-delay=0s: a duration must be longer than zero"},
		{"port-reuse-delay=-1s", "port-reuse-delay=-1s: a duration cannot be negative: 1s?"},
		{"port-exhaustion=drop", "(allowed: close, swallow)"},
		{"hairpin=no", "hairpin=no (allowed: allowed, denied)"},
		{"health-check=https", "health-check=https: did you mean http?"},
		{"health-check=none", "health-check=none (allowed: off, tcp, connect, http)"},
		{"health-interval=off", "health-interval=off: it cannot be turned off; allowed are durations such as 60s"},
		{"health-fall=0", "health-fall=0: not a count it can have; allowed are counts from 1 to 32767"},
		{"on-down=drop", "(allowed: keep, close, reset)"},
		{"drain=0s", "drain=0s: a duration must be longer than zero; to turn it off, drain=keep"},
		{"drain=none", "drain=none: to turn it off, drain=keep; otherwise a duration such as 60s"},
		{"drain=forever", "drain=forever: not a duration; allowed are keep and durations"},
		{"connection-limit=drop", "(allowed: queue, close, reset)"},
	} {
		name, value, _ := strings.Cut(c.given, "=")
		_, err := Direct().With(name, value)
		if err == nil {
			t.Errorf("%s was taken", c.given)
			continue
		}
		if got := err.Error(); !strings.Contains(got, c.want) {
			t.Errorf("%s:\n got %s\nwant %s", c.given, got, c.want)
		}
	}
}

func TestSettingsThatWouldDoNothingAreRefused(t *testing.T) {
	for _, c := range []struct {
		what string
		p    Profile
		want string // "" for nothing to say
	}{
		{"a manner without a timeout", with(t, "idle-expiry=rst"), "idle-expiry=rst has no effect without an idle timeout: add one, such as idle-timeout=60s"},
		{"keepalives without a timeout", with(t, "idle-keepalive=counts"), "idle-keepalive=counts has no effect"},
		{"a manner with one side's timeout", with(t, "idle-expiry=rst", "idle-timeout-server=1s"), ""},
		{"an interval without a check", with(t, "health-interval=1s"), "health-interval=1s has no effect without a health check: add one, such as health-check=http"},
		{"a fall without a check", with(t, "health-check=off", "health-fall=1"), "health-fall=1 has no effect without a health check"},
		{"an end on-down, which others may find", with(t, "on-down=close"), ""},
		{"a limit's manner without a limit", with(t, "connection-limit=close"), "connection-limit=close has no effect without a limit: add one, such as max-connections=100"},
		{"a limit's manner with its limit", with(t, "connection-limit=close", "max-connections=9"), ""},
		{"nothing set", Direct(), ""},
		{"a profile's manner with its timeout turned off", Profile{Behaviours: []Behaviour{IdleTimeout{How: Reset, CountsKeepalives: true}}}, ""},
	} {
		err := c.p.Check()
		switch {
		case err == nil && c.want != "":
			t.Errorf("%s: got nothing, want %s", c.what, c.want)
		case err != nil && (c.want == "" || !strings.Contains(err.Error(), c.want)):
			t.Errorf("%s: got %q, want %q", c.what, err, c.want)
		}
	}
}

func TestWithLeavesTheOriginalAlone(t *testing.T) {
	first := with(t, "idle-timeout=5s")
	second, err := first.With("idle-timeout", "9s")
	if err != nil {
		t.Fatal(err)
	}
	third, err := first.With("stall", "1s")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ what, got, want string }{
		{"first", first.Value("idle-timeout"), "5s"},
		{"second", second.Value("idle-timeout"), "9s"},
		{"third's timeout", third.Value("idle-timeout"), "5s"},
		{"first's stall", first.Value("stall"), "none"},
	} {
		if c.got != c.want {
			t.Errorf("%s: got %s, want %s", c.what, c.got, c.want)
		}
	}
}

func TestOnlyTimersAreScaled(t *testing.T) {
	p := with(t, "idle-timeout=20s", "idle-timeout-client=1m", "idle-timeout-server=90s", "max-lifetime=1h", "stall=6s", "outage=5s").Scaled(10)
	for setting, want := range map[string]time.Duration{
		"idle-timeout": 2 * time.Second, "idle-timeout-client": 6 * time.Second, "idle-timeout-server": 9 * time.Second, "max-lifetime": 6 * time.Minute,
		"stall": 6 * time.Second, "outage": 5 * time.Second,
	} {
		if got := p.Duration(setting); got != want {
			t.Errorf("%s: got %s, want %s", setting, got, want)
		}
	}
	if got := with(t, "idle-timeout=1ms").Scaled(1e9).Duration("idle-timeout"); got == 0 {
		t.Error("a timeout was scaled down to none")
	}
	for _, s := range Settings() {
		was, err := Direct().With(s.Name, "8s")
		if err != nil {
			continue // not a duration
		}
		if got := was.Scaled(2).Value(s.Name) != "8s"; got != s.Scaled {
			t.Errorf("%s: scaled %t, its description says %t", s.Name, got, s.Scaled)
		}
	}
}

func TestDurationIsZeroForNoneAndForWords(t *testing.T) {
	p := with(t, "idle-timeout=none")
	for _, s := range []string{"idle-timeout", "balance", "no-such"} {
		if got := p.Duration(s); got != 0 {
			t.Errorf("%s: got %s, want 0", s, got)
		}
	}
}

func TestStrikesAreEvents(t *testing.T) {
	for given, want := range map[string]bool{
		"idle-timeout=5s": false, "balance=random": false, "stall=none": false, "restart=none": false,
		"stall=1s": true, "outage=1s": true, "restart=crash": true, "restart=reload": true,
	} {
		if got := with(t, given).Strikes(); got != want {
			t.Errorf("%s: got %t, want %t", given, got, want)
		}
	}
}

func TestStagesAreToxics(t *testing.T) {
	for given, want := range map[string]bool{
		"idle-timeout=5s": false, "inspection=hold": false, "latency=none": false, "bandwidth=none": false, "slice=none": false, "burst=1MB": false,
		"latency=5ms": true, "bandwidth=1MB/s": true, "slice=100B": true,
	} {
		if got := with(t, given).Stages(); got != want {
			t.Errorf("%s: got %t, want %t", given, got, want)
		}
	}
}

func TestDurationsReadAsOperatorsWriteThem(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "none", 5 * time.Second: "5s", 350 * time.Second: "350s", 600 * time.Second: "600s", time.Hour: "1h", 25 * time.Minute: "25m",
		90 * time.Minute: "1h30m", 5*24*time.Hour + time.Second: "120h0m1s", 1500 * time.Millisecond: "1.5s", 250 * time.Millisecond: "250ms",
	} {
		if got := formatDuration(d); got != want {
			t.Errorf("%v: got %s, want %s", d, got, want)
		}
	}
}

// twice registers a setting that exists already.
type twice struct{ Balance }

// nameless has a setting without a name.
type nameless struct{ Balance }

func (nameless) Settings() []Setting { return []Setting{{About: "nothing"}} }

// empty has no setting.
type empty struct{ Balance }

func (empty) Settings() []Setting { return nil }

// fresh is complete, but wants a row that is taken.
type fresh struct{ Balance }

func (fresh) Settings() []Setting {
	return []Setting{{Name: "fresh", Default: "a", Values: "b", About: "c", Explain: "d"}}
}

func TestTheRegistryRefuses(t *testing.T) {
	for what, b := range map[string]Behaviour{
		"a setting twice": twice{}, "a setting without a name": nameless{}, "no setting at all": empty{}, "a row that is taken": fresh{},
	} {
		before := len(registry)
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s was registered", what)
				}
			}()
			r := 1000
			if what == "a row that is taken" {
				r = 1
			}
			register(r, b)
		}()
		if len(registry) != before {
			t.Errorf("%s: the registry has grown", what)
		}
	}
}

// FuzzWith holds that no input panics, and that what was taken comes back as the same thing.
func FuzzWith(f *testing.F) {
	for _, s := range Settings() {
		for v := range strings.SplitSeq(s.Values, ", ") {
			f.Add(s.Name, v)
		}
	}
	for _, v := range []string{"5s", "30", "-1h", "0", "5 sec", "1e9s", "9223372036854775807ns", "", "µs", "½s"} {
		f.Add("idle-timeout", v)
	}
	f.Fuzz(func(t *testing.T, setting, value string) {
		p, err := Direct().With(setting, value)
		if err != nil {
			if err.Error() == "" {
				t.Error("an error without a text")
			}
			return
		}
		written := p.Value(setting)
		again, err := Direct().With(setting, written)
		if err != nil {
			t.Fatalf("%s=%q is written as %q, which is not taken: %v", setting, value, written, err)
		}
		if got := again.Value(setting); got != written {
			t.Errorf("%s=%q is written as %q, then as %q", setting, value, written, got)
		}
		p.Check()
		p.Scaled(7.3).Strikes()
	})
}

func TestWhatAProfileStatesIsMoreThanWhatItChanges(t *testing.T) {
	p := with(t, "restart=none", "idle-timeout=5s", "idle-timeout=none")
	p.Behaviours = append(p.Behaviours, MaxLifetime{After: time.Hour})
	want := []Stated{{"idle-timeout", "none"}, {"max-lifetime", "1h"}, {"restart", "none"}}
	if got := p.Stated(); !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestAnUnknownMannerIsAllOfThem(t *testing.T) {
	doubtful := func(p Profile) Profile {
		p.Unverified = []Doubt{{"idle-expiry", "nobody says"}}
		return p
	}
	all := []string{"fin", "rst", "silent", "rst-on-next"}
	for _, c := range []struct {
		what string
		p    Profile
		want []string
	}{
		{"nothing is unverified", with(t, "idle-timeout=5s"), all[:1]},
		{"unverified, and nothing assumed", doubtful(with(t, "idle-timeout=5s")), all},
		{"unverified, with one side's timer", doubtful(with(t, "idle-timeout-server=5s")), all},
		{"unverified, and the default assumed", doubtful(with(t, "idle-timeout=5s", "idle-expiry=fin")), all[:1]},
		{"unverified, and something assumed", doubtful(with(t, "idle-timeout=5s", "idle-expiry=silent")), []string{"silent"}},
		{"unverified, and nothing ever expires", doubtful(Direct()), all[:1]},
	} {
		if got := c.p.Manners(); !slices.Equal(got, c.want) {
			t.Errorf("%s: got %v, want %v", c.what, got, c.want)
		}
	}
}

func TestWhatAVendorDoesNotTakeIsSaid(t *testing.T) {
	for _, c := range []struct {
		least, most time.Duration
		set         string
		want        string
	}{
		{time.Minute, time.Hour, "idle-timeout=60s", ""},
		{time.Minute, time.Hour, "idle-timeout=1h", ""},
		{time.Minute, time.Hour, "idle-timeout=59s", "idle-timeout=59s cannot be set on lb, which takes 60s to 1h"},
		{time.Minute, time.Hour, "idle-timeout=2h", "idle-timeout=2h cannot be set on lb, which takes 60s to 1h"},
		{time.Minute, time.Hour, "idle-timeout=none", ""},
		{time.Minute, 0, "idle-timeout=100h", ""},
		{time.Minute, 0, "idle-timeout=1s", "idle-timeout=1s cannot be set on lb, which takes 60s or more"},
		{time.Minute, time.Minute, "idle-timeout=60s", ""},
		{time.Minute, time.Minute, "idle-timeout=61s", "idle-timeout=61s cannot be set on lb, which fixes it at 60s"},
		{0, 0, "idle-timeout=61s", "idle-timeout=61s cannot be set on lb, which fixes it at none"},
		{0, 0, "max-lifetime=61s", ""},
	} {
		p := with(t, c.set)
		p.Name, p.Ranges = "lb", []Range{{"idle-timeout", c.least, c.most}}
		setting, _, _ := strings.Cut(c.set, "=")
		if got := p.Beyond(setting); got != c.want {
			t.Errorf("%s in %s to %s: got %q, want %q", c.set, c.least, c.most, got, c.want)
		}
	}
}

func TestASettledProfileMayBeTurnedOffInPart(t *testing.T) {
	settled := with(t, "idle-timeout=5s", "idle-expiry=rst").Settled()
	for _, c := range []struct {
		what, set string
		p         Profile
		ok        bool
	}{
		{"its timeout, and its manner is left", "idle-timeout=none", settled, true},
		{"its manner changed, and its timeout is left", "idle-expiry=silent", settled, true},
		{"a manner where there is no timeout", "idle-expiry=silent", Direct().Settled(), false},
		{"a manner with the timeout turned off in the same breath", "idle-timeout=none idle-expiry=silent", settled, false},
		{"the same without settling", "idle-timeout=none", with(t, "idle-timeout=5s", "idle-expiry=rst"), false},
	} {
		p := c.p
		for _, pair := range strings.Fields(c.set) {
			name, value, _ := strings.Cut(pair, "=")
			var err error
			if p, err = p.With(name, value); err != nil {
				t.Fatal(err)
			}
		}
		if err := p.Check(); (err == nil) != c.ok {
			t.Errorf("%s: got %v", c.what, err)
		}
	}
}
