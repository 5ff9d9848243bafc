package embedded

import (
	"os"

	"golang.org/x/sys/unix"
)

// memory is where Linux keeps files that need not outlive the machine.
const memory = "/dev/shm"

// room is what must be free there: a node's store is a few megabytes, and at the most a few dozen labs are up at a time.
const room = 1 << 30

// temporary is the directory in which nodes have theirs: in memory where there is room and the user has named no other
// (TMPDIR). A disk that is busy with something else holds up Raft's votes and the making of streams for seconds, in which a
// balancer would be blamed.
func temporary() string {
	var fs unix.Statfs_t
	if os.Getenv("TMPDIR") != "" || unix.Statfs(memory, &fs) != nil || fs.Type != unix.TMPFS_MAGIC || fs.Bavail*uint64(fs.Bsize) < room ||
		unix.Access(memory, unix.W_OK|unix.X_OK) != nil {
		return os.TempDir()
	}
	return memory
}
