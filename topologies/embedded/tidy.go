package embedded

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/lbtest/lbtest/topologies"
)

// processFile is where a node's process is written down, in the node's directory: for whoever finds that after this
// process and its cleaner have both been killed.
const processFile = ".process"

func writeProcess(dir string, pid int) error {
	if err := os.WriteFile(filepath.Join(dir, processFile), fmt.Appendf(nil, "%d %s", pid, topologies.Birth(pid)), 0o600); err != nil {
		return fmt.Errorf("writing a node's process down: %w", err)
	}
	return nil
}

// Tidy implements topologies.Tidy: it ends nodes whose program is gone, and removes their directories.
func (r *runtime) Tidy() (removed []string, err error) {
	var errs []error
	var dirs []string
	for _, in := range slices.Compact([]string{os.TempDir(), temporary()}) {
		found, err := topologies.Abandoned(in, prefix)
		dirs, errs = append(dirs, found...), append(errs, err)
	}
	for _, dir := range dirs {
		left := remains{dirs: map[string]bool{dir: true}, nodes: processesIn(dir)}
		for pid, born := range left.nodes {
			if topologies.Alive(pid) && topologies.Birth(pid) == born {
				removed = append(removed, fmt.Sprintf("process %d, a node", pid))
			} else {
				delete(left.nodes, pid)
			}
		}
		if err := left.clean(); err != nil {
			errs = append(errs, fmt.Errorf("removing what is in %s: %w", dir, err))
			continue
		}
		removed = append(removed, "directory "+dir)
	}
	return removed, errors.Join(errs...)
}

// processesIn gives the processes of the nodes of a directory, as far as they are written down: birth by process id.
func processesIn(dir string) map[int]string {
	nodes := map[int]string{}
	files, _ := filepath.Glob(filepath.Join(dir, "*", processFile)) // its one error is of the pattern
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			continue
		}
		var pid int
		var born string
		if n, err := fmt.Sscan(string(text), &pid, &born); n == 2 && err == nil && pid > 0 {
			nodes[pid] = born
		}
	}
	return nodes
}
