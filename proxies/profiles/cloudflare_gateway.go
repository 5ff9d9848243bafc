package profiles

import (
	"time"

	"github.com/lbtest/lbtest/proxies"
)

func init() {
	register(proxies.Profile{
		Name: "cloudflare-gateway", About: "Cloudflare Gateway, TCP proxy of tunnels",
		Source: "cloudflare/cloudflare-docs #3405", Checked: "August 2026",
		Unverified: doubts(
			"idle-expiry", expiryUnknown,
			"hairpin", "not documented; allowed is assumed, as of any proxy",
		),
		Ranges: fixed(270 * time.Second),
	}, "idle-timeout=270s", "idle-keepalive=ignored")
}
