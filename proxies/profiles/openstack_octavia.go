package profiles

import "github.com/lbtest/lbtest/proxies"

func init() {
	register(proxies.Profile{
		Name: "openstack-octavia", About: "OpenStack Octavia, HAProxy amphora",
		Source: "OpenStack Octavia, octavia/common/constants.py, config.py and the amphora's HAProxy templates", Checked: "August 2026",
		Unverified: doubts("hairpin", "not documented; allowed is assumed, as of any proxy"),
		Notes: []string{
			"PROXY v1 and v2 can be turned on for a pool: --set proxy-protocol=v2.",
		},
	}, "idle-timeout-client=50s", "idle-timeout-server=50s", "idle-expiry=fin", "idle-keepalive=ignored", "max-connections=50000", "connection-limit=queue")
}
