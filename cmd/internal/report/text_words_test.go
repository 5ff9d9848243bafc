package report

import (
	"strings"
	"testing"
	"time"
)

func TestManySettingsInFewWords(t *testing.T) {
	idle := func(after, how string) []pair { return []pair{{"idle-timeout", after}, {"idle-expiry", how}} }
	for want, given := range map[string][][]pair{
		"stall 1s, 3s; restart reload": {{{"stall", "1s"}}, {{"stall", "3s"}}, {{"restart", "reload"}}},
		"idle-timeout 35s, 60s (idle-expiry fin, rst); idle-timeout 90s (idle-expiry fin)": {
			idle("35s", "fin"), idle("35s", "rst"), idle("60s", "fin"), idle("60s", "rst"), idle("90s", "fin")},
		"a=1 b=2 c=3; a 1": {{{"a", "1"}, {"b", "2"}, {"c", "3"}}, {{"a", "1"}}},
		"direct":           {{{"direct", ""}}},
	} {
		if got := brief(given); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestNumbersAreReadableAtAGlance(t *testing.T) {
	for want, m := range map[string]Measure{
		"closes 118/min":         {"closes_per_minute", 118.04, "1/min"},
		"messages lost 12,345":   {"messages_lost", 12345, "count"},
		"messages lost 3":        {"messages_lost", 3, "messages"},
		"ack gap 1.12 s":         {"ack_gap", 1.1234, "s"},
		"ack gap 14.2 s":         {"ack_gap", 14.21, "s"},
		"delay 0.0012 s":         {"delay", 0.00123, "s"},
		"share 50%":              {"share", 50, "%"},
		"routes 0":               {"routes", 0, "count"},
		"raft term -1 elections": {"raft_term", -1, "elections"},
	} {
		if got := strings.ReplaceAll(measure(m), joined, " "); got != want {
			t.Errorf("%+v is %q, want %q", m, got, want)
		}
	}
}

func TestDurationsAreReadableAtAGlance(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0s", 850*time.Millisecond + 300*time.Microsecond: "850ms", 12345 * time.Millisecond: "12.3s",
		151*time.Second + 400*time.Millisecond: "2m31s", 6 * time.Minute: "6m",
	} {
		if got := duration(d); got != want {
			t.Errorf("%v is %q, want %q", d, got, want)
		}
	}
}

func TestCommandsSurviveAShell(t *testing.T) {
	got := quoted([]string{"lbtest", "--nats", "tls.cert=it's here", "--assert", "jetstream/*", ""})
	if want := `lbtest --nats 'tls.cert=it'\''s here' --assert 'jetstream/*' ''`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	parts := flags("lbtest run --topology x --nats 'a=b --c' --seed 1")
	if want := []string{"lbtest run", "--topology x", "--nats 'a=b --c'", "--seed 1"}; len(parts) != len(want) || parts[2] != want[2] {
		t.Errorf("got %q, want %q", parts, want)
	}
}
