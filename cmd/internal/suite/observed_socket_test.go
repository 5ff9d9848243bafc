package suite

// What websocket clients were seen to do behind balancers that speak HTTP, and behind those that do not.
func init() {
	const websocket = "websocket-behind-lb"
	more = append(more,
		row{name: "a balancer that speaks HTTP, before websockets", topology: websocket, set: "inspection=http", want: isSafe},
		row{name: "a balancer that waits for the client, who speaks first here", topology: websocket, set: "inspection=client-first", want: isSafe, long: true},
		row{name: "a PROXY header, which nobody expects on the websocket port", topology: websocket, set: "proxy-protocol=v2", want: isUnsafe, by: "client/connects", says: "invalid websocket", long: true},
		row{name: "a balancer that takes nothing but TLS, before plain websockets", topology: websocket, set: "inspection=tls-hello inspection-verdict=close", want: isUnsafe, by: "websocket/upgrades", says: "end of file", long: true},
		row{name: "a firewall that knows an upgrade by its words", topology: websocket, set: "inspection=signature inspection-pattern=Upgrade:", want: isUnsafe, by: "websocket/upgrades", says: "reset", long: true},
		row{name: "an upgrade that waits for less than its client does", topology: websocket, set: "inspection=wait-end inspection-delay=1s", want: isRisky, by: "websocket/upgrades", says: "an upgrade took 1", long: true},
		row{name: "an upgrade that waits for more than its client does", topology: websocket, set: "inspection=wait-end inspection-delay=3s", want: isUnsafe, by: "websocket/upgrades", says: "no answer", long: true},
		row{name: "a megabyte each second holds up large messages only", topology: websocket, set: "bandwidth=1MB/s", want: isRisky, by: "websocket/frames-arrive-whole", long: true},
		row{name: "timeout tunnel shorter than the pings", topology: websocket, set: "inspection=http idle-timeout=50s", want: isUnsafe, by: "client/stays-connected-when-quiet", long: true},
		row{name: "timeout tunnel just shorter than the pings", topology: websocket, set: "inspection=http idle-timeout=110s", want: isUnsafe, by: "client/stays-connected-when-quiet", long: true},
		row{name: "timeout tunnel just longer than the pings", topology: websocket, set: "inspection=http idle-timeout=125s", want: isSafe, long: true},
		row{name: "websocket clients have a ping interval to themselves", topology: websocket, set: "idle-timeout=50s", nats: "websocket.ping_interval=20s", want: isSafe, long: true},
		row{name: "a balancer before websockets that is killed and restarted at once", nightly: true, topology: websocket, set: "restart=crash", want: isRisky, long: true},
		row{name: "a balancer before websockets that reloads", topology: websocket, set: "restart=reload", want: isSafe, long: true},
	)
}
