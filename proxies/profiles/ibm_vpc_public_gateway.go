package profiles

import (
	"time"

	"github.com/lbtest/lbtest/proxies"
)

func init() {
	register(proxies.Profile{
		Name: "ibm-vpc-public-gateway", About: "IBM Cloud VPC public gateway, for links that dial out",
		Source: "IBM Cloud blog", Checked: "August 2026",
		Unverified: doubts(
			"idle-timeout", "240s according to a blog",
			"idle-expiry", expiryUnknown,
			"idle-keepalive", probesUnknown,
			"source-ports", "at most about 64000 for a zone, according to a blog",
			"port-exhaustion", "an unanswered SYN is assumed, as of any NAT",
		),
		Ranges: fixed(240 * time.Second),
	}, "idle-timeout=240s", "source-ports=64000", "port-exhaustion=swallow")
}
