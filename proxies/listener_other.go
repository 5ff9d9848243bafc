//go:build !linux

package proxies

import (
	"context"
	"errors"
	"net"
)

// poller is a listener in the hands of Go's poller, as what it accepts is.
type poller struct{ *net.TCPListener }

func newListener(l *net.TCPListener) (listener, error) { return poller{l}, nil }

func (p poller) accept() (*leg, error) {
	conn, err := p.AcceptTCP()
	if err != nil {
		return nil, err
	}
	near, err := newLeg(clientSide, conn)
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return near, nil
}

// dialLeg connects to a backend; from is nil for any address.
func dialLeg(ctx context.Context, addr string, from *net.TCPAddr) (*leg, error) {
	return dialNative(ctx, addr, from)
}
