package profiles

import (
	"time"

	"github.com/lbtest/lbtest/proxies"
)

func init() {
	const (
		source = "F5 AS3 schema L4_Profile, and the Terraform provider bigip's ltm_profile_fastl4 and ltm_profile_tcp"
	)
	register(proxies.Profile{
		Name: "f5-fastl4", About: "F5 BIG-IP, FastL4 profile",
		Source: source, Checked: "August 2026",
		Unverified: doubts(
			"idle-keepalive", probesUnknown,
			"hairpin", "not documented; allowed is assumed",
		),
		Ranges: settable(1*time.Second, 0),
	}, "idle-timeout=300s", "idle-expiry=rst")
	register(proxies.Profile{
		Name: "f5-tcp", About: "F5 BIG-IP, TCP profile (full proxy)",
		Source: source, Checked: "August 2026",
		Unverified: doubts(
			"idle-expiry", expiryUnknown,
			"idle-keepalive", probesUnknown,
			"hairpin", "not documented; allowed is assumed",
		),
		Ranges: settable(1*time.Second, 0),
		Notes: []string{
			"Its own keepalive comes every 1800s and so never before the timeout.",
		},
	}, "idle-timeout=300s")
}
