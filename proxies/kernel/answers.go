// Package kernel is the balancer that the operating system itself is: addresses translated by Linux's packet filter,
// as kube-proxy and Linux routers do it. It is programmed into the network namespace of its process, which has that
// namespace to itself and the capability NET_ADMIN there.
//
//	client ──SYN──► frontend's port ─ dnat ─► backend      which backend: numgen or jhash
//	                                 ─ snat ─► from a port of the balancer's own range
//	conntrack remembers both; what it has forgotten is invalid, and is dropped or reset
//
// Nobody accepts and nobody dials: what is noted as an event is what the connection table and the filter say.
package kernel

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/lbtest/lbtest/proxies"
)

// Name is the value of the setting engine that asks for this balancer.
const Name = "kernel"

// answer is what the kernel makes of one setting.
type answer struct {
	setting string
	any     bool     // whatever its value, unless check objects
	takes   []string // the values it can honour; none: the setting's default alone
	assumes string   // what holds where nothing was said, if that is not the default
	check   func(proxies.Profile) string
	why     string // it cannot honour the others
}

const (
	unread = "packets are translated and passed on before anybody has read a byte of them"
	unseen = "the packet filter asks no backend whether it lives; that takes a program of its own, as kube-proxy's readiness checks are"
	passed = "packets pass at the speed of the network that they cross"
)

// answers is the one place that says which settings are honoured.
var answers = []answer{
	{setting: "idle-timeout", any: true, check: wholeSeconds},
	{setting: "idle-timeout-client", why: "the connection table has one timer a connection, which packets from either side start again"},
	{setting: "idle-timeout-server", why: "the connection table has one timer a connection, which packets from either side start again"},
	{setting: "idle-expiry", takes: []string{string(proxies.Vanish), string(proxies.ResetOnNext)}, assumes: string(proxies.ResetOnNext),
		why: "the kernel forgets an idle connection without sending a packet; whoever speaks next is answered by RST (rst-on-next) or not at all (silent)"},
	{setting: "idle-keepalive", takes: []string{"counts"}, assumes: "counts", why: "a keepalive probe is a packet like any other and starts the timer again"},
	{setting: "max-lifetime", why: "the connection table counts how long a connection is silent, not how old it is"},
	{setting: "frontends", any: true},
	{setting: "balance", takes: []string{"round-robin", "source-hash", "random"}, why: "the packet filter does not know how many connections a backend has when it chooses one"},
	{setting: "hairpin", why: "it sends a backend's own connection back to it like any other"},
	{setting: "inspection", why: unread},
	{setting: "inspection-delay", why: unread},
	{setting: "inspection-verdict", why: unread},
	{setting: "inspection-pattern", why: unread},
	{setting: "inspection-limit", why: unread},
	{setting: "tls", why: "it ends no TLS: it sees packets, not bytes"},
	{setting: "proxy-protocol", why: "it cannot put bytes into a connection whose packets it passes on"},
	{setting: "source-ports", any: true},
	{setting: "port-reuse-delay", why: "the kernel takes a port again once its connection is closing, however long that has been"},
	{setting: "port-exhaustion", takes: []string{"swallow"}, assumes: "swallow", why: "a SYN for which no port is left is dropped: nobody has accepted a connection that could be closed"},
	{setting: "max-connections", why: "a packet filter lets nobody wait: beyond a limit of its own it drops or rejects the SYN"},
	{setting: "connection-limit", why: "a packet filter lets nobody wait: beyond a limit of its own it drops or rejects the SYN"},
	{setting: "connect-rate", why: "a packet filter lets nobody wait: beyond a rate it drops the SYN"},
	{setting: "health-check", why: unseen},
	{setting: "health-interval", why: unseen},
	{setting: "health-fall", why: unseen},
	{setting: "on-down", why: unseen},
	{setting: "drain", takes: []string{"keep"}, why: "the connection table keeps a connection to a backend that is out of rotation until its ends are done with it"},
	{setting: "node-fault", any: true},
	{setting: "stall", why: "a packet filter that stands still loses what arrives instead of holding it, and how late it comes then is up to TCP"},
	{setting: "outage", any: true},
	{setting: "restart", any: true},
	{setting: "bypass", any: true},
	{setting: "engine", any: true},
	{setting: "latency", why: passed},
	{setting: "jitter", why: passed},
	{setting: "bandwidth", why: passed},
	{setting: "burst", why: passed},
	{setting: "slice", why: passed},
}

// Resolution is how finely the connection table's timer can be set.
const Resolution = time.Second

func wholeSeconds(p proxies.Profile) string {
	if d := p.Duration("idle-timeout"); d%Resolution != 0 {
		return "the connection table's timer counts whole seconds"
	}
	return ""
}

// Assumed is the profile with what the kernel does anyway in the place of defaults that it cannot honour, and what that
// is. given says which settings somebody has said something about: those stay as they are.
func Assumed(p proxies.Profile, given func(setting string) bool) (proxies.Profile, []proxies.Stated) {
	var assumed []proxies.Stated
	for _, a := range answers {
		if a.assumes == "" || given(a.setting) || !matters(p, a.setting, given) {
			continue
		}
		if with, err := p.With(a.setting, a.assumes); err == nil { // it is one of its words
			p = with
			assumed = append(assumed, proxies.Stated{Setting: a.setting, Value: a.assumes})
		}
	}
	return p, assumed
}

// matters says whether a manner has anything to be the manner of.
func matters(p proxies.Profile, setting string, given func(string) bool) bool {
	if strings.HasPrefix(setting, "idle-") {
		return p.Duration("idle-timeout")+p.Duration("idle-timeout-client")+p.Duration("idle-timeout-server") > 0
	}
	return given("source-ports")
}

// Refusal says which setting of a profile the kernel cannot honour, and why; "" if it honours all. A default that
// nobody has said anything about is none.
func Refusal(p proxies.Profile, given func(setting string) bool) string {
	for _, s := range proxies.Settings() {
		i := slices.IndexFunc(answers, func(a answer) bool { return a.setting == s.Name })
		if i < 0 {
			return fmt.Sprintf("%s: nobody has said what the kernel makes of it", s.Name)
		}
		value := p.Value(s.Name)
		if why := answers[i].objects(p, value, s.Default, given); why != "" {
			return fmt.Sprintf("engine=%s cannot honour %s=%s: %s", Name, s.Name, value, why)
		}
	}
	return ""
}

func (a answer) objects(p proxies.Profile, value, byDefault string, given func(string) bool) string {
	switch {
	case a.check != nil && a.check(p) != "":
		return a.check(p)
	case a.any, slices.Contains(a.takes, value):
		return ""
	case value == byDefault && (a.assumes == "" || !given(a.setting) || !matters(p, a.setting, given)):
		return ""
	}
	return a.why
}

// Sysctls are those that the network namespace of a balancer of that profile has to have: what its process may not
// change itself where /proc/sys is read-only.
func Sysctls(p proxies.Profile) map[string]string {
	established := usualTimeout
	if d := p.Duration("idle-timeout"); d > 0 {
		established = d
	}
	return map[string]string{
		"net.ipv4.ip_forward":                                "1",
		"net.netfilter.nf_conntrack_tcp_timeout_established": fmt.Sprint(int(established.Round(Resolution) / Resolution)),
		"net.netfilter.nf_conntrack_tcp_loose":               "0", // what was forgotten stays forgotten
		"net.netfilter.nf_conntrack_tcp_be_liberal":          "1", // only what was forgotten is invalid, not what comes twice
		"net.netfilter.nf_conntrack_acct":                    "1", // counts bytes
	}
}

// usualTimeout is the connection table's own timeout of established connections, five days.
const usualTimeout = 5 * 24 * time.Hour

// Capabilities are what the balancer's process needs beyond what a container's has: it writes rules, and nothing else
// that is privileged.
func Capabilities() []string { return []string{"NET_ADMIN"} }
