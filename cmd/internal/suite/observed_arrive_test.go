package suite

// What was seen to arrive through real balancers: the server's first bytes, PROXY headers, health checks.
func init() {
	const clients = "clients-behind-lb"
	more = append(more,
		// HAProxy: inspect-delay 5s with accept if { req.len gt 0 }.
		row{name: "waiting for the client, who waits: clients time out at 2 s", topology: clients, set: "inspection=client-first",
			want: isUnsafe, by: "client/connects", says: "timeout after 2s", assert: "client/connects", long: true},
		row{name: "waiting for the client, who waits: INFO comes when the delay is over", topology: clients, set: "inspection=client-first",
			want: isUnsafe, by: "inspection/first-bytes-pass", says: "INFO came after 5s", long: true},
		row{name: "waiting for a client that waits longer: it connects after the delay", topology: clients, set: "inspection=client-first", client: "timeout=10s",
			want: isRisky, by: "client/connects", says: "a connect took 5s", long: true},
		row{name: "a delay that is shorter than the client's timeout", topology: clients, set: "inspection=client-first inspection-delay=1s",
			want: isRisky, by: "inspection/first-bytes-pass", says: "INFO came after 1s"},
		// nginx: ssl_preread on, preread_timeout 1s.
		row{name: "waiting for a ClientHello: end of file when the delay is over", topology: clients, set: "inspection=tls-hello inspection-delay=1s inspection-verdict=close",
			want: isUnsafe, by: "client/connects", says: "end of file after 1s"},
		// HAProxy: mode http before the client port.
		row{name: "a balancer that expects HTTP of clients: 2 s", topology: clients, set: "inspection=http", want: isUnsafe, by: "client/connects", says: "timeout after 2s", long: true},
	)
}
