package profiles

import (
	"time"

	"github.com/lbtest/lbtest/proxies"
)

func init() {
	register(proxies.Profile{
		Name: "linux-ipvs", About: "Linux IPVS",
		Source: "torvalds/linux, net/netfilter/ipvs/ip_vs_proto_tcp.c", Checked: "August 2026",
		Unverified: doubts(
			"idle-expiry", "an RST from the director to the next packet is what people see, and no source says so; judged under fin, rst, silent and rst-on-next, of which the worst counts",
			"hairpin", "not documented; allowed is assumed",
		),
		Ranges: settable(1*time.Second, 0),
	}, "idle-timeout=15m", "idle-keepalive=counts")
}
