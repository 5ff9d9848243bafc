package profiles

import (
	"time"

	"github.com/lbtest/lbtest/proxies"
)

func init() {
	const (
		source               = "Terraform provider google, compute_backend_service and compute_target_tcp_proxy"
		assumedIdleKeepalive = "not documented; a proxy answers probes itself, so they are taken for ignored"
		assumedHairpin       = "not documented; allowed is assumed, as of any proxy"
		note                 = "PROXY v1 to the backends can be turned on: --set proxy-protocol=v1. Above a day the front ends' own restarts come first."
	)
	register(proxies.Profile{
		Name: "gcp-proxy-nlb-tcp", About: "Google Cloud proxy Network Load Balancer, TCP",
		Source: source, Checked: "August 2026",
		Unverified: doubts(
			"idle-expiry", expiryUnknown,
			"idle-keepalive", assumedIdleKeepalive,
			"hairpin", assumedHairpin,
		),
		Ranges: settable(1*time.Second, 2147483647*time.Second),
		Notes: []string{
			note,
		},
	}, "idle-timeout=30s")
	register(proxies.Profile{
		Name: "gcp-proxy-nlb-ssl", About: "Google Cloud proxy Network Load Balancer, SSL: it ends the clients' TLS",
		Source: source, Checked: "August 2026",
		Unverified: doubts(
			"idle-expiry", expiryUnknown,
			"idle-keepalive", assumedIdleKeepalive,
			"hairpin", assumedHairpin,
		),
		Ranges: settable(1*time.Second, 2147483647*time.Second),
		Notes: []string{
			note,
		},
	}, "idle-timeout=30s", "tls=terminate")
}
