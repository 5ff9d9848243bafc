package profiles

import "github.com/lbtest/lbtest/proxies"

func init() {
	const (
		source                = "Terraform provider google, compute_router_nat; the silent expiry from articles of others than Google"
		assumedPortExhaustion = "an unanswered SYN is assumed, as of any NAT"
		note                  = "The ports are those of one virtual machine towards one destination, the least it is given."
	)
	register(proxies.Profile{
		Name: "gcp-cloud-nat", About: "Google Cloud NAT with static port allocation",
		Source: source, Checked: "August 2026",
		Unverified: doubts(
			"idle-expiry", "silent, according to others than Google",
			"idle-keepalive", probesUnknown,
			"port-exhaustion", assumedPortExhaustion,
		),
		Notes: []string{
			note,
		},
	}, "idle-timeout=20m", "idle-expiry=silent", "source-ports=64", "port-reuse-delay=120s", "port-exhaustion=swallow")
	register(proxies.Profile{
		Name: "gcp-cloud-nat-dynamic", About: "Google Cloud NAT with dynamic port allocation, at its minimum",
		Source: source, Checked: "August 2026",
		Unverified: doubts(
			"idle-expiry", "silent, according to others than Google",
			"idle-keepalive", probesUnknown,
			"port-exhaustion", assumedPortExhaustion,
		),
		Notes: []string{
			note,
		},
	}, "idle-timeout=20m", "idle-expiry=silent", "source-ports=32", "port-reuse-delay=120s", "port-exhaustion=swallow")
}
