package assertions

import (
	"context"
)

// Gathering waits until the cluster behind the balancer is whole, which the balancer has no part in.
var Gathering = &Observation{Name: "gathering", First: true,
	Watch: func(ctx context.Context, t Target, rec *Recorder) error {
		awaitMesh(ctx, t, rec, back)
		return ctx.Err()
	},
}

// AppConnection returns the balancer's name of an application's connection that lives.
func AppConnection(rec *Recorder) (conn string, ok bool) {
	events := rec.Events()
	for i := len(events) - 1; i >= 0; i-- {
		e := events[i]
		if e.From != Client || e.Kind != "connected" || e.Caller == "" {
			continue
		}
		for _, b := range events {
			if b.From == Balancer && b.Kind == "begin" && b.Caller == e.Caller {
				return b.Conn, true
			}
		}
	}
	return "", false
}

// BusiestNode returns the node that most applications are connected to.
func BusiestNode(rec *Recorder) (node string, ok bool) {
	at := map[string]string{} // application → node
	var apps []string
	for _, e := range rec.Events() {
		if e.From != Client || e.App == "" {
			continue
		}
		switch e.Kind {
		case "connected", "reconnected":
			if _, known := at[e.App]; !known {
				apps = append(apps, e.App)
			}
			at[e.App] = e.Node
		case "disconnected", "closed":
			at[e.App] = ""
		}
	}
	on := map[string]int{}
	for _, app := range apps {
		if n := at[app]; n != "" {
			on[n]++
			if on[n] > on[node] {
				node = n
			}
		}
	}
	return node, node != ""
}
