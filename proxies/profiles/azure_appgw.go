package profiles

import (
	"time"

	"github.com/lbtest/lbtest/proxies"
)

func init() {
	const (
		source            = "Azure, Application Gateway articles (TCP and TLS proxy overview, FAQ, HTTP settings), and the Terraform provider azurerm's application_gateway"
		assumedHairpin    = "not documented; allowed is assumed, as of any proxy"
		assumedInspection = "it is not documented whether the backend is dialled before the client has sent something; none is assumed, client-first would be the worse"
	)
	register(proxies.Profile{
		Name: "azure-appgw-l4", About: "Azure Application Gateway, TCP proxy (preview), public address",
		Source: source, Checked: "February 2024; HTTP settings April 2025",
		Unverified: doubts(
			"idle-expiry", expiryUnknown,
			"idle-keepalive", probesUnknown,
			"hairpin", assumedHairpin,
			"inspection", assumedInspection,
		),
		Ranges: settable(240*time.Second, 1800*time.Second),
		Notes: []string{
			"A private address has 300s. A backend that is taken out has 30s, which cannot be changed: --set drain=30s.",
		},
	}, "idle-timeout=240s")
	register(proxies.Profile{
		Name: "azure-appgw-l4-tls", About: "Azure Application Gateway, TLS proxy (preview): it ends the clients' TLS",
		Source: source, Checked: "February 2024; HTTP settings April 2025",
		Unverified: doubts(
			"idle-expiry", expiryUnknown,
			"idle-keepalive", probesUnknown,
			"hairpin", assumedHairpin,
			"inspection", assumedInspection,
		),
		Ranges: settable(240*time.Second, 1800*time.Second),
		Notes: []string{
			"A backend that is taken out has 30s, which cannot be changed: --set drain=30s.",
		},
	}, "idle-timeout=240s", "tls=terminate")
	register(proxies.Profile{
		Name: "azure-appgw-l7", About: "Azure Application Gateway, for websocket clients only",
		Source: source, Checked: "February 2024; HTTP settings April 2025",
		Unverified: doubts(
			"idle-expiry", expiryUnknown,
			"idle-keepalive", probesUnknown,
			"hairpin", assumedHairpin,
			"inspection-delay", "how long it waits for a request is taken to be the keep-alive timeout of v2",
		),
		Ranges: settable(240*time.Second, 1800*time.Second),
		Notes: []string{
			"TCP that is not HTTP does not pass. The backend's request timeout of 30s applies to a websocket as well, from its settings: --set idle-timeout-server=30s.",
		},
	}, "idle-timeout=240s", "inspection=http", "inspection-delay=75s", "inspection-verdict=close")
}
