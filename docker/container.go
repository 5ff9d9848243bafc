package docker

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/client"
	"github.com/testcontainers/testcontainers-go"

	"github.com/lbtest/lbtest/topologies"
)

// box is one container, and what is known of its life.
type box struct {
	name   string // as errors call it
	engine *client.Client
	made   *testcontainers.DockerContainer

	mu      sync.Mutex
	life    *life // the latest
	paused  bool
	crashes []error // ends that nobody asked for
}

// life is one run of a container.
type life struct {
	wanted atomic.Bool        // that it ends: somebody has asked for it
	gone   chan struct{}      // closed once it has ended, or nobody can tell any more
	forget context.CancelFunc // ends the watching
	code   int64              // its exit code; valid after gone
	err    error              // why there is none
	// exhausted is whether the kernel ended it for want of memory; valid after gone.
	exhausted bool
}

// newBox makes a container of an image and starts it, in a mode of this program unless that is "", and with that address on the first network.
func (r *runtime) newBox(ctx context.Context, name, image, mode string, first *link, at netip.Addr, o ...testcontainers.ContainerCustomizer) (*box, error) {
	o = append(o,
		testcontainers.WithLabels(r.labels()),
		testcontainers.WithEndpointSettingsModifier(func(on map[string]*network.EndpointSettings) {
			if settings, ok := on[first.name]; ok {
				settings.IPAMConfig = &network.EndpointIPAMConfig{IPv4Address: at}
			}
		}),
	)
	if mode != "" {
		o = append(o, testcontainers.WithEnv(map[string]string{topologies.ModeVariable: mode}))
	}
	b := &box{name: name, engine: r.engine}
	made, err := testcontainers.Run(ctx, image, o...)
	b.made = made
	if err != nil {
		if made != nil {
			err = errors.Join(err, b.remove())
		}
		return nil, fmt.Errorf("starting %s: %w", name, err)
	}
	b.life = b.watch()
	return b, nil
}

// watch waits for the end of the run that has just begun.
func (b *box) watch() *life {
	ctx, forget := context.WithCancel(context.Background())
	l := &life{gone: make(chan struct{}), forget: forget}
	go func() {
		defer forget()
		defer close(l.gone)
		end := b.engine.ContainerWait(ctx, b.made.GetContainerID(), client.ContainerWaitOptions{Condition: container.WaitConditionNotRunning})
		select {
		case how := <-end.Result:
			l.code = how.StatusCode
			l.exhausted = b.wasExhausted(l.code)
		case l.err = <-end.Error:
		}
	}()
	return l
}

// over says whether the run has ended.
func (l *life) over() bool {
	select {
	case <-l.gone:
		return true
	default:
		return false
	}
}

func (l *life) how() string {
	if l.err != nil {
		return "its end was not seen: " + l.err.Error()
	}
	if l.exhausted {
		return fmt.Sprintf("the kernel killed it for want of memory (exit status %d); raise --node memory, or see what lbtest explain memory says", l.code)
	}
	return fmt.Sprintf("exit status %d", l.code)
}

// runningLocked says whether it runs, and makes a note if it should and does not.
func (b *box) runningLocked() bool {
	if b.life == nil || !b.life.over() {
		return b.life != nil
	}
	if !b.life.wanted.Load() {
		b.crashes = append(b.crashes, fmt.Errorf("%s ended by itself: %s", b.name, b.life.how()))
	}
	b.life, b.paused = nil, false
	return false
}

// Pause makes it stand still; its sockets stay open.
func (b *box) Pause() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.runningLocked() {
		return fmt.Errorf("pausing %s: it is not running", b.name)
	}
	if b.paused {
		return fmt.Errorf("pausing %s: it is paused already", b.name)
	}
	ctx, cancel := context.WithTimeout(context.Background(), engineLimit)
	defer cancel()
	if _, err := b.engine.ContainerPause(ctx, b.made.GetContainerID(), client.ContainerPauseOptions{}); err != nil {
		return fmt.Errorf("pausing %s: %w", b.name, err)
	}
	b.paused = true
	return nil
}

// Resume ends a pause.
func (b *box) Resume() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.runningLocked() {
		return fmt.Errorf("resuming %s: it is not running", b.name)
	}
	if !b.paused {
		return fmt.Errorf("resuming %s: it is not paused", b.name)
	}
	if err := b.thawLocked(); err != nil {
		return fmt.Errorf("resuming %s: %w", b.name, err)
	}
	return nil
}

func (b *box) thawLocked() error {
	ctx, cancel := context.WithTimeout(context.Background(), engineLimit)
	defer cancel()
	if _, err := b.engine.ContainerUnpause(ctx, b.made.GetContainerID(), client.ContainerUnpauseOptions{}); err != nil {
		return err
	}
	b.paused = false
	return nil
}

// Kill ends it at once and returns when it is gone.
func (b *box) Kill() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.runningLocked() {
		return fmt.Errorf("killing %s: it is not running", b.name)
	}
	if err := b.endLocked("SIGKILL"); err != nil {
		return fmt.Errorf("killing %s: %w", b.name, err)
	}
	return nil
}

// Stop ends it in an orderly way and returns when it is gone.
func (b *box) Stop() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case !b.runningLocked():
		return fmt.Errorf("stopping %s: it is not running", b.name)
	case b.paused:
		return fmt.Errorf("stopping %s: it is paused", b.name)
	}
	if err := b.endLocked("SIGTERM"); err != nil {
		return fmt.Errorf("stopping %s: %w", b.name, err)
	}
	return nil
}

// Retire has a nats-server leave in lame duck mode and returns when it is gone.
func (b *box) Retire() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case !b.runningLocked():
		return fmt.Errorf("retiring %s: it is not running", b.name)
	case b.paused:
		return fmt.Errorf("retiring %s: it is paused", b.name)
	}
	if err := b.endLocked(retire); err != nil {
		return fmt.Errorf("retiring %s: %w", b.name, err)
	}
	return nil
}

const (
	// endLimit is how long an orderly end may take; it is that of nodes which are child processes.
	endLimit = 30 * time.Second
	// retire is nats-server's signal for lame duck mode, and retireLimit how long that may take: by default clients
	// leave within 2 minutes, and then there is a shutdown.
	retire      = "SIGUSR2"
	retireLimit = 2*time.Minute + endLimit
)

// endLocked sends a signal and waits until it is gone.
func (b *box) endLocked(with string) error {
	b.life.wanted.Store(true)
	ctx, cancel := context.WithTimeout(context.Background(), engineLimit)
	defer cancel()
	if _, err := b.engine.ContainerKill(ctx, b.made.GetContainerID(), client.ContainerKillOptions{Signal: with}); err != nil && !b.life.over() {
		return err
	}
	if b.paused {
		// A frozen container's processes meet the signal once they thaw; the engine does that for SIGKILL in some
		// versions only, and then there is nothing left to thaw.
		_ = b.thawLocked()
	}
	limit := endLimit
	if with == retire {
		limit = retireLimit
	}
	late := time.NewTimer(limit)
	defer late.Stop()
	select {
	case <-b.life.gone:
	case <-late.C:
		if with == "SIGKILL" {
			return fmt.Errorf("it is still there %v after it was killed", limit)
		}
		return errors.Join(fmt.Errorf("still running after %v; killed", limit), b.endLocked("SIGKILL"))
	}
	b.life, b.paused = nil, false
	return nil
}

// again starts it another time, with the same address and the same files.
func (b *box) again(ctx context.Context) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.runningLocked() {
		return fmt.Errorf("starting %s: it is running", b.name)
	}
	if _, err := b.engine.ContainerStart(ctx, b.made.GetContainerID(), client.ContainerStartOptions{}); err != nil {
		return fmt.Errorf("starting %s: %w", b.name, err)
	}
	b.life = b.watch()
	return nil
}

// ended says how its run ended, or nothing if it runs.
func (b *box) ended() (how string, over bool) {
	b.mu.Lock()
	l := b.life
	b.mu.Unlock()
	if l == nil || !l.over() {
		return "", l == nil
	}
	return l.how(), true
}

// close removes it, whatever its state, and reports the ends that nobody asked for.
func (b *box) close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.runningLocked()
	if b.life != nil {
		b.life.wanted.Store(true)
		if b.paused {
			_ = b.thawLocked() // some engines do not remove what is paused, and those that do say so below
		}
	}
	err := b.remove()
	if b.life != nil {
		b.life.forget()
		<-b.life.gone
		b.life = nil
	}
	return errors.Join(append(b.crashes, err)...)
}

func (b *box) remove() error {
	ctx, cancel := context.WithTimeout(context.Background(), engineLimit)
	defer cancel()
	// At once: its files go with it.
	if err := testcontainers.TerminateContainer(b.made, testcontainers.StopContext(ctx), testcontainers.StopTimeout(0)); err != nil {
		return fmt.Errorf("removing %s: %w", b.name, err)
	}
	return nil
}
