package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	goruntime "runtime"
	"time"

	"github.com/spf13/cobra"

	"github.com/lbtest/lbtest/cmd/internal/suite"
	"github.com/lbtest/lbtest/docker"
)

func (p *program) doctorCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "say what this machine allows, and what would be skipped here",
		Long: "doctor looks at this machine and changes nothing: whether nodes and containers can be started, how many connections\n" +
			"fit, which parts of the kernel are there, and what lbtest would skip for want of something.\n\n" +
			"It exits with 0 if nodes can be run (the default runtime), 3 if not.",
		Example: "  lbtest doctor\n  lbtest doctor --json",
		Args:    noArguments,
	}
	asJSON := jsonFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return p.doctor(cmd.Context(), *asJSON) }
	return cmd
}

// checkup is what the doctor says. Its fields are promised to readers of --json.
type checkup struct {
	OK        bool      `json:"ok"` // the default runtime can run nodes
	Checks    []check   `json:"checks"`
	WouldSkip []skipped `json:"would_skip"`
}

type check struct {
	Name  string `json:"name"`
	State string `json:"state"` // ok, missing, or broken: without it nothing runs
	Value string `json:"value"`
}

type skipped struct {
	What string `json:"what"`
	Why  string `json:"why"`
}

const (
	stateOK      = "ok"
	stateMissing = "missing"
	stateBroken  = "broken"
)

func (c *checkup) add(name, state, format string, v ...any) {
	c.Checks = append(c.Checks, check{name, state, fmt.Sprintf(format, v...)})
}

// have adds a check that holds, or what is skipped without it.
func (c *checkup) have(name, value string, err error, without ...string) {
	if err == nil {
		c.add(name, stateOK, "%s", value)
		return
	}
	c.add(name, stateMissing, "%v", err)
	for _, what := range without {
		c.WouldSkip = append(c.WouldSkip, skipped{what, name + ": " + err.Error()})
	}
}

// examining is how long all of it may take: every answer comes in milliseconds, but an engine that hangs.
const examining = 20 * time.Second

func (p *program) doctor(ctx context.Context, asJSON bool) error {
	ctx, cancel := context.WithTimeout(ctx, examining)
	defer cancel()
	c := checkup{Checks: []check{}, WouldSkip: []skipped{}}
	p.examineNodes(ctx, &c)
	examineRoom(&c)
	containers := examineEngine(ctx, &c)
	examineKernel(ctx, &c, containers)
	c.add("haproxy, nginx", stateOK, "not needed: only lbtest's own tests hold its balancer against them")
	if asJSON {
		if err := p.json(c); err != nil {
			return err
		}
	} else if err := p.prescribe(c); err != nil {
		return err
	}
	if !c.OK {
		return ended{exitOurs}
	}
	return nil
}

// examineNodes asks whether the main job can be done: nodes of this same program, on the loopback interface.
func (p *program) examineNodes(ctx context.Context, c *checkup) {
	rt := p.runtime(runtimes[0].name, nodeOptions{}, slog.New(slog.DiscardHandler))
	err := errors.Join(rt.Usable(ctx), rt.Close())
	l, lerr := net.Listen("tcp", "127.0.0.1:0")
	if lerr == nil {
		lerr = l.Close()
	}
	if err = errors.Join(err, lerr); err != nil {
		c.add("nodes", stateBroken, "%v", err)
		return
	}
	c.OK = true
	c.add("nodes", stateOK, "this program starts as nodes, which listen at 127.0.0.1 (%s)", goruntime.GOOS)
}

// memory is what this machine has and could give.
func memory() string {
	total, available, err := suite.Memory()
	if err != nil {
		return "unknown: " + err.Error()
	}
	return fmt.Sprintf("%d MiB, %d MiB of them free; a lab of three nodes takes up to %d MiB", total>>20, available>>20, suite.MemoryEach>>20)
}

// examineRoom asks how much fits.
func examineRoom(c *checkup) {
	labs, files, clients := suite.Room()
	c.add("cores", stateOK, "%d, for %d labs side by side", goruntime.NumCPU(), labs)
	c.have("memory", memory(), nil)
	c.add("open files", stateOK, "%d, enough for --clients %d", files, clients)
	c.have("ports", ports(), nil)
}

// examineEngine asks whether there can be containers; nil if so.
func examineEngine(ctx context.Context, c *checkup) error {
	const name = "Docker engine"
	e, err := docker.Examine(ctx)
	if err == nil {
		rt := runtimeCalled("docker").open(nodeOptions{}, slog.New(slog.DiscardHandler))
		err = errors.Join(rt.Usable(ctx), rt.Close())
	}
	c.have(name, fmt.Sprintf("%s at %s, API %s", e.Version, e.Host, e.API), err, "--runtime docker", "--nats-image", "--node memory", "--node cpus")
	if err != nil {
		return err
	}
	c.add("cgroup", stateOK, "version %s, which limits memory and CPU of containers", e.Cgroup)
	if e.Image == "" {
		c.add("image", stateOK, "not there yet; the first run with --runtime docker makes it")
	} else {
		c.add("image", stateOK, "%s", e.Image)
	}
	reaper := "not there and not needed; lbtest sweeps up after itself"
	if e.Reaper {
		reaper = "there, and used besides lbtest's own sweeper"
	}
	c.add("ryuk", stateOK, "%s", reaper)
	return nil
}

// balancesAsKernel says whether --set engine=kernel can be had: the rules are programmed into a network that a balancer
// has to itself, which is that of a container.
func (c *checkup) balancesAsKernel(containers, nftables error) {
	var why error
	switch {
	case containers != nil:
		why = fmt.Errorf("it balances in a container of its own (--runtime docker), and the Docker engine cannot be used: %w", containers)
	case nftables != nil:
		why = fmt.Errorf("it balances by nftables: %w", nftables)
	}
	c.have("kernel balancer", "with --runtime docker, in the balancer's container; --runtime embedded skips --set engine=kernel", why, "--set engine=kernel")
}

// prescribe writes the checkup for a reader.
func (p *program) prescribe(c checkup) error {
	var rows [][]string
	for _, one := range c.Checks {
		rows = append(rows, []string{one.Name, one.State, one.Value})
	}
	if err := p.table(rows); err != nil {
		return err
	}
	if len(c.WouldSkip) == 0 {
		_, err := io.WriteString(p.out, "\nnothing would be skipped\n")
		return err
	}
	fmt.Fprintln(p.out, "\nwould skip")
	for _, s := range c.WouldSkip {
		field(p.out, "", s.What+": "+s.Why)
	}
	return nil
}
