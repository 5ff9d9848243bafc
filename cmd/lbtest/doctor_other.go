//go:build !linux

package main

import (
	"context"
	"errors"
)

func memory() string { return "unknown on this system" }

func ports() string { return "unknown on this system" }

// beNftables is for Linux.
func beNftables() {}

// examineKernel says what is skipped where the kernel is not Linux.
func examineKernel(_ context.Context, c *checkup) {
	c.have("nftables", "", errors.New("Linux only"), "--set engine=kernel")
	c.have("unanswered addresses", "", errors.New("Linux only"), "--set bypass=refused", "--set bypass=closed")
}
