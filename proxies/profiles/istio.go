package profiles

import "github.com/lbtest/lbtest/proxies"

func init() {
	const (
		source         = "istio.io, application requirements and protocol selection; istio/api mesh config and DestinationRule; istio/istio pkg/config/kube/conversion.go"
		assumedHairpin = "not documented; allowed is assumed, as of any proxy"
	)
	register(proxies.Profile{
		Name: "istio-sidecar-auto", About: "Istio sidecar, port not declared, or mutual TLS permissive: it waits for the client's first bytes",
		Source: source, Checked: "August 2026",
		Unverified: doubts(
			"hairpin", assumedHairpin,
			"inspection-delay", "the detection has no timeout; a day stands for ever",
		),
		Notes: []string{
			"A port named tcp-… or with appProtocol: tcp is not inspected: istio-sidecar-tcp.",
		},
	}, "idle-timeout=1h", "idle-expiry=fin", "idle-keepalive=ignored", "inspection=client-first", "inspection-delay=24h", "inspection-verdict=close")
	register(proxies.Profile{
		Name: "istio-sidecar-tcp", About: "Istio sidecar, port declared tcp",
		Source: source, Checked: "August 2026",
		Unverified: doubts("hairpin", assumedHairpin),
	}, "idle-timeout=1h", "idle-expiry=fin", "idle-keepalive=ignored")
	register(proxies.Profile{
		Name: "istio-gateway-tcp", About: "Istio ingress gateway, TCP server",
		Source: source, Checked: "August 2026",
		Unverified: doubts("hairpin", assumedHairpin),
	}, "idle-timeout=1h", "idle-expiry=fin", "idle-keepalive=ignored")
}
