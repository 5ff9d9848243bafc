package docker

import (
	"context"
	"fmt"

	"github.com/moby/moby/client"
)

// Engine is what is to be known about the Docker engine of this machine before containers are asked of it.
type Engine struct {
	Host    string // where it answers
	Version string
	API     string // that this program speaks with it
	Cgroup  string // version of the limits it sets: 1 or 2
	Image   string // of this program, where it is there already; "" before the first run
	Reaper  bool   // it has testcontainers' reaper, which then cleans up besides
}

// Examine asks the engine about itself, and starts nothing.
func Examine(ctx context.Context) (Engine, error) {
	engine, err := connect(ctx)
	if err != nil {
		return Engine{}, err
	}
	defer engine.Close()
	info, err := engine.Info(ctx, client.InfoOptions{})
	if err != nil {
		return Engine{}, fmt.Errorf("asking the Docker engine about itself: %w", err)
	}
	found := Engine{Host: engine.DaemonHost(), Version: info.Info.ServerVersion, API: engine.ClientVersion(), Cgroup: info.Info.CgroupVersion, Reaper: reaped()}
	if images, err := engine.ImageList(ctx, client.ImageListOptions{Filters: client.Filters{}.Add("reference", imageName)}); err == nil {
		for _, i := range images.Items {
			for _, tag := range i.RepoTags {
				found.Image = tag
			}
		}
	}
	return found, nil
}
