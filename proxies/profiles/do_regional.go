package profiles

import (
	"time"

	"github.com/lbtest/lbtest/proxies"
)

func init() {
	const (
		source                 = "DigitalOcean, cloud controller manager annotations; articles on scaling and on limits of load balancers"
		assumedConnectionLimit = "what becomes of the 10001st connection is not documented; closed is assumed"
		assumedHairpin         = "not documented; allowed is assumed, as of any proxy"
	)
	register(proxies.Profile{
		Name: "do-regional", About: "DigitalOcean regional load balancer, TCP, one node",
		Source: source, Checked: "August 2026",
		Unverified: doubts(
			"idle-timeout", idleUnknown,
			"idle-keepalive", probesUnknown,
			"connection-limit", assumedConnectionLimit,
			"hairpin", assumedHairpin,
		),
		Notes: []string{
			"When nodes are taken away their connections have 60s and are closed: --set drain=60s.",
		},
	}, "max-connections=10000", "connection-limit=close")
	register(proxies.Profile{
		Name: "do-regional-http", About: "DigitalOcean regional load balancer, HTTP, for websocket clients only",
		Source: "DigitalOcean, cloud controller manager annotations; articles on scaling and on limits of load balancers; digitalocean/openapi #758", Checked: "August 2026",
		Unverified: doubts(
			"idle-expiry", expiryUnknown,
			"idle-keepalive", probesUnknown,
			"inspection-delay", "how long it waits for a request is taken to be the idle timeout",
			"connection-limit", assumedConnectionLimit,
			"hairpin", assumedHairpin,
		),
		Ranges: settable(30*time.Second, 600*time.Second),
		Notes: []string{
			"TCP that is not HTTP does not pass.",
		},
	}, "idle-timeout=60s", "inspection=http", "inspection-delay=60s", "inspection-verdict=close", "max-connections=10000", "connection-limit=close")
	register(proxies.Profile{
		Name: "do-regional-network", About: "DigitalOcean network load balancer, which passes packets on",
		Source: source, Checked: "August 2026",
		Unverified: doubts(
			"idle-timeout", idleUnknown,
			"idle-keepalive", probesUnknown,
			"hairpin", "not documented; allowed is assumed",
		),
	})
}
