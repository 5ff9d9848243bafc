package proxies

// Engine is who balances. Whoever builds the lab reads it; a balancer of this package is the simulated one.
type Engine struct{ Kind string } // simulated or kernel; "" is simulated

const (
	balancedBy = "engine"
	simulated  = "simulated"
)

func init() { register(39, Engine{}) }

// Settings implements Behaviour.
func (Engine) Settings() []Setting {
	return []Setting{{
		Name: balancedBy, Default: simulated, Values: "simulated, kernel",
		About: "who balances",
		Explain: "simulated is this program, which accepts, chooses, dials and forwards in user space as HAProxy, nginx and Envoy do; " +
			"packet-level boxes are imitated by what they do to a connection. kernel is address translation by the operating system's own " +
			"packet filter, as kube-proxy and Linux routers do it, where keepalive probes and source ports are really the kernel's; " +
			"it needs a runtime that gives the balancer a network of its own.",
	}}
}

// Value implements Behaviour.
func (e Engine) Value(string) string {
	if e.Kind == "" {
		return simulated
	}
	return e.Kind
}

// With implements Behaviour.
func (e Engine) With(setting, value string) (Behaviour, error) {
	kind, err := parseWord(setting, value, simulated, "kernel")
	return Engine{kind}, err
}

// Scaled implements Behaviour.
func (e Engine) Scaled(float64) Behaviour { return e }

// Start implements Behaviour.
func (e Engine) Start() Policy { return admitsAll{} }
