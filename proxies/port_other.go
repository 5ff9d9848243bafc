//go:build !linux

package proxies

import "io"

// holdPort holds nothing: here a bound socket keeps a second one of the same process from listening.
// A port could be taken by somebody else during an outage; then restoring it fails.
func holdPort(listen string) (addr string, hold io.Closer, err error) {
	return listen, nothingHeld{}, nil
}

type nothingHeld struct{}

func (nothingHeld) Close() error { return nil }
