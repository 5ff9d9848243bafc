package docker

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/moby/moby/client"
	"github.com/testcontainers/testcontainers-go"

	"github.com/lbtest/lbtest/topologies"
	"github.com/lbtest/lbtest/topologies/embedded"
)

// olderServer is a version whose module can be built by the Go that builds this one, and which does not know all that
// the one does that is compiled in.
const olderServer = "2.11.4"

// older builds an image of an older nats-server from its module, and removes it in the end.
func older(t *testing.T, engine *client.Client) (image string) {
	t.Helper()
	dir := t.TempDir()
	for _, command := range [][]string{
		{"go", "mod", "init", "older"}, {"go", "get", "github.com/nats-io/nats-server/v2@v" + olderServer},
		{"go", "build", "-trimpath", "-ldflags=-s -w", "-o", "nats-server", "github.com/nats-io/nats-server/v2"},
	} {
		cmd := exec.CommandContext(t.Context(), command[0], command[1:]...)
		cmd.Dir, cmd.Env = dir, append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=-mod=mod", "GOWORK=off")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", strings.Join(command, " "), err, out)
		}
	}
	program, err := os.ReadFile(filepath.Join(dir, "nats-server"))
	if err != nil {
		t.Fatal(err)
	}
	archive, err := archived(map[string][]byte{"nats-server": program,
		"Dockerfile": []byte("FROM scratch\nCOPY nats-server /nats-server\nENTRYPOINT [\"/nats-server\"]\n")})
	if err != nil {
		t.Fatal(err)
	}
	provider, err := testcontainers.NewDockerProvider()
	if err != nil {
		t.Fatal(err)
	}
	defer provider.Close()
	image, err = provider.BuildImage(t.Context(), &testcontainers.ContainerRequest{FromDockerfile: testcontainers.FromDockerfile{
		ContextArchive: bytes.NewReader(archive), Repo: "lbtest/older", Tag: olderServer, KeepImage: true,
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if _, err := engine.ImageRemove(context.Background(), image, client.ImageRemoveOptions{Force: true, PruneChildren: true}); err != nil {
			t.Logf("removing image %s: %v", image, err)
		}
	})
	return image
}

func TestNodesAreWhateverServerAnImageHolds(t *testing.T) {
	open(t) // or skip
	engine, err := connect(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { engine.Close() })
	compiled := embedded.New(embedded.Options{}).Check
	rt := New(Options{Node: embedded.Lone, Check: compiled, Image: older(t, engine)}).(*runtime)
	t.Cleanup(func() { closed(t, rt) })
	if err := rt.Usable(t.Context()); err != nil {
		t.Fatal(err)
	}
	b := topologies.Build{Topology: cluster("n1")}
	d, err := rt.Start(t.Context(), b)
	if err != nil {
		t.Fatal(err)
	}
	defer closed(t, d)
	n := d.Nodes()[0]
	if got, err := topologies.Version(t.Context(), n.Monitor()); err != nil || got != olderServer {
		t.Errorf("the node is nats-server %s, %v; want %s", got, err, olderServer)
	}
	if err := n.(topologies.Retiring).Retire(); err != nil {
		t.Errorf("retiring: %v", err)
	}
	for key, known := range map[string]bool{"ping_interval": true, "proxy_protocol": false} { // the latter since 2.12.2
		kv, err := topologies.ParseKeyValue(key + "=" + map[string]string{"ping_interval": "30s", "proxy_protocol": "true"}[key])
		if err != nil {
			t.Fatal(err)
		}
		b.Tuning.Nats = []topologies.KeyValue{kv}
		if err := rt.Check(b); (err == nil) != known || err != nil && (!strings.Contains(err.Error(), key) || !strings.Contains(err.Error(), rt.options.Image)) {
			t.Errorf("%s: got %v; known to it: %v", kv, err, known)
		}
	}
}

func TestAnImageThatNobodyHasIsNamed(t *testing.T) {
	open(t)                                                                                 // or skip
	rt := New(Options{Node: embedded.Lone, Image: "localhost:1/nowhere/nats:9"}).(*runtime) // where nobody listens
	if err := rt.Usable(t.Context()); err == nil || !strings.Contains(err.Error(), "no image localhost:1/nowhere/nats:9") {
		t.Errorf("got %v", err)
	}
}
