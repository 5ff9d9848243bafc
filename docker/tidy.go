package docker

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/moby/moby/client"

	"github.com/lbtest/lbtest/topologies"
)

var _ topologies.Tidy = (*runtime)(nil)

// Tidy implements topologies.Tidy: it removes the containers, networks and directories of runs whose process is gone, and
// the images of other builds that no container is of. This program's own stays, since it is of use to the next run.
func (r *runtime) Tidy() (removed []string, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), engineLimit)
	defer cancel()
	removed, err = tidyDirs()
	engine, cerr := connect(ctx)
	if cerr != nil {
		return removed, errors.Join(err, cerr)
	}
	defer engine.Close()
	swept, serr := tidyEngine(ctx, engine)
	images, ierr := tidyOthers(ctx, engine)
	return append(append(swept, images...), removed...), errors.Join(err, serr, ierr)
}

// tidyOthers removes the images of other builds. A program that has to be built again for containers does not know which
// one is its own before it is; its next run does.
func tidyOthers(ctx context.Context, engine *client.Client) (removed []string, err error) {
	from, err := findProgram(ctx)
	if err != nil || from.file == "" {
		return nil, err
	}
	program, err := from.read(ctx, "")
	if err != nil {
		return nil, err
	}
	return tidyImages(ctx, engine, imageOf(program))
}

// tidyEngine removes what is of no living process from an engine. What a sweeper is removing at the same time is gone
// then all the same, and that it is draws no error twice: it is looked for once more.
func tidyEngine(ctx context.Context, engine *client.Client) (removed []string, err error) {
	for range 2 {
		var swept []string
		swept, err = sweepOf(ctx, engine, func(labels map[string]string) bool { return topologies.Owner(labels[ownerLabel]).Gone() })
		removed = append(removed, swept...)
		if err == nil {
			break
		}
	}
	if err != nil {
		return removed, fmt.Errorf("removing what earlier runs left in the Docker engine: %w", err)
	}
	return removed, nil
}

func tidyDirs() (removed []string, err error) {
	dirs, err := topologies.Abandoned(os.TempDir(), dirPrefix)
	if err != nil {
		return nil, err
	}
	var errs []error
	for _, dir := range dirs {
		if err := os.RemoveAll(dir); err != nil {
			errs = append(errs, err)
			continue
		}
		removed = append(removed, "directory "+dir)
	}
	return removed, errors.Join(errs...)
}
