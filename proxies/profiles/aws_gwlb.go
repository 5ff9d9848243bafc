package profiles

import (
	"time"

	"github.com/lbtest/lbtest/proxies"
)

func init() {
	register(proxies.Profile{
		Name: "aws-gwlb", About: "AWS Gateway Load Balancer: appliances put into the path",
		Source: "AWS, User Guide for Gateway Load Balancers (target groups, health checks), and ELB API ListenerAttribute", Checked: "June 2023; the idle timeout September 2024",
		Unverified: doubts(
			"idle-expiry", "only that the flow's entry is removed; judged under fin, rst, silent and rst-on-next, of which the worst counts",
			"idle-keepalive", probesUnknown,
		),
		Ranges: settable(60*time.Second, 6000*time.Second),
		Notes: []string{
			"Flows of an appliance that fails stay with it and go nowhere, while new ones work: --set health-check=tcp --set health-interval=10s --set on-down=keep --set node-fault=vanish comes near.",
			"What the appliance itself inspects is not simulated: --set inspection=… adds it.",
		},
	}, "idle-timeout=350s")
}
