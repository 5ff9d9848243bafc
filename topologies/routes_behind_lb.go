package topologies

func init() {
	register(Topology{
		Name:  "routes-behind-lb",
		About: "a cluster of three whose routes cross a balancer, by default one frontend a node; clients connect directly",
		// Three is the smallest cluster in which a quorum can survive a loss and in which a route
		// that is sent to the wrong peer can be told from one that is not.
		Clusters: []Cluster{{Name: "lab", Nodes: []string{"n1", "n2", "n3"}}},
		Balanced: []Link{Routes},
	})
}
