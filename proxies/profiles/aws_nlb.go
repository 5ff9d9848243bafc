package profiles

import (
	"time"

	"github.com/lbtest/lbtest/proxies"
)

func init() {
	const (
		source                = "AWS, User Guide for Network Load Balancers (target groups, target group health, troubleshooting, limits), and the page on updating the TCP idle timeout"
		assumedBalance        = "stands for a hash over addresses, ports and TCP sequence number, which spreads connections as chance does"
		assumedPortExhaustion = "the guide speaks of failed connects and port allocation errors; an unanswered SYN is assumed"
		probes                = "Targets are probed by TCP every 30s, and the live connections of an unhealthy one are reset: --set health-check=tcp --set health-interval=30s --set health-fall=2 --set on-down=reset adds that."
		deregistration        = "A target that is deregistered gets no new connections; its live ones go on, even after the 300s of the deregistration delay."
	)
	register(proxies.Profile{
		Name: "aws-nlb-tcp", About: "AWS Network Load Balancer, TCP listener, instance targets: the client's address is preserved",
		Source: source, Checked: "June 2023; the idle timeout September 2024",
		Unverified: doubts(
			"balance", assumedBalance,
			"port-exhaustion", assumedPortExhaustion,
		),
		Ranges: settable(60*time.Second, 6000*time.Second),
		Notes: []string{
			probes,
			deregistration,
		},
	}, "idle-timeout=350s", "idle-expiry=rst-on-next", "idle-keepalive=counts", "balance=random", "hairpin=denied", "source-ports=55000", "port-exhaustion=swallow")
	register(proxies.Profile{
		Name: "aws-nlb-tcp-nopreserve", About: "AWS Network Load Balancer, TCP listener, IP targets: the client's address is not preserved",
		Source: source, Checked: "June 2023; the idle timeout September 2024",
		Unverified: doubts(
			"balance", assumedBalance,
			"port-exhaustion", assumedPortExhaustion,
		),
		Ranges: settable(60*time.Second, 6000*time.Second),
		Notes: []string{
			probes,
			deregistration,
		},
	}, "idle-timeout=350s", "idle-expiry=rst-on-next", "idle-keepalive=counts", "balance=random", "hairpin=allowed", "source-ports=55000", "port-exhaustion=swallow")
	register(proxies.Profile{
		Name: "aws-nlb-tls", About: "AWS Network Load Balancer, TLS listener: it ends the clients' TLS and speaks plain TCP to the targets",
		Source: source, Checked: "June 2023; the idle timeout September 2024",
		Unverified: doubts(
			"balance", assumedBalance,
			"port-exhaustion", assumedPortExhaustion,
			"hairpin", "the guide says nothing of a target that dials a TLS listener; allowed is assumed",
		),
		Ranges: fixed(350 * time.Second),
		Notes: []string{
			probes,
			deregistration,
			"With a TLS target group it encrypts again and does not check the target's certificate: --set tls=re-encrypt. Client certificates end at the balancer.",
			"Once either side has sent a keepalive probe it sends its own to both every 20s; here only the dialling link's probes count.",
		},
	}, "idle-timeout=350s", "idle-expiry=rst-on-next", "idle-keepalive=counts", "balance=random", "tls=terminate", "source-ports=55000", "port-exhaustion=swallow")
}
