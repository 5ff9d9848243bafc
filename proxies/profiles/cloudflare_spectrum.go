package profiles

import "github.com/lbtest/lbtest/proxies"

func init() {
	register(proxies.Profile{
		Name: "cloudflare-spectrum", About: "Cloudflare Spectrum, TCP",
		Source: "Cloudflare, Spectrum reference (configuration options, limitations)", Checked: "August 2026",
		Unverified: doubts(
			"idle-timeout", idleUnknown,
			"idle-keepalive", probesUnknown,
			"hairpin", "not documented; allowed is assumed, as of any proxy",
		),
		Notes: []string{
			"The edge completes every TCP handshake, whether the origin answers or not. TLS at the edge can be turned on: --set tls=terminate or tls=re-encrypt. The client's address arrives by PROXY protocol only.",
		},
	})
}
