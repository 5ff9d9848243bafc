package docker

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"debug/elf"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"
	"github.com/testcontainers/testcontainers-go"
)

// imageName is the one image there is. Its tag is the program's hash, so that it is built once for each program.
const imageName = "lbtest/program"

// inImage is where the program is in its image.
const inImage = "/lbtest"

// dockerfile describes an image that holds the program and nothing else.
const dockerfile = "FROM scratch\nLABEL " + imageLabel + "\nCOPY " + inImage + " " + inImage + "\nENTRYPOINT [\"" + inImage + "\"]\n"

// imageLabel is what an image is known by that has lost its name, or never got one: two runs that build at the same time
// give it to one of theirs.
const imageLabel = "lbtest.image=program"

// program is where the image's program comes from: this one's own file, or else its source.
type origin struct {
	file   string   // "" if it is to be built
	source []string // the go command's arguments that build it, but for -o
}

// findProgram says where a program comes from that runs in an empty image. That is one which needs no loader: Go
// links such with CGO_ENABLED=0, as `make build` has it. Any other is built again from its source, if that is at hand.
func findProgram(ctx context.Context) (origin, error) {
	const self = "/proc/self/exe" // this program, even if its file has been replaced or removed since it was started
	static, err := standsAlone(self)
	if err != nil {
		return origin{}, err
	}
	if static {
		return origin{file: self}, nil
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return origin{}, errors.New(needsLoader + " (make build does)")
	}
	source := []string{"build", "-race=false", "-cover=false"}
	pkg, isTest := strings.CutSuffix(info.Path, ".test")
	if isTest {
		source = []string{"test", "-c", "-race=false", "-cover=false"}
	}
	source = append(source, "-trimpath", "-ldflags=-s -w", pkg)
	if out, err := exec.CommandContext(ctx, "go", "list", "-e=false", pkg).CombinedOutput(); err != nil {
		return origin{}, fmt.Errorf("%s (make build does), or run it where the source of %s is: %w\n%s", needsLoader, pkg, err, bytes.TrimSpace(out))
	}
	return origin{source: source}, nil
}

const needsLoader = "this program was linked with C libraries, which containers do not have: build it with CGO_ENABLED=0"

// standsAlone says whether a program runs without a loader and its libraries.
func standsAlone(file string) (bool, error) {
	f, err := elf.Open(file)
	if err != nil {
		return false, fmt.Errorf("reading this program, to put it into containers: %w", err)
	}
	defer f.Close()
	return !slices.ContainsFunc(f.Progs, func(p *elf.Prog) bool { return p.Type == elf.PT_INTERP }), nil
}

// read gives the program's bytes, built in dir if it must be.
func (o origin) read(ctx context.Context, dir string) ([]byte, error) {
	file := o.file
	if file == "" {
		file = filepath.Join(dir, "program")
		defer os.Remove(file)
		at := slices.Index(o.source, "-trimpath")
		cmd := exec.CommandContext(ctx, "go", slices.Insert(slices.Clone(o.source), at, "-o", file)...)
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			return nil, fmt.Errorf("building this program for containers: %w\n%s", err, bytes.TrimSpace(out))
		}
	}
	program, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("reading this program, to put it into containers: %w", err)
	}
	return program, nil
}

// build gives the image of this program, made unless the engine has it.
func build(ctx context.Context, engine *client.Client, dir string) (string, error) {
	from, err := findProgram(ctx)
	if err != nil {
		return "", err
	}
	program, err := from.read(ctx, dir)
	if err != nil {
		return "", err
	}
	image := imageOf(program)
	if _, err := engine.ImageInspect(ctx, image); err == nil {
		return image, nil
	}
	return image, buildOf(ctx, program, image)
}

// imageOf is the name of a program's image.
func imageOf(program []byte) string {
	sum := sha256.Sum256(program)
	return imageName + ":" + hex.EncodeToString(sum[:])[:12]
}

// buildOf makes an image of that name which holds a program.
func buildOf(ctx context.Context, program []byte, image string) error {
	archive, err := archived(map[string][]byte{"Dockerfile": []byte(dockerfile), path.Base(inImage): program})
	if err != nil {
		return err
	}
	provider, err := testcontainers.NewDockerProvider()
	if err != nil {
		return fmt.Errorf("building an image of this program: %w", err)
	}
	defer provider.Close()
	name, tag, _ := strings.Cut(image, ":")
	if _, err := provider.BuildImage(ctx, &testcontainers.ContainerRequest{FromDockerfile: testcontainers.FromDockerfile{
		ContextArchive: bytes.NewReader(archive), Repo: name, Tag: tag, KeepImage: true,
	}}); err != nil {
		return fmt.Errorf("building an image of this program: %w", err)
	}
	return nil
}

// hold keeps the image for as long as the run lasts, and gives what holds it: the engine removes no image that a
// container is of, though it is never started.
func (r *runtime) hold(ctx context.Context, image string) (id string, err error) {
	made, err := r.engine.ContainerCreate(ctx, client.ContainerCreateOptions{
		Config:     &container.Config{Image: image, Labels: r.labels()},
		HostConfig: &container.HostConfig{NetworkMode: "none"},
	})
	if err != nil {
		return "", fmt.Errorf("holding the image of this program: %w", err)
	}
	return made.ID, nil
}

// tidyImages removes the images of other builds of this program, unless a container is of one: a run that is under way
// holds its own.
func tidyImages(ctx context.Context, engine *client.Client, keep string) (removed []string, err error) {
	for range 2 { // what somebody else has taken or removed meanwhile is no trouble the second time
		var gone []string
		gone, err = tidyImagesOnce(ctx, engine, keep)
		removed = append(removed, gone...)
		if err == nil {
			break
		}
	}
	if err != nil {
		return removed, fmt.Errorf("removing images of other builds: %w", err)
	}
	return removed, nil
}

// naming is how long an engine may take to name what it has built, a thousand times what it takes.
const naming = 10 * time.Second

func tidyImagesOnce(ctx context.Context, engine *client.Client, keep string) (removed []string, err error) {
	images, err := engine.ImageList(ctx, client.ImageListOptions{Filters: client.Filters{}.Add("reference", imageName)})
	if err != nil {
		return nil, err
	}
	nameless, err := engine.ImageList(ctx, client.ImageListOptions{Filters: client.Filters{}.Add("dangling", "true").Add("label", imageLabel)})
	if err != nil {
		return nil, err
	}
	boxes, err := engine.ContainerList(ctx, client.ContainerListOptions{All: true})
	if err != nil {
		return nil, err
	}
	used := map[string]bool{}
	for _, c := range boxes.Items {
		used[c.ImageID] = true
	}
	var stale []string
	for _, i := range nameless.Items {
		if !used[i.ID] && time.Since(time.Unix(i.Created, 0)) > naming {
			stale = append(stale, i.ID)
		}
	}
	for _, i := range images.Items {
		if used[i.ID] || slices.Contains(i.RepoTags, keep) {
			continue
		}
		for _, tag := range i.RepoTags {
			if strings.HasPrefix(tag, imageName+":") { // somebody may have given it another name as well
				stale = append(stale, tag)
			}
		}
	}
	var errs []error
	for _, image := range stale {
		if _, err := engine.ImageRemove(ctx, image, client.ImageRemoveOptions{PruneChildren: true}); err != nil {
			errs = append(errs, err)
			continue
		}
		removed = append(removed, "image "+image)
	}
	return removed, errors.Join(errs...)
}

// archived makes a tar of executable files.
func archived(files map[string][]byte) ([]byte, error) {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for name, content := range files {
		// Always the same time, or the engine would not find the layer that it has.
		err := w.WriteHeader(&tar.Header{Name: name, Mode: 0o755, Size: int64(len(content)), ModTime: time.Unix(0, 0)})
		if err == nil {
			_, err = w.Write(content)
		}
		if err != nil {
			return nil, fmt.Errorf("archiving %s: %w", name, err)
		}
	}
	if err := w.Close(); err != nil {
		return nil, fmt.Errorf("archiving this program: %w", err)
	}
	return b.Bytes(), nil
}
