package topologies

func init() {
	register(Topology{
		Name:  "leafnodes-behind-lb",
		About: "a cluster of three and two leafnodes whose links to it cross a balancer, by default one frontend over the cluster; clients and routes are direct",
		// Two leafnodes, so that what one is sent by way of the hub can be told from what the hub has itself.
		Clusters: []Cluster{{Name: "hub", Nodes: []string{"h1", "h2", "h3"}}, {Name: "leaf", Nodes: []string{"l1", "l2"}, LeafOf: "hub"}},
		Balanced: []Link{Leafnodes},
	})
}
