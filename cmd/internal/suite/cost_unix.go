//go:build unix

package suite

import (
	"syscall"
	"time"
)

// spent is the CPU time of this process and of the children that have ended, which the nodes of every finished lab are.
func spent() time.Duration {
	var all time.Duration
	for _, who := range []int{syscall.RUSAGE_SELF, syscall.RUSAGE_CHILDREN} {
		var used syscall.Rusage
		if err := syscall.Getrusage(who, &used); err == nil { // it fails for no such who
			all += time.Duration(used.Utime.Nano() + used.Stime.Nano())
		}
	}
	return all
}
