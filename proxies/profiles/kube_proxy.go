package profiles

import (
	"time"

	"github.com/lbtest/lbtest/proxies"
)

func init() {
	register(proxies.Profile{
		Name: "kube-proxy-iptables", About: "Kubernetes kube-proxy, iptables or nftables mode",
		Source: "kubernetes/kubernetes, pkg/proxy/apis/config/v1alpha1/defaults.go", Checked: "August 2026",
		Unverified: doubts(
			"idle-expiry", "the next packet may be taken for a new connection and be sent elsewhere, which answers by RST, and no source says so; judged under fin, rst, silent and rst-on-next, of which the worst counts",
			"hairpin", "not documented; allowed is assumed",
			"balance", "each new connection draws its endpoint by chance, as its rules are known to do",
		),
		Ranges: settable(1*time.Second, 0),
		Notes: []string{
			"The table has 32768 entries a core and 131072 at least; a full one drops new connections.",
		},
	}, "idle-timeout=24h", "idle-keepalive=counts", "balance=random")
	register(proxies.Profile{
		Name: "kube-proxy-ipvs", About: "Kubernetes kube-proxy, IPVS mode",
		Source: "kubernetes/kube-proxy, config/v1alpha1/types.go; torvalds/linux, net/netfilter/ipvs/ip_vs_proto_tcp.c", Checked: "August 2026",
		Unverified: doubts(
			"idle-expiry", "an RST from the director to the next packet is what people see, and no source says so; judged under fin, rst, silent and rst-on-next, of which the worst counts",
			"hairpin", "not documented; allowed is assumed",
		),
		Ranges: settable(1*time.Second, 0),
	}, "idle-timeout=15m", "idle-keepalive=counts")
}
