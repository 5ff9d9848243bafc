package profiles

import (
	"time"

	"github.com/lbtest/lbtest/proxies"
)

func init() {
	const (
		source            = "AWS, User Guide for Classic Load Balancers (idle timeout, connection draining, listeners, PROXY protocol)"
		assumedIdleExpiry = "not documented, FIN to both sides according to others; judged under fin, rst, silent and rst-on-next, of which the worst counts"
		assumedBalance    = "round robin for TCP, according to others than AWS"
		assumedHairpin    = "not documented; allowed is assumed, as of any proxy"
		note              = "Connection draining, where it is on, cuts what is left on an instance after 300s: --set drain=300s. PROXY v1 to the instances can be turned on: --set proxy-protocol=v1."
	)
	register(proxies.Profile{
		Name: "aws-clb-tcp", About: "AWS Classic Load Balancer, TCP listener",
		Source: source, Checked: "June 2023",
		Unverified: doubts(
			"idle-expiry", assumedIdleExpiry,
			"balance", assumedBalance,
			"hairpin", assumedHairpin,
		),
		Ranges: settable(1*time.Second, 4000*time.Second),
		Notes: []string{
			note,
		},
	}, "idle-timeout=60s", "idle-keepalive=ignored", "balance=round-robin")
	register(proxies.Profile{
		Name: "aws-clb-ssl", About: "AWS Classic Load Balancer, SSL listener: it ends the clients' TLS",
		Source: source, Checked: "June 2023",
		Unverified: doubts(
			"idle-expiry", assumedIdleExpiry,
			"balance", assumedBalance,
			"hairpin", assumedHairpin,
		),
		Ranges: settable(1*time.Second, 4000*time.Second),
		Notes: []string{
			note,
		},
	}, "idle-timeout=60s", "idle-keepalive=ignored", "balance=round-robin", "tls=terminate")
}
