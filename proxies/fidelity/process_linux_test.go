package fidelity

import "syscall"

// ownGroup has a balancer and its workers die together, and with the test.
func ownGroup() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
