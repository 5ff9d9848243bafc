package topologies

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// KeyValue is one nats-server setting as given with --nats.
type KeyValue struct {
	Group string // the cluster it is for; "" is every server
	Key   string // with dots between blocks: cluster.ping_interval
	Value string // as given; None takes away what the lab would set
}

// None is the value that takes a key away.
const None = "none"

func (kv KeyValue) String() string {
	if kv.Group != "" {
		return kv.Group + ":" + kv.Key + "=" + kv.Value
	}
	return kv.Key + "=" + kv.Value
}

var (
	keyPart     = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_-]*$`)
	numberText  = regexp.MustCompile(`(?i)^-?[0-9]+([kmgtpe](b|i|ib)?)?$`)
	floatText   = regexp.MustCompile(`^-?[0-9]+\.[0-9]+$`)
	minutesText = regexp.MustCompile(`^[0-9]+m$`)
	boolText    = regexp.MustCompile(`(?i)^(true|false|yes|no|on|off)$`)
	// durationKey is how nats-server's duration settings end. It matters for one unit only: the
	// parser reads a bare 2m as the number two million.
	durationKey = regexp.MustCompile(`(_interval|_deadline|_duration|_period|[._]timeout|_delay|_wait|_ttl)$`)
)

// ParseKeyValue reads what --nats was given: KEY=VALUE, or GROUP:KEY=VALUE. Whether the server knows
// the key is not asked here. Every error is the user's and says what was given and what to give.
func ParseKeyValue(s string) (KeyValue, error) {
	given := strings.TrimSpace(s)
	if given == "" {
		return KeyValue{}, errors.New(`nothing given: want KEY=VALUE, as in cluster.ping_interval=8s`)
	}
	left, value, ok := strings.Cut(given, "=")
	if !ok {
		return KeyValue{}, noValue(given)
	}
	left, value = strings.TrimSpace(left), strings.TrimSpace(value)
	group, key, grouped := strings.Cut(left, ":")
	if !grouped {
		group, key = "", left
	}
	group, key = strings.TrimSpace(group), strings.TrimSpace(key)
	switch {
	case strings.ContainsAny(left, "{}"):
		return KeyValue{}, fmt.Errorf("%q: blocks are written with dots: did you mean %q?", given, dotted(given))
	case grouped && !name.MatchString(group):
		return KeyValue{}, fmt.Errorf("%q: %q before the colon is not a group of servers: want GROUP:KEY=VALUE or KEY=VALUE", given, group)
	case key == "":
		return KeyValue{}, fmt.Errorf("%q: no key before the \"=\": want KEY=VALUE, as in cluster.ping_interval=8s", given)
	case value == "":
		return KeyValue{}, fmt.Errorf("%q: no value after the \"=\"; %s=none takes the key away", given, left)
	}
	for i, part := range strings.Split(key, ".") {
		switch {
		case part == "":
			return KeyValue{}, fmt.Errorf("%q: the key has a dot too many; dots stand between blocks, as in cluster.ping_interval", given)
		case !keyPart.MatchString(part):
			return KeyValue{}, fmt.Errorf("%q: %q is not a configuration key: letters, digits and underscores, with dots between blocks", given, part)
		case i > 0 && strings.EqualFold(part, "tls"):
			return KeyValue{}, fmt.Errorf("%q: this version of lbtest sets up TLS for clients only: tls.KEY=VALUE", given)
		}
	}
	kv := KeyValue{Group: group, Key: canonical(key), Value: value}
	if _, err := configText(kv.Key, value); err != nil {
		return KeyValue{}, fmt.Errorf("%q: %w", given, err)
	}
	return kv, nil
}

// noValue is the error for a setting without "=", with a guess at what was meant.
func noValue(given string) error {
	if strings.ContainsAny(given, "{}") {
		return fmt.Errorf("%q: want KEY=VALUE: did you mean %q?", given, dotted(given))
	}
	if key, value, ok := strings.Cut(given, ":"); ok && strings.TrimSpace(key) != "" && strings.TrimSpace(value) != "" {
		return fmt.Errorf("%q: want KEY=VALUE: did you mean %q?", given, strings.TrimSpace(key)+"="+strings.TrimSpace(value))
	}
	if key, value, ok := strings.Cut(given, " "); ok {
		return fmt.Errorf("%q: want KEY=VALUE: did you mean %q?", given, key+"="+strings.TrimSpace(value))
	}
	return fmt.Errorf("%q: want KEY=VALUE: did you mean %q, or %q to take the key away?", given, given+"=VALUE", given+"=none")
}

// dotted turns the beginning of a configuration block into the form that --nats takes:
// "cluster { ping_interval: 8s }" into "cluster.ping_interval=8s".
func dotted(block string) string {
	flat := strings.NewReplacer("{", ".", "}", "", " ", "").Replace(block)
	if !strings.Contains(flat, "=") {
		flat = strings.Replace(flat, ":", "=", 1)
	}
	return flat
}

// caseKept is blocks whose inner keys are names of the user's, in which case matters.
var caseKept = []string{"server_metadata", "feature_flags", "default_js_domain"}

// aliases are nats-server's other spellings of keys that the lab writes or guards (opts.go of v2.15.2).
// Without them one key could be set twice, and the server would take either.
var aliases = map[string]string{
	"net":                       "host",
	"monitor_port":              "http_port",
	"storedir":                  "store_dir",
	"system":                    "system_account",
	"cluster.net":               "cluster.host",
	"cluster.cluster_advertise": "cluster.advertise",
	"gateway.net":               "gateway.host",
	"websocket.net":             "websocket.host",
	"websocket.compress":        "websocket.compression",
	"tls.first":                 "tls.handshake_first",
	"tls.immediate":             "tls.handshake_first",
	"tls.certificates":          "tls.certs",
	"jetstream.store":           "jetstream.store_dir",
	"jetstream.storedir":        "jetstream.store_dir",
	"jetstream.enable":          "jetstream.enabled",
	"jetstream.max_mem":         "jetstream.max_memory_store",
	"jetstream.max_mem_store":   "jetstream.max_memory_store",
	"jetstream.max_file":        "jetstream.max_file_store",

	"leafnodes.net":                 "leafnodes.host",
	"leafnodes.leafnode_advertise":  "leafnodes.advertise",
	"leafnodes.reconnect":           "leafnodes.reconnect_interval", // durations are known by how a key ends
	"leafnodes.reconnect_delay":     "leafnodes.reconnect_interval",
	"leafnodes.remotes.url":         "leafnodes.remotes.urls",
	"leafnodes.remotes.local":       "leafnodes.remotes.account",
	"leafnodes.remotes.credentials": "leafnodes.remotes.creds",
	"leafnodes.remotes.seed":        "leafnodes.remotes.nkey",
}

// canonical gives the one spelling of a key that the server knows in several; the server ignores case.
func canonical(key string) string {
	first, rest, nested := strings.Cut(key, ".")
	first = strings.ToLower(first)
	if nested && !slices.Contains(caseKept, first) {
		rest = strings.ToLower(rest)
	}
	if first == "leaf" { // the server's other name of the block
		first = "leafnodes"
	}
	if nested {
		first += "." + rest
	}
	if to, ok := aliases[first]; ok {
		return to
	}
	return first
}

// configText gives a value as it stands in a configuration file: numbers, sizes and booleans bare,
// lists and blocks as given, all else quoted, since the parser reads some bare words as something else.
func configText(key, value string) (string, error) {
	if i := strings.IndexFunc(value, func(r rune) bool { return r < ' ' || r == 0x7f }); i >= 0 {
		return "", fmt.Errorf("the value has a control character (%q)", value[i])
	}
	switch {
	case strings.ContainsAny(value[:1], `[{`):
		return value, balanced(value)
	case strings.ContainsAny(value[:1], `"'`):
		if len(value) < 2 || value[len(value)-1] != value[0] || strings.ContainsAny(value[1:len(value)-1], `"'\`) {
			return "", errors.New("the value begins with a quotation mark and does not end with one; quotation marks may be left out")
		}
		return quote(value[1 : len(value)-1]), nil
	case minutesText.MatchString(value) && durationKey.MatchString(key), key == "tls.min_version": // a number there is refused
		return quote(value), nil
	case numberText.MatchString(value), floatText.MatchString(value), boolText.MatchString(value):
		return value, nil
	}
	return quote(value), nil
}

// balanced says whether a list or block ends where it should, so that one value cannot bring
// further keys with it.
func balanced(value string) error {
	var open []byte
	var quoted byte
	for i := range len(value) {
		switch c := value[i]; {
		case quoted != 0:
			if c == quoted {
				quoted = 0
			}
		case c == '"' || c == '\'':
			quoted = c
		case c == '[' || c == '{':
			open = append(open, c+2) // in ASCII each closing bracket stands two after its opening one
		case c == ']' || c == '}':
			if len(open) == 0 || open[len(open)-1] != c {
				return fmt.Errorf("%q closes nothing", c)
			}
			open = open[:len(open)-1]
			if len(open) == 0 && i != len(value)-1 {
				return fmt.Errorf("%q after the end of the value", value[i+1:])
			}
		case c == '#' || c == '/' && strings.HasPrefix(value[i:], "//") && !strings.HasSuffix(value[:i], ":"):
			return errors.New("the value has a comment in it")
		}
	}
	if quoted != 0 {
		return fmt.Errorf("the closing %c is missing", quoted)
	}
	if len(open) > 0 {
		return fmt.Errorf("the closing %c is missing", open[len(open)-1])
	}
	return nil
}

// quote gives a configuration string in double quotes, in which the parser knows these two escapes.
func quote(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}

// duration reads a duration as nats-server does: Go's notation, or a bare number of seconds.
func duration(value string) (time.Duration, error) {
	value = strings.Trim(value, `"'`)
	if seconds, err := strconv.ParseInt(value, 10, 32); err == nil {
		return time.Duration(seconds) * time.Second, nil
	}
	return time.ParseDuration(value)
}
