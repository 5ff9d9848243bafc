package topologies

func init() {
	register(Topology{
		Name:  "clients-behind-lb",
		About: "a cluster of three whose clients cross a balancer, by default one frontend over all nodes; routes are direct",
		// Three, so that a stream of three replicas survives the loss of the node that a client was on.
		Clusters: []Cluster{{Name: "lab", Nodes: []string{"n1", "n2", "n3"}}},
		Balanced: []Link{Clients},
	})
}
