package profiles

import (
	"time"

	"github.com/lbtest/lbtest/proxies"
)

func init() {
	const (
		source            = "cilium/cilium, bpf/lib/conntrack.h and the defaults of its options (bpf-ct-timeout)"
		assumedIdleExpiry = "the entry and its translation are collected; what the next packet meets is not documented; judged under fin, rst, silent and rst-on-next, of which the worst counts"
	)
	register(proxies.Profile{
		Name: "cilium", About: "Cilium, load balancing of services in eBPF",
		Source: source, Checked: "August 2026",
		Unverified: doubts(
			"idle-expiry", assumedIdleExpiry,
			"hairpin", "not documented; allowed is assumed",
		),
		Ranges: settable(1*time.Second, 0),
		Notes: []string{
			"With a policy on layer 7 Envoy is in the path as well: envoy-tcp.",
		},
	}, "idle-timeout=8000s", "idle-keepalive=counts")
	register(proxies.Profile{
		Name: "cilium-old", About: "Cilium, load balancing of services in eBPF, older releases",
		Source: source, Checked: "August 2026",
		Unverified: doubts(
			"idle-expiry", assumedIdleExpiry,
			"hairpin", "not documented; allowed is assumed",
		),
		Ranges: settable(1*time.Second, 0),
	}, "idle-timeout=6h", "idle-keepalive=counts")
}
