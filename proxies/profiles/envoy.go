package profiles

import "github.com/lbtest/lbtest/proxies"

func init() {
	const (
		source        = "Envoy API, tcp_proxy, listener, cluster and circuit_breaker, and source/common/tcp_proxy/tcp_proxy.cc"
		connectionCap = "The 1024 hold per cluster of backends, and as many again wait for a connection. Connections outlive the health of their backend."
		proxyHeaders  = "PROXY v1 and v2 can be turned on: --set proxy-protocol=v2."
	)
	register(proxies.Profile{
		Name: "envoy-tcp", About: "Envoy, TCP proxy",
		Source: source, Checked: "August 2026",
		Notes: []string{
			connectionCap,
			proxyHeaders,
		},
	}, "idle-timeout=1h", "idle-expiry=fin", "idle-keepalive=ignored", "hairpin=allowed", "max-connections=1024", "connection-limit=close")
	register(proxies.Profile{
		Name: "envoy-tls-inspector", About: "Envoy, TCP proxy behind the tls_inspector listener filter",
		Source: source, Checked: "August 2026",
		Notes: []string{
			connectionCap,
			proxyHeaders,
			"With continue_on_listener_filters_timeout it goes on instead: --set inspection-verdict=forward.",
		},
	}, "idle-timeout=1h", "idle-expiry=fin", "idle-keepalive=ignored", "hairpin=allowed", "inspection=client-first", "inspection-delay=15s", "inspection-verdict=close", "max-connections=1024", "connection-limit=close")
}
