package profiles

import "github.com/lbtest/lbtest/proxies"

func init() {
	const (
		source         = "Oracle Cloud, load balancer timeout settings, and the Terraform provider oci's load_balancer_listener"
		assumedHairpin = "not documented; allowed is assumed, as of any proxy"
		note           = "What is sent does not refresh the timer of what is received, nor the other way round, so that a stream in one direction can be cut. Here bytes in either direction refresh it."
	)
	register(proxies.Profile{
		Name: "oci-lb-tcp", About: "Oracle Cloud Load Balancer, TCP listener",
		Source: source, Checked: "August 2026",
		Unverified: doubts(
			"idle-expiry", expiryUnknown,
			"hairpin", assumedHairpin,
		),
		Notes: []string{
			note,
			"PROXY v1 and v2 can be turned on: --set proxy-protocol=v2.",
		},
	}, "idle-timeout=300s", "idle-keepalive=ignored")
	register(proxies.Profile{
		Name: "oci-lb-http", About: "Oracle Cloud Load Balancer, HTTP listener, for websocket clients only",
		Source: source, Checked: "August 2026",
		Unverified: doubts(
			"idle-expiry", expiryUnknown,
			"inspection-delay", "how long it waits for a request is taken to be the idle timeout",
			"hairpin", assumedHairpin,
		),
		Notes: []string{
			"TCP that is not HTTP does not pass.",
			note,
		},
	}, "idle-timeout=60s", "idle-keepalive=ignored", "inspection=http", "inspection-delay=60s", "inspection-verdict=close")
}
