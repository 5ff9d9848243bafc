//go:build !linux

package main

import (
	"context"
	"errors"
)

func ports() string { return "unknown on this system" }

// beNftables is for Linux.
func beNftables() {}

// examineKernel says what is skipped where the kernel is not Linux.
func examineKernel(_ context.Context, c *checkup, containers error) {
	nftables := errors.New("Linux only")
	c.have("nftables", "", nftables)
	c.balancesAsKernel(containers, nftables)
	c.have("unanswered addresses", "", errors.New("Linux only"), "--set bypass=refused", "--set bypass=closed")
}
