package proxies

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
)

// Hairpin says whether a backend can reach itself through the balancer.
type Hairpin struct{ Denied bool }

const (
	hairpin = "hairpin"

	allowed = "allowed"
	denied  = "denied"
)

func init() { register(9, Hairpin{}) }

// Settings implements Behaviour.
func (Hairpin) Settings() []Setting {
	return []Setting{{
		Name: hairpin, Default: allowed, Values: "allowed, denied",
		About: "a backend's own connection that is balanced back to itself is forwarded, or swallowed",
		Explain: "A balancer that preserves the client's address delivers to a backend that dials the VIP and is balanced to itself packets with its own address as their source, which it drops: " +
			"on AWS NLB with client-IP preservation and on Azure's internal Load Balancer such a connect times out. Behind n nodes one dial in n fails. " +
			"Proxies (HAProxy, nginx, Envoy, AWS CLB) and NLB without preservation forward it, and RFC 5382 demands so of a NAT; a NATS server that meets itself drops the route by itself. " +
			"Here the backend is chosen first, as always, and the connection is swallowed if that backend made it: the TCP connect succeeds, but nothing ever comes and the backend is not dialled. " +
			"Who made a connection is told by its IP address; on one machine, where all share that of loopback, by the process that owns the socket, and without that knowledge it is forwarded.",
	}}
}

// Value implements Behaviour.
func (h Hairpin) Value(string) string {
	if h.Denied {
		return denied
	}
	return allowed
}

// With implements Behaviour.
func (h Hairpin) With(setting, value string) (Behaviour, error) {
	word, err := parseWord(setting, value, allowed, denied)
	return Hairpin{word == denied}, err
}

// Scaled implements Behaviour.
func (h Hairpin) Scaled(float64) Behaviour { return h }

// Start implements Behaviour.
func (h Hairpin) Start() Policy {
	if !h.Denied {
		return admitsAll{}
	}
	return swallower{}
}

type swallower struct{ admitsAll }

// Route implements Router.
func (swallower) Route(ctx context.Context, f *Flow) error {
	if !dialledBy(ctx, f.Backend(), f.Client(), f.Front().Owner) {
		return nil
	}
	return &Refusal{Vanish, hairpin, fmt.Sprintf("%s was balanced back to itself", f.Backend().Name)}
}

// dialledBy reports whether a backend made a connection: its owner is asked first, if there is somebody to ask.
func dialledBy(ctx context.Context, b Backend, client netip.AddrPort, owner func(netip.AddrPort) string) bool {
	if owner != nil {
		if name := owner(client); name != "" {
			return name == b.Name
		}
	}
	from := client.Addr().Unmap()
	if from.IsLoopback() {
		return false
	}
	host, _, err := net.SplitHostPort(b.Addr)
	if err != nil {
		return false
	}
	if at, err := netip.ParseAddr(host); err == nil {
		return at.Unmap() == from
	}
	known, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	return err == nil && slices.ContainsFunc(known, func(a netip.Addr) bool { return a.Unmap() == from })
}
