package profiles

import (
	"time"

	"github.com/lbtest/lbtest/proxies"
)

func init() {
	const (
		source            = "metallb/metallb, website/content/concepts; kubernetes/kubernetes, pkg/proxy/apis/config/v1alpha1/defaults.go"
		assumedIdleExpiry = "the next packet may be taken for a new connection and be sent elsewhere, which answers by RST, and no source says so; judged under fin, rst, silent and rst-on-next, of which the worst counts"
	)
	register(proxies.Profile{
		Name: "metallb-l2", About: "MetalLB, layer 2, over kube-proxy iptables",
		Source: source, Checked: "August 2026",
		Unverified: doubts(
			"idle-expiry", assumedIdleExpiry,
			"hairpin", "not documented; allowed is assumed",
			"balance", "kube-proxy's, by chance",
		),
		Ranges: settable(1*time.Second, 0),
		Notes: []string{
			"One node carries the whole service; when it fails another takes over within seconds: --set outage=5s.",
		},
	}, "idle-timeout=24h", "idle-keepalive=counts", "balance=random")
	register(proxies.Profile{
		Name: "metallb-bgp", About: "MetalLB, BGP, over kube-proxy iptables",
		Source: source, Checked: "August 2026",
		Unverified: doubts(
			"idle-expiry", assumedIdleExpiry,
			"hairpin", "not documented; allowed is assumed",
			"balance", "kube-proxy's, by chance",
		),
		Ranges: settable(1*time.Second, 0),
		Notes: []string{
			"When the set of nodes changes most connections are hashed to nodes that do not know them and break at once: --set restart=crash.",
		},
	}, "idle-timeout=24h", "idle-keepalive=counts", "balance=random")
}
