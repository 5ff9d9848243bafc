//go:build !linux

package fidelity

import "syscall"

// ownGroup has a balancer and its workers die together.
func ownGroup() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }
