package assertions

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// replicated is R3 streams with spread leaders, and a client of the tester's at every node, past the balancers that
// do not stand before clients' links. Each message of theirs is a number.
type replicated struct {
	t     Target
	rec   *Recorder
	names []string
	at    map[string]*nats.Conn // node → the tester's client there
}

// replicate connects to every node; the streams are called by the prefix and their number.
func replicate(t Target, rec *Recorder, prefix string, streams int) (*replicated, error) {
	account, ok := t.jetStream()
	if !ok {
		return nil, errors.New("opening streams: the target has no account with JetStream")
	}
	r := &replicated{t: t, rec: rec, at: map[string]*nats.Conn{}}
	for i := range streams {
		r.names = append(r.names, prefix+strconv.Itoa(i+1))
	}
	for _, n := range t.Nodes {
		nc, err := t.connect(n, account)
		if err != nil {
			r.close()
			return nil, err
		}
		r.at[n.Name] = nc
	}
	return r, nil
}

func (r *replicated) close() {
	for _, nc := range r.at {
		nc.Close()
	}
}

// home is the node that is to lead stream i; neighbour is the one whose client publishes to it, so that
// every message crosses the balancer.
func (r *replicated) home(i int) string      { return r.t.Nodes[i%len(r.t.Nodes)].Name }
func (r *replicated) neighbour(i int) string { return r.t.Nodes[(i+1)%len(r.t.Nodes)].Name }

// create makes the streams and spreads their leaders, within the time that NATS has for becoming ready.
func (r *replicated) create(ctx context.Context) bool {
	limit := back
	if !r.rec.Saw(Server, "mesh-full") {
		// Thirty seconds were not enough for the routes; a leader elected without them takes 4 to 9 more.
		limit = 10 * time.Second
	}
	limited, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	var wg sync.WaitGroup
	made := make([]error, len(r.names))
	for i, name := range r.names {
		wg.Go(func() {
			made[i] = errors.New("not tried")
			until(limited, func() bool {
				made[i] = r.createOne(limited, i, name)
				return made[i] == nil
			})
		})
	}
	wg.Wait()
	ok := true
	for i, err := range made {
		e := Event{From: Client, Kind: "stream", Stream: r.names[i], Node: r.home(i)}
		if err != nil && !errors.Is(err, errElsewhere) {
			ok = false
			e.Kind, e.Why = "no-stream", err.Error()
		}
		r.rec.Add(e)
	}
	return ok
}

func (r *replicated) createOne(ctx context.Context, i int, name string) error {
	js, err := jetstream.New(r.at[r.home(i)])
	if err != nil {
		return err
	}
	// Two seconds: a create that is heard takes tens of milliseconds, one that finds no leader is not
	// answered at all and is better asked again.
	asked, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	stream, err := js.CreateOrUpdateStream(asked, jetstream.StreamConfig{Name: name, Subjects: []string{"to." + name},
		Replicas: len(r.t.Nodes), Storage: jetstream.FileStorage})
	if err != nil {
		return err
	}
	info, err := stream.Info(asked)
	switch {
	case err != nil:
		return err
	case info.Cluster == nil || info.Cluster.Leader == "":
		return errors.New("the stream has no leader")
	case info.Cluster.Leader == r.home(i):
		return nil
	}
	move, _ := json.Marshal(map[string]any{"placement": map[string]string{"preferred": r.home(i)}})
	if _, err := r.at[r.home(i)].RequestWithContext(asked, "$JS.API.STREAM.LEADER.STEPDOWN."+name, move); err != nil {
		return fmt.Errorf("moving its leader to %s: %w", r.home(i), err)
	}
	return errElsewhere
}

// errElsewhere is no failure if it is the last word: a stream whose leader would not move can be used.
var errElsewhere = errors.New("its leader has not moved yet")

// readBack reads every stream from its beginning and writes each message that it holds.
func (r *replicated) readBack(ctx context.Context) {
	limited, cancel := context.WithTimeout(ctx, back)
	defer cancel()
	var wg sync.WaitGroup
	for i, name := range r.names {
		wg.Go(func() {
			var err error
			var seqs []int
			if !until(limited, func() bool { seqs, err = r.readOne(limited, i, name); return err == nil }) {
				r.rec.Add(Event{From: Client, Kind: "unreadable", Stream: name, Why: fmt.Sprint(err)})
				return
			}
			for _, seq := range seqs {
				r.rec.Add(Event{From: Client, Kind: "read", Stream: name, Seq: seq})
			}
		})
	}
	wg.Wait()
}

func (r *replicated) readOne(ctx context.Context, i int, name string) ([]int, error) {
	js, err := jetstream.New(r.at[r.neighbour(i)])
	if err != nil {
		return nil, err
	}
	// Ten seconds for some hundred messages on one machine; then it is asked again.
	asked, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	stream, err := js.Stream(asked, name)
	if err != nil {
		return nil, err
	}
	state := stream.CachedInfo().State
	var mu sync.Mutex
	var wg sync.WaitGroup
	var seqs []int
	var errs []error
	turns := make(chan struct{}, reading)
	// Each message is asked for by its sequence, which the stream's leader answers: a consumer would have
	// retries of its own, without end.
	for at := state.FirstSeq; at <= state.LastSeq && at > 0; at++ {
		turns <- struct{}{}
		wg.Go(func() {
			defer func() { <-turns }()
			m, err := stream.GetMsg(asked, at)
			mu.Lock()
			defer mu.Unlock()
			if errors.Is(err, jetstream.ErrMsgNotFound) {
				return // the judge misses it, if it was acknowledged
			}
			if err != nil {
				errs = append(errs, fmt.Errorf("reading message %d of %d of %s: %w", at, state.LastSeq, name, err))
				return
			}
			seq, err := strconv.Atoi(string(m.Data))
			if err != nil {
				errs = append(errs, fmt.Errorf("reading %s: a message that is not ours: %w", name, err))
				return
			}
			seqs = append(seqs, seq)
		})
	}
	wg.Wait()
	if len(errs) > 0 {
		return nil, errs[0]
	}
	return seqs, nil
}

// reading is how many messages of a stream are asked for at a time: one by one, a path of a few hundred
// milliseconds would have the reader run out of time with nothing lost.
const reading = 16

// compare looks at every node's own copy of the streams until they agree, or for ten seconds: replicas
// that lag catch up within one heartbeat, which is a second.
func (r *replicated) compare(ctx context.Context) {
	limited, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	account, _ := r.t.jetStream()
	type copied struct{ messages, last int }
	copies := map[string]map[string]copied{} // stream → node, as of the last look at which every node answered
	until(limited, func() bool {
		seen := map[string]map[string]copied{}
		for _, n := range r.t.Nodes {
			var j jsz
			if ask(limited, n, "/jsz?streams=true&acc="+account.id(), &j) != nil {
				return false
			}
			for _, a := range j.Accounts {
				for _, st := range a.Streams {
					if seen[st.Name] == nil {
						seen[st.Name] = map[string]copied{}
					}
					seen[st.Name][n.Name] = copied{st.State.Messages, st.State.LastSeq}
				}
			}
		}
		copies = seen
		for _, name := range r.names {
			same := map[copied]bool{}
			for _, c := range copies[name] {
				same[c] = true
			}
			if len(copies[name]) != len(r.t.Nodes) || len(same) != 1 {
				return false
			}
		}
		return true
	})
	for _, name := range r.names {
		for _, n := range r.t.Nodes {
			if c, ok := copies[name][n.Name]; ok {
				r.rec.Add(Event{From: Server, Kind: "replica", Stream: name, Node: n.Name, Count: c.messages, Seq: c.last})
			}
		}
	}
}
