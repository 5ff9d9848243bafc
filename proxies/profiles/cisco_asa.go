package profiles

import (
	"time"

	"github.com/lbtest/lbtest/proxies"
)

func init() {
	const (
		source = "Cisco ASA firewall CLI configuration guide, connection settings"
		note   = "With dead connection detection, off by default, it asks both ends before it forgets a connection."
	)
	register(proxies.Profile{
		Name: "cisco-asa", About: "Cisco ASA firewall",
		Source: source, Checked: "August 2026",
		Ranges: settable(1*time.Second, 1193*time.Hour),
		Notes: []string{
			note,
		},
	}, "idle-timeout=1h", "idle-expiry=silent", "idle-keepalive=counts")
	register(proxies.Profile{
		Name: "cisco-asa-reset", About: "Cisco ASA firewall with reset on idle timeout",
		Source: source, Checked: "August 2026",
		Ranges: settable(1*time.Second, 1193*time.Hour),
		Notes: []string{
			note,
		},
	}, "idle-timeout=1h", "idle-expiry=rst", "idle-keepalive=counts")
}
