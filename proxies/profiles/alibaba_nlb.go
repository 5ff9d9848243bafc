package profiles

import (
	"time"

	"github.com/lbtest/lbtest/proxies"
)

func init() {
	const (
		source                = "Terraform provider alicloud, nlb_listener and nlb_server_group; Alibaba Cloud, NLB performance metrics and limits"
		assumedPortExhaustion = "an unanswered SYN is assumed; more addresses are added by themselves"
		note                  = "The 60000 ports hold per zone and backend where the client's address is not preserved. A cap on new connections can be set: --set connect-rate=N. PROXY v2 can be turned on."
	)
	register(proxies.Profile{
		Name: "alibaba-nlb", About: "Alibaba Cloud Network Load Balancer, TCP",
		Source: source, Checked: "August 2026",
		Unverified: doubts(
			"idle-expiry", expiryUnknown,
			"idle-keepalive", probesUnknown,
			"port-exhaustion", assumedPortExhaustion,
			"hairpin", "not documented; allowed is assumed",
		),
		Ranges: settable(1*time.Second, 900*time.Second),
		Notes: []string{
			note,
		},
	}, "idle-timeout=15m", "source-ports=60000", "port-exhaustion=swallow")
	register(proxies.Profile{
		Name: "alibaba-nlb-tls", About: "Alibaba Cloud Network Load Balancer, TCPSSL: it ends the clients' TLS",
		Source: source, Checked: "August 2026",
		Unverified: doubts(
			"idle-expiry", expiryUnknown,
			"idle-keepalive", probesUnknown,
			"port-exhaustion", assumedPortExhaustion,
			"hairpin", "not documented; allowed is assumed",
		),
		Ranges: settable(1*time.Second, 900*time.Second),
		Notes: []string{
			note,
		},
	}, "idle-timeout=15m", "tls=terminate", "source-ports=60000", "port-exhaustion=swallow")
}
