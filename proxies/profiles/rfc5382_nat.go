package profiles

import (
	"time"

	"github.com/lbtest/lbtest/proxies"
)

func init() {
	register(proxies.Profile{
		Name: "rfc5382-nat", About: "a NAT that just keeps RFC 5382",
		Source: "RFC 5382, REQ-5 and REQ-8", Checked: "October 2008",
		Unverified: doubts(
			"idle-expiry", "the RFC does not say; judged under fin, rst, silent and rst-on-next, of which the worst counts",
			"idle-keepalive", probesUnknown,
		),
		Ranges: settable(7440*time.Second, 0),
		Notes: []string{
			"Most NATs of the clouds forget sooner.",
		},
	}, "idle-timeout=7440s", "hairpin=allowed")
}
