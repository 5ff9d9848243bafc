package proxies

import "cmp"

// NodeFault is what becomes of one node in the middle of a run. Whoever builds the lab has nodes to do it to, and
// reads it; a balancer has its part in Remove, Restore, Unplug and Plug.
type NodeFault struct{ Kind string } // kill, pause, vanish, lame-duck or remove; "" for none

const nodeFault = "node-fault"

func init() { register(28, NodeFault{}) }

// Settings implements Behaviour.
func (NodeFault) Settings() []Setting {
	return []Setting{{
		Name: nodeFault, Default: none, Values: "none, kill, pause, vanish, lame-duck, remove",
		About: "one node's fate, once, in the middle",
		Explain: "kill: the process dies, its connections end and its port refuses, as after a crash or an eviction. pause: it hangs, while the kernel still accepts for it, which only a check of /healthz sees. " +
			"vanish: its machine is lost: nothing that is sent to it is answered, dials and health checks included, no connection ends, and the one that comes back knows nothing of the old connections. " +
			"lame-duck: nats-server's own orderly way (--signal ldm): it stops accepting, closes its clients one by one and ends. remove: an operator takes it out of the balancer's rotation. " +
			"Here the node that has most of the clients is struck, and comes back at the same address when the health checks, if there are any, have had their time to find it. " +
			"With health-check or on-down given, the default is vanish; with drain, it is remove.",
	}}
}

// Value implements Behaviour.
func (n NodeFault) Value(string) string { return cmp.Or(n.Kind, none) }

// With implements Behaviour.
func (n NodeFault) With(setting, value string) (Behaviour, error) {
	kind, err := parseWord(setting, value, none, "kill", "pause", "vanish", "lame-duck", "remove")
	if kind == none {
		kind = ""
	}
	return NodeFault{kind}, err
}

// Scaled implements Behaviour.
func (n NodeFault) Scaled(float64) Behaviour { return n }

// Start implements Behaviour.
func (n NodeFault) Start() Policy { return admitsAll{} }
