//go:build !linux

package proxies

import (
	"errors"
	"io"
	"syscall"
)

// holdPort holds nothing: here a bound socket keeps a second one of the same process from listening.
// A port could be taken by somebody else during an outage; then restoring it fails.
func holdPort(listen string, shared bool) (addr string, hold io.Closer, err error) {
	if shared {
		return "", nil, errNoSharing
	}
	return listen, nothingHeld{}, nil
}

// errNoSharing is for systems on which one of the sharers gets all connections, or none may share.
var errNoSharing = errors.New("sharing an address among processes needs Linux")

func sharePort(string, string, syscall.RawConn) error { return errNoSharing }

type nothingHeld struct{}

func (nothingHeld) Close() error { return nil }
