//go:build !linux

package kernel

import (
	"context"
	"errors"
	"fmt"

	"github.com/lbtest/lbtest/proxies"
)

// Balancer is there on Linux alone.
type Balancer struct{}

var errElsewhere = fmt.Errorf("the kernel balances on Linux only: %w", errors.ErrUnsupported)

// Listen gives an error.
func Listen(proxies.Profile, []proxies.Front, func(proxies.Event)) (*Balancer, error) {
	return nil, errElsewhere
}

// None of these can be called, for want of a Balancer.

func (*Balancer) Addr(string) string                       { return "" }
func (*Balancer) Serve(map[string][]proxies.Backend) error { return errElsewhere }
func (*Balancer) Strike(context.Context) error             { return errElsewhere }
func (*Balancer) Cut(string) bool                          { return false }
func (*Balancer) Remove(string) error                      { return errElsewhere }
func (*Balancer) Restore(string) error                     { return errElsewhere }
func (*Balancer) Unplug(string) error                      { return errElsewhere }
func (*Balancer) Plug(string) error                        { return errElsewhere }
func (*Balancer) Close() error                             { return errElsewhere }
