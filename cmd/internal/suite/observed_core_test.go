package suite

// What quiet and busy clients were seen to do behind real balancers: both sides ping every 2 minutes unless something
// else is said, and a cut costs the reconnect wait of 2.0 to 2.1 s.
func init() {
	const (
		clients = "clients-behind-lb"
		stays   = "client/stays-connected-when-quiet"
		notices = "client/notices-silence"
		back    = "client/reconnects"
		outlive = "client/survives-outage"
		core    = "core/no-silent-loss"
		request = "request/answered"
	)
	more = append(more,
		row{name: "50 s cuts quiet clients", topology: clients, set: "idle-timeout=50s", want: isUnsafe, by: stays, says: "healthy quiet clients cut"},
		row{name: "a balancer that is back at once: messages lost, none that could be delivered", long: true, topology: clients, set: "restart=crash", want: isRisky, by: core, says: "while no connection could exist"},
		row{name: "50 s loses what a subscriber should hear", topology: clients, set: "idle-timeout=50s", want: isUnsafe, by: core, assert: core, says: "not heard", long: true},
		row{name: "after 50 s a queue group is not there", topology: clients, set: "idle-timeout=50s", want: isUnsafe, by: request, assert: request, says: "not answered", long: true},
		row{name: "each cut costs the reconnect wait", topology: clients, set: "idle-timeout=50s", want: isSafe, by: back, assert: back, says: "made again after 2.", long: true},
		row{name: "60 s cuts quiet clients", nightly: true, topology: clients, set: "idle-timeout=60s", want: isUnsafe, by: stays, assert: stays, long: true},
		row{name: "110 s cuts quiet clients", topology: clients, set: "idle-timeout=110s", want: isUnsafe, by: stays, assert: stays, long: true},
		row{name: "125 s cuts nobody", topology: clients, set: "idle-timeout=125s", want: isSafe, long: true},
		row{name: "350 s cuts nobody", topology: clients, set: "idle-timeout=350s", want: isSafe, long: true},
		row{name: "350 s, silently, cuts nobody", nightly: true, topology: clients, set: "idle-timeout=350s idle-expiry=silent", want: isSafe, long: true},
		row{name: "10 m cuts nobody", nightly: true, topology: clients, set: "idle-timeout=10m", want: isSafe, long: true},
		row{name: "one side's own timer is enough", nightly: true, topology: clients, set: "idle-timeout-server=50s", want: isUnsafe, by: stays, assert: stays, long: true},
		row{name: "client pings just below 10 s", nightly: true, topology: clients, set: "idle-timeout=10s", client: "ping-interval=9.9s", want: isSafe, by: stays, assert: stays, long: true},
		row{name: "client pings just above 10 s", nightly: true, topology: clients, set: "idle-timeout=10s", client: "ping-interval=10.5s", want: isUnsafe, by: stays, assert: stays, long: true},
		row{name: "no client pings, two intervals of the server's within 10 s", topology: clients, set: "idle-timeout=10s", client: "ping-interval=off", nats: "ping_interval=4500ms", want: isSafe, by: stays, assert: stays, long: true},
		row{name: "no client pings, one interval within 10 s and two not: who spoke last is cut", topology: clients, set: "idle-timeout=10s", client: "ping-interval=off", nats: "ping_interval=6s",
			want: isUnsafe, by: stays, assert: stays, says: "(speaker 5)", long: true},
		row{name: "50 s with the server's pings as advised", topology: clients, set: "idle-timeout=50s", nats: "ping_interval=20s", want: isSafe, long: true},
		row{name: "Go's keepalive refreshes what counts it", topology: clients, set: "idle-timeout=20s idle-keepalive=counts", want: isSafe, long: true},
		row{name: "and without it nothing does", topology: clients, set: "idle-timeout=20s idle-keepalive=counts", client: "tcp-keepalive=off", want: isUnsafe, by: stays, assert: stays, long: true},
		row{name: "keepalive does not help where it is ignored", nightly: true, topology: clients, set: "idle-timeout=20s", want: isUnsafe, by: stays, assert: stays, long: true},
		row{name: "silence is noticed by PINGs, and costs messages", topology: clients, set: "idle-timeout=50s idle-expiry=silent", want: isUnsafe, by: notices, assert: notices, says: "lost meanwhile", long: true},
		row{name: "without its own PINGs a client never notices", topology: clients, set: "idle-timeout=50s idle-expiry=silent", client: "ping-interval=off", want: isUnsafe, by: notices, assert: notices,
			says: "never noticed", long: true},
		row{name: "a half-open member swallows requests", topology: clients, set: "idle-timeout=50s idle-expiry=silent", want: isUnsafe, by: request, assert: request, says: "not answered", long: true},
		row{name: "an RST on the next packet is known at the next PING", topology: clients, set: "idle-timeout=50s idle-expiry=rst-on-next", want: isUnsafe, by: notices, assert: notices, long: true},
		row{name: "old connections end, healthy or not", topology: clients, set: "max-lifetime=10m", want: isUnsafe, by: stays, assert: stays, long: true},
		row{name: "clients do not mind a reload", topology: clients, set: "restart=reload", want: isSafe, long: true},
		row{name: "clients are back 2 s after a crash", topology: clients, set: "restart=crash", want: isSafe, by: back, assert: back, says: "made again after 2.", long: true},
		row{name: "clients do not mind a second", nightly: true, topology: clients, set: "stall=1s", want: isSafe, long: true},
		row{name: "three seconds delay clients", topology: clients, set: "stall=3s", want: isRisky, by: core, assert: core, says: "delayed up to", long: true},
		row{name: "clients outlive five seconds", topology: clients, set: "outage=5s", want: isSafe, by: outlive, assert: outlive, long: true},
		row{name: "clients give up after two attempts", topology: clients, set: "outage=8s", client: "max-reconnects=2", want: isUnsafe, by: outlive, assert: outlive, says: "gave up for good", long: true},
		row{name: "clients give up after two minutes", topology: clients, set: "outage=150s", want: isUnsafe, by: outlive, assert: outlive, says: "gave up for good after 12", long: true},
		row{name: "110 s cuts quiet clients, in real time", topology: clients, set: "idle-timeout=110s", want: isUnsafe, by: stays, assert: stays, real: true},
		row{name: "125 s cuts nobody, in real time", topology: clients, set: "idle-timeout=125s", want: isSafe, by: stays, assert: stays, real: true},
		row{name: "client pings just below 10 s, in real time", topology: clients, set: "idle-timeout=10s", client: "ping-interval=9.5s", want: isSafe, by: stays, assert: stays, real: true},
		row{name: "client pings just above 10 s, in real time", topology: clients, set: "idle-timeout=10s", client: "ping-interval=10.5s", want: isUnsafe, by: stays, assert: stays, real: true},
		row{name: "clients that never give up outlive that", nightly: true, topology: clients, set: "outage=150s", client: "max-reconnects=-1", want: isSafe, by: outlive, assert: outlive, long: true},
	)
}
