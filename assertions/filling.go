package assertions

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// filling publishes to a stream in memory until that is refused, its node is killed, or it holds as much as the node has.
func filling(ctx context.Context, t Target, rec *Recorder) error {
	account, ok := t.jetStream()
	if !ok {
		return errors.New("filling a stream: the target has no account with JetStream")
	}
	nc, err := t.connect(t.Nodes[len(t.Nodes)-1], account)
	if err != nil {
		return fmt.Errorf("filling a stream: %w", err)
	}
	defer nc.Close()
	home, err := inMemory(ctx, t, nc)
	if err != nil {
		rec.Add(Event{From: Client, Kind: "no-stream", Why: err.Error()})
		return ctx.Err()
	}
	direct, err := t.connect(home, account, nats.NoReconnect())
	if err != nil {
		return fmt.Errorf("filling a stream: %w", err)
	}
	defer direct.Close()
	rec.Add(Event{From: Lab, Kind: "fill-begin", Node: home.Name})
	given(rec, home)
	stored, err := store(ctx, direct, t.Terms.Limits.Memory)
	var refusal *jetstream.APIError
	refused := errors.As(err, &refusal)
	e := Event{From: Client, Kind: "filled", Node: home.Name, Bytes: stored}
	switch {
	case refused:
		e.Why = refusal.Description
	case err != nil:
		e.Why = err.Error()
	}
	outcome := outcomeOf(ctx, t, rec, home, inFill, err != nil && !refused, err != nil && !refused)
	if outcome == lives && refused {
		e.Kind = "refused"
	}
	rec.Add(e)
	return restored(ctx, t, rec, home, outcome)
}

// inMemory makes a stream that a node keeps in memory, and says which.
func inMemory(ctx context.Context, t Target, nc *nats.Conn) (Node, error) {
	js, err := jetstream.New(nc)
	if err != nil {
		return Node{}, err
	}
	limited, cancel := context.WithTimeout(ctx, back)
	defer cancel()
	var home Node
	made := errors.New("not tried")
	until(limited, func() bool {
		asked, cancel := context.WithTimeout(limited, 2*time.Second) // as long as a create that is heard may take
		defer cancel()
		var s jetstream.Stream
		if s, made = js.CreateOrUpdateStream(asked, jetstream.StreamConfig{Name: "BURST", Subjects: []string{"burst"}, Storage: jetstream.MemoryStorage}); made != nil {
			return false
		}
		home = t.Nodes[len(t.Nodes)-1] // a server without a cluster has it itself
		if c := s.CachedInfo().Cluster; c != nil && c.Leader != "" {
			for _, n := range t.Nodes {
				if n.Name == c.Leader {
					home = n
				}
			}
		}
		return true
	})
	return home, made
}

// windowed is how many messages wait for their acks at once while a stream is filled. They are in the node's memory as well.
const windowed = 64

// store publishes up to that many bytes to the stream, and says how many were acknowledged and why no more.
func store(ctx context.Context, nc *nats.Conn, all int64) (stored int64, err error) {
	js, err := jetstream.New(nc, jetstream.WithPublishAsyncMaxPending(2*windowed))
	if err != nil {
		return 0, err
	}
	payload := make([]byte, burstMessage)
	var waiting []jetstream.PubAckFuture
	for sent := int64(0); sent < all || len(waiting) > 0; {
		if sent < all && len(waiting) < windowed {
			f, err := js.PublishAsync("burst", payload)
			if err != nil {
				return stored, err
			}
			waiting, sent = append(waiting, f), sent+burstMessage
			continue
		}
		if err := acknowledged(ctx, waiting[0]); err != nil {
			return stored, err
		}
		waiting, stored = waiting[1:], stored+burstMessage
	}
	return stored, nil
}

// acknowledged waits for an ack.
func acknowledged(ctx context.Context, f jetstream.PubAckFuture) error {
	timer := time.NewTimer(patient)
	defer timer.Stop()
	select {
	case <-f.Ok():
		return nil
	case err := <-f.Err():
		return err
	case <-timer.C:
		return errors.New("no ack within " + spoken(patient))
	case <-ctx.Done():
		return ctx.Err()
	}
}
