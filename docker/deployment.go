package docker

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/mount"
	"github.com/testcontainers/testcontainers-go"
	tcnetwork "github.com/testcontainers/testcontainers-go/network"

	"github.com/lbtest/lbtest/topologies"
)

// The ports that nodes listen at, which are the servers' own defaults: every node has an address to itself.
const (
	clientPort   = 4222
	routePort    = 6222
	gatewayPort  = 7222
	leafnodePort = 7422
	monitorPort  = 8222
	// The server has no default for websockets; this is the port of its documentation's examples.
	websocketPort = 8080
)

var ports = map[topologies.Link]int{topologies.Clients: clientPort, topologies.Websocket: websocketPort,
	topologies.Routes: routePort, topologies.Gateways: gatewayPort, topologies.Leafnodes: leafnodePort}

// Where a node's files are in its container.
const (
	configFile = "/nats-server.conf"
	dataDir    = "/data"
)

type deployment struct {
	runtime  *runtime
	dir      string  // configurations and logs
	own      *ground // the networks of nodes that stand behind no program; nil otherwise
	nodes    []*node
	accounts []topologies.Account

	once   sync.Once
	closed error
}

// Start starts a container for each node: on the networks of the program that the build stands behind, or else
// all on one network.
func (r *runtime) Start(ctx context.Context, b topologies.Build) (topologies.Deployment, error) {
	if err := r.begin(ctx); err != nil {
		return nil, err
	}
	d := &deployment{runtime: r}
	if err := d.start(ctx, b); err != nil {
		return nil, errors.Join(fmt.Errorf("starting %s: %w", b.Topology.Name, err), d.Close())
	}
	return d, nil
}

func (d *deployment) start(ctx context.Context, b topologies.Build) error {
	dir, err := os.MkdirTemp(d.runtime.dir, b.Topology.Name+"-")
	if err != nil {
		return fmt.Errorf("making a directory for logs: %w", err)
	}
	d.dir = dir
	on, err := d.place(ctx, b)
	if err != nil {
		return err
	}
	var members []topologies.Member
	for _, name := range b.Topology.Nodes() {
		members = append(members, memberOf(b, name, on.at[name]))
	}
	b = b.Directly(members)
	d.accounts = b.Accounts()
	d.nodes = make([]*node, len(members))
	errs := make([]error, len(members))
	var all sync.WaitGroup
	for i, m := range members {
		all.Go(func() { d.nodes[i], errs[i] = d.runtime.newNode(ctx, b, m, on.on[m.Name], d.dir) })
	}
	all.Wait()
	return errors.Join(errs...)
}

// memberOf is where a node is that has an address to itself.
func memberOf(b topologies.Build, name string, at netip.Addr) topologies.Member {
	m := topologies.Member{Name: name, Host: at.String(), Dir: dataDir, Monitor: monitorPort, Ports: map[topologies.Link]int{}}
	for _, listens := range b.Topology.Listens(name) {
		m.Ports[listens] = ports[listens]
	}
	return m
}

// place gives the networks of the nodes.
func (d *deployment) place(ctx context.Context, b topologies.Build) (*ground, error) {
	if b.Behind == nil {
		own, err := d.runtime.newGround(ctx, [][]string{b.Topology.Nodes()})
		d.own = own
		return own, err
	}
	p, ok := b.Behind.(*program)
	if !ok {
		return nil, fmt.Errorf("what the nodes are to stand behind is no container of this runtime's but a %T", b.Behind)
	}
	for _, name := range b.Topology.Nodes() {
		if _, ok = p.ground.on[name]; !ok {
			return nil, fmt.Errorf("%s has no network for node %s", p.name, name)
		}
	}
	return p.ground, nil
}

func (d *deployment) Nodes() []topologies.Node {
	nodes := make([]topologies.Node, len(d.nodes))
	for i, n := range d.nodes {
		nodes[i] = n
	}
	return nodes
}

func (d *deployment) Accounts() []topologies.Account { return d.accounts }

// Ready asks each node's monitoring port whether all configured listeners are open.
func (d *deployment) Ready(ctx context.Context) error {
	errs := make([]error, len(d.nodes))
	var all sync.WaitGroup
	for i, n := range d.nodes {
		all.Go(func() { errs[i] = n.ready(ctx) })
	}
	all.Wait()
	return errors.Join(errs...)
}

// Close removes all containers at once: their stores go with them.
func (d *deployment) Close() error {
	d.once.Do(func() {
		errs := make([]error, len(d.nodes))
		var all sync.WaitGroup
		for i, n := range d.nodes {
			if n != nil {
				all.Go(func() { errs[i] = n.close() })
			}
		}
		all.Wait()
		if d.own != nil {
			errs = append(errs, d.own.close())
		}
		if d.dir != "" && !d.runtime.options.Keep {
			errs = append(errs, os.RemoveAll(d.dir))
		}
		d.closed = errors.Join(errs...)
	})
	return d.closed
}

// newNode starts a node's container, on that network, and returns once the node listens.
func (r *runtime) newNode(ctx context.Context, b topologies.Build, m topologies.Member, on *link, dir string) (*node, error) {
	text, err := topologies.Render(b, m)
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(dir, m.Name+".conf"), []byte(text), 0o600); err != nil {
		return nil, fmt.Errorf("writing the configuration of node %s: %w", m.Name, err)
	}
	at, err := netip.ParseAddr(m.Host)
	if err != nil {
		return nil, fmt.Errorf("placing node %s: %w", m.Name, err)
	}
	enforced, err := r.enforce(ctx, b.Limits)
	if err != nil {
		return nil, err
	}
	made, err := r.newBox(ctx, "node "+m.Name, r.server.image, r.server.mode, on, at, append(r.server.options(),
		testcontainers.WithFiles(filesOf(b, m, text)...),
		testcontainers.WithHostConfigModifier(func(h *container.HostConfig) {
			h.LogConfig.Type = "json-file" // whatever the engine's default is, this one can be read back
			// A volume without a name lives as long as the container. A store in the container's own layer would pay for
			// what the layers cost at each sync.
			h.Mounts = append(h.Mounts, mount.Mount{Type: mount.TypeVolume, Target: dataDir})
		}),
		tcnetwork.WithNetworkName([]string{m.Name}, on.name),
		testcontainers.WithEnv(b.Limits.Environment()),
		testcontainers.WithHostConfigModifier(enforced),
	)...)
	if err != nil {
		return nil, err
	}
	n := &node{box: made, member: m, log: filepath.Join(dir, m.Name+".log")}
	n.follow()
	if err := n.ready(ctx); err != nil {
		return nil, errors.Join(err, n.close())
	}
	r.options.Log.Debug("node listens", "node", m.Name, "clients", net.JoinHostPort(m.Host, strconv.Itoa(clientPort)))
	return n, nil
}

// filesOf gives what is put into a node's container: its configuration, and what that refers to.
func filesOf(b topologies.Build, m topologies.Member, text string) []testcontainers.ContainerFile {
	all := []testcontainers.ContainerFile{{Reader: strings.NewReader(text), ContainerFilePath: configFile, FileMode: 0o600}}
	for _, f := range b.Files(m) {
		all = append(all, testcontainers.ContainerFile{Reader: bytes.NewReader(f.Content), ContainerFilePath: f.Path, FileMode: 0o600})
	}
	return all
}
