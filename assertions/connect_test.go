package assertions

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"
)

func TestClientTuningBecomesOptions(t *testing.T) {
	tuning, err := ParseClientTuning([]string{"ping-interval=8s", "max-pings-out=3", "reconnect-wait=50ms", "reconnect-jitter=1ms",
		"max-reconnects=-1", "timeout=5s", "tcp-keepalive=30s", "ignore-discovered=true", "no-randomize=true", "tls-first=true"})
	if err != nil {
		t.Fatal(err)
	}
	o := nats.GetDefaultOptions()
	for _, option := range tuning.options {
		if err := option(&o); err != nil {
			t.Fatal(err)
		}
	}
	if o.PingInterval != 8*time.Second || o.MaxPingsOut != 3 || o.ReconnectWait != 50*time.Millisecond || o.ReconnectJitter != time.Millisecond ||
		o.ReconnectJitterTLS != time.Millisecond || o.MaxReconnect != -1 || o.Timeout != 5*time.Second || !o.IgnoreDiscoveredServers || !o.NoRandomize || o.CustomDialer == nil {
		t.Errorf("%+v", o)
	}
	if !tuning.TLSFirst() || o.TLSHandshakeFirst { // the latter where TLS is spoken: Target.login
		t.Errorf("TLS first: %v, as an option already: %v", tuning.TLSFirst(), o.TLSHandshakeFirst)
	}
	if tuning.Said()["ping-interval"] != "8s" || len(tuning.Said()) != len(ClientKeys()) {
		t.Errorf("said %v", tuning.Said())
	}
}

func TestClientTuningSwitchesOff(t *testing.T) {
	tuning, err := ParseClientTuning([]string{"ping-interval=off", "tcp-keepalive=off", "ignore-discovered=false", "no-randomize=false"})
	if err != nil {
		t.Fatal(err)
	}
	o := nats.GetDefaultOptions()
	for _, option := range tuning.options {
		if err := option(&o); err != nil {
			t.Fatal(err)
		}
	}
	if o.PingInterval > 0 || o.CustomDialer == nil || o.IgnoreDiscoveredServers || o.NoRandomize {
		t.Errorf("%+v", o)
	}
}

func TestTheLongestPauseOfAClientThatSpeaksTLSIsLonger(t *testing.T) {
	for _, c := range []struct {
		given []string
		tls   bool
		want  time.Duration
	}{
		{nil, false, 2100 * time.Millisecond},
		{nil, true, 3 * time.Second},
		{[]string{"reconnect-wait=1s"}, true, 2 * time.Second},
		{[]string{"reconnect-jitter=300ms"}, true, 2300 * time.Millisecond},
	} {
		tuning, err := ParseClientTuning(c.given)
		if err != nil {
			t.Fatal(err)
		}
		if got, _ := tuning.Reconnecting(c.tls); got != c.want {
			t.Errorf("%v, TLS %v: got %s, want %s", c.given, c.tls, got, c.want)
		}
	}
}

func TestClientTuningThatIsWrong(t *testing.T) {
	keys := strings.Join(ClientKeys(), ", ")
	for _, c := range []struct {
		name  string
		pairs []string
		want  string
	}{
		{"no value", []string{"timeout"}, `--client "timeout": want KEY=VALUE; keys are ` + keys},
		{"an empty value", []string{"timeout="}, `--client "timeout=": want KEY=VALUE; keys are ` + keys},
		{"an empty key", []string{"=5s"}, `--client "=5s": want KEY=VALUE; keys are ` + keys},
		{"nothing", []string{""}, `--client "": want KEY=VALUE; keys are ` + keys},
		{"no such key", []string{"weather=fine"}, "--client weather: no such key (keys: " + keys + ")"},
		{"a near form", []string{"ping_interval=5s"}, "--client ping_interval: no such key: did you mean ping-interval? (keys: " + keys + ")"},
		{"capitals", []string{"Timeout=5s"}, "--client Timeout: no such key: did you mean timeout? (keys: " + keys + ")"},
		{"a blank before the key", []string{" timeout=5s"}, "--client  timeout: no such key: did you mean timeout? (keys: " + keys + ")"},
		{"the same twice", []string{"timeout=5s", "timeout=6s"}, "--client timeout is given twice (5s and 6s)"},
		{"the same twice, alike", []string{"timeout=5s", "timeout=5s"}, "--client timeout is given twice (5s and 5s)"},
		{"no unit", []string{"timeout=5"}, "--client timeout=5: not a duration (a unit is needed: 30s, 500ms); allowed: DURATION"},
		{"a second equals sign", []string{"timeout=5s=6s"}, "--client timeout=5s=6s: not a duration (a unit is needed: 30s, 500ms); allowed: DURATION"},
		{"zero", []string{"reconnect-wait=0s"}, "--client reconnect-wait=0s: a duration must be above zero; allowed: DURATION"},
		{"below zero", []string{"ping-interval=-1s"}, "--client ping-interval=-1s: a duration must be above zero; allowed: DURATION, off"},
		{"off where it cannot be", []string{"timeout=off"}, "--client timeout=off: not a duration (a unit is needed: 30s, 500ms); allowed: DURATION"},
		{"a count below the least", []string{"max-pings-out=0"}, "--client max-pings-out=0: not a whole number from 1 up; allowed: COUNT"},
		{"a count that is no number", []string{"max-reconnects=many"}, "--client max-reconnects=many: not a whole number from -1 up; allowed: COUNT, -1"},
		{"a count that is too big", []string{"max-reconnects=99999999999999999999"}, "--client max-reconnects=99999999999999999999: not a whole number from -1 up; allowed: COUNT, -1"},
		{"neither true nor false", []string{"no-randomize=yes"}, "--client no-randomize=yes: neither true nor false; allowed: true, false"},
	} {
		t.Run(c.name, func(t *testing.T) {
			tuning, err := ParseClientTuning(c.pairs)
			if err == nil {
				t.Fatalf("accepted: %v", tuning.Said())
			}
			if diff := cmp.Diff(c.want, err.Error()); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
			if len(tuning.Said()) > 0 || len(tuning.options) > 0 {
				t.Errorf("half of it is kept: %v", tuning.Said())
			}
		})
	}
}

func FuzzParseClientTuning(f *testing.F) {
	for _, pair := range []string{"timeout=5s", "ping-interval=off", "max-pings-out=3", "=", "timeout==", "no-randomize=T", "max-reconnects=-1", "tcp-keepalive=1ns"} {
		f.Add(pair, "timeout=1s")
	}
	f.Fuzz(func(t *testing.T, one, two string) {
		tuning, err := ParseClientTuning([]string{one, two})
		if err != nil {
			if !strings.HasPrefix(err.Error(), "--client ") {
				t.Errorf("an error that does not say whose: %v", err)
			}
			return
		}
		o := nats.GetDefaultOptions()
		for _, option := range tuning.options {
			if err := option(&o); err != nil {
				t.Errorf("%q %q: accepted, but nats.go says %v", one, two, err)
			}
		}
		for _, pair := range []string{one, two} {
			key, value, _ := strings.Cut(pair, "=")
			if tuning.Said()[key] != value {
				t.Errorf("%q was accepted and said %v", pair, tuning.Said())
			}
		}
	})
}

func TestAccountsAreToldApart(t *testing.T) {
	target := Target{Accounts: []Account{{Name: "SYS", System: true}, {Name: "A"}, {Name: "JS", JetStream: true}, {Name: "B"}}}
	system, _ := target.system()
	jetStream, _ := target.jetStream()
	if plain := target.plain(); len(plain) != 2 || plain[0].Name != "A" || plain[1].Name != "B" || system.Name != "SYS" || jetStream.Name != "JS" || len(target.Accounts) != 4 {
		t.Errorf("%v %v %v", plain, system, jetStream)
	}
	_, hasSystem := Target{}.system()
	_, hasJetStream := Target{}.jetStream()
	if hasSystem || hasJetStream {
		t.Error("a target without accounts has none")
	}
}
