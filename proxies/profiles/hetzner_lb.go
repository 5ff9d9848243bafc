package profiles

import "github.com/lbtest/lbtest/proxies"

func init() {
	register(proxies.Profile{
		Name: "hetzner-lb", About: "Hetzner Cloud load balancer, TCP",
		Source: "Hetzner Cloud, cloud controller manager annotations and Terraform provider hcloud", Checked: "August 2026",
		Unverified: doubts(
			"idle-timeout", idleUnknown,
			"idle-keepalive", probesUnknown,
			"max-connections", "it depends on the type and is not documented there; none is set",
			"hairpin", "not documented; allowed is assumed, as of any proxy",
		),
		Notes: []string{
			"PROXY to the targets can be turned on; which version is not documented.",
		},
	}, "balance=round-robin")
}
