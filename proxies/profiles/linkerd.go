package profiles

import "github.com/lbtest/lbtest/proxies"

func init() {
	register(proxies.Profile{
		Name: "linkerd", About: "Linkerd proxy, port not declared opaque: it waits 10s for the client's first bytes, then goes on",
		Source: "linkerd/website, features/protocol-detection.md", Checked: "August 2026",
		Unverified: doubts(
			"idle-timeout", idleUnknown,
			"hairpin", "not documented; allowed is assumed, as of any proxy",
		),
		Notes: []string{
			"A port declared opaque (config.linkerd.io/opaque-ports) is not inspected: --set inspection=none.",
		},
	}, "inspection=client-first", "inspection-delay=10s", "inspection-verdict=forward")
}
