package docker

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strings"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"
	"github.com/testcontainers/testcontainers-go"
	"github.com/testcontainers/testcontainers-go/wait"

	"github.com/lbtest/lbtest/topologies"
)

// server is the nats-server that nodes are, as an image and what it is to be started with.
type server struct {
	image      string
	mode       string   // see topologies.ModeVariable; "" for an image that is not this program's
	entrypoint []string // nil for the image's own
	arguments  []string
}

// whichServer is this program in a mode of its own, or what an image holds.
func (r *runtime) whichServer(ctx context.Context, program string) (server, error) {
	if r.options.Image == "" {
		return server{image: program, mode: r.options.Node, arguments: []string{r.options.Node, configFile}}, nil
	}
	found, err := r.engine.ImageInspect(ctx, r.options.Image)
	if err != nil {
		return server{}, fmt.Errorf("looking at the nodes' image: %w", err)
	}
	s := server{image: r.options.Image, arguments: []string{"-c", configFile}}
	switch c := found.Config; {
	case c == nil || len(c.Entrypoint) == 0 && len(c.Cmd) == 0:
		return s, fmt.Errorf("image %s says of no program that it is to be started: it is none of a nats-server", r.options.Image)
	case len(c.Entrypoint) == 0:
		s.entrypoint = c.Cmd[:1] // the program; what follows are its usual arguments
	}
	return s, nil
}

// fetch sees to it that the engine has the nodes' image, before anything starts. Its error is the user's.
func (r *runtime) fetch(ctx context.Context, engine *client.Client) error {
	name := r.options.Image
	if _, err := engine.ImageInspect(ctx, name); err == nil {
		return nil
	}
	r.options.Log.Info("pulling an image", "image", name)
	said, err := engine.ImagePull(ctx, name, client.ImagePullOptions{})
	if err == nil {
		err = said.Wait(ctx)
	}
	if err != nil {
		return fmt.Errorf("the Docker engine has no image %s, and cannot pull it: %w", name, err)
	}
	return nil
}

// checkElsewhere has the image's own server read the configuration of one node of each cluster. Its errors are the user's, or
// of what could not be asked.
func (r *runtime) checkElsewhere(b topologies.Build) error {
	ctx, cancel := context.WithTimeout(context.Background(), engineLimit)
	defer cancel()
	if err := r.begin(ctx); err != nil {
		return err
	}
	var members []topologies.Member
	for i, name := range b.Topology.Nodes() {
		// Addresses that are only read: any will do as long as they differ.
		at := netip.AddrFrom4([4]byte{127, 0, 0, byte(1 + i)})
		members = append(members, memberOf(b, name, at))
	}
	b = b.Directly(members)
	for _, c := range b.Topology.Clusters {
		m := members[slices.IndexFunc(members, func(m topologies.Member) bool { return m.Name == c.Nodes[0] })]
		if err := r.checkNode(ctx, b, m); err != nil {
			return err
		}
	}
	return nil
}

func (r *runtime) checkNode(ctx context.Context, b topologies.Build, m topologies.Member) (err error) {
	text, err := topologies.Render(b, m)
	if err != nil {
		return err
	}
	made, err := testcontainers.Run(ctx, r.server.image, append(r.server.options(),
		testcontainers.WithLabels(r.labels()),
		testcontainers.WithCmdArgs("-t"),
		testcontainers.WithFiles(filesOf(b, m, text)...),
		testcontainers.WithHostConfigModifier(func(h *container.HostConfig) { h.NetworkMode = "none" }),
		testcontainers.WithWaitStrategy(wait.ForExit()),
	)...)
	if made != nil {
		defer func() { err = errors.Join(err, testcontainers.TerminateContainer(made, testcontainers.StopTimeout(0))) }()
	}
	if err != nil {
		return fmt.Errorf("asking image %s about the configuration: %w", r.server.image, err)
	}
	state, err := made.State(ctx)
	if err != nil {
		return fmt.Errorf("asking image %s about the configuration: %w", r.server.image, err)
	}
	if state.ExitCode == 0 {
		return nil
	}
	words := "nothing"
	if said, err := made.Logs(ctx); err == nil {
		all, _ := io.ReadAll(said)
		said.Close()
		words = strings.TrimSpace(string(all))
	}
	given := make([]string, len(b.Tuning.Nats))
	for i, kv := range b.Tuning.Nats {
		given[i] = "--nats " + kv.String()
	}
	return fmt.Errorf("%s: the nats-server of image %s says: %s", strings.Join(given, " "), r.server.image, words)
}

// options start a container as the server.
func (s server) options() []testcontainers.ContainerCustomizer {
	all := []testcontainers.ContainerCustomizer{testcontainers.WithCmd(s.arguments...)}
	if s.entrypoint != nil {
		all = append(all, testcontainers.WithEntrypoint(s.entrypoint...))
	}
	if s.mode == "" {
		// An image may say that its program is somebody who may not read what is put there.
		all = append(all, testcontainers.WithConfigModifier(func(c *container.Config) { c.User = "0" }))
	}
	return all
}
