//go:build unix

package suite

import (
	"math"
	"syscall"
)

// descriptors is how many files this process may have open: Go has raised that to what is allowed.
func descriptors() int {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil || limit.Cur > math.MaxInt32 {
		return math.MaxInt32
	}
	return int(limit.Cur)
}
