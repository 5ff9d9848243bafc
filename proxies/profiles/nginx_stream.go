package profiles

import "github.com/lbtest/lbtest/proxies"

func init() {
	const (
		source                = "nginx.org, stream proxy and core modules, and src/stream/ngx_stream_proxy_module.c"
		assumedMaxConnections = "worker_connections of 512 count both legs; one worker process is assumed"
		note                  = "Its own ports are the kernel's, 28232 towards each server. A reload leaves the live connections with the old workers."
	)
	register(proxies.Profile{
		Name: "nginx-stream", About: "nginx, stream proxy",
		Source: source, Checked: "August 2026",
		Unverified: doubts("max-connections", assumedMaxConnections),
		Notes: []string{
			note,
		},
	}, "idle-timeout=600s", "idle-expiry=fin", "idle-keepalive=ignored", "balance=round-robin", "hairpin=allowed", "max-connections=256", "connection-limit=close")
	register(proxies.Profile{
		Name: "nginx-stream-preread", About: "nginx, stream proxy with ssl_preread",
		Source: source, Checked: "August 2026",
		Unverified: doubts("max-connections", assumedMaxConnections),
		Notes: []string{
			note,
		},
	}, "idle-timeout=600s", "idle-expiry=fin", "idle-keepalive=ignored", "balance=round-robin", "hairpin=allowed", "inspection=client-first", "inspection-delay=30s", "inspection-verdict=close", "max-connections=256", "connection-limit=close")
}
