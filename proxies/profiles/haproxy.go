package profiles

import "github.com/lbtest/lbtest/proxies"

func init() {
	const (
		source         = "HAProxy, doc/configuration.txt and src/stream.c, src/proxy.c"
		assumedBalance = "random is the default of the current development version, round-robin that of older releases"
		noTimeouts     = "Where no timeout is set none holds, which HAProxy warns of when it starts: --set idle-timeout-client=50s --set idle-timeout-server=50s stands for timeout client and timeout server, --set idle-timeout=1h for timeout tunnel."
		ownPorts       = "Its own ports are the kernel's, 28232 towards each server. A server that is down keeps its connections, and a reload leaves them with the old process, unless it is told otherwise."
	)
	register(proxies.Profile{
		Name: "haproxy-tcp", About: "HAProxy, mode tcp, with no timeouts set",
		Source: source, Checked: "August 2026",
		Unverified: doubts("balance", assumedBalance),
		Notes: []string{
			noTimeouts,
			ownPorts,
		},
	}, "idle-timeout=none", "balance=random", "hairpin=allowed")
	register(proxies.Profile{
		Name: "haproxy-inspect", About: "HAProxy, mode tcp, with tcp-request inspect-delay 5s",
		Source: source, Checked: "August 2026",
		Unverified: doubts("balance", assumedBalance),
		Notes: []string{
			noTimeouts,
			ownPorts,
		},
	}, "idle-timeout=none", "balance=random", "hairpin=allowed", "inspection=client-first", "inspection-delay=5s", "inspection-verdict=forward")
	register(proxies.Profile{
		Name: "haproxy-http", About: "HAProxy, mode http, for websocket clients only, with timeout http-request 10s",
		Source: source, Checked: "August 2026",
		Unverified: doubts(
			"balance", assumedBalance,
			"inspection-delay", "timeout http-request is not set by default, and nothing ends the wait then; 10s is an example",
		),
		Notes: []string{
			"TCP that is not HTTP is answered with an error and closed.",
			noTimeouts,
		},
	}, "idle-timeout=none", "balance=random", "hairpin=allowed", "inspection=http", "inspection-delay=10s", "inspection-verdict=close")
}
