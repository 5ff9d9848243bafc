//go:build !linux

package embedded

import "os"

// temporary is the directory in which nodes have theirs.
func temporary() string { return os.TempDir() }
