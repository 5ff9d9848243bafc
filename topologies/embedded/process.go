package embedded

import (
	"fmt"
	"os"
	"os/exec"
	goruntime "runtime"
	"slices"
	"sync/atomic"
)

// processName is what nodes and the cleaner are called in a list of processes.
const processName = "lbtest"

// process is one run of a node.
type process struct {
	cmd      *exec.Cmd
	lifeline *os.File      // never written; the node ends when it closes
	status   *os.File      // what the node says about its start
	wanted   atomic.Bool   // that it ends: somebody has asked for it
	gone     chan struct{} // closed once it has ended and was waited for
	err      error         // how it ended; to be read after gone
}

// launch starts a node process and returns once it runs, with its log appended to the file. ended is
// called when it is gone.
func launch(program, config, dir string, environ []string, log *os.File, ended func(*process)) (*process, error) {
	lifeline, lifelineEnd, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer lifeline.Close()
	status, statusEnd, err := os.Pipe()
	if err != nil {
		lifelineEnd.Close()
		return nil, err
	}
	defer statusEnd.Close()

	cmd := exec.Command(program)
	cmd.Args = []string{processName, nodeWord, config}
	cmd.Env = append(slices.Clone(environ), guard+"="+nodeWord)
	cmd.Dir = dir
	cmd.Stdout, cmd.Stderr = log, log
	cmd.ExtraFiles = []*os.File{lifeline, statusEnd} // lifelineFile and statusFile
	cmd.SysProcAttr = nodeAttributes()
	p := &process{cmd: cmd, lifeline: lifelineEnd, status: status, gone: make(chan struct{})}

	started := make(chan error)
	go func() {
		// Linux kills the node when the thread that started it ends, so that thread stays until the
		// node is gone.
		goruntime.LockOSThread()
		defer goruntime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err != nil {
			return
		}
		p.err = cmd.Wait()
		p.lifeline.Close()
		ended(p)
		close(p.gone)
	}()
	if err := <-started; err != nil {
		lifelineEnd.Close()
		status.Close()
		return nil, fmt.Errorf("starting a process: %w", err)
	}
	return p, nil
}

// running says whether the process has not ended yet.
func (p *process) running() bool {
	select {
	case <-p.gone:
		return false
	default:
		return true
	}
}
