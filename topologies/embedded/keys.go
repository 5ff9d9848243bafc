package embedded

import (
	"cmp"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/agnivade/levenshtein"
	"github.com/lbtest/lbtest/topologies"
)

// kind is what values a key takes.
type kind string

const (
	flag     kind = "true or false"
	number   kind = "a whole number"
	size     kind = "a number of bytes, as in 64MB"
	duration kind = "a duration, as in 8s or 1m30s"
	text     kind = "text"
	array    kind = "a list, as in [A, B]"
)

// keys is the nats-server keys that matter behind a load balancer, for better errors only: which keys
// exist is the server's to say (opts.go of v2.15.2), and a test asks it about each of these.
var keys = map[string]kind{
	"allow_non_tls":                    flag,
	"client_advertise":                 text,
	"connect_error_reports":            number,
	"debug":                            flag,
	"disable_sublist_cache":            flag,
	"lame_duck_duration":               duration,
	"lame_duck_grace_period":           duration,
	"logtime":                          flag,
	"logtime_utc":                      flag,
	"max_closed_clients":               number,
	"max_connections":                  number,
	"max_control_line":                 size,
	"max_payload":                      size,
	"max_pending":                      size,
	"max_subscriptions":                number,
	"max_subscription_tokens":          number,
	"max_traced_msg_len":               number,
	"no_fast_producer_stall":           flag,
	"no_header_support":                flag,
	"ping_interval":                    duration,
	"ping_max":                         number,
	"proxy_protocol":                   flag,
	"reconnect_error_reports":          number,
	"tls.allow_insecure_cipher_suites": flag,
	"tls.cipher_suites":                array,
	"tls.connection_rate_limit":        number,
	"tls.curve_preferences":            array,
	"tls.handshake_first":              text,
	"tls.min_version":                  text,
	"tls.timeout":                      duration,
	"tls.verify":                       flag,
	"tls.verify_and_map":               flag,
	"trace":                            flag,
	"trace_verbose":                    flag,
	"write_deadline":                   duration,
	"write_timeout":                    text,
	"cluster.accounts":                 array,
	"cluster.advertise":                text,
	"cluster.compression":              text,
	"cluster.connect_backoff":          flag,
	"cluster.connect_retries":          number,
	"cluster.no_advertise":             flag,
	"cluster.ping_interval":            duration,
	"cluster.ping_max":                 number,
	"cluster.pool_size":                number,
	"cluster.routes":                   array,
	"cluster.write_deadline":           duration,
	"cluster.write_timeout":            text,
	"gateway.advertise":                text,
	"gateway.connect_backoff":          flag,
	"gateway.connect_retries":          number,
	"gateway.reject_unknown_cluster":   flag,
	"gateway.write_deadline":           duration,
	"gateway.write_timeout":            text,
	"leafnodes.advertise":              text,
	"leafnodes.compression":            text,
	"leafnodes.dial_timeout":           duration,
	"leafnodes.no_advertise":           flag,
	"leafnodes.reconnect_interval":     duration,
	"leafnodes.write_deadline":         duration,
	"leafnodes.write_timeout":          text,
	"jetstream.domain":                 text,
	"jetstream.max_file_store":         size,

	"leafnodes.isolate_leafnode_interest":         flag,
	"leafnodes.remotes.compression":               text,
	"leafnodes.remotes.dial_timeout":              duration,
	"leafnodes.remotes.first_info_timeout":        duration,
	"leafnodes.remotes.hub":                       flag,
	"leafnodes.remotes.ignore_discovered_servers": flag,
	"leafnodes.remotes.no_randomize":              flag,

	"jetstream.max_buffered_msgs":       number,
	"jetstream.max_buffered_size":       size,
	"jetstream.max_memory_store":        size,
	"jetstream.max_outstanding_catchup": size,
	"jetstream.meta_compact":            number,
	"jetstream.request_queue_limit":     number,
	"jetstream.strict":                  flag,
	"jetstream.sync_interval":           duration,
	"jetstream.unique_tag":              text,
}

var (
	flagText = regexp.MustCompile(`(?i)^(true|false|yes|no|on|off)$`)
	sizeText = regexp.MustCompile(`(?i)^-?[0-9]+([kmgtpe](b|i|ib)?)?$`)
)

// wrongKind says what a setting wants where its value is of another kind, and "" where it may be right.
// The server's own words for this name types of Go.
func wrongKind(kv topologies.KeyValue) string {
	want, known := keys[kv.Key]
	if !known || kv.Value == topologies.None {
		return ""
	}
	value := strings.Trim(kv.Value, `"'`)
	fits := true
	switch want {
	case flag:
		fits = flagText.MatchString(value) && value == kv.Value
	case number:
		_, err := strconv.Atoi(kv.Value)
		fits = err == nil
	case size:
		fits = sizeText.MatchString(kv.Value)
	case duration:
		_, seconds := strconv.Atoi(value)
		d, err := time.ParseDuration(value)
		fits = seconds == nil || err == nil && d >= 0 || kv.Key == "jetstream.sync_interval" && strings.EqualFold(value, "always")
	case array:
		fits = strings.HasPrefix(kv.Value, "[")
	}
	if fits {
		return ""
	}
	return string(want)
}

// suggestion names the keys that a key which is not known here may have been meant for.
func suggestion(key string) string {
	if _, known := keys[key]; known {
		return ""
	}
	last := key[strings.LastIndexByte(key, '.')+1:]
	type near struct {
		key      string
		distance int
	}
	var found []near
	for k := range keys {
		d := levenshtein.ComputeDistance(k, key)
		if inner := k[strings.LastIndexByte(k, '.')+1:]; inner == last {
			d = min(d, 1) // the right key in the wrong block
		} else if len(last) > 4 {
			d = min(d, levenshtein.ComputeDistance(inner, last)+1)
		}
		// Two letters wrong, or swapped, is a slip; more is another word.
		if d <= 2 {
			found = append(found, near{k, d})
		}
	}
	if len(found) == 0 {
		return ""
	}
	slices.SortFunc(found, func(a, b near) int {
		return cmp.Or(cmp.Compare(a.distance, b.distance), cmp.Compare(a.key, b.key))
	})
	var names []string
	for _, n := range found[:min(len(found), 3)] { // more than three is no suggestion
		names = append(names, n.key)
	}
	return "; did you mean " + strings.Join(names, " or ") + "?"
}
