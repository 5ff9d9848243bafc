package assertions

import (
	"fmt"
	"maps"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
)

// ClientTuning is what --client says about the tester's NATS clients; the zero value is nats.go's own
// defaults.
type ClientTuning struct {
	options []nats.Option
	said    map[string]string
}

const keyTLSFirst = "tls-first"

// TLSFirst reports whether clients begin with TLS.
func (c ClientTuning) TLSFirst() bool {
	on, _ := strconv.ParseBool(c.said[keyTLSFirst]) // was read once
	return on
}

// tunables are the keys of --client: what they accept, and the option they become.
var tunables = []struct {
	key, values, about string
	option             func(value string) (nats.Option, error)
}{
	{"ping-interval", "DURATION, off", "time between the client's own PINGs (nats.go: 2m)", func(v string) (nats.Option, error) {
		if v == "off" {
			// An interval of zero or less switches client pings off (nats.go processPingTimer).
			return nats.PingInterval(-1), nil
		}
		return durationOption(v, nats.PingInterval)
	}},
	{"max-pings-out", "COUNT", "PINGs that may stay unanswered (nats.go: 2)", func(v string) (nats.Option, error) {
		return countOption(v, 1, nats.MaxPingsOutstanding)
	}},
	{"reconnect-wait", "DURATION", "pause after every server was tried once (nats.go: 2s)", func(v string) (nats.Option, error) {
		return durationOption(v, nats.ReconnectWait)
	}},
	{"reconnect-jitter", "DURATION", "random addition to that pause (nats.go: 100ms, 1s with TLS)", func(v string) (nats.Option, error) {
		return durationOption(v, func(d time.Duration) nats.Option { return nats.ReconnectJitter(d, d) })
	}},
	{"max-reconnects", "COUNT, -1", "attempts a server before giving up, -1 for ever (nats.go: 60)", func(v string) (nats.Option, error) {
		return countOption(v, -1, nats.MaxReconnects)
	}},
	{"timeout", "DURATION", "time for a connection, and again for its greeting (nats.go: 2s)", func(v string) (nats.Option, error) {
		return durationOption(v, nats.Timeout)
	}},
	{"tcp-keepalive", "DURATION, off", "TCP keepalive, idle and interval alike (Go: 15s)", func(v string) (nats.Option, error) {
		if v == "off" {
			return nats.SetCustomDialer(probingDialler(0, nats.DefaultTimeout)), nil
		}
		return durationOption(v, func(d time.Duration) nats.Option {
			return nats.SetCustomDialer(probingDialler(d, nats.DefaultTimeout))
		})
	}},
	{"ignore-discovered", "true, false", "whether gossiped servers are ignored (nats.go: false)", func(v string) (nats.Option, error) {
		return boolOption(v, nats.IgnoreDiscoveredServers())
	}},
	{"no-randomize", "true, false", "whether servers are tried in the order given (nats.go: false)", func(v string) (nats.Option, error) {
		return boolOption(v, nats.DontRandomize())
	}},
	// Only where something answers in TLS does it become an option (Target.login).
	{keyTLSFirst, "true, false", "whether clients begin with TLS, not with the server's INFO (nats.go: false)", func(v string) (nats.Option, error) {
		return boolOption(v, nil)
	}},
}

// ClientKeys names what --client accepts.
func ClientKeys() []string {
	keys := make([]string, len(tunables))
	for i, t := range tunables {
		keys[i] = t.key
	}
	return keys
}

// ParseClientTuning reads KEY=VALUE pairs. Its errors are the user's.
func ParseClientTuning(pairs []string) (ClientTuning, error) {
	tuning := ClientTuning{said: map[string]string{}}
	for _, pair := range pairs {
		key, value, ok := strings.Cut(pair, "=")
		if !ok || key == "" || value == "" {
			return ClientTuning{}, fmt.Errorf("--client %q: want KEY=VALUE; keys are %s", pair, strings.Join(ClientKeys(), ", "))
		}
		if _, twice := tuning.said[key]; twice {
			return ClientTuning{}, fmt.Errorf("--client %s is given twice (%s and %s)", key, tuning.said[key], value)
		}
		i := slices.Index(ClientKeys(), key)
		if i < 0 {
			return ClientTuning{}, fmt.Errorf("--client %s: no such key%s (keys: %s)", key, meant(key, ClientKeys()), strings.Join(ClientKeys(), ", "))
		}
		option, err := tunables[i].option(value)
		if err != nil {
			return ClientTuning{}, fmt.Errorf("--client %s=%s: %w; allowed: %s", key, value, err, tunables[i].values)
		}
		tuning.said[key] = value
		if option != nil {
			tuning.options = append(tuning.options, option)
		}
	}
	return tuning, nil
}

// And is the same with some keys given anew. Its errors are the user's.
func (c ClientTuning) And(changed map[string]string) (ClientTuning, error) {
	said := maps.Clone(c.said)
	if said == nil {
		said = map[string]string{}
	}
	maps.Copy(said, changed)
	var pairs []string
	for _, key := range slices.Sorted(maps.Keys(said)) {
		pairs = append(pairs, key+"="+said[key])
	}
	return ParseClientTuning(pairs)
}

// Probing is the tuning with TCP keepalive probes that often: whole seconds, or what is above them; 0 for none.
func (c ClientTuning) Probing(every time.Duration) ClientTuning {
	return c.With(nats.SetCustomDialer(probingDialler(every, nats.DefaultTimeout)))
}

// probingDialler dials connections that send TCP keepalive probes that often; 0 for never.
func probingDialler(every, timeout time.Duration) *net.Dialer {
	if every == 0 {
		return &net.Dialer{Timeout: timeout, KeepAlive: -1}
	}
	return &net.Dialer{Timeout: timeout, KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: every, Interval: every}}
}

// Keepalive is the pause between the TCP keepalive probes of an idle client connection, 0 for none: Go's
// 15 s (net.Dialer), which is nats.go's, unless something else was given.
func (c ClientTuning) Keepalive() time.Duration {
	switch given := c.said["tcp-keepalive"]; given {
	case "":
		return 15 * time.Second
	case "off":
		return 0
	default:
		d, _ := time.ParseDuration(given) // was read once
		return d
	}
}

// Ping is the pause between a client's own PINGs, 0 for none, and how many of them may stay unanswered: nats.go's unless
// something else was given.
func (c ClientTuning) Ping() (interval time.Duration, max int) {
	interval, max = nats.DefaultPingInterval, nats.DefaultMaxPingOut
	if given, err := time.ParseDuration(c.said["ping-interval"]); err == nil {
		interval = given
	} else if c.said["ping-interval"] == "off" {
		interval = 0
	}
	if given, err := strconv.Atoi(c.said["max-pings-out"]); err == nil {
		max = given
	}
	return interval, max
}

// Timeout is how long a client waits for a connection, and again for its greeting: nats.go's unless something else
// was given.
func (c ClientTuning) Timeout() time.Duration {
	if given, err := time.ParseDuration(c.said["timeout"]); err == nil {
		return given
	}
	return nats.DefaultTimeout
}

// Reconnecting is the longest pause before a client dials again, its random addition included, which is longer where it
// speaks TLS, and how often it tries each server before it gives up, -1 for ever: nats.go's unless something else was given.
func (c ClientTuning) Reconnecting(tls bool) (pause time.Duration, tries int) {
	pause, tries = nats.DefaultReconnectWait, nats.DefaultMaxReconnect
	if given, err := time.ParseDuration(c.said["reconnect-wait"]); err == nil {
		pause = given
	}
	jitter := nats.DefaultReconnectJitter
	if tls {
		jitter = nats.DefaultReconnectJitterTLS
	}
	if given, err := time.ParseDuration(c.said["reconnect-jitter"]); err == nil {
		jitter = given
	}
	if given, err := strconv.Atoi(c.said["max-reconnects"]); err == nil {
		tries = given
	}
	return pause + jitter, tries
}

// Scaled is the tuning with its ping interval divided: what a lab's clock does to it.
func (c ClientTuning) Scaled(factor float64) ClientTuning {
	if interval, _ := c.Ping(); factor > 1 && interval > 0 {
		c.options = append(slices.Clone(c.options), nats.PingInterval(time.Duration(float64(interval)/factor)))
	}
	return c
}

// With is the tuning with more options of nats.go's, which come last.
func (c ClientTuning) With(options ...nats.Option) ClientTuning {
	c.options = append(slices.Clone(c.options), options...)
	return c
}

// Said returns the pairs that were given.
func (c ClientTuning) Said() map[string]string { return c.said }

func durationOption(v string, option func(time.Duration) nats.Option) (nats.Option, error) {
	d, err := time.ParseDuration(v)
	if err != nil {
		return nil, fmt.Errorf("not a duration (a unit is needed: 30s, 500ms)")
	}
	if d <= 0 {
		return nil, fmt.Errorf("a duration must be above zero")
	}
	return option(d), nil
}

func countOption(v string, least int, option func(int) nats.Option) (nats.Option, error) {
	n, err := strconv.Atoi(v)
	if err != nil || n < least {
		return nil, fmt.Errorf("not a whole number from %d up", least)
	}
	return option(n), nil
}

func boolOption(v string, option nats.Option) (nats.Option, error) {
	on, err := strconv.ParseBool(v)
	if err != nil {
		return nil, fmt.Errorf("neither true nor false")
	}
	if !on {
		return nil, nil
	}
	return option, nil
}

// plain are the accounts whose messages cross routes; one for each pool index.
func (t Target) plain() []Account {
	return slices.DeleteFunc(slices.Clone(t.Accounts), func(a Account) bool { return a.System || a.JetStream })
}

// apart are the accounts whose messages can go different ways: a pool of routes carries each by another connection, a
// gateway or a leaf node all of them by one.
func (t Target) apart() []Account {
	if t.Terms.kind().name == routeLinks {
		return t.plain()
	}
	return t.plain()[:1]
}

func (t Target) system() (Account, bool) {
	i := slices.IndexFunc(t.Accounts, func(a Account) bool { return a.System })
	if i < 0 {
		return Account{}, false
	}
	return t.Accounts[i], true
}

func (t Target) jetStream() (Account, bool) {
	i := slices.IndexFunc(t.Accounts, func(a Account) bool { return a.JetStream })
	if i < 0 {
		return Account{}, false
	}
	return t.Accounts[i], true
}
