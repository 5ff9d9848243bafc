package assertions

import (
	"cmp"
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

// BusiestNode returns the node whose loss costs most: that of most receivers, which miss what is sent meanwhile, and among
// those the one that most applications are connected to.
func BusiestNode(rec *Recorder) (node string, ok bool) {
	at := map[string]string{} // application → node
	for _, e := range rec.Events() {
		if e.From != Client || e.App == "" {
			continue
		}
		switch e.Kind {
		case "connected", "reconnected":
			at[e.App] = e.Node
		case "disconnected", "closed":
			delete(at, e.App)
		}
	}
	all, receivers := map[string]int{}, map[string]int{}
	for app, n := range at {
		all[n]++
		if workload(app) == receiver {
			receivers[n]++
		}
	}
	delete(all, "") // a connection that ended before it was asked where it was
	for _, n := range slices.Sorted(maps.Keys(all)) {
		if node == "" || cmp.Or(receivers[n]-receivers[node], all[n]-all[node]) > 0 {
			node = n
		}
	}
	return node, node != ""
}
