package profiles

import (
	"time"

	"github.com/lbtest/lbtest/proxies"
)

func init() {
	register(proxies.Profile{
		Name: "paloalto", About: "Palo Alto Networks PAN-OS firewall",
		Source: "Palo Alto Networks, configure session timeouts", Checked: "August 2026",
		Unverified: doubts(
			"idle-expiry", "the session is closed without a packet and later ones dropped, as far as known; judged under fin, rst, silent and rst-on-next, of which the worst counts",
			"idle-keepalive", probesUnknown,
		),
		Ranges: settable(1*time.Second, 15999999*time.Second),
		Notes: []string{
			"App-ID looks at the first packets, and a rule that allows some applications only can cut NATS once it is recognised: --set inspection=signature --set inspection-pattern='CONNECT {' --set inspection-verdict=reset.",
		},
	}, "idle-timeout=1h")
}
