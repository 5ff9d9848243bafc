package profiles

import "github.com/lbtest/lbtest/proxies"

func init() {
	const (
		source         = "traefik/traefik, pkg/server/router/tcp/router.go, pkg/server/server_entrypoint_tcp.go, pkg/tcp/proxy.go"
		assumedBalance = "weighted round robin with equal weights, as its services are described"
		halfClose      = "When one side has sent its FIN the other is ended 100ms later, which is not simulated."
		proxyHeaders   = "PROXY v1 and v2 can be turned on: --set proxy-protocol=v2."
	)
	register(proxies.Profile{
		Name: "traefik-tcp", About: "Traefik, TCP router, entrypoint with TCP routers only",
		Source: source, Checked: "August 2026",
		Unverified: doubts("balance", assumedBalance),
		Ranges:     fixed(0),
		Notes: []string{
			halfClose,
			proxyHeaders,
		},
	}, "idle-timeout=none", "balance=round-robin", "hairpin=allowed")
	register(proxies.Profile{
		Name: "traefik-tcp-shared", About: "Traefik, TCP router, entrypoint shared with TLS routers: it waits 60s for the client's first bytes",
		Source: source, Checked: "August 2026",
		Unverified: doubts("balance", assumedBalance),
		Ranges:     fixed(0),
		Notes: []string{
			halfClose,
			proxyHeaders,
		},
	}, "idle-timeout=none", "balance=round-robin", "hairpin=allowed", "inspection=client-first", "inspection-delay=60s", "inspection-verdict=close")
}
