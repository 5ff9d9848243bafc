package assertions

import (
	"context"
	"maps"
	"slices"
)

// Gathering waits until the cluster behind the balancer is whole, which the balancer has no part in.
var Gathering = &Observation{Name: "gathering", First: true,
	Watch: func(ctx context.Context, t Target, rec *Recorder) error {
		awaitLinks(ctx, t, rec, linkKinds[routeLinks], nil, back)
		return ctx.Err()
	},
}

// AppConnections returns the balancer's names of the connections of one application of each observation, the latest that
// connected: what each can hold an event against. The one that gives its own connections up is left alone.
func AppConnections(rec *Recorder) []string {
	events := rec.Events()
	began := map[string]string{} // caller → the balancer's name
	for _, e := range events {
		if letIn(e) {
			began[e.Caller] = e.Conn
		}
	}
	latest := map[string]string{}
	for _, e := range events {
		if conn := began[e.Caller]; e.From == Client && e.Kind == "connected" && conn != "" && e.App != returner {
			latest[e.By] = conn
		}
	}
	return slices.Sorted(maps.Values(latest))
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
