package topologies

import "slices"

// Neighbours gives the nodes that need a direct path to each other, in groups: those whose links do not cross a
// balancer, and those of balanced links that are open all the same. Nodes of two groups meet through a balancer or not
// at all.
func (t Topology) Neighbours(open ...Link) [][]string {
	groups := newGroups(t.Nodes())
	for _, link := range []Link{Routes, Gateways, Leafnodes} {
		if slices.Contains(t.Balanced, link) && !slices.Contains(open, link) {
			continue
		}
		for _, joined := range t.ends(link) {
			groups.join(joined)
		}
	}
	return groups.all()
}

// ends gives the nodes that a link joins, those joined with each other together.
func (t Topology) ends(link Link) (all [][]string) {
	var gateways []string
	for _, c := range t.Clusters {
		hub, leaf := t.cluster(c.LeafOf)
		switch {
		case link == Routes && !leaf:
			all = append(all, c.Nodes)
		case link == Gateways && !leaf && t.joined():
			gateways = append(gateways, c.Nodes...)
		case link == Leafnodes && leaf:
			all = append(all, slices.Concat(hub.Nodes, c.Nodes))
		}
	}
	if gateways != nil {
		all = append(all, gateways)
	}
	return all
}

// groups are names of which each is in one group.
type groups [][]string

func newGroups(names []string) groups {
	alone := make(groups, len(names))
	for i, n := range names {
		alone[i] = []string{n}
	}
	return alone
}

// join puts the groups of those names together, in the place of the first.
func (g groups) join(names []string) {
	first := -1
	for i, group := range g {
		if !slices.ContainsFunc(group, func(n string) bool { return slices.Contains(names, n) }) {
			continue
		}
		if first < 0 {
			first = i
			continue
		}
		g[first], g[i] = append(g[first], group...), nil
	}
}

func (g groups) all() [][]string {
	return slices.DeleteFunc([][]string(g), func(group []string) bool { return len(group) == 0 })
}
