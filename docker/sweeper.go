package docker

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"github.com/lbtest/lbtest/topologies"
)

// sweeperMode makes this program the process that sweeps up after another.
const sweeperMode = "__docker-sweeper"

// Main must be called first thing in main and in each TestMain. In a process that was started as the sweeper
// it never returns; in every other it does nothing.
func Main() {
	if len(os.Args) < 2 || os.Args[1] != sweeperMode || os.Getenv(topologies.ModeVariable) != sweeperMode {
		return
	}
	if err := beSweeper(os.Args[2:], os.Stdin); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// sweeper is this side of the process that removes what this one leaves behind, should it be killed.
type sweeper struct {
	cmd *exec.Cmd
	// pipe ends with this process, which is what the sweeper waits for. A file that nothing refers to any more is
	// closed by the garbage collector, and the sweep would come too early.
	pipe *os.File
}

// dismissed is what the sweeper is told when there is nothing left to sweep.
const dismissed = "dismissed\n"

// startSweeper starts the process that removes what carries a run's label, and a directory unless it is "".
func startSweeper(run, dir string) (*sweeper, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("making a pipe to the sweeper: %w", err)
	}
	defer r.Close()
	cmd := exec.Command("/proc/self/exe")
	cmd.Args = []string{"lbtest", sweeperMode, run, dir}
	// The last is for a program with the race detector, which otherwise sleeps a second before it ends.
	cmd.Env = append(os.Environ(), topologies.ModeVariable+"="+sweeperMode, "GORACE=atexit_sleep_ms=0")
	cmd.Dir = "/" // keeps no directory busy
	cmd.Stdin = r
	// A session of its own: neither the terminal's Ctrl-C nor its end reaches it.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		w.Close()
		return nil, fmt.Errorf("starting the sweeper: %w", err)
	}
	return &sweeper{cmd: cmd, pipe: w}, nil
}

// dismiss ends the sweeper without a sweep and returns once it has ended.
func (s *sweeper) dismiss() error {
	_, err := io.WriteString(s.pipe, dismissed)
	err = errors.Join(err, s.pipe.Close())
	if werr := s.cmd.Wait(); werr != nil {
		err = errors.Join(err, fmt.Errorf("the sweeper: %w", werr))
	}
	return err
}

// beSweeper is the whole life of the sweeper. It acts when the pipe ends.
func beSweeper(args []string, pipe io.Reader) error {
	signal.Ignore(syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	if len(args) != 2 || args[0] == "" {
		return fmt.Errorf("the sweeper is started with a run and a directory, not with %q", args)
	}
	run, dir := args[0], args[1]
	if said, _ := io.ReadAll(pipe); string(said) == dismissed {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), engineLimit)
	defer cancel()
	engine, err := connect(ctx)
	if err != nil {
		return err
	}
	defer engine.Close()
	err = sweepUp(ctx, func() (int, error) { return sweep(ctx, engine, run) })
	if strings.HasPrefix(filepath.Base(dir), dirPrefix) {
		err = errors.Join(err, os.RemoveAll(dir))
	}
	return err
}

// What a killed process had asked the engine for may still come into being for a moment: the engine ends a
// request whose asker is gone, but not at once. Sweeps go on until nothing has been found for that long.
const (
	sweepEvery = 250 * time.Millisecond
	quietFor   = 2 * time.Second
)

// sweepUp sweeps until there has been nothing to sweep for quietFor.
func sweepUp(ctx context.Context, sweep func() (found int, err error)) error {
	tick := time.NewTicker(sweepEvery)
	defer tick.Stop()
	last := time.Now()
	for {
		found, err := sweep()
		if found > 0 || err != nil {
			last = time.Now()
		}
		if time.Since(last) >= quietFor {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return errors.Join(fmt.Errorf("sweeping: %w", ctx.Err()), err)
		}
	}
}

// sweep removes what carries a run's label, once, and says how much that was.
func sweep(ctx context.Context, engine *client.Client, run string) (found int, err error) {
	removed, err := sweepOf(ctx, engine, func(labels map[string]string) bool { return labels[runLabel] == run })
	return len(removed), err
}

// sweepOf removes what carries such labels of a run's, once, containers before the networks that they are on, and says
// what it was.
func sweepOf(ctx context.Context, engine *client.Client, which func(labels map[string]string) bool) (removed []string, err error) {
	labelled := client.Filters{}.Add("label", runLabel)
	boxes, err := engine.ContainerList(ctx, client.ContainerListOptions{All: true, Filters: labelled})
	if err != nil {
		return nil, fmt.Errorf("listing containers: %w", err)
	}
	boxes.Items = slices.DeleteFunc(boxes.Items, func(c container.Summary) bool { return !which(c.Labels) })
	for _, c := range boxes.Items {
		removed = append(removed, "container "+strings.TrimPrefix(strings.Join(c.Names, " "), "/"))
	}
	err = each(boxes.Items, func(c container.Summary) error {
		_, _ = engine.ContainerUnpause(ctx, c.ID, client.ContainerUnpauseOptions{}) // most are not paused
		_, err := engine.ContainerRemove(ctx, c.ID, client.ContainerRemoveOptions{Force: true, RemoveVolumes: true})
		return err
	})
	links, lerr := engine.NetworkList(ctx, client.NetworkListOptions{Filters: labelled})
	if lerr != nil {
		return removed, errors.Join(err, fmt.Errorf("listing networks: %w", lerr))
	}
	for _, n := range links.Items {
		if !which(n.Labels) {
			continue
		}
		removed = append(removed, "network "+n.Name)
		_, rerr := engine.NetworkRemove(ctx, n.ID, client.NetworkRemoveOptions{})
		err = errors.Join(err, rerr)
	}
	return removed, err
}

// sideBySide is how many removals the engine is asked for at once: it spends most of one waiting.
const sideBySide = 8

func each[T any](all []T, do func(T) error) error {
	errs := make([]error, len(all))
	slots := make(chan struct{}, sideBySide)
	var wg sync.WaitGroup
	for i, one := range all {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			errs[i] = do(one)
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}
