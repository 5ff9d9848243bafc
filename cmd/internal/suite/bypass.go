package suite

import (
	"fmt"
	"slices"

	"github.com/lbtest/lbtest/topologies"
)

// advertise has nodes tell others what the setting bypass says: leave gives back what that took, whatever the error,
// and told is what a node tells past the balancer.
func (l lab) advertise(b *topologies.Build) (told func(topologies.Node) string, leave func(), err error) {
	kind := l.profile.Value("bypass")
	var taken []func()
	leave = func() {
		for _, release := range slices.Backward(taken) {
			release()
		}
	}
	told = func(n topologies.Node) string {
		switch kind {
		case "off":
			return ""
		case "open":
			return n.Addr(l.link())
		}
		return b.Advertised[topologies.Front{Link: l.link(), Name: n.Name()}]
	}
	if kind == "off" {
		return told, leave, nil
	}
	if kind == "closed" && b.Behind != nil && l.link().Joins() {
		return told, leave, fmt.Errorf("nodes in containers do not reach this machine's own addresses, which would leave their SYNs unanswered; bypass=%s takes the embedded runtime", kind)
	}
	b.Advertised = map[topologies.Front]string{}
	for _, name := range l.topology.Nodes() {
		if !slices.Contains(l.topology.Listens(name), l.link()) {
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
		b.Advertised[topologies.Front{Link: l.link(), Name: name}] = addr
	}
	return told, leave, nil
}
