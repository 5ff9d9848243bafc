package profiles

import "github.com/lbtest/lbtest/proxies"

func init() {
	register(proxies.Profile{
		Name: "squid-connect", About: "Squid, a tunnel opened by CONNECT",
		Source: "squid-cache/squid, src/cf.data.pre", Checked: "August 2026",
		Unverified: doubts(
			"idle-timeout", "read_timeout; whether it holds for tunnels is not documented",
			"idle-expiry", expiryUnknown,
			"hairpin", "not documented; allowed is assumed, as of any proxy",
		),
		Notes: []string{
			"The CONNECT request itself is not simulated: what crosses is the inside of the tunnel. Half-closed clients are closed at once.",
		},
	}, "idle-timeout=15m", "idle-keepalive=ignored", "max-lifetime=24h")
}
