package profiles

import (
	"time"

	"github.com/lbtest/lbtest/proxies"
)

func init() {
	register(proxies.Profile{
		Name: "gcp-alb", About: "Google Cloud Application Load Balancer, for websocket clients only",
		Source: "Terraform provider google, compute_backend_service and compute_target_https_proxy; Google Cloud, request distribution for external Application Load Balancers", Checked: "August 2026",
		Unverified: doubts(
			"idle-timeout", "the backend timeout of 30s; whether it counts quiet time or the whole websocket differs between the load balancer's modes",
			"idle-expiry", expiryUnknown,
			"inspection-delay", "how long it waits for a request is taken to be the backend timeout",
			"hairpin", "not documented; allowed is assumed, as of any proxy",
		),
		Ranges: settable(1*time.Second, 2147483647*time.Second),
		Notes: []string{
			"TCP that is not HTTP does not pass.",
		},
	}, "idle-timeout=30s", "idle-keepalive=ignored", "inspection=http", "inspection-delay=30s", "inspection-verdict=close")
}
