package proxies

import (
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Inspection looks at what passes, or waits for it, before it forwards.
type Inspection struct {
	Kind    string        // one of the setting's words; "" is none
	Delay   time.Duration // how long a kind that waits does so; 0 is 5s
	Verdict string        // forward, close or reset; "" is reset for signature and forward for the others
	Pattern string        // of signature: text, or hex: and digits
	Limit   int64         // of line-limit and hold: bytes

	given struct{ delay, verdict, pattern, limit bool } // what With was given
}

const (
	inspection        = "inspection"
	inspectionDelay   = "inspection-delay"
	inspectionVerdict = "inspection-verdict"
	inspectionPattern = "inspection-pattern"
	inspectionLimit   = "inspection-limit"

	clientFirst = "client-first"
	tlsHello    = "tls-hello"
	httpOnly    = "http"
	waitEnd     = "wait-end"
	signature   = "signature"
	lineLimit   = "line-limit"
	holdBack    = "hold"

	verdictForward = "forward"
	verdictClose   = "close"
	verdictReset   = "reset"
)

var (
	inspections = []string{none, clientFirst, tlsHello, httpOnly, waitEnd, signature, lineLimit, holdBack}
	verdicts    = []string{verdictForward, verdictClose, verdictReset}
)

// defaultDelay is what HAProxy's documentation uses in its examples of inspect-delay.
const defaultDelay = 5 * time.Second

// longestLimit is nats-server's largest max_payload: a longer line or buffer would hold back every message for ever.
const longestLimit = 64 << 20

func init() { register(10, Inspection{}) }

// Settings implements Behaviour.
func (Inspection) Settings() []Setting {
	return []Setting{{
		Name: inspection, Default: none, Values: strings.Join(inspections, ", "),
		About: "what the balancer waits for, demands or looks at before it forwards",
		Explain: "A NATS client waits for the server's INFO, so a balancer that waits for the client holds up both: no backend is dialled meanwhile, and INFO is late by the wait. " +
			"A nats-server that dials a route sends CONNECT at once, and does not notice client-first. " +
			"client-first goes on at the client's first byte: HAProxy's inspect-delay with req.len gt 0, Linkerd's detection (10s), Istio's automatic protocol selection (no limit), " +
			"nginx's ssl_preread (30s) and Envoy's tls_inspector (15s), which pass on bytes that are not TLS and close on those who stay silent. " +
			"tls-hello demands a whole TLS ClientHello, as HAProxy's req.ssl_hello_type does: the verdict falls at once on bytes that are none, and at the delay's end on silence. It looks at the bytes before the balancer's own TLS. " +
			"http demands the request line of HTTP/1, or the preface of HTTP/2, as AWS ALB and HAProxy in mode http do: anything else is answered with 400 and closed whatever the verdict. NATS's CONNECT has the form of an HTTP method, so the whole line counts. What follows it is forwarded unseen. " +
			"wait-end always waits the whole delay, as HAProxy does with WAIT_END. " +
			"Like HAProxy, all four decide early when the client has closed its side, or has sent 16 KiB, which is a full buffer. " +
			"signature looks for a byte pattern in both directions for as long as the connection lives, as firewalls do that classify applications (Palo Alto's App-ID, appliances behind an AWS Gateway LB), and acts on the piece that completes it. " +
			"line-limit stands for proxies and gateways of text protocols, as Cisco ASA's inspection of SMTP: a line that is too long is cut to the limit, or ends the connection if the verdict says so. It takes everything for lines, payload too. " +
			"hold stands for boxes that pass on full buffers only; what does not fill one arrives when its sender closes, or never.",
	}, {
		Name: inspectionDelay, Default: formatDuration(defaultDelay), Values: "DURATION",
		About: "how long inspection waits",
		Explain: "HAProxy's inspect-delay has no default, its documentation's examples say 5s; nginx's preread_timeout is 30s, Envoy's listener_filters_timeout 15s, Linkerd's detection 10s, Traefik's 60s. " +
			"NATS clients give up after 2s and leafnodes after 1s. It counts from the moment the balancer is ready to read, stands still in a stall, and is never scaled, since it meets NATS's own fixed timers.",
	}, {
		Name: inspectionVerdict, Default: verdictForward, Values: strings.Join(verdicts, ", "),
		About: "what happens when the delay ends without a match",
		Explain: "forward: HAProxy by default and Linkerd. close: HAProxy with a reject rule, nginx, Envoy, Traefik; of http it is HAProxy's timeout http-request, and the client is told 408 first. reset: firewalls. " +
			"signature resets unless a verdict is given; forward then only notes the match. wait-end always forwards.",
	}, {
		Name: inspectionPattern, Default: none, Values: "none, TEXT, hex:HEX",
		About: "what signature looks for",
		Explain: "Text as it is on the wire, such as the name of a subject, or hex: and the bytes' digits. " +
			"It is found across the pieces in which the bytes come, but not in what TLS hides from the balancer.",
	}, {
		Name: inspectionLimit, Default: none, Values: "none, BYTES",
		About:   "the length for line-limit, the buffer of hold",
		Explain: "A line's length is counted without its end. SMTP allows 512 bytes for a command and 1000 for a line of text; nats-server's own max_control_line is 4096, and its INFO names every node of the cluster.",
	}}
}

// Value implements Behaviour.
func (i Inspection) Value(setting string) string {
	switch setting {
	case inspection:
		if i.Kind == "" {
			return none
		}
		return i.Kind
	case inspectionDelay:
		return formatDuration(i.delay())
	case inspectionVerdict:
		return i.verdict()
	case inspectionPattern:
		if i.Pattern == "" {
			return none
		}
		return i.Pattern
	case inspectionLimit:
		return formatBytes(i.Limit)
	}
	return ""
}

// With implements Behaviour.
func (i Inspection) With(setting, value string) (Behaviour, error) {
	var err error
	switch setting {
	case inspection:
		if i.Kind != "" {
			i.given = Inspection{}.given // that was said of the kind before, by a profile
		}
		i.Kind, err = parseWord(setting, value, inspections...)
	case inspectionDelay:
		i.given.delay = true
		i.Delay, err = parseDuration(setting, value)
		if err == nil && i.Delay == 0 {
			err = fmt.Errorf("%s=%s: to wait for nothing, %s=none; to wait for ever, a long one such as 24h", setting, value, inspection)
		}
	case inspectionVerdict:
		i.given.verdict = true
		i.Verdict, err = parseWord(setting, value, verdicts...)
	case inspectionPattern:
		i.given.pattern = value != none
		i.Pattern = value
		if value == none {
			i.Pattern = ""
			break
		}
		_, err = parsePattern(value)
	case inspectionLimit:
		i.given.limit = value != none
		i.Limit, err = parseBytes(setting, value)
		if err == nil && i.Limit > longestLimit {
			err = fmt.Errorf("%s=%s: at most %s", setting, value, formatBytes(longestLimit))
		}
	}
	return i, err
}

// parsePattern reads the bytes that signature looks for.
func parsePattern(value string) ([]byte, error) {
	digits, ok := strings.CutPrefix(value, "hex:")
	if !ok {
		if value == "" {
			return nil, fmt.Errorf("%s=: there is nothing to look for; allowed are text, or hex: and digits such as hex:0d0a", inspectionPattern)
		}
		return []byte(value), nil
	}
	pattern, err := hex.DecodeString(digits)
	switch {
	case err != nil && len(digits)%2 == 1:
		return nil, fmt.Errorf("%s=%s: a byte has two hex digits, and %d is an odd number of them", inspectionPattern, value, len(digits))
	case err != nil:
		return nil, fmt.Errorf("%s=%s: not hex digits; allowed are text, or hex: and digits such as hex:0d0a", inspectionPattern, value)
	case len(pattern) == 0:
		return nil, fmt.Errorf("%s=%s: there is nothing to look for; digits follow hex:, such as hex:0d0a", inspectionPattern, value)
	}
	return pattern, nil
}

// check refuses what would silently do nothing, and what a kind cannot do without. A profile may well state
// the details of an inspection that a flag has turned off, so only what was asked for counts.
func (i Inspection) check() error {
	kind := i.Value(inspection)
	_, err := parseWord(inspection, kind, inspections...)
	errs := []error{err}
	if _, err := parseWord(inspectionVerdict, i.verdict(), verdicts...); err != nil {
		errs = append(errs, err)
	}
	for _, detail := range []struct {
		setting string
		given   bool
		of      []string // the kinds it is for
	}{
		{inspectionDelay, i.given.delay, []string{clientFirst, tlsHello, httpOnly, waitEnd}},
		{inspectionVerdict, i.given.verdict && (kind == none || i.Verdict != verdictForward), []string{clientFirst, tlsHello, httpOnly, signature, lineLimit}},
		{inspectionPattern, i.given.pattern, []string{signature}},
		{inspectionLimit, i.given.limit, []string{lineLimit, holdBack}},
	} {
		if detail.given && !slices.Contains(detail.of, kind) {
			errs = append(errs, fmt.Errorf("%s=%s has no effect with %s=%s: it is for %s",
				detail.setting, i.Value(detail.setting), inspection, kind, strings.Join(detail.of, ", ")))
		}
	}
	switch kind {
	case signature:
		if i.Pattern == "" {
			errs = append(errs, fmt.Errorf("%s=%s looks for nothing: add a pattern, such as %s=SSH-2.0", inspection, kind, inspectionPattern))
		} else if _, err := parsePattern(i.Pattern); err != nil {
			errs = append(errs, err)
		}
	case lineLimit, holdBack:
		if i.Limit < 1 {
			errs = append(errs, fmt.Errorf("%s=%s needs a length: add one, such as %s=4096", inspection, kind, inspectionLimit))
		}
	}
	return errors.Join(errs...)
}

// Scaled implements Behaviour: NATS's own timers, which the delay meets, cannot be scaled.
func (i Inspection) Scaled(float64) Behaviour { return i }

// Start implements Behaviour.
func (i Inspection) Start() Policy {
	w := wait{delay: i.delay(), verdict: i.verdict()}
	switch i.Kind {
	case clientFirst:
		w.judge, w.wants = anything, "the client's first byte"
		return inspecting{w}
	case tlsHello:
		w.judge, w.wants = hello, "a TLS ClientHello"
		return unwrapping{w}
	case httpOnly:
		w.judge, w.wants, w.speaksHTTP = request, "an HTTP request", true
		return inspecting{w}
	case waitEnd:
		w.judge, w.wants, w.verdict = fullBuffer, "a full buffer", verdictForward
		return inspecting{w}
	case signature:
		pattern, _ := parsePattern(i.Pattern) // check has seen it
		return signatures{pattern, w.ending()}
	case lineLimit:
		return lines{int(i.Limit), w.ending()}
	case holdBack:
		return buffers{int(i.Limit)}
	}
	return admitsAll{}
}

func (i Inspection) delay() time.Duration {
	if i.Delay == 0 {
		return defaultDelay
	}
	return i.Delay
}

func (i Inspection) verdict() string {
	switch {
	case i.Verdict != "":
		return i.Verdict
	case i.Kind == signature:
		return verdictReset
	}
	return verdictForward
}
