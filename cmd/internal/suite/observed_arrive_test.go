package suite

// What was seen to arrive through real balancers: the server's first bytes, PROXY headers, health checks.
func init() {
	const clients = "clients-behind-lb"
	more = append(more,
		// HAProxy: inspect-delay 5s with accept if { req.len gt 0 }.
		row{name: "waiting for the client, who waits: clients time out at 2 s", topology: clients, set: "inspection=client-first",
			want: isUnsafe, by: "client/connects", says: "timeout after 2", assert: "client/connects", long: true},
		row{name: "waiting for the client, who waits: INFO comes when the delay is over", topology: clients, set: "inspection=client-first",
			want: isUnsafe, by: "inspection/first-bytes-pass", says: "INFO came after 5", long: true},
		row{name: "waiting for a client that waits longer: it connects after the delay", topology: clients, set: "inspection=client-first", client: "timeout=10s",
			want: isRisky, by: "client/connects", says: "a connect took 5", long: true},
		row{name: "a delay that is shorter than the client's timeout", topology: clients, set: "inspection=client-first inspection-delay=1s",
			want: isRisky, by: "inspection/first-bytes-pass", says: "INFO came after 1", long: true},
		// nginx: ssl_preread on, preread_timeout 1s.
		row{name: "waiting for a ClientHello: end of file when the delay is over", long: true, topology: clients, set: "inspection=tls-hello inspection-delay=1s inspection-verdict=close",
			want: isUnsafe, by: "client/connects", says: "end of file after 1"},
		// HAProxy: mode http before the client port.
		row{name: "a balancer that expects HTTP of clients: 2 s", topology: clients, set: "inspection=http", want: isUnsafe, by: "client/connects", says: "timeout after 2", long: true},

		row{name: "a v1 header that no server looks for", topology: clients, set: "proxy-protocol=v1", want: isUnsafe, by: "proxy/header-understood", says: "the server's log: authentication error", long: true},
		row{name: "a v2 header that no server looks for: at once", topology: clients, set: "proxy-protocol=v2", want: isUnsafe, by: "client/connects", says: "Authorization Violation", long: true},
		row{name: "a v1 header that is looked for", topology: clients, set: "proxy-protocol=v1", nats: "proxy_protocol=true", want: isSafe, by: "proxy/address-arrives", says: "by their own addresses", long: true},
		row{name: "a v2 header that is looked for", topology: clients, set: "proxy-protocol=v2", nats: "proxy_protocol=true", want: isSafe, by: "proxy/address-arrives"},
		row{name: "a header that is looked for and not sent: accepted", topology: clients, set: "proxy-protocol=off", nats: "proxy_protocol=true", want: isSafe, by: "client/connects", long: true},
		row{name: "a header that is looked for and not sent: connz shows the balancer", topology: clients, set: "proxy-protocol=off", nats: "proxy_protocol=true",
			want: isUnsafe, by: "proxy/address-arrives", says: "6 of 6 clients by the balancer's address", long: true},
		row{name: "two balancers with a header each", topology: clients, set: "proxy-protocol=doubled", nats: "proxy_protocol=true", want: isUnsafe, by: "proxy/header-understood", long: true},
		row{name: "a header that is cut short", topology: clients, set: "proxy-protocol=malformed", nats: "proxy_protocol=true", want: isUnsafe, by: "proxy/header-understood", says: "PROXY protocol header", long: true},
		row{name: "a header from a direct peer is believed", topology: clients, set: "bypass=open proxy-protocol=v2", nats: "proxy_protocol=true",
			want: isRisky, by: "proxy/not-forgeable", says: "3 of 3 servers believed", long: true},
		row{name: "and turned away where nobody looks for headers", topology: clients, set: "bypass=open", want: isSafe, by: "proxy/not-forgeable", assert: "proxy/not-forgeable", long: true},

		row{name: "HAProxy's plain TCP check leaves no trace", assert: "health/server-log-quiet", topology: clients, set: "health-check=tcp node-fault=none", want: isSafe, long: true},
		row{name: "a health check of the monitoring port leaves none either", assert: "health/server-log-quiet", topology: clients, set: "health-check=http health-interval=1s node-fault=none", want: isSafe, long: true},
		row{name: "a health check that connects is a client", topology: clients, set: "health-check=connect health-interval=1s node-fault=none", want: isRisky, by: "health/server-log-quiet", says: "connections a minute that no client made", long: true},
		row{name: "a health check that connects to a server that looks for PROXY headers", topology: clients, set: "health-check=connect health-interval=1s node-fault=none", nats: "proxy_protocol=true",
			want: isRisky, by: "health/server-log-quiet", says: "Error reading PROXY protocol header", long: true},
	)
}
