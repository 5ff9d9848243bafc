package assertions

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// replicated is R3 streams with spread leaders, in each cluster that streams live in, and a client of the tester's at every node, past the balancers that
// do not stand before clients' links. Each message of theirs is a number.
type replicated struct {
	t     Target
	rec   *Recorder
	names []string
	sites []site
	at    map[string]*nats.Conn // node → the tester's client there
}

// replicate connects to every node; the streams are called by the prefix and their number.
func replicate(t Target, rec *Recorder, prefix string, streams int) (*replicated, error) {
	account, ok := t.jetStream()
	if !ok {
		return nil, errors.New("opening streams: the target has no account with JetStream")
	}
	r := &replicated{t: t, rec: rec, sites: t.Terms.sites(), at: map[string]*nats.Conn{}}
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
// every message crosses the balancer; reader is another one of the stream's own cluster.
func (r *replicated) home(i int) string {
	at, nth := r.site(i)
	return at.Nodes[nth%len(at.Nodes)]
}

func (r *replicated) neighbour(i int) string {
	at, nth := r.site(i)
	return at.beyond[nth%len(at.beyond)]
}

func (r *replicated) reader(i int) string {
	at, nth := r.site(i)
	return at.Nodes[(nth+1)%len(at.Nodes)]
}

// site is where stream i lives, and its number there: sites take turns.
func (r *replicated) site(i int) (at site, nth int) {
	return r.sites[i%len(r.sites)], i / len(r.sites)
}

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
		at, _ := r.site(i)
		e := Event{From: Client, Kind: "stream", Stream: r.names[i], Node: r.home(i), Count: len(at.Nodes)}
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
	at, _ := r.site(i)
	if _, err := js.CreateOrUpdateStream(asked, jetstream.StreamConfig{Name: name, Subjects: []string{"to." + name},
		Replicas: len(at.Nodes), Placement: at.placement(), Storage: jetstream.FileStorage}); err != nil {
		return err
	}
	return r.moveLeader(asked, r.at[r.home(i)], name, r.home(i))
}

// moveLeader asks for a stream's leadership to go to a node; it is nil if that leads already.
func (r *replicated) moveLeader(ctx context.Context, by *nats.Conn, name, node string) error {
	js, err := jetstream.New(by)
	if err != nil {
		return err
	}
	stream, err := js.Stream(ctx, name)
	if err != nil {
		return err
	}
	switch cluster := stream.CachedInfo().Cluster; {
	case cluster == nil || cluster.Leader == "":
		return errors.New("the stream has no leader")
	case cluster.Leader == node:
		return nil
	}
	move, _ := json.Marshal(map[string]any{"placement": map[string]string{"preferred": node}})
	if _, err := by.RequestWithContext(ctx, "$JS.API.STREAM.LEADER.STEPDOWN."+name, move); err != nil {
		return fmt.Errorf("moving its leader to %s: %w", node, err)
	}
	return errElsewhere
}

// errElsewhere is no failure if it is the last word: a stream whose leader would not move can be used.
var errElsewhere = errors.New("its leader has not moved yet")

// readBack reads every stream from its beginning and writes each message that it holds, in its order. It reports the
// streams that could be read.
func (r *replicated) readBack(ctx context.Context) (readable []int) {
	limited, cancel := context.WithTimeout(ctx, back)
	defer cancel()
	var wg sync.WaitGroup
	read := make([]bool, len(r.names))
	for i, name := range r.names {
		wg.Go(func() {
			var err error
			var all []stored
			if !until(limited, func() bool { all, err = r.readOne(limited, r.reader(i), name); return err == nil }) {
				r.rec.Add(Event{From: Client, Kind: "unreadable", Stream: name, Why: fmt.Sprint(err)})
				return
			}
			read[i] = true
			for _, m := range all {
				r.rec.Add(Event{From: Client, Kind: "read", Stream: name, Seq: m.seq, Count: int(m.place)})
			}
		})
	}
	wg.Wait()
	for i, ok := range read {
		if ok {
			readable = append(readable, i)
		}
	}
	return readable
}

// stored is a message as a stream holds it.
type stored struct {
	place uint64 // in the stream
	seq   int    // the number that it is
	sum   [sha256.Size]byte
}

// readOne reads what a stream's leader holds, by way of a node.
func (r *replicated) readOne(ctx context.Context, by, name string) ([]stored, error) {
	js, err := jetstream.New(r.at[by])
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
	var all []stored
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
			all = append(all, stored{at, seq, sum(m)})
		})
	}
	wg.Wait()
	if len(errs) > 0 {
		return nil, errs[0]
	}
	slices.SortFunc(all, func(a, b stored) int { return cmp.Compare(a.place, b.place) })
	return all, nil
}

// sum is that of all there is of a message: its place, its time to the nanosecond, subject, header and payload.
func sum(m *jetstream.RawStreamMsg) [sha256.Size]byte {
	h := sha256.New()
	fmt.Fprintf(h, "%d %d %q %d ", m.Sequence, m.Time.UnixNano(), m.Subject, len(m.Header))
	for _, key := range slices.Sorted(maps.Keys(m.Header)) {
		fmt.Fprintf(h, "%q %q ", key, m.Header[key])
	}
	h.Write(m.Data)
	return [sha256.Size]byte(h.Sum(nil))
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
		for i, name := range r.names {
			same := map[copied]bool{}
			for _, c := range copies[name] {
				same[c] = true
			}
			if at, _ := r.site(i); len(copies[name]) != len(at.Nodes) || len(same) != 1 {
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
