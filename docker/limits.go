package docker

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"github.com/lbtest/lbtest/topologies"
)

// enforce puts limits into a container's making. An engine takes limits that its kernel cannot keep, and only warns:
// here that is an error.
func (r *runtime) enforce(ctx context.Context, l topologies.Limits) (func(*container.HostConfig), error) {
	if len(l.Enforced()) == 0 {
		return func(*container.HostConfig) {}, nil
	}
	info, err := r.engine.Info(ctx, client.InfoOptions{})
	if err != nil {
		return nil, fmt.Errorf("asking the engine which limits it can enforce: %w", err)
	}
	switch {
	case l.Memory > 0 && !info.Info.MemoryLimit:
		return nil, fmt.Errorf("the engine's kernel keeps no container to a memory limit (cgroup %s)", info.Info.CgroupVersion)
	case l.CPUs > 0 && !info.Info.CPUCfsQuota:
		return nil, fmt.Errorf("the engine's kernel keeps no container to a part of its processors (cgroup %s)", info.Info.CgroupVersion)
	}
	return func(h *container.HostConfig) {
		h.Memory = l.Memory
		if info.Info.SwapLimit {
			h.MemorySwap = l.Memory // memory and swap together: no swap, as in a pod
		}
		h.NanoCPUs = int64(l.CPUs * 1e9)
	}, nil
}

// Used implements topologies.Limited.
func (n *node) Used(ctx context.Context) (topologies.Usage, error) {
	said, err := n.engine.ContainerStats(ctx, n.made.GetContainerID(), client.ContainerStatsOptions{})
	if err != nil {
		return topologies.Usage{}, fmt.Errorf("asking what %s uses: %w", n.name, err)
	}
	defer said.Body.Close()
	var stats container.StatsResponse
	if err := json.NewDecoder(said.Body).Decode(&stats); err != nil {
		return topologies.Usage{}, fmt.Errorf("reading what %s uses: %w", n.name, err)
	}
	return topologies.Usage{
		// What files leave in memory is given back when it is needed. cgroup v1 has the one name, v2 the other.
		Memory:  int64(stats.MemoryStats.Usage) - int64(max(stats.MemoryStats.Stats["total_inactive_file"], stats.MemoryStats.Stats["inactive_file"])),
		Limit:   int64(stats.MemoryStats.Limit),
		Periods: int(stats.CPUStats.ThrottlingData.Periods), Throttled: int(stats.CPUStats.ThrottlingData.ThrottledPeriods),
		Faults: int(stats.MemoryStats.Stats["pgmajfault"]),
	}, nil
}

// Exhausted implements topologies.Limited.
func (n *node) Exhausted() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.life == nil || !n.life.over() || !n.life.exhausted {
		return false
	}
	n.life.wanted.Store(true) // no failure of ours: it is what is looked for
	n.writing.Wait()
	return true
}

// wasExhausted asks whether the kernel ended a container's run for want of memory. A run that did not end by SIGKILL was not.
func (b *box) wasExhausted(code int64) bool {
	const killed = 128 + 9 // by SIGKILL
	if code != killed {
		return false
	}
	ctx, cancel := context.WithTimeout(context.Background(), engineLimit)
	defer cancel()
	is, err := b.engine.ContainerInspect(ctx, b.made.GetContainerID(), client.ContainerInspectOptions{})
	return err == nil && is.Container.State != nil && is.Container.State.OOMKilled
}
