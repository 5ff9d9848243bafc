package profiles

import "github.com/lbtest/lbtest/proxies"

func init() {
	register(proxies.Profile{
		Name: "ingress-nginx-tcp", About: "ingress-nginx, TCP service",
		Source: "kubernetes/ingress-nginx, docs/user-guide (configmap, exposing TCP and UDP services) and internal/ingress/controller/config/config.go", Checked: "March 2026",
		Unverified: doubts("max-connections", "16384 connections a worker count both legs; one worker process is assumed"),
		Notes: []string{
			"Each reload of the configuration cuts what is left of the connections 240s later: --set restart=reload does the reload, --set max-lifetime=240s the cut.",
		},
	}, "idle-timeout=600s", "idle-expiry=fin", "idle-keepalive=ignored", "balance=round-robin", "hairpin=allowed", "max-connections=8192", "connection-limit=close")
}
