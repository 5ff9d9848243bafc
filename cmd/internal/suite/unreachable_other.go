//go:build !linux

package suite

import "errors"

// unreachable takes an address that leaves SYNs unanswered by what Linux does when a listener's queue is full.
func unreachable(string, bool) (addr string, release func(), err error) {
	return "", nil, errors.New("addresses that refuse or do not answer are made on Linux only")
}
