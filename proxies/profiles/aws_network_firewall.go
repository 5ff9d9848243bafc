package profiles

import (
	"time"

	"github.com/lbtest/lbtest/proxies"
)

func init() {
	register(proxies.Profile{
		Name: "aws-network-firewall", About: "AWS Network Firewall",
		Source: "articles of others than AWS", Checked: "August 2026",
		Unverified: doubts(
			"idle-timeout", "350s, 60s to 6000s, according to others than AWS",
			"idle-expiry", expiryUnknown,
			"idle-keepalive", probesUnknown,
		),
		Ranges: settable(60*time.Second, 6000*time.Second),
		Notes: []string{
			"What it inspects is not simulated: --set inspection=… adds it.",
		},
	}, "idle-timeout=350s")
}
