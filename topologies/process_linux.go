package topologies

import (
	"bytes"
	"fmt"
	"os"
)

// Birth tells a process from a later one with the same number: its start, in clock ticks since boot.
func Birth(pid int) string {
	fields := stat(pid)
	if len(fields) < 20 {
		return ""
	}
	return string(fields[19]) // starttime is field 22 of proc_pid_stat(5), the state being field 3
}

// Alive says whether the process runs or stands still. One that has ended and was not waited for is not alive.
func Alive(pid int) bool {
	fields := stat(pid)
	return len(fields) > 0 && string(fields[0]) != "Z" && string(fields[0]) != "X"
}

// Paused says whether the process stands still.
func Paused(pid int) bool {
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

// place is what process ids mean something within: one run of the kernel and one namespace of them.
func place() string {
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return ""
	}
	space, err := os.Readlink("/proc/self/ns/pid")
	if err != nil {
		return ""
	}
	return string(bytes.TrimSpace(boot)) + "/" + space
}
