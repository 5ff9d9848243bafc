package proxies

import (
	"strings"
	"testing"
	"time"
)

func TestLatencyIsNeverLess(t *testing.T) {
	for _, c := range []struct {
		settings []string
		trip     time.Duration // there and back, at least
		applied  string
	}{
		{[]string{"latency=40ms"}, 80 * time.Millisecond, "40ms later each way"},
		{[]string{"latency=40ms", "jitter=10ms"}, 60 * time.Millisecond, "40ms ± 10ms later each way"},
	} {
		t.Run(strings.Join(c.settings, " "), func(t *testing.T) {
			l := start(t, with(t, c.settings...))
			client, server := l.connect()
			for range 5 {
				sent := time.Now()
				say(t, client, server, "there")
				say(t, server, client, "and back")
				if took := time.Since(sent); took < c.trip {
					t.Errorf("a round trip took %s, want at least %s", took, c.trip)
				}
			}
			if got := l.event(KindApplied); got.Why != latency || got.What != c.applied {
				t.Errorf("got %s %q, want %s %q", got.Why, got.What, latency, c.applied)
			}
		})
	}
}

func TestNoLatencyIsTheControl(t *testing.T) {
	l := start(t, with(t, "latency=none"))
	client, server := l.connect()
	say(t, server, client, "back")
	for _, e := range l.all() {
		if e.Kind == KindApplied {
			t.Errorf("got %+v, want no latency applied", e)
		}
	}
}

func TestLatenciesThatCannotBe(t *testing.T) {
	for given, want := range map[string]string{
		"latency=1500us": "toxiproxy delays by whole milliseconds: 2ms?",
		"latency=50":     "a duration needs a unit: 50s?",
		"jitter=-5ms":    "cannot be negative",
		"latency=20ms jitter=30ms": "jitter=30ms is more than latency=20ms, and nothing can arrive before it was sent: " +
			"at most jitter=20ms",
		"jitter=5ms": "jitter=5ms has no effect without a latency that it varies: add one, such as latency=5ms",
	} {
		refuses(t, given, want)
	}
	jittery := Profile{Behaviours: []Behaviour{Latency{Delay: 20 * time.Millisecond, Jitter: 5 * time.Millisecond}}}
	if err := add(t, jittery, "latency=none").Check(); err != nil {
		t.Errorf("turning off the latency of a profile with jitter: %v", err)
	}
}

// refuses holds that settings, with blanks between them, are refused for a reason.
func refuses(t *testing.T, given, want string) {
	t.Helper()
	p, err := Direct(), error(nil)
	for _, s := range strings.Fields(given) {
		name, value, _ := strings.Cut(s, "=")
		if p, err = p.With(name, value); err != nil {
			break
		}
	}
	if err == nil {
		err = p.Check()
	}
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("%s:\n got %v\nwant it to say %s", given, err, want)
	}
}
