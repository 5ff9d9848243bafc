package suite

// What websocket clients were seen to do behind balancers that speak HTTP, and behind those that do not.
func init() {
	const websocket = "websocket-behind-lb"
	more = append(more,
		row{name: "a balancer that speaks HTTP, before websockets", topology: websocket, set: "inspection=http", want: isSafe},
		row{name: "a balancer that waits for the client, who speaks first here", topology: websocket, set: "inspection=client-first", want: isSafe, long: true},
		row{name: "a PROXY header, which nobody expects on the websocket port", topology: websocket, set: "proxy-protocol=v2", want: isUnsafe, by: "client/connects", says: "invalid websocket", long: true},
	)
}
