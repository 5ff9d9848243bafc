package profiles

import (
	"time"

	"github.com/lbtest/lbtest/proxies"
)

func init() {
	const (
		source                = "Azure, Load Balancer articles (TCP reset and idle timeout, concepts, troubleshooting backend traffic, health probes), and the Terraform provider azurerm's lb_rule"
		assumedBalance        = "stands for a hash over the five-tuple, which spreads connections as chance does"
		unhealthy             = "An unhealthy backend gets no new connections and keeps its live ones: --set health-check=tcp --set health-interval=5s --set on-down=keep."
		outboundSource        = "Azure, Load Balancer article on outbound connections, and the Terraform provider azurerm's lb_outbound_rule"
		assumedPortReuseDelay = "not documented for the same destination; the default is kept"
		assumedPortExhaustion = "an unanswered SYN is assumed, as of any NAT"
	)
	register(proxies.Profile{
		Name: "azure-lb-standard", About: "Azure Load Balancer, Standard, TCP reset off as by default",
		Source: source, Checked: "October 2020 to October 2024",
		Unverified: doubts("balance", assumedBalance),
		Ranges:     settable(240*time.Second, 6000*time.Second),
		Notes: []string{
			unhealthy,
		},
	}, "idle-timeout=240s", "idle-expiry=silent", "idle-keepalive=counts", "balance=random", "hairpin=denied")
	register(proxies.Profile{
		Name: "azure-lb-standard-tcpreset", About: "Azure Load Balancer, Standard, with TCP reset on idle timeout",
		Source: source, Checked: "October 2020 to October 2024",
		Unverified: doubts("balance", assumedBalance),
		Ranges:     settable(240*time.Second, 6000*time.Second),
		Notes: []string{
			unhealthy,
		},
	}, "idle-timeout=240s", "idle-expiry=rst", "idle-keepalive=counts", "balance=random", "hairpin=denied")
	register(proxies.Profile{
		Name: "azure-lb-basic", About: "Azure Load Balancer, Basic",
		Source: source, Checked: "October 2020 to October 2024",
		Unverified: doubts(
			"balance", assumedBalance,
			"idle-expiry", "TCP reset is documented for Standard only, so silent is taken for all there is",
		),
		Ranges: settable(240*time.Second, 1800*time.Second),
		Notes: []string{
			"When all backends are unhealthy their live connections end.",
		},
	}, "idle-timeout=240s", "idle-expiry=silent", "idle-keepalive=counts", "balance=random", "hairpin=denied")
	register(proxies.Profile{
		Name: "azure-lb-outbound", About: "Azure Load Balancer, outbound rule, pool of up to 50 machines",
		Source: outboundSource, Checked: "March 2022",
		Unverified: doubts(
			"port-reuse-delay", assumedPortReuseDelay,
			"port-exhaustion", assumedPortExhaustion,
		),
		Ranges: settable(240*time.Second, 2*time.Hour),
	}, "idle-timeout=240s", "idle-expiry=silent", "idle-keepalive=counts", "source-ports=1024", "port-exhaustion=swallow")
	register(proxies.Profile{
		Name: "azure-lb-outbound-large", About: "Azure Load Balancer, outbound ports as allotted by default in a pool of 801 to 1000 machines",
		Source: outboundSource, Checked: "March 2022",
		Unverified: doubts(
			"port-reuse-delay", assumedPortReuseDelay,
			"port-exhaustion", assumedPortExhaustion,
		),
		Ranges: settable(240*time.Second, 2*time.Hour),
	}, "idle-timeout=240s", "idle-expiry=silent", "idle-keepalive=counts", "source-ports=32", "port-exhaustion=swallow")
}
