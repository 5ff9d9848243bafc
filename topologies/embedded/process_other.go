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
