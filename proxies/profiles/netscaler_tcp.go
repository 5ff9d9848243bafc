package profiles

import (
	"time"

	"github.com/lbtest/lbtest/proxies"
)

func init() {
	register(proxies.Profile{
		Name: "netscaler-tcp", About: "NetScaler (Citrix ADC), TCP virtual server",
		Source: "Citrix, FAQ on timeouts and the ns timeout reference; Terraform provider citrixadc", Checked: "August 2026",
		Unverified: doubts(
			"idle-timeout", "9000s stands in an example of Citrix's, not in a table of defaults",
			"idle-keepalive", "a setting of the TCP profile decides; taken for ignored, which is the harsher",
			"hairpin", "not documented; allowed is assumed, as of any proxy",
		),
		Ranges: settable(0, 365*24*time.Hour),
		Notes: []string{
			"Idle connections are looked for every 120s, so that they end up to two minutes late. A setting drops them silently instead: --set idle-expiry=silent.",
			"Its own ports rest for 40s: --set port-reuse-delay=40s.",
		},
	}, "idle-timeout=9000s", "idle-expiry=rst", "balance=least-connections")
}
