package profiles

import (
	"time"

	"github.com/lbtest/lbtest/proxies"
)

func init() {
	register(proxies.Profile{
		Name: "aws-global-accelerator", About: "AWS Global Accelerator",
		Source: "articles of others than AWS", Checked: "August 2026",
		Unverified: doubts(
			"idle-timeout", "340s, fixed, according to others than AWS; some say 90s",
			"idle-expiry", expiryUnknown,
			"idle-keepalive", probesUnknown,
		),
		Ranges: fixed(340 * time.Second),
	}, "idle-timeout=340s")
}
