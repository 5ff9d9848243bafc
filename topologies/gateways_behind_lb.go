package topologies

func init() {
	register(Topology{
		Name:  "gateways-behind-lb",
		About: "two clusters of three joined by gateways that cross a balancer, by default one frontend a cluster; clients and routes are direct",
		// Three a cluster, so that a stream of three replicas fits in each of them.
		Clusters: []Cluster{{Name: "east", Nodes: []string{"e1", "e2", "e3"}}, {Name: "west", Nodes: []string{"w1", "w2", "w3"}}},
		Balanced: []Link{Gateways},
	})
}
