package embedded

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/lbtest/lbtest/topologies"
)

// prefix begins the name of every directory made here. The cleaner removes no other.
const prefix = "lbtest-nodes-"

// cleaner is this side of the process that cleans up after this one, should it be killed. The other
// side is told over a pipe, line by line, what there is to end and to remove:
//
//	dir PATH         about to be made      undir PATH   removed
//	node PID BIRTH   started               unnode PID   ended and waited for
//
// What has been written survives the writer, so nothing needs an answer.
type cleaner struct {
	cmd *exec.Cmd

	mu   sync.Mutex
	pipe *os.File
}

func startCleaner() (*cleaner, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("making a pipe to the cleaner: %w", err)
	}
	defer r.Close()
	cmd := exec.Command(self())
	cmd.Args = []string{processName, cleanerWord}
	// The last is for a program with the race detector, which otherwise sleeps a second before it ends.
	cmd.Env = append(os.Environ(), guard+"="+cleanerWord, "GORACE=atexit_sleep_ms=0")
	cmd.Dir = "/" // keeps no directory busy
	cmd.Stdin = r
	// A session of its own: neither the terminal's Ctrl-C nor its end reaches it.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		w.Close()
		return nil, fmt.Errorf("starting the cleaner: %w", err)
	}
	return &cleaner{cmd: cmd, pipe: w}, nil
}

func (c *cleaner) dir(path string) error   { return c.tell("dir %s\n", path) }
func (c *cleaner) undir(path string) error { return c.tell("undir %s\n", path) }
func (c *cleaner) node(pid int) error      { return c.tell("node %d %s\n", pid, topologies.Birth(pid)) }
func (c *cleaner) unnode(pid int) error    { return c.tell("unnode %d\n", pid) }

func (c *cleaner) tell(format string, v ...any) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, err := fmt.Fprintf(c.pipe, format, v...); err != nil {
		return fmt.Errorf("telling the cleaner: %w", err)
	}
	return nil
}

// close ends the cleaner and returns once it has ended.
func (c *cleaner) close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	err := c.pipe.Close()
	if werr := c.cmd.Wait(); werr != nil {
		err = errors.Join(err, fmt.Errorf("the cleaner: %w", werr))
	}
	return err
}

// beCleaner is the whole life of the cleaner process. It ends when the pipe does.
func beCleaner(pipe io.Reader) int {
	signal.Ignore(syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	left := readOrders(pipe)
	err := left.clean()
	if err != nil {
		return 1
	}
	return 0
}

// remains is what a process has left behind.
type remains struct {
	dirs  map[string]bool
	nodes map[int]string // birth by process id
}

// readOrders reads what the cleaner is told until there is no more. A last line that was cut off by
// its writer's death still counts.
func readOrders(pipe io.Reader) remains {
	left := remains{dirs: map[string]bool{}, nodes: map[int]string{}}
	for lines := bufio.NewScanner(pipe); lines.Scan(); {
		verb, what, _ := strings.Cut(lines.Text(), " ")
		var pid int
		var born string
		fmt.Sscan(what, &pid, &born)
		switch verb {
		case "dir":
			left.dirs[what] = true
		case "undir":
			delete(left.dirs, what)
		case "node":
			left.nodes[pid] = born
		case "unnode":
			delete(left.nodes, pid)
		}
	}
	return left
}

// patience is how long the cleaner waits for killed nodes to be gone. They are promised to be gone 5 s
// after their parent, directories included.
const patience = 3 * time.Second

// clean kills the nodes, paused ones too, and removes the directories. A process that only has the
// number of a former node is recognised by its birth and left alone.
func (left remains) clean() error {
	for pid, born := range left.nodes {
		if topologies.Alive(pid) && topologies.Birth(pid) == born {
			syscall.Kill(pid, syscall.SIGKILL)
		}
	}
	// A node that still writes would put files into a directory that is being removed.
	gone := func() bool {
		for pid, born := range left.nodes {
			if topologies.Alive(pid) && topologies.Birth(pid) == born {
				return false
			}
		}
		return true
	}
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(patience); !gone() && time.Now().Before(deadline); {
		<-tick.C
	}
	var errs []error
	for dir := range left.dirs {
		if strings.HasPrefix(filepath.Base(dir), prefix) {
			errs = append(errs, os.RemoveAll(dir))
		}
	}
	return errors.Join(errs...)
}
