package topologies

func init() {
	register(Topology{
		Name:  "websocket-behind-lb",
		About: "a cluster of three whose websocket clients cross a balancer that speaks HTTP, by default one frontend over all nodes",
		// As many as behind clients-behind-lb, so that what the two say can be compared.
		Clusters: []Cluster{{Name: "lab", Nodes: []string{"n1", "n2", "n3"}}},
		Balanced: []Link{Websocket},
	})
}
