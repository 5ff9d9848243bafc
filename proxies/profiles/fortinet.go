package profiles

import "github.com/lbtest/lbtest/proxies"

func init() {
	const (
		source               = "Fortinet, technical tips on TCP RST at session timeout, and the Terraform provider fortios"
		assumedIdleKeepalive = "any activity, without a word on keepalive probes; taken for ignored, which is the harsher"
		note                 = "What it inspects is not simulated: --set inspection=… adds it."
	)
	register(proxies.Profile{
		Name: "fortinet", About: "FortiGate firewall",
		Source: source, Checked: "August 2026",
		Unverified: doubts("idle-keepalive", assumedIdleKeepalive),
		Notes: []string{
			note,
		},
	}, "idle-timeout=1h", "idle-expiry=silent")
	register(proxies.Profile{
		Name: "fortinet-send-rst", About: "FortiGate firewall with timeout-send-rst",
		Source: source, Checked: "August 2026",
		Unverified: doubts("idle-keepalive", assumedIdleKeepalive),
		Notes: []string{
			note,
		},
	}, "idle-timeout=1h", "idle-expiry=rst")
}
