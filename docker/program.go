package docker

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strings"
	"sync"

	"github.com/moby/moby/api/pkg/stdcopy"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"
	"github.com/testcontainers/testcontainers-go"
	tcnetwork "github.com/testcontainers/testcontainers-go/network"

	"github.com/lbtest/lbtest/topologies"
)

// balancerName is the host name by which nodes know a program that was given none.
const balancerName = "lb"

// program is a topologies.Program that runs in a container.
type program struct {
	*box
	called string // by the nodes
	addr   netip.Addr
	ground *ground
	owner  bool // of the ground

	input  client.HijackedResponse
	output *io.PipeReader
	words  tail // what it says on stderr
	heard  sync.WaitGroup

	once   sync.Once
	closed error
}

// Run starts the program on networks made for it, or on those of another.
func (r *runtime) Run(ctx context.Context, p topologies.Program) (topologies.Running, error) {
	if err := r.begin(ctx); err != nil {
		return nil, err
	}
	run := &program{called: cmp.Or(p.Name, balancerName)}
	var err error
	switch beside, ok := p.Beside.(*program); {
	case ok:
		run.ground = beside.ground
	case p.Beside != nil:
		return nil, fmt.Errorf("what the program is to run beside is no container of this runtime's but a %T", p.Beside)
	default:
		run.owner = true
		if run.ground, err = r.newGround(ctx, p.Networks); err != nil {
			return nil, err
		}
	}
	if err := run.start(ctx, r, p); err != nil {
		return nil, errors.Join(err, run.leave())
	}
	return run, nil
}

func (p *program) start(ctx context.Context, r *runtime, of topologies.Program) (err error) {
	if p.addr, err = p.ground.seat(); err != nil {
		return err
	}
	options := []testcontainers.ContainerCustomizer{
		testcontainers.WithCmd(of.Mode),
		testcontainers.WithConfigModifier(func(c *container.Config) {
			// When nobody is attached any more its input ends, and so does it.
			c.OpenStdin, c.StdinOnce = true, true
		}),
		testcontainers.WithHostConfigModifier(func(h *container.HostConfig) {
			h.LogConfig.Type = "none" // what it says is heard here and needs no copy on a disk
			h.CapAdd, h.Sysctls = append(h.CapAdd, of.Capabilities...), of.Sysctls
		}),
		testcontainers.WithAdditionalLifecycleHooks(testcontainers.ContainerLifecycleHooks{
			PreStarts: []testcontainers.ContainerHook{func(ctx context.Context, c testcontainers.Container) error { return p.attach(ctx, r.engine, c) }},
		}),
		tcnetwork.WithNetworkName([]string{p.called}, p.ground.front.name),
	}
	for _, shared := range p.ground.shared {
		options = append(options, tcnetwork.WithNetworkName([]string{p.called}, shared.name))
	}
	b, err := r.newBox(ctx, "the balancer "+p.called, r.image, of.Mode, p.ground.front, p.addr, options...)
	if err != nil {
		p.detach()
		return err
	}
	p.box = b
	return nil
}

// attach takes hold of the program's input and output before it starts.
func (p *program) attach(ctx context.Context, engine *client.Client, c testcontainers.Container) error {
	attached, err := engine.ContainerAttach(context.WithoutCancel(ctx), c.GetContainerID(),
		client.ContainerAttachOptions{Stream: true, Stdin: true, Stdout: true, Stderr: true})
	if err != nil {
		return fmt.Errorf("attaching to the balancer: %w", err)
	}
	p.input = attached.HijackedResponse
	output, w := io.Pipe()
	p.output = output
	p.heard.Go(func() {
		_, err := stdcopy.StdCopy(w, &p.words, p.input.Reader)
		w.CloseWithError(err) // nil is the end of its output
	})
	return nil
}

func (p *program) detach() {
	if p.output == nil {
		return
	}
	p.input.Close()
	p.output.Close()
	p.heard.Wait()
}

func (p *program) Read(b []byte) (int, error)  { return p.output.Read(b) }
func (p *program) Write(b []byte) (int, error) { return p.input.Conn.Write(b) }
func (p *program) Name() string                { return p.called }
func (p *program) Addr() string                { return p.addr.String() }
func (p *program) Outside() string             { return p.ground.front.host().String() }

// Place implements topologies.Running.
func (p *program) Place(node string) string {
	if at, ok := p.ground.at[node]; ok {
		return at.String()
	}
	return ""
}

// leave removes the networks, if they are the program's own.
func (p *program) leave() error {
	if !p.owner {
		return nil
	}
	return p.ground.close()
}

// Close removes the container, and the networks if they are its own.
func (p *program) Close() error {
	p.once.Do(func() {
		p.mu.Lock()
		if l := p.life; l != nil && l.over() && l.err == nil && l.code == 0 {
			l.wanted.Store(true) // somebody told it to end: nothing else makes it end well
		}
		p.mu.Unlock()
		err := p.close()
		p.detach()
		if said := p.words.String(); err != nil && said != "" {
			err = fmt.Errorf("%w\nits last words:\n  %s", err, strings.ReplaceAll(said, "\n", "\n  "))
		}
		p.closed = errors.Join(err, p.leave())
	})
	return p.closed
}

// tail keeps the end of what is written to it.
type tail struct {
	mu   sync.Mutex
	kept []byte
}

// tailSize holds a panic's message and the goroutine that it came from.
const tailSize = 4 << 10

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.kept = append(t.kept, p...)
	t.kept = slices.Clone(t.kept[max(0, len(t.kept)-tailSize):])
	return len(p), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(bytes.TrimSpace(t.kept))
}
