package assertions

// socketStanding is what to change about a balancer for websocket clients, by the setting that was judged.
var socketStanding = map[string]Advice{
	"inspection": {Target: "load-balancer", Text: "HTTP with websocket upgrades passed on, and nothing that looks into what comes after the upgrade",
		Set: map[string]string{"inspection": "http"}},
	"proxy-protocol": {Target: "load-balancer", Text: "no PROXY header towards websockets: nats-server 2.15 understands one on its client port only",
		Set: map[string]string{"proxy-protocol": "off"}},
	"source-ports":    {Target: "load-balancer", Text: "more source ports or addresses towards each node: every websocket takes one for as long as it lives", Set: map[string]string{"source-ports": "28232"}},
	"max-connections": {Target: "load-balancer", Text: "no connection limit that websockets can reach: each holds its connection for as long as it lives", Set: map[string]string{"max-connections": "none"}},
	"connect-rate":    {Target: "load-balancer", Text: "no limit on new connections that clients reach when they all come back at once", Set: map[string]string{"connect-rate": "none"}},
	"latency":         {Target: "load-balancer", Text: "a balancer nearer to the clients or the servers: connecting takes five round trips", Set: map[string]string{"latency": "none"}},
	"bandwidth":       {Target: "load-balancer", Text: "more bandwidth than the largest message needs within a second or so, or a smaller max_payload", Set: map[string]string{"bandwidth": "none"}},
}

// socketAdvice is what helps websocket clients against the settings that a run was given.
func socketAdvice(t Terms) []Advice {
	var advice []Advice
	for _, f := range families {
		value, given := t.Settings[f.settings[0]]
		if a, known := socketStanding[f.settings[0]]; known && given && value != f.off && a.Set[f.settings[0]] != value {
			advice = append(advice, a)
		}
	}
	return advice
}
