package profiles

import "github.com/lbtest/lbtest/proxies"

func init() {
	const (
		source         = "Google Cloud, overviews of the external and internal passthrough Network Load Balancers, and the Terraform provider's compute_region_backend_service"
		assumedBalance = "stands for Maglev hashing of the five-tuple, which spreads connections as chance does"
		note           = "Each backend has a route to the balancer's address that leads to itself: whoever dials it from there always reaches itself, which is not simulated."
	)
	register(proxies.Profile{
		Name: "gcp-passthrough-external", About: "Google Cloud external passthrough Network Load Balancer",
		Source: source, Checked: "August 2026",
		Unverified: doubts(
			"balance", assumedBalance,
			"hairpin", "whether the local route exists here as well is not documented; allowed is assumed",
		),
		Notes: []string{
			"The tracking entry of a connection is dropped after 60s without a packet. That cuts nothing: the next packet is hashed again and reaches the same backend unless the backends have changed, so no idle timeout is set.",
			note,
		},
	}, "idle-timeout=none", "balance=random")
	register(proxies.Profile{
		Name: "gcp-passthrough-internal", About: "Google Cloud internal passthrough Network Load Balancer",
		Source: source, Checked: "August 2026",
		Unverified: doubts(
			"balance", assumedBalance,
			"hairpin", "a backend that dials the balancer reaches itself; allowed is as near as it gets",
		),
		Notes: []string{
			"The tracking entry of a connection is dropped after 600s without a packet. That cuts nothing: the next packet is hashed again and reaches the same backend unless the backends have changed, so no idle timeout is set.",
			note,
		},
	}, "idle-timeout=none", "balance=random")
}
