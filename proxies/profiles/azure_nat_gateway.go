package profiles

import (
	"time"

	"github.com/lbtest/lbtest/proxies"
)

func init() {
	register(proxies.Profile{
		Name: "azure-nat-gateway", About: "Azure NAT gateway, for links that dial out",
		Source: "Azure, article on NAT gateway resources", Checked: "July 2023",
		Unverified: doubts("port-exhaustion", "an unanswered SYN is assumed, as of any NAT"),
		Ranges:     settable(240*time.Second, 2*time.Hour),
		Notes: []string{
			"An address has 64512 ports, of which about 50000 at a time lead to one destination.",
			"A port rests for 65s after a FIN, 16s after an RST and 30s half open; here always for the first.",
		},
	}, "idle-timeout=240s", "idle-expiry=rst-on-next", "idle-keepalive=counts", "source-ports=50000", "port-reuse-delay=65s", "port-exhaustion=swallow")
}
