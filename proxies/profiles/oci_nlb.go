package profiles

import "github.com/lbtest/lbtest/proxies"

func init() {
	register(proxies.Profile{
		Name: "oci-nlb", About: "Oracle Cloud Network Load Balancer",
		Source: "Oracle Cloud, changing a listener's idle timeout, and the Terraform provider oci's network_load_balancer resources", Checked: "August 2026",
		Unverified: doubts(
			"idle-expiry", expiryUnknown,
			"idle-keepalive", probesUnknown,
			"balance", "stands for a hash over the five-tuple, which spreads connections as chance does",
			"hairpin", "not documented; allowed is assumed",
		),
		Notes: []string{
			"The idle timeout can be set; within which bounds is not documented. PROXY v2 can be turned on: --set proxy-protocol=v2.",
		},
	}, "idle-timeout=360s", "balance=random")
}
