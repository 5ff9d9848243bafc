package docker

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/moby/moby/api/pkg/stdcopy"
	"github.com/moby/moby/client"

	"github.com/lbtest/lbtest/topologies"
)

// node is a nats-server in a container.
type node struct {
	*box
	member topologies.Member
	log    string // file

	writing sync.WaitGroup // of the log
}

func (n *node) Name() string { return n.member.Name }

func (n *node) Addr(l topologies.Link) string { return n.member.Addr(l) }

func (n *node) Monitor() string { return n.member.Monitoring() }

func (n *node) Log() string { return n.log }

// Start starts the node again and returns once it listens. If ctx ends first the node is killed.
func (n *node) Start(ctx context.Context) error {
	began := time.Now()
	if err := n.again(ctx); err != nil {
		return err
	}
	n.writing.Wait() // what the last run said is in the file
	n.followSince(began)
	if err := n.ready(ctx); err != nil {
		if kerr := n.Kill(); kerr != nil {
			return fmt.Errorf("%w; %w", err, kerr)
		}
		return err
	}
	return nil
}

// probeEvery is how often a node is asked whether it is ready. An answer takes about a millisecond.
const probeEvery = 10 * time.Millisecond

// ready returns once the node's monitoring port says that all its listeners are open.
func (n *node) ready(ctx context.Context) error {
	tick := time.NewTicker(probeEvery)
	defer tick.Stop()
	for {
		err := topologies.Listens(ctx, n.Monitor())
		if err == nil {
			return nil
		}
		if how, over := n.ended(); over {
			n.writing.Wait()
			return fmt.Errorf("waiting for %s: it is not running: %s%s", n.name, how, n.lastWords())
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("waiting for %s: %w; last asked: %w", n.name, context.Cause(ctx), err)
		case <-tick.C:
		}
	}
}

// follow copies what the node says to its log's file until it ends.
func (n *node) follow() { n.followSince(time.Time{}) }

func (n *node) followSince(since time.Time) {
	o := client.ContainerLogsOptions{ShowStdout: true, ShowStderr: true, Follow: true}
	if !since.IsZero() {
		o.Since = strconv.FormatFloat(float64(since.UnixNano())/1e9, 'f', 9, 64)
	}
	n.writing.Go(func() {
		file, err := os.OpenFile(n.log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
		if err != nil {
			return // a log that cannot be kept stops nobody
		}
		defer file.Close()
		said, err := n.engine.ContainerLogs(context.Background(), n.made.GetContainerID(), o)
		if err != nil {
			return
		}
		defer said.Close()
		_, _ = stdcopy.StdCopy(file, file, said) // the engine ends it with the container
	})
}

// close removes the container and reports what it did unasked in its life.
func (n *node) close() error {
	err := n.box.close()
	n.writing.Wait()
	return err
}

// lastLines is how much of a log an error quotes: the lines of a failed start that say why are the last few.
const lastLines = 6

// lastWords quotes the end of the node's log.
func (n *node) lastWords() string {
	text, err := os.ReadFile(n.log)
	if err != nil {
		return ""
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	if len(lines) == 1 && lines[0] == "" {
		return ""
	}
	return "\nthe last lines of its log:\n  " + strings.Join(lines[max(0, len(lines)-lastLines):], "\n  ")
}
