package docker

import (
	"bytes"
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

// balancerName is the host name by which nodes know the program beside them.
const balancerName = "lb"

// program is a topologies.Program that runs in a container, and the networks that it shares with nodes.
type program struct {
	*box
	addr  netip.Addr
	front *link
	nodes map[string]*link

	input  client.HijackedResponse
	output *io.PipeReader
	words  tail // what it says on stderr
	heard  sync.WaitGroup

	once   sync.Once
	closed error
}

// Run makes a network for each node and one for this process, and starts the program on all of them.
func (r *runtime) Run(ctx context.Context, p topologies.Program) (topologies.Running, error) {
	if err := r.begin(ctx); err != nil {
		return nil, err
	}
	links, err := r.newLinks(ctx, 1+len(p.Nodes))
	if err != nil {
		return nil, errors.Join(err, removeLinks(links))
	}
	run := &program{front: links[0], nodes: map[string]*link{}}
	if run.addr, err = run.front.container(0); err != nil {
		return nil, errors.Join(err, removeLinks(links))
	}
	options := []testcontainers.ContainerCustomizer{
		testcontainers.WithCmd(p.Mode),
		testcontainers.WithConfigModifier(func(c *container.Config) {
			// When nobody is attached any more its input ends, and so does it.
			c.OpenStdin, c.StdinOnce = true, true
		}),
		testcontainers.WithHostConfigModifier(func(h *container.HostConfig) {
			h.LogConfig.Type = "none" // what it says is heard here and needs no copy on a disk
		}),
		testcontainers.WithAdditionalLifecycleHooks(testcontainers.ContainerLifecycleHooks{
			PreStarts: []testcontainers.ContainerHook{func(ctx context.Context, c testcontainers.Container) error { return run.attach(ctx, r.engine, c) }},
		}),
		tcnetwork.WithNetworkName([]string{balancerName}, run.front.name),
	}
	for i, node := range p.Nodes {
		run.nodes[node] = links[1+i]
		options = append(options, tcnetwork.WithNetworkName([]string{balancerName}, links[1+i].name))
	}
	b, err := r.newBox(ctx, "the balancer", p.Mode, run.front, run.addr, options...)
	if err != nil {
		run.detach()
		return nil, errors.Join(err, removeLinks(links))
	}
	run.box = b
	return run, nil
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
func (p *program) Name() string                { return balancerName }
func (p *program) Addr() string                { return p.addr.String() }
func (p *program) Outside() string             { return p.front.host().String() }

// Close removes the container and the networks.
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
		links := []*link{p.front}
		for _, l := range p.nodes {
			links = append(links, l)
		}
		p.closed = errors.Join(err, removeLinks(links))
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
