package profiles

import (
	"time"

	"github.com/lbtest/lbtest/proxies"
)

func init() {
	register(proxies.Profile{
		Name: "alibaba-clb-tcp", About: "Alibaba Cloud Classic Load Balancer, TCP listener",
		Source: "Terraform provider alicloud, slb_listener", Checked: "August 2026",
		Unverified: doubts(
			"idle-expiry", expiryUnknown,
			"idle-keepalive", probesUnknown,
			"hairpin", "not documented; allowed is assumed",
		),
		Ranges: settable(10*time.Second, 900*time.Second),
		Notes: []string{
			"PROXY v2 can be turned on: --set proxy-protocol=v2.",
		},
	}, "idle-timeout=15m", "balance=round-robin")
}
