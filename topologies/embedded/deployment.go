package embedded

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/lbtest/lbtest/topologies"
)

// loopback is where all nodes listen.
const loopback = "127.0.0.1"

type deployment struct {
	log     *slog.Logger
	keep    bool
	cleaner *cleaner

	dir      string
	nodes    []*node
	accounts []topologies.Account
	release  []func() // of held ports

	once   sync.Once
	closed error
}

// newDir makes a directory that the cleaner knows of before it exists.
func newDir(c *cleaner) (string, error) {
	// Absolute, since nodes and the cleaner have working directories of their own.
	dir, err := filepath.Abs(filepath.Join(temporary(), prefix+strings.ToLower(rand.Text()[:12]))) // 60 random bits: nobody else's
	if err != nil {
		return "", fmt.Errorf("finding the directory for temporary files: %w", err)
	}
	if err := c.dir(dir); err != nil {
		return "", err
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		return "", fmt.Errorf("making a directory for nodes: %w", err)
	}
	return dir, topologies.Own(dir)
}

// start brings all nodes up. After an error the caller closes the deployment.
func (d *deployment) start(ctx context.Context, program string, b topologies.Build) error {
	dir, err := d.newDir()
	if err != nil {
		return err
	}
	d.dir = dir
	var members []topologies.Member
	for _, name := range b.Topology.Nodes() {
		m := topologies.Member{Name: name, Host: loopback, Dir: filepath.Join(d.dir, name), Ports: map[topologies.Link]int{}}
		if m.Monitor, err = d.hold(); err != nil {
			return err
		}
		for _, link := range b.Topology.Listens(name) {
			if m.Ports[link], err = d.hold(); err != nil {
				return err
			}
		}
		members = append(members, m)
	}
	direct := !balanced(b, topologies.Routes)
	b = b.Directly(members)
	d.accounts = b.Accounts()
	for _, m := range members {
		n, err := newNode(b, m, program, d.cleaner, d.log)
		if err != nil {
			return err
		}
		d.nodes = append(d.nodes, n)
	}
	if !direct {
		return d.each(func(n *node) error { return n.Start(ctx) })
	}
	// Two servers that dial each other at the same moment each close the other's connection as a duplicate
	// of their own, and try again a second later. Started side by side, 2 clusters of 20 had no full mesh
	// for that second. One after another, each node finds the earlier ones listening and the later ones
	// not. It costs some 40 ms a node. Nodes without routes between them, of two clusters or leafnodes, are
	// started side by side: gateways wait for a second before they dial (gateway.go, defaultSolicitGatewaysDelay), and
	// nobody dials a leafnode.
	rows := d.rows(b.Topology)
	errs := make([]error, len(rows))
	var all sync.WaitGroup
	for i, row := range rows {
		all.Go(func() {
			for _, n := range row {
				if errs[i] = n.Start(ctx); errs[i] != nil {
					return
				}
			}
		})
	}
	all.Wait()
	return errors.Join(errs...)
}

// rows gives the nodes of each cluster, and each leafnode by itself.
func (d *deployment) rows(t topologies.Topology) [][]*node {
	var rows [][]*node
	at := 0
	for _, c := range t.Clusters {
		size := len(c.Nodes)
		if c.LeafOf != "" {
			size = 1
		}
		for end := at + len(c.Nodes); at < end; at += size {
			rows = append(rows, d.nodes[at:at+size])
		}
	}
	return rows
}

// hold takes a port for a node until the deployment ends.
func (d *deployment) hold() (port int, err error) {
	port, release, err := hold(loopback)
	if err == nil {
		d.release = append(d.release, release)
	}
	return port, err
}

// balanced says whether links of that kind cross a balancer in this build.
func balanced(b topologies.Build, link topologies.Link) bool {
	for f := range b.Fronts {
		if f.Link == link {
			return true
		}
	}
	return false
}

func (d *deployment) newDir() (string, error) {
	if !d.keep {
		return newDir(d.cleaner)
	}
	dir, err := os.MkdirTemp("", prefix)
	if err != nil {
		return "", fmt.Errorf("making a directory for nodes: %w", err)
	}
	if dir, err = filepath.Abs(dir); err != nil {
		return "", fmt.Errorf("finding the directory for nodes: %w", err)
	}
	d.log.Info("directory is kept", "directory", dir)
	return dir, nil
}

// each does something to all nodes side by side and waits for all.
func (d *deployment) each(do func(*node) error) error {
	errs := make([]error, len(d.nodes))
	var all sync.WaitGroup
	for i, n := range d.nodes {
		all.Go(func() { errs[i] = do(n) })
	}
	all.Wait()
	return errors.Join(errs...)
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
	return d.each(func(n *node) error { return n.ready(ctx) })
}

// Close kills all nodes: their stores are removed, or looked at as a crash left them.
func (d *deployment) Close() error {
	d.once.Do(func() {
		errs := []error{d.each((*node).close)}
		for _, release := range d.release {
			release()
		}
		if d.dir != "" && !d.keep {
			errs = append(errs, os.RemoveAll(d.dir), d.cleaner.undir(d.dir))
		}
		d.closed = errors.Join(errs...)
	})
	return d.closed
}

// probeEvery is how often a node is asked whether it is ready. An answer takes about a millisecond.
const probeEvery = 10 * time.Millisecond
