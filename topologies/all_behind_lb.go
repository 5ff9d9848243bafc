package topologies

func init() {
	register(Topology{
		Name:  "all-behind-lb",
		About: "a supercluster, two clusters of three, whose clients, routes and gateways cross a balancer each",
		// As large as gateways-behind-lb, so that what the two say can be compared.
		Clusters: []Cluster{{Name: "east", Nodes: []string{"e1", "e2", "e3"}}, {Name: "west", Nodes: []string{"w1", "w2", "w3"}}},
		Balanced: []Link{Clients, Routes, Gateways},
	})
}
