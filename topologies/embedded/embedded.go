// Package embedded starts topologies as child processes of this same program, each one nats-server on
// the loopback interface. Processes, not goroutines, so that a node can be killed and paused, and a
// crash stays its own.
//
//	this program ──starts──► node n1   ends when the pipe it holds ends (and, on Linux, with the thread that started it)
//	     │      ──starts──► node n2   …
//	     └───────starts──► cleaner   when its pipe ends, kills what is left and removes the directories
//
// A program that uses the package calls Main first thing, since it is started again as a node.
package embedded

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"

	"github.com/lbtest/lbtest/topologies"
)

// Options are what a caller may choose about how nodes are run.
type Options struct {
	Keep bool         // leave each deployment's directory behind: configurations, logs, stores
	Log  *slog.Logger // what happens to the nodes; nil for nothing
}

// New gives a runtime that starts nothing until its first deployment does.
func New(o Options) topologies.Runtime {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &runtime{keep: o.Keep, log: o.Log}
}

type runtime struct {
	keep bool
	log  *slog.Logger

	mu      sync.Mutex
	cleaner *cleaner // nil until a deployment needs it
	closed  bool
}

func (r *runtime) Name() string { return "embedded" }

// Usable says whether this program can be started again and has a place for its directories.
func (r *runtime) Usable(context.Context) error {
	if _, err := os.Stat(self()); err != nil {
		return fmt.Errorf("looking for this program, to start it as nodes: %w", err)
	}
	dir, err := os.MkdirTemp("", prefix)
	if err != nil {
		return fmt.Errorf("making a directory for nodes: %w", err)
	}
	return os.Remove(dir)
}

var _ topologies.Tidy = (*runtime)(nil)

// Start starts a deployment. Its addresses collide with no other deployment's, in this program or
// another; see hold.
func (r *runtime) Start(ctx context.Context, b topologies.Build) (topologies.Deployment, error) {
	c, err := r.clean()
	if err != nil {
		return nil, err
	}
	program, err := nodeProgram(r.log)
	if err != nil {
		return nil, err
	}
	d := &deployment{log: r.log, keep: r.keep, cleaner: c}
	if err := d.start(ctx, program, b); err != nil {
		return nil, errors.Join(fmt.Errorf("starting %s: %w", b.Topology.Name, err), d.Close())
	}
	return d, nil
}

// clean gives the runtime's cleaner, started on first use.
func (r *runtime) clean() (*cleaner, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return nil, errors.New("the embedded runtime is closed")
	}
	if r.cleaner == nil {
		removed, err := r.Tidy()
		if len(removed) > 0 || err != nil {
			r.log.Info("what earlier runs left", "removed", removed, "trouble", err)
		}
		c, err := startCleaner()
		if err != nil {
			return nil, err
		}
		r.cleaner = c
	}
	return r.cleaner, nil
}

// Close ends the cleaner, which first ends and removes whatever deployments were not closed.
func (r *runtime) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = true
	if r.cleaner == nil {
		return nil
	}
	c := r.cleaner
	r.cleaner = nil
	return c.close()
}
