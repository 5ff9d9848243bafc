//go:build !linux

package embedded

import (
	"os"
	"syscall"
)

// self is the file of this program.
func self() string {
	path, err := os.Executable()
	if err != nil {
		return os.Args[0]
	}
	return path
}

// nodeAttributes makes a process that the terminal's Ctrl-C does not reach.
func nodeAttributes() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }

// birth is unknown here. The cleaner trusts the number alone: a node it was told of and not untold of
// was alive a moment ago.
func birth(int) string { return "unknown" }

func alive(pid int) bool { return syscall.Kill(pid, 0) == nil }

// paused cannot be asked here; the signal is trusted.
func paused(int) bool { return true }
