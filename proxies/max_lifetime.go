package proxies

import "time"

// MaxLifetime ends every connection at an age, however busy it is.
type MaxLifetime struct{ After time.Duration } // 0 for never

const maxLifetime = "max-lifetime"

func init() { register(6, MaxLifetime{}) }

// Settings implements Behaviour.
func (MaxLifetime) Settings() []Setting {
	return []Setting{{
		Name: maxLifetime, Default: none, Values: "none, DURATION", Scaled: true,
		About: "every connection ends at this age, busy or not",
		Explain: "Squid ends tunnels after a day (client_lifetime) even when they are busy; Envoy has max_downstream_connection_duration, unset by default; " +
			"ingress-nginx cuts what is left of its connections 240s after each reload (worker-shutdown-timeout). " +
			"Here both sides get a FIN at that age, counted from when the backend answered. It stands still while the balancer is stalled.",
	}}
}

// Value implements Behaviour.
func (m MaxLifetime) Value(string) string { return formatDuration(m.After) }

// With implements Behaviour.
func (m MaxLifetime) With(setting, value string) (Behaviour, error) {
	after, err := parseDuration(setting, value)
	return MaxLifetime{after}, err
}

// Scaled implements Behaviour.
func (m MaxLifetime) Scaled(factor float64) Behaviour { return MaxLifetime{scaled(m.After, factor)} }

// Start implements Behaviour.
func (m MaxLifetime) Start() Policy { return m }

// Admit implements Policy: nothing is remembered from one connection to the next.
func (m MaxLifetime) Admit(f *Flow) error {
	if m.After == 0 {
		return nil
	}
	f.Watch(func(q Quiet) time.Duration {
		if q.Age < m.After {
			return m.After - q.Age
		}
		f.End(Close, maxLifetime)
		return 0
	})
	return nil
}
