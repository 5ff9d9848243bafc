package embedded

import (
	"bytes"
	"fmt"
	"os"
	"syscall"
)

// self is this program, even if its file has been replaced or removed since it was started.
func self() string { return "/proc/self/exe" }

// nodeAttributes makes a process that the terminal's Ctrl-C does not reach and that the kernel kills
// with the thread that starts it, paused or not.
func nodeAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

// birth tells a process from a later one with the same number: its start, in clock ticks since boot.
func birth(pid int) string {
	fields := stat(pid)
	if len(fields) < 20 {
		return ""
	}
	return string(fields[19]) // starttime is field 22 of proc_pid_stat(5), the state being field 3
}

// alive says whether the process runs or stands still. One that has ended and was not waited for is not alive.
func alive(pid int) bool {
	fields := stat(pid)
	return len(fields) > 0 && string(fields[0]) != "Z" && string(fields[0]) != "X"
}

// paused says whether the process stands still.
func paused(pid int) bool {
	fields := stat(pid)
	return len(fields) > 0 && string(fields[0]) == "T"
}

// stat gives the fields of /proc/PID/stat from the third on: the second is a name that may hold anything.
func stat(pid int) [][]byte {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return nil
	}
	return bytes.Fields(text[bytes.LastIndexByte(text, ')')+1:])
}
