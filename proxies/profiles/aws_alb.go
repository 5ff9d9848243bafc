package profiles

import (
	"time"

	"github.com/lbtest/lbtest/proxies"
)

func init() {
	register(proxies.Profile{
		Name: "aws-alb", About: "AWS Application Load Balancer, for websocket clients only",
		Source: "AWS, User Guide for Application Load Balancers (listeners, target groups, troubleshooting), and ELB API LoadBalancerAttribute", Checked: "June 2023",
		Unverified: doubts(
			"idle-expiry", expiryUnknown,
			"inspection-delay", "how long it waits for a request is taken to be the idle timeout",
			"hairpin", "not documented; allowed is assumed, as of any proxy",
		),
		Ranges: settable(1*time.Second, 4000*time.Second),
		Notes: []string{
			"TCP that is not HTTP does not pass. An upgraded websocket stays with its target.",
			"A target that is deregistered has 300s.",
		},
	}, "idle-timeout=60s", "idle-keepalive=ignored", "inspection=http", "inspection-delay=60s", "inspection-verdict=close")
}
