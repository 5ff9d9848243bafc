package embedded

import "syscall"

// self is this program, even if its file has been replaced or removed since it was started.
func self() string { return "/proc/self/exe" }

// nodeAttributes makes a process that the terminal's Ctrl-C does not reach and that the kernel kills
// with the thread that starts it, paused or not.
func nodeAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
