//go:build !linux

package embedded

import (
	"fmt"
	"net"
)

// hold finds a free port. Here nothing keeps it until the node listens, so another program that asks
// for any port at that moment may be given it; the node's start then fails and says so.
func hold(host string) (port int, release func(), err error) {
	l, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
	if err != nil {
		return 0, nil, fmt.Errorf("finding a free port of %s: %w", host, err)
	}
	port = l.Addr().(*net.TCPAddr).Port
	return port, func() {}, l.Close()
}
