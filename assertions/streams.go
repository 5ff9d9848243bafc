package assertions

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// streamCount is how many R3 streams are watched. A follower calls an election after 4 to 9 s of silence,
// at random: of the 24 followers of twelve streams, some have a timer below 5 s in all but one of two
// hundred runs; with five streams it would be one of ten.
const streamCount = 12

// streaming publishes to R3 streams through the event, follows every Raft group, and in the end reads
// everything back and compares the replicas.
var streaming = &Observation{Name: "streams", JetStream: true, Strikes: true, Watch: func(ctx context.Context, t Target, rec *Recorder) error {
	s, err := openStreams(t, rec)
	if err != nil {
		return err
	}
	defer s.close()
	if !s.create(ctx) {
		// Never ready is an observation: the judges say what it means.
		return t.Control.Strike(ctx)
	}

	sampled, stopSampling := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer stopSampling()
	wg.Go(func() { sampleRaft(sampled, t, rec) })
	stopPublishing := s.publishing(ctx)
	defer func() { stopPublishing() }()

	// Two seconds before the event show what is usual.
	rest(ctx, 2*time.Second)
	if t.Terms.Idle > 0 {
		// What an idle timeout does to JetStream shows after a spell in which nobody publishes.
		stopPublishing()
		rec.Add(Event{From: Lab, Kind: "pause-begin"})
		rest(ctx, t.Terms.Lull())
		rec.Add(Event{From: Lab, Kind: "pause-end"})
		stopPublishing = s.publishing(ctx)
	}
	if err := t.Control.Strike(ctx); err != nil {
		return err
	}
	over := rec.Now()
	limited, cancel := context.WithTimeout(ctx, back)
	defer cancel()
	recovered := until(limited, func() bool { return rec.Now()-over > 3*time.Second && s.flowing() })
	kind := "flowing"
	if !recovered {
		kind = "not-flowing"
	}
	rec.Add(Event{From: Client, Kind: kind})
	stopPublishing()
	s.awaitAcks(ctx)
	stopSampling()
	s.readBack(ctx)
	s.compare(ctx)
	return ctx.Err()
}}

// streams are the R3 streams of a lab and one publisher for each.
type streams struct {
	t     Target
	rec   *Recorder
	names []string
	at    map[string]*nats.Conn // node → the tester's client there

	mu       sync.Mutex
	sent     map[string]int           // stream → messages published
	answered map[string]int           // stream → acks and refusals
	lastAck  map[string]time.Duration // stream → when the newest ack came
	said     map[string]map[int]time.Duration
	closed   bool // acks count no more
}

func openStreams(t Target, rec *Recorder) (*streams, error) {
	account, ok := t.jetStream()
	if !ok {
		return nil, errors.New("opening streams: the target has no account with JetStream")
	}
	s := &streams{t: t, rec: rec, at: map[string]*nats.Conn{}, sent: map[string]int{}, answered: map[string]int{},
		lastAck: map[string]time.Duration{}, said: map[string]map[int]time.Duration{}}
	for i := range streamCount {
		name := "S" + strconv.Itoa(i+1)
		s.names = append(s.names, name)
		s.said[name] = map[int]time.Duration{}
	}
	for _, n := range t.Nodes {
		nc, err := t.connect(n, account)
		if err != nil {
			s.close()
			return nil, err
		}
		s.at[n.Name] = nc
		// Each node's client listens: an isolated server tells only its own clients that quorum is lost.
		if _, err := nc.Subscribe("$JS.EVENT.ADVISORY.>", func(m *nats.Msg) { s.advise(n.Name, m) }); err != nil {
			s.close()
			return nil, fmt.Errorf("listening for advisories at %s: %w", n.Name, err)
		}
		if _, err := nc.Subscribe("ack."+n.Name+".>", s.acknowledge); err != nil {
			s.close()
			return nil, fmt.Errorf("listening for acks at %s: %w", n.Name, err)
		}
		if err := nc.Flush(); err != nil {
			s.close()
			return nil, fmt.Errorf("listening at %s: %w", n.Name, err)
		}
	}
	return s, nil
}

func (s *streams) close() {
	for _, nc := range s.at {
		nc.Close()
	}
}

// home is the node that is to lead stream i; neighbour is the one whose client publishes to it, so that
// every message crosses the balancer.
func (s *streams) home(i int) string      { return s.t.Nodes[i%len(s.t.Nodes)].Name }
func (s *streams) neighbour(i int) string { return s.t.Nodes[(i+1)%len(s.t.Nodes)].Name }

// create makes the streams and spreads their leaders, within the time that NATS has for becoming ready.
func (s *streams) create(ctx context.Context) bool {
	limit := back
	if !s.rec.Saw(Server, "mesh-full") {
		// Thirty seconds were not enough for the routes; a leader elected without them takes 4 to 9 more.
		limit = 10 * time.Second
	}
	limited, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	var wg sync.WaitGroup
	made := make([]error, len(s.names))
	for i, name := range s.names {
		wg.Go(func() {
			made[i] = errors.New("not tried")
			until(limited, func() bool {
				made[i] = s.createOne(limited, i, name)
				return made[i] == nil
			})
		})
	}
	wg.Wait()
	ok := true
	for i, err := range made {
		e := Event{From: Client, Kind: "stream", Stream: s.names[i], Node: s.home(i)}
		if err != nil && !errors.Is(err, errElsewhere) {
			ok = false
			e.Kind, e.Why = "no-stream", err.Error()
		}
		s.rec.Add(e)
	}
	return ok
}

func (s *streams) createOne(ctx context.Context, i int, name string) error {
	js, err := jetstream.New(s.at[s.home(i)])
	if err != nil {
		return err
	}
	// Two seconds: a create that is heard takes tens of milliseconds, one that finds no leader is not
	// answered at all and is better asked again.
	asked, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	stream, err := js.CreateOrUpdateStream(asked, jetstream.StreamConfig{Name: name, Subjects: []string{"to." + name},
		Replicas: len(s.t.Nodes), Storage: jetstream.FileStorage})
	if err != nil {
		return err
	}
	info, err := stream.Info(asked)
	switch {
	case err != nil:
		return err
	case info.Cluster == nil || info.Cluster.Leader == "":
		return errors.New("the stream has no leader")
	case info.Cluster.Leader == s.home(i):
		return nil
	}
	move, _ := json.Marshal(map[string]any{"placement": map[string]string{"preferred": s.home(i)}})
	if _, err := s.at[s.home(i)].RequestWithContext(asked, "$JS.API.STREAM.LEADER.STEPDOWN."+name, move); err != nil {
		return fmt.Errorf("moving its leader to %s: %w", s.home(i), err)
	}
	return errElsewhere
}

// errElsewhere is no failure if it is the last word: a stream whose leader would not move can be used.
var errElsewhere = errors.New("its leader has not moved yet")

// publishing publishes in the background until stop is called, which returns when the last message is
// sent.
func (s *streams) publishing(ctx context.Context) (stop func()) {
	publish, end := context.WithCancel(ctx)
	var wg sync.WaitGroup
	wg.Go(func() { s.publish(publish) })
	return func() {
		end()
		wg.Wait()
	}
}

// publish sends to every stream ten times a second without waiting for answers, so that a held or
// lost message does not hide those after it. There is no retry and no message id.
func (s *streams) publish(ctx context.Context) {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		for i, name := range s.names {
			s.mu.Lock()
			s.sent[name]++
			seq := s.sent[name]
			s.said[name][seq] = s.rec.Now()
			s.mu.Unlock()
			from := s.neighbour(i)
			err := s.at[from].PublishRequest("to."+name, fmt.Sprintf("ack.%s.%s.%d", from, name, seq), []byte(strconv.Itoa(seq)))
			if err != nil {
				s.answer(name, seq, err.Error())
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

func (s *streams) acknowledge(m *nats.Msg) {
	parts := strings.Split(m.Subject, ".") // ack.NODE.STREAM.SEQ
	if len(parts) != 4 {
		return
	}
	seq, err := strconv.Atoi(parts[3])
	if err != nil {
		return
	}
	var ack struct {
		Error *struct {
			Description string `json:"description"`
		} `json:"error"`
	}
	why := ""
	switch {
	case m.Header.Get("Status") != "":
		why = "no responders"
	case json.Unmarshal(m.Data, &ack) != nil:
		why = "an answer that is no ack"
	case ack.Error != nil:
		why = ack.Error.Description
	}
	s.answer(parts[2], seq, why)
}

func (s *streams) answer(stream string, seq int, refused string) {
	now := s.rec.Now()
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return // what is acknowledged from here on, nobody reads back
	}
	took := now - s.said[stream][seq]
	s.answered[stream]++
	if refused == "" {
		s.lastAck[stream] = now
	}
	s.mu.Unlock()
	e := Event{At: now, From: Client, Kind: "acked", Stream: stream, Seq: seq, Took: took}
	if refused != "" {
		e.Kind, e.Why = "refused", refused
	}
	s.rec.Add(e)
}

// flowing reports whether every stream was acknowledged within the last moment.
func (s *streams) flowing() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.rec.Now()
	for _, name := range s.names {
		if now-s.lastAck[name] > 2*settle {
			return false
		}
	}
	return true
}

// awaitAcks gives messages under way a last moment to be acknowledged.
func (s *streams) awaitAcks(ctx context.Context) {
	limited, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	until(limited, func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		for _, name := range s.names {
			if s.answered[name] < s.sent[name] {
				return false
			}
		}
		return true
	})
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	for _, name := range s.names {
		s.rec.Add(Event{From: Client, Kind: "published", Stream: name, Count: s.sent[name]})
	}
}

func (s *streams) advise(node string, m *nats.Msg) {
	kind, rest, _ := strings.Cut(strings.TrimPrefix(m.Subject, "$JS.EVENT.ADVISORY."), ".")
	what, stream, _ := strings.Cut(rest, ".")
	if kind != "STREAM" {
		return
	}
	switch what {
	case "QUORUM_LOST", "LEADER_ELECTED":
		s.rec.Add(Event{From: Client, Kind: strings.ToLower(strings.ReplaceAll(what, "_", "-")), Node: node, Stream: stream})
	}
}

// readBack reads every stream from its beginning and writes each message that it holds.
func (s *streams) readBack(ctx context.Context) {
	limited, cancel := context.WithTimeout(ctx, back)
	defer cancel()
	var wg sync.WaitGroup
	for i, name := range s.names {
		wg.Go(func() {
			var err error
			var seqs []int
			if !until(limited, func() bool { seqs, err = s.readOne(limited, i, name); return err == nil }) {
				s.rec.Add(Event{From: Client, Kind: "unreadable", Stream: name, Why: fmt.Sprint(err)})
				return
			}
			for _, seq := range seqs {
				s.rec.Add(Event{From: Client, Kind: "read", Stream: name, Seq: seq})
			}
		})
	}
	wg.Wait()
}

func (s *streams) readOne(ctx context.Context, i int, name string) ([]int, error) {
	js, err := jetstream.New(s.at[s.neighbour(i)])
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
func (s *streams) compare(ctx context.Context) {
	limited, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	account, _ := s.t.jetStream()
	type copied struct{ messages, last int }
	copies := map[string]map[string]copied{} // stream → node, as of the last look at which every node answered
	until(limited, func() bool {
		seen := map[string]map[string]copied{}
		for _, n := range s.t.Nodes {
			var j jsz
			if ask(limited, n, "/jsz?streams=true&acc="+account.Name, &j) != nil {
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
		for _, name := range s.names {
			same := map[copied]bool{}
			for _, c := range copies[name] {
				same[c] = true
			}
			if len(copies[name]) != len(s.t.Nodes) || len(same) != 1 {
				return false
			}
		}
		return true
	})
	for _, name := range s.names {
		for _, n := range s.t.Nodes {
			if c, ok := copies[name][n.Name]; ok {
				s.rec.Add(Event{From: Server, Kind: "replica", Stream: name, Node: n.Name, Count: c.messages, Seq: c.last})
			}
		}
	}
}
