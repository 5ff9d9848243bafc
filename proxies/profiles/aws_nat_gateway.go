package profiles

import (
	"time"

	"github.com/lbtest/lbtest/proxies"
)

func init() {
	register(proxies.Profile{
		Name: "aws-nat-gateway", About: "AWS NAT gateway, for links that dial out of a VPC",
		Source: "AWS, Amazon VPC User Guide (NAT gateways, troubleshooting)", Checked: "June 2023",
		Unverified: doubts("port-exhaustion", "the guide counts port allocation errors; an unanswered SYN is assumed"),
		Ranges:     fixed(350 * time.Second),
		Notes: []string{
			"Only the side behind the gateway gets the RST; here whichever side speaks next does.",
			"The 55000 ports are those of one address towards one destination; up to eight addresses can be given.",
		},
	}, "idle-timeout=350s", "idle-expiry=rst-on-next", "idle-keepalive=counts", "source-ports=55000", "port-exhaustion=swallow")
}
