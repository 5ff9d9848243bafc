package profiles

import (
	"time"

	"github.com/lbtest/lbtest/proxies"
)

func init() {
	register(proxies.Profile{
		Name: "gcp-vpc-conntrack", About: "connection tracking of Google Cloud's VPC network",
		Source: "Google Cloud, Compute Engine, general troubleshooting (idle connections)", Checked: "August 2026",
		Ranges: fixed(600 * time.Second),
		Notes: []string{
			"A packet from the virtual machine opens the way again; here the connection stays dead.",
		},
	}, "idle-timeout=600s", "idle-expiry=silent", "idle-keepalive=counts")
}
