package embedded

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	goruntime "runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/lbtest/lbtest/topologies"
)

type node struct {
	member  topologies.Member
	program string
	config  string
	environ []string // of its process
	cleaner *cleaner
	slog    *slog.Logger

	mu      sync.Mutex
	process *process // the latest; nil before the first start
	paused  bool
	crashes []error // ends that nobody asked for
	closed  bool
}

// newNode writes the node's configuration into its directory and starts nothing.
func newNode(b topologies.Build, m topologies.Member, program string, c *cleaner, log *slog.Logger) (*node, error) {
	text, err := topologies.Render(b, m)
	if err != nil {
		return nil, err
	}
	if err := writeFiles(b, m); err != nil {
		return nil, err
	}
	config := filepath.Join(m.Dir, "nats-server.conf")
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		return nil, fmt.Errorf("writing the configuration of node %s: %w", m.Name, err)
	}
	// What reads of all processes there are at its start, as the containers' library does, finds none: with a hundred nodes
	// that takes longer than the rest of a node's start.
	environ := append(os.Environ(), "HOST_PROC="+os.DevNull)
	if os.Getenv("GOMAXPROCS") == "" {
		// Nodes are many and have little to do: threads of each that look for work on every processor cost a tenth.
		environ = append(environ, "GOMAXPROCS="+strconv.Itoa(max(1, goruntime.NumCPU()/2)))
	}
	for name, value := range b.Limits.Environment() {
		environ = append(environ, name+"="+value)
	}
	return &node{member: m, program: program, config: config, environ: environ, cleaner: c, slog: log.With("node", m.Name)}, nil
}

// writeFiles makes the node's directory and puts there what its configuration refers to.
func writeFiles(b topologies.Build, m topologies.Member) error {
	if err := os.Mkdir(m.Dir, 0o700); err != nil {
		return fmt.Errorf("making the directory of node %s: %w", m.Name, err)
	}
	for _, f := range b.Files(m) {
		if err := os.WriteFile(f.Path, f.Content, 0o600); err != nil {
			return fmt.Errorf("writing the certificates of node %s: %w", m.Name, err)
		}
	}
	return nil
}

func (n *node) Name() string { return n.member.Name }

func (n *node) Addr(l topologies.Link) string { return n.member.Addr(l) }

func (n *node) Monitor() string { return n.member.Monitoring() }

func (n *node) Log() string { return filepath.Join(n.member.Dir, "nats-server.log") }

// Dialled implements topologies.Dialler.
func (n *node) Dialled(from netip.AddrPort) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.runningLocked() && owns(n.process.cmd.Process.Pid, from)
}

// Start starts the node and returns once it listens. If ctx ends first the node is killed.
func (n *node) Start(ctx context.Context) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.closed {
		return fmt.Errorf("starting node %s: its deployment is closed", n.Name())
	}
	if n.runningLocked() {
		return fmt.Errorf("starting node %s: it is running", n.Name())
	}
	log, err := os.OpenFile(n.Log(), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return fmt.Errorf("starting node %s: opening its log: %w", n.Name(), err)
	}
	defer log.Close()
	p, err := launch(n.program, n.config, n.member.Dir, n.environ, log, n.ended)
	if err != nil {
		return fmt.Errorf("starting node %s: %w", n.Name(), err)
	}
	n.process, n.paused = p, false
	if err := errors.Join(n.cleaner.node(p.cmd.Process.Pid), writeProcess(n.member.Dir, p.cmd.Process.Pid)); err != nil {
		return errors.Join(fmt.Errorf("starting node %s: %w", n.Name(), err), n.endLocked(syscall.SIGKILL))
	}
	if err := awaitReady(ctx, p); err != nil {
		// It ends by itself or is ended here, and this error has said why.
		return errors.Join(fmt.Errorf("starting node %s: %w%s", n.Name(), err, n.lastWords()), n.endLocked(syscall.SIGKILL))
	}
	n.slog.Debug("node listens", "pid", p.cmd.Process.Pid, "clients", n.Addr(topologies.Clients))
	return nil
}

// awaitReady reads what a starting node says about itself.
func awaitReady(ctx context.Context, p *process) error {
	defer p.status.Close()
	defer context.AfterFunc(ctx, func() { p.status.SetReadDeadline(time.Unix(1, 0)) })() // any time past ends the read
	said := make([]byte, 0, 512)
	for {
		free := said[len(said):cap(said)]
		got, err := p.status.Read(free)
		said = said[:len(said)+got]
		switch {
		case string(said) == ready:
			return nil
		case ctx.Err() != nil:
			return fmt.Errorf("waiting until it listens: %w", context.Cause(ctx))
		case err != nil || len(said) == cap(said):
			if why := strings.TrimSpace(string(said)); why != "" {
				return errors.New(why)
			}
			<-p.gone // the file ends with the process
			return fmt.Errorf("it ended before it listened: %w", orEnded(p.err))
		}
	}
}

// orEnded gives how a process ended, also when it ended well.
func orEnded(err error) error {
	if err == nil {
		return errors.New("exit status 0")
	}
	return err
}

// ended is called when a process is gone, whoever ended it.
func (n *node) ended(p *process) {
	if err := n.cleaner.unnode(p.cmd.Process.Pid); err != nil {
		n.slog.Warn("node's end is unknown to the cleaner", "error", err)
	}
	if !p.wanted.Load() {
		n.slog.Warn("node ended by itself", "how", orEnded(p.err), "log", n.Log())
	}
}

// runningLocked says whether there is a process, and makes a note if there should be one and is not.
func (n *node) runningLocked() bool {
	p := n.process
	if p == nil || p.running() {
		return p != nil
	}
	if !p.wanted.Load() {
		n.crashes = append(n.crashes, fmt.Errorf("node %s ended by itself: %w%s", n.Name(), orEnded(p.err), n.lastWords()))
	}
	n.process, n.paused = nil, false
	return false
}

func (n *node) Kill() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if !n.runningLocked() {
		return fmt.Errorf("killing node %s: it is not running", n.Name())
	}
	if err := n.endLocked(syscall.SIGKILL); err != nil {
		return fmt.Errorf("killing node %s: %w", n.Name(), err)
	}
	return nil
}

func (n *node) Stop() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if !n.runningLocked() {
		return fmt.Errorf("stopping node %s: it is not running", n.Name())
	}
	if n.paused {
		return fmt.Errorf("stopping node %s: it is paused", n.Name())
	}
	if err := n.endLocked(syscall.SIGTERM); err != nil {
		return fmt.Errorf("stopping node %s: %w", n.Name(), err)
	}
	return nil
}

// Retire implements topologies.Retiring.
func (n *node) Retire() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if !n.runningLocked() {
		return fmt.Errorf("retiring node %s: it is not running", n.Name())
	}
	if n.paused {
		return fmt.Errorf("retiring node %s: it is paused", n.Name())
	}
	if err := n.endLocked(retire); err != nil {
		return fmt.Errorf("retiring node %s: %w", n.Name(), err)
	}
	return nil
}

// endLimit is how long a process may take to end. A kill takes milliseconds; an orderly shutdown
// writes JetStream's state and was never seen to take seconds.
const endLimit = 20 * time.Second

// retireLimit is that of lame duck mode: by default clients leave within 2 minutes, and then there is a shutdown.
const retireLimit = 2*time.Minute + endLimit

// endLocked ends the process, if there still is one, and waits until it is gone.
func (n *node) endLocked(with syscall.Signal) error {
	p := n.process
	p.wanted.Store(true)
	if err := p.cmd.Process.Signal(with); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	limit := endLimit
	if with == retire {
		limit = retireLimit
	}
	late := time.NewTimer(limit)
	defer late.Stop()
	select {
	case <-p.gone:
	case <-late.C:
		if with == syscall.SIGKILL {
			return fmt.Errorf("process %d is still there %v after it was killed", p.cmd.Process.Pid, limit)
		}
		return errors.Join(fmt.Errorf("still running after %v; killed", limit), n.endLocked(syscall.SIGKILL))
	}
	n.process, n.paused = nil, false
	return nil
}

func (n *node) Pause() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if !n.runningLocked() {
		return fmt.Errorf("pausing node %s: it is not running", n.Name())
	}
	if n.paused {
		return fmt.Errorf("pausing node %s: it is paused already", n.Name())
	}
	p := n.process
	if err := p.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		return fmt.Errorf("pausing node %s: %w", n.Name(), err)
	}
	n.paused = true
	// The signal is on its way when kill(2) returns; the fault begins when all threads stand still.
	err := until(pauseLimit, func() bool { return topologies.Paused(p.cmd.Process.Pid) || !p.running() })
	if err != nil {
		return fmt.Errorf("pausing node %s: %w", n.Name(), err)
	}
	return nil
}

// pauseLimit is how long a process may take to stand still. It takes about a millisecond, more only
// where a thread is deep in the kernel.
const pauseLimit = 5 * time.Second

func (n *node) Resume() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if !n.runningLocked() {
		return fmt.Errorf("resuming node %s: it is not running", n.Name())
	}
	if !n.paused {
		return fmt.Errorf("resuming node %s: it is not paused", n.Name())
	}
	if err := n.process.cmd.Process.Signal(syscall.SIGCONT); err != nil {
		return fmt.Errorf("resuming node %s: %w", n.Name(), err)
	}
	n.paused = false
	return nil
}

// close kills the node if it runs and reports what it did unasked in its life.
func (n *node) close() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.closed = true
	if !n.runningLocked() {
		return errors.Join(n.crashes...)
	}
	if err := n.endLocked(syscall.SIGKILL); err != nil {
		return errors.Join(append(n.crashes, fmt.Errorf("ending node %s: %w", n.Name(), err))...)
	}
	return errors.Join(n.crashes...)
}

// ready returns once the node's monitoring port says that all its listeners are open.
func (n *node) ready(ctx context.Context) error {
	tick := time.NewTicker(probeEvery)
	defer tick.Stop()
	for {
		err := topologies.Listens(ctx, n.Monitor())
		if err == nil {
			return nil
		}
		n.mu.Lock()
		running := n.runningLocked()
		n.mu.Unlock()
		if !running {
			return fmt.Errorf("waiting for node %s: it is not running%s", n.Name(), n.lastWords())
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("waiting for node %s: %w; last asked: %w", n.Name(), context.Cause(ctx), err)
		case <-tick.C:
		}
	}
}

// lastLines is how much of a log an error quotes: the lines of a failed start that say why are the last few.
const lastLines = 6

// lastWords quotes the end of the node's log.
func (n *node) lastWords() string {
	log, err := os.Open(n.Log())
	if err != nil {
		return ""
	}
	defer log.Close()
	// 16 KiB hold some hundred lines; a panic's trace is longer and its beginning is in the kept log only.
	if size, err := log.Seek(0, io.SeekEnd); err == nil {
		log.Seek(max(0, size-16<<10), io.SeekStart)
	}
	text, _ := io.ReadAll(log)
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	if len(lines) == 1 && lines[0] == "" {
		return ""
	}
	return "\nthe last lines of its log:\n  " + strings.Join(lines[max(0, len(lines)-lastLines):], "\n  ")
}

// until asks a question again and again until the answer is yes or the limit has passed.
func until(limit time.Duration, yes func() bool) error {
	late := time.NewTimer(limit)
	defer late.Stop()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !yes() {
		select {
		case <-tick.C:
		case <-late.C:
			return fmt.Errorf("not after %v", limit)
		}
	}
	return nil
}
