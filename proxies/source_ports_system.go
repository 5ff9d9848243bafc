package proxies

import (
	"context"
	"fmt"
	"net"
	"slices"
	"time"
)

// SystemPorts is the profile whose source ports are those of the network namespace that its balancer runs in: real ones,
// which rest in the kernel's own TIME_WAIT. sysctls is what that namespace has to be set to; nil where the profile says
// nothing of source ports, or asks for what no kernel does, and is as it was.
func (p Profile) SystemPorts() (changed Profile, sysctls map[string]string) {
	if !slices.ContainsFunc(p.Stated(), func(s Stated) bool { return s.Setting == sourcePorts }) {
		return p, nil
	}
	at := slices.IndexFunc(p.Behaviours, func(b Behaviour) bool { return speaksFor(b, sourcePorts) })
	ports, ok := p.Behaviours[at].(SourcePorts)
	if !ok {
		return p, nil
	}
	reuse := map[time.Duration]string{timeWait: "0", tcpReuse: "1"}[ports.rest()]
	if reuse == "" {
		return p, nil
	}
	changed = p
	changed.Behaviours = slices.Clone(p.Behaviours)
	ports.system = true
	changed.Behaviours[at] = ports
	first, last, reserved := portRange(ports.count())
	return changed, map[string]string{
		"net.ipv4.ip_local_port_range":     fmt.Sprintf("%d %d", first, last),
		"net.ipv4.ip_local_reserved_ports": reserved,
		"net.ipv4.tcp_tw_reuse":            reuse,
	}
}

// tcpReuse is after what time Linux takes a resting port again for a new connection to the same address, with
// net.ipv4.tcp_tw_reuse=1 and timestamps at both ends.
const tcpReuse = time.Second

// portRange is a range with that many ports to dial from. Linux tries even and odd ones in turn, and leaves the last one
// of an odd range out (inet_hashtables.c, __inet_hash_connect): such a range is one longer, and that one reserved.
func portRange(count int) (first, last int, reserved string) {
	const usual = 32768 // where Linux's own begins
	size := count
	if count > 1 {
		size += count % 2
	}
	first = min(usual, 65536-size)
	last = first + size - 1
	if size > count {
		reserved = fmt.Sprint(last)
	}
	return first, last, reserved
}

// systemPorts has connections dial from whatever port the system gives them, and says so when it has none.
type systemPorts struct {
	admitsAll
	how   Ending
	count int
}

// Route implements Router.
func (p systemPorts) Route(_ context.Context, f *Flow) error {
	dialled := false
	f.DialFrom(func() (*net.TCPAddr, error) {
		if dialled { // and was told that there is no address to dial from
			return nil, &Refusal{p.how, sourcePorts, fmt.Sprintf("no port is free: all of %d are in use or in TIME_WAIT", p.count)}
		}
		dialled = true
		return nil, nil
	})
	return nil
}
