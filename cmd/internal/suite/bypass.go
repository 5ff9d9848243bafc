package suite

import (
	"slices"

	"github.com/lbtest/lbtest/topologies"
)

// advertise has nodes tell others what the setting bypass says, of each balanced link: leave gives back what that took,
// whatever the error, and told is what a node tells past the balancer of the link that is judged, as this process dials it.
func (l lab) advertise(b *topologies.Build, by stand) (told func(topologies.Node) string, leave func(), err error) {
	var taken []func()
	leave = func() {
		for _, release := range slices.Backward(taken) {
			release()
		}
	}
	dead := map[topologies.Front]string{}
	told = func(n topologies.Node) string {
		switch l.profile.Value("bypass") {
		case "off":
			return ""
		case "open":
			return n.Addr(l.link())
		}
		return dead[topologies.Front{Link: l.link(), Name: n.Name()}]
	}
	b.Advertised = map[topologies.Front]string{}
	for _, n := range append(slices.Clone(l.neighbours), neighbour{link: l.link(), profile: l.profile}) {
		kind := n.profile.Value("bypass")
		if kind == "off" {
			continue
		}
		for _, name := range l.topology.Nodes() {
			if !slices.Contains(l.topology.Listens(name), n.link) {
				continue // nobody dials it
			}
			at := topologies.Front{Link: n.link, Name: name}
			b.Advertised[at] = ""
			if kind == "open" {
				continue
			}
			var release func()
			if b.Advertised[at], dead[at], release, err = by.unreachable(n.link, kind == "refused"); err != nil {
				return told, leave, err
			}
			taken = append(taken, release)
		}
	}
	return told, leave, nil
}

// unreachable takes an address that refuses those who dial a link, or leaves their SYNs unanswered, until it is released:
// as they dial it, and as this process does.
func (s stand) unreachable(link topologies.Link, refuses bool) (dialled, here string, release func(), err error) {
	if r, elsewhere := s.balancer.(*remote); elsewhere && link.Joins() && !refuses {
		// Nodes elsewhere do not reach this machine's loopback interface; what they reach is the balancer's machine.
		dialled, here, err = r.swallow()
		return dialled, here, func() {}, err
	}
	// Nodes elsewhere dial their own loopback interface, where nobody listens at that port either.
	here, release, err = unreachable(loopback, refuses)
	return here, here, release, err
}
