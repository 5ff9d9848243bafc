// Package docker starts topologies in containers, on networks on which a balancer is the only path there is.
// All containers run this same program, from an image that holds nothing else.
//
//	          ┌── network of n1 ── n1
//	balancers ┼── network of n2 ── n2    nodes share a network where a link between them crosses no balancer, such as
//	          ├── network of n3 ── n3    the routes of a cluster whose clients do; no network leads anywhere else
//	          └── front network ── this process, as the canary's both ends
//
// This process reaches every container at its own address, past the balancer: the engine must be on this
// machine, and the machine must be Linux.
//
// Everything that is made carries the run's label. A second process, the sweeper, removes what carries it when
// this one ends without having done so itself.
package docker

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	goruntime "runtime"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/moby/moby/client"
	"github.com/testcontainers/testcontainers-go"
	tclog "github.com/testcontainers/testcontainers-go/log"

	"github.com/lbtest/lbtest/topologies"
)

// Options are what a caller chooses about how nodes are run.
type Options struct {
	Node  string                       // the mode (see topologies.ModeVariable) in which this program is a node, its configuration file the only argument
	Check func(topologies.Build) error // what the server itself says of a build's configurations
	Image string                       // of the nats-server that nodes are in the place of this program; "" for this program
	Keep  bool                         // leave configurations and logs behind, a directory a deployment
	Log   *slog.Logger                 // what happens to the containers; nil for nothing
}

// New gives a runtime that starts nothing, and asks the engine nothing, until it is used. The program that
// uses it calls Main first thing.
func New(o Options) topologies.Runtime {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &runtime{options: o, run: strings.ToLower(rand.Text()[:12])} // 60 random bits: nobody else's
}

type runtime struct {
	options Options
	run     string // names this run in labels

	mu      sync.Mutex
	engine  *client.Client // nil until something is to be started, as is what follows
	sweeper *sweeper
	dir     string
	image   string // of this program
	holder  string // the container that keeps it
	server  server // that nodes are
	closed  bool
}

var _ topologies.Host = (*runtime)(nil)

func (r *runtime) Name() string { return "docker" }

// Check asks the server that is compiled in, and where nodes are another one, that as well, for what the user has given.
func (r *runtime) Check(b topologies.Build) error {
	b.Limits = topologies.Limits{} // which containers have, whatever the servers' own parser runs in
	if err := r.options.Check(b); err != nil || r.options.Image == "" || len(b.Tuning.Nats) == 0 {
		return err
	}
	return r.checkElsewhere(b)
}

// Usable says whether an engine on this machine answers, and whether there is a program that its containers
// could run.
func (r *runtime) Usable(ctx context.Context) error {
	if goruntime.GOOS != "linux" {
		return fmt.Errorf("containers are reached at their own addresses, which only works on Linux, not on %s", goruntime.GOOS)
	}
	engine, err := connect(ctx)
	if err != nil {
		return err
	}
	defer engine.Close()
	info, err := engine.Info(ctx, client.InfoOptions{})
	if err != nil {
		return fmt.Errorf("asking the Docker engine about itself: %w", err)
	}
	if info.Info.OSType != "linux" {
		return fmt.Errorf("the Docker engine runs %s containers; Linux ones are needed", info.Info.OSType)
	}
	if r.options.Image != "" {
		if err := r.fetch(ctx, engine); err != nil {
			return err
		}
	}
	_, err = findProgram(ctx)
	return err
}

// connect gives a client of the engine that has answered.
func connect(ctx context.Context) (*client.Client, error) {
	settle()
	found, err := testcontainers.NewDockerClientWithOpts(ctx)
	if err != nil {
		return nil, fmt.Errorf("looking for a Docker engine: %w", err)
	}
	// It goes on looking where the one that was named does not answer, and that is for nobody to decide but the user.
	if named := os.Getenv("DOCKER_HOST"); named != "" && named != found.DaemonHost() {
		return nil, errors.Join(fmt.Errorf("the Docker engine that DOCKER_HOST=%s names does not answer", named), found.Close())
	}
	if _, err := found.Ping(ctx, client.PingOptions{}); err != nil {
		return nil, errors.Join(fmt.Errorf("asking the Docker engine: %w", err), found.Close())
	}
	return found.Client, nil
}

// settle tells testcontainers what it asks the environment once, before anything else is done with it.
var settle = sync.OnceFunc(func() {
	for name, value := range map[string]string{
		// Its reaper is an image of its own. Where that is there already it cleans up besides; it is never pulled, since the
		// sweeper does the same work.
		"TESTCONTAINERS_RYUK_DISABLED": strconv.FormatBool(!reaped()),
		// Inside a container (or where /.dockerenv makes it look so) it takes the default gateway for the engine's
		// host. Here nothing is published, so the host does not matter, and loopback needs no guessing.
		"TESTCONTAINERS_HOST_OVERRIDE": "127.0.0.1",
	} {
		if os.Getenv(name) == "" {
			os.Setenv(name, value)
		}
	}
	tclog.SetDefault(silence{}) // it tells every step on stderr
})

// reaped says whether the engine has the image of testcontainers' reaper.
func reaped() bool {
	engine, err := client.New(client.FromEnv) // testcontainers' own client is not to be asked for yet
	if err != nil {
		return false
	}
	defer engine.Close()
	// An engine answers in milliseconds, and one that does not is somebody else's to complain about.
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	//lint:ignore SA1019 there is no other way to know which image it would ask for
	_, err = engine.ImageInspect(ctx, testcontainers.ReaperDefaultImage)
	return err == nil
}

// silence is a log that nobody reads.
type silence struct{}

func (silence) Printf(string, ...any) {}

// begin makes what all deployments share, once.
func (r *runtime) begin(ctx context.Context) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return errors.New("the docker runtime is closed")
	}
	if r.image != "" {
		return nil
	}
	if r.engine == nil {
		engine, err := connect(ctx)
		if err != nil {
			return err
		}
		r.engine = engine
	}
	if r.dir == "" {
		dir, err := os.MkdirTemp("", dirPrefix)
		if err == nil {
			dir, err = filepath.Abs(dir)
		}
		if err != nil {
			return fmt.Errorf("making a directory for logs: %w", err)
		}
		r.dir = dir
		if r.options.Keep {
			r.options.Log.Info("directory is kept", "directory", dir)
		} else if err := topologies.Own(dir); err != nil {
			return err
		}
	}
	if r.sweeper == nil {
		dir := r.dir
		if r.options.Keep {
			dir = ""
		}
		s, err := startSweeper(r.run, dir)
		if err != nil {
			return err
		}
		r.sweeper = s
		dirs, err := tidyDirs()
		swept, serr := tidyEngine(ctx, r.engine)
		if len(dirs)+len(swept) > 0 || err != nil || serr != nil {
			// Not this run's: what cannot be removed now may be on its way out already.
			r.options.Log.Info("what earlier runs left", "removed", append(swept, dirs...), "trouble", errors.Join(err, serr))
		}
	}
	image, err := r.own(ctx)
	if err != nil {
		return err
	}
	if r.server, err = r.whichServer(ctx, image); err != nil {
		return err
	}
	r.image = image
	return nil
}

// own gives the image of this program, which nobody removes before the end of the run, and removes those of other builds.
func (r *runtime) own(ctx context.Context) (image string, err error) {
	for range 2 { // between the two, a run of another build may have removed it
		if image, err = build(ctx, r.engine, r.dir); err != nil {
			return "", err
		}
		if r.holder, err = r.hold(ctx, image); err == nil {
			break
		}
	}
	if err != nil {
		return "", err
	}
	if removed, err := tidyImages(ctx, r.engine, image); len(removed) > 0 || err != nil {
		r.options.Log.Info("images of other builds", "removed", removed, "trouble", err)
	}
	return image, nil
}

// dirPrefix begins the name of every directory made here.
const dirPrefix = "lbtest-docker-"

// Close removes whatever was not closed, and ends the sweeper.
func (r *runtime) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = true
	var errs []error
	if r.engine != nil {
		ctx, cancel := context.WithTimeout(context.Background(), engineLimit)
		defer cancel()
		_, err := sweep(ctx, r.engine, r.run)
		errs = append(errs, err, r.engine.Close())
		r.engine = nil
	}
	if r.sweeper != nil {
		errs = append(errs, r.sweeper.dismiss())
		r.sweeper = nil
	}
	if r.dir != "" && !r.options.Keep {
		errs = append(errs, os.RemoveAll(r.dir))
	}
	r.dir = ""
	return errors.Join(errs...)
}
