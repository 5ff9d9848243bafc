package proxies

// Frontends says how many addresses a balancer shows. Whoever builds the lab reads it; a running
// balancer is given its frontends.
type Frontends struct{ Kind string } // shared, per-node, or "" for what the topology does by itself

const (
	frontends   = "frontends"
	perTopology = "per topology"
)

func init() { register(7, Frontends{}) }

// Settings implements Behaviour.
func (Frontends) Settings() []Setting {
	return []Setting{{
		Name: frontends, Default: perTopology, Values: "shared, per-node",
		About: "one address over all nodes, or one a node",
		Explain: "shared is the usual virtual IP: an AWS NLB or a Kubernetes Service over all servers, where whoever connects gets some server. " +
			"That suits clients. NATS routes need to reach each particular server, which a shared address cannot promise: a server that dials it may get itself, " +
			"or the same peer again. per-node gives each server an address (a listener, a port or a Service) of its own. " +
			"By default each topology has what its links need.",
	}}
}

// Value implements Behaviour.
func (f Frontends) Value(string) string {
	if f.Kind == "" {
		return perTopology
	}
	return f.Kind
}

// With implements Behaviour.
func (f Frontends) With(setting, value string) (Behaviour, error) {
	kind, err := parseWord(setting, value, "shared", "per-node")
	return Frontends{kind}, err
}

// Scaled implements Behaviour.
func (f Frontends) Scaled(float64) Behaviour { return f }

// Start implements Behaviour.
func (f Frontends) Start() Policy { return admitsAll{} }
