package suite

import (
	"fmt"
	"slices"

	"github.com/lbtest/lbtest/topologies"
)

// advertise has nodes tell others what the setting bypass says, of each balanced link: leave gives back what that took,
// whatever the error, and told is what a node tells past the balancer of the link that is judged.
func (l lab) advertise(b *topologies.Build) (told func(topologies.Node) string, leave func(), err error) {
	var taken []func()
	leave = func() {
		for _, release := range slices.Backward(taken) {
			release()
		}
	}
	told = func(n topologies.Node) string {
		switch l.profile.Value("bypass") {
		case "off":
			return ""
		case "open":
			return n.Addr(l.link())
		}
		return b.Advertised[topologies.Front{Link: l.link(), Name: n.Name()}]
	}
	b.Advertised = map[topologies.Front]string{}
	for _, n := range append(slices.Clone(l.neighbours), neighbour{link: l.link(), profile: l.profile}) {
		kind := n.profile.Value("bypass")
		if kind == "off" {
			continue
		}
		if kind == "closed" && b.Behind != nil && n.link.Joins() {
			return told, leave, fmt.Errorf("nodes in containers do not reach this machine's own addresses, which would leave their SYNs unanswered; bypass=%s takes the embedded runtime", kind)
		}
		for _, name := range l.topology.Nodes() {
			if !slices.Contains(l.topology.Listens(name), n.link) {
				continue // nobody dials it
			}
			addr := ""
			if kind != "open" {
				var release func()
				if addr, release, err = unreachable(kind == "refused"); err != nil {
					return told, leave, err
				}
				taken = append(taken, release)
			}
			b.Advertised[topologies.Front{Link: n.link, Name: name}] = addr
		}
	}
	return told, leave, nil
}
