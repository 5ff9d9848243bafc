package profiles

import (
	"time"

	"github.com/lbtest/lbtest/proxies"
)

func init() {
	const (
		source            = "EC2 API ConnectionTrackingConfiguration, and AWS, EC2 User Guide (security group connection tracking)"
		assumedIdleExpiry = "only that the entry is removed; judged under fin, rst, silent and rst-on-next, of which the worst counts"
	)
	register(proxies.Profile{
		Name: "aws-ec2-conntrack", About: "connection tracking of an EC2 instance's security groups",
		Source: source, Checked: "June 2023",
		Unverified: doubts(
			"idle-expiry", assumedIdleExpiry,
			"idle-keepalive", probesUnknown,
		),
		Ranges: settable(60*time.Second, 120*time.Hour),
		Notes: []string{
			"A full table drops packets; how many entries it has depends on the instance.",
		},
	}, "idle-timeout=120h")
	register(proxies.Profile{
		Name: "aws-ec2-conntrack-nitrov6", About: "connection tracking of an EC2 instance of a Nitro v6 type",
		Source: source, Checked: "August 2026",
		Unverified: doubts(
			"idle-expiry", assumedIdleExpiry,
			"idle-keepalive", probesUnknown,
		),
		Ranges: settable(60*time.Second, 120*time.Hour),
		Notes: []string{
			"It lies behind every load balancer: a longer timeout there helps only once it is raised here as well.",
		},
	}, "idle-timeout=350s")
}
