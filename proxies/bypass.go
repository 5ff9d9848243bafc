package proxies

import "cmp"

// Bypass is what nodes tell others to dial. Whoever builds the lab reads it: a balancer has no part in what goes
// past it.
type Bypass struct{ Kind string } // open, refused or closed; "" for off

const bypass = "bypass"

func init() { register(38, Bypass{}) }

// Settings implements Behaviour.
func (Bypass) Settings() []Setting {
	return []Setting{{
		Name: bypass, Default: off, Values: "off, open, refused, closed",
		About: "what nodes advertise: the balancer, or addresses of their own that can be reached, refuse, or leave the SYN unanswered",
		Explain: "NATS servers gossip: each tells its clients and its peers where the others are, by default the addresses that they have themselves, and a client that loses its connection tries all it was told of. " +
			"off: every node advertises the balancer, by client_advertise and cluster.advertise. open: nobody configured that, and nodes can be reached past the balancer. " +
			"refused: they cannot, and a router or a firewall says so, or somebody else has the address. closed: a firewall or a private network leaves the SYN unanswered, and each address costs a client its whole connect timeout. " +
			"Here, with refused and closed, each node advertises an address of its own on this machine at which nobody listens, or at which a full backlog has the kernel drop every SYN.",
	}}
}

// Value implements Behaviour.
func (b Bypass) Value(string) string { return cmp.Or(b.Kind, off) }

// With implements Behaviour.
func (b Bypass) With(setting, value string) (Behaviour, error) {
	kind, err := parseWord(setting, value, off, "open", "refused", "closed")
	if kind == off {
		kind = ""
	}
	return Bypass{kind}, err
}

// Scaled implements Behaviour.
func (b Bypass) Scaled(float64) Behaviour { return b }

// Start implements Behaviour.
func (b Bypass) Start() Policy { return admitsAll{} }
