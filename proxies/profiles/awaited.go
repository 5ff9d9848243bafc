package profiles

// awaited are settings of the table that no behaviour speaks for yet; profiles state them already.
var awaited = []string{"hairpin", "inspection", "inspection-delay", "inspection-verdict", "tls", "source-ports", "port-reuse-delay", "port-exhaustion",
	"max-connections", "connection-limit"}
