package profiles

import (
	"time"

	"github.com/lbtest/lbtest/proxies"
)

func init() {
	register(proxies.Profile{
		Name: "linux-conntrack", About: "Linux netfilter connection tracking with the kernel's defaults, as a NAT or firewall",
		Source: "torvalds/linux, Documentation/networking/nf_conntrack-sysctl.rst and ip-sysctl.rst", Checked: "August 2026",
		Unverified: doubts(
			"idle-expiry", "the entry is removed; what the next packet meets depends on nf_conntrack_tcp_loose and the rules; judged under fin, rst, silent and rst-on-next, of which the worst counts",
			"hairpin", "not documented; allowed is assumed",
		),
		Ranges: settable(1*time.Second, 0),
		Notes: []string{
			"While sent data is unacknowledged an entry lives 300s only, which is not simulated.",
		},
	}, "idle-timeout=120h", "idle-keepalive=counts")
}
