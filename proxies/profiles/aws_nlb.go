package profiles

import (
	"time"

	"github.com/lbtest/lbtest/proxies"
)

func init() {
	const (
		source  = "AWS, User Guide for Network Load Balancers (target groups, target group health, troubleshooting, limits) and the page on updating the TCP idle timeout"
		checked = "June 2023; idle timeout September 2024"
		failing = "Targets are probed by TCP every 30s, and the live connections of an unhealthy one are reset: " +
			"--set health-check=tcp --set health-interval=30s --set on-down=reset adds that."
		leaving = "A target that is deregistered gets no new connections; its live ones go on even after the 300s of the deregistration delay."
		// The hash takes in the TCP sequence number, which differs with each connection even from one port.
		hashed = "stands for a hash over addresses, ports and TCP sequence number, which spreads connections as chance does"
	)
	settable := []proxies.Range{{Setting: "idle-timeout", Min: 60 * time.Second, Max: 6000 * time.Second}}
	spread := proxies.Doubt{Setting: "balance", Assumed: hashed}
	ports := proxies.Doubt{Setting: "port-exhaustion", Assumed: "the guide speaks of failed connects and port allocation errors; an unanswered SYN is assumed"}
	register(proxies.Profile{
		Name: "aws-nlb-tcp", About: "AWS Network Load Balancer, TCP listener, instance targets: the client's address is preserved",
		Source: source, Checked: checked, Unverified: []proxies.Doubt{spread, ports}, Ranges: settable,
		Notes: []string{failing, leaving},
	}, "idle-timeout=350s", "idle-expiry=rst-on-next", "idle-keepalive=counts", "balance=random", "hairpin=denied", "source-ports=55000", "port-exhaustion=swallow")
	register(proxies.Profile{
		Name: "aws-nlb-tcp-nopreserve", About: "AWS Network Load Balancer, TCP listener, IP targets: the client's address is not preserved",
		Source: source, Checked: checked, Unverified: []proxies.Doubt{spread, ports}, Ranges: settable,
		Notes: []string{failing, leaving},
	}, "idle-timeout=350s", "idle-expiry=rst-on-next", "idle-keepalive=counts", "balance=random", "hairpin=allowed", "source-ports=55000", "port-exhaustion=swallow")
	register(proxies.Profile{
		Name: "aws-nlb-tls", About: "AWS Network Load Balancer, TLS listener: it ends the clients' TLS and speaks plain TCP to the targets",
		Source: source, Checked: checked,
		Ranges: []proxies.Range{{Setting: "idle-timeout", Min: 350 * time.Second, Max: 350 * time.Second}},
		Unverified: []proxies.Doubt{spread, ports,
			{Setting: "hairpin", Assumed: "the guide says nothing of a target that dials a TLS listener; allowed is assumed"}},
		Notes: []string{failing, leaving,
			"With a TLS target group it encrypts again and does not check the target's certificate: --set tls=re-encrypt. Client certificates end at the balancer.",
			"Once either side sends a keepalive probe it sends its own every 20s to both; here only the dialling link's probes count."},
	}, "idle-timeout=350s", "idle-expiry=rst-on-next", "idle-keepalive=counts", "balance=random", "tls=terminate", "source-ports=55000", "port-exhaustion=swallow")
}
