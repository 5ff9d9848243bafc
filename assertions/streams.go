package assertions

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// streamCount is how many R3 streams are watched. Where routes cross the balancer, a follower calls an election after 4
// to 9 s of silence, at random: of the 24 followers of twelve streams, some have a timer below 5 s in all but one of two
// hundred runs; with five streams it would be one of ten. Elsewhere the members of a stream hear each other directly, and
// one for each node that can lead it shows what there is to see.
func (t Terms) streamCount() int {
	if t.routed() {
		return 12
	}
	return 6
}

// routed reports whether routes cross the balancer.
func (t Terms) routed() bool { return len(t.Links) > 0 && t.Links[0] == routeLinks }

// streaming publishes to R3 streams through the event, follows every Raft group, and in the end reads
// everything back and compares the replicas.
var streaming = &Observation{Name: "streams", JetStream: true, Strikes: true, Watch: func(ctx context.Context, t Target, rec *Recorder) error {
	s, err := openStreams(t, rec)
	if err != nil {
		return err
	}
	defer s.close()
	sampled, stopSampling := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer stopSampling()
	wg.Go(func() { sampleRaft(sampled, t, rec) })
	if !s.create(ctx) {
		// Never ready is an observation: the judges say what it means.
		return t.Control.Strike(ctx)
	}
	s.consume(ctx)
	s.recordSync(ctx)
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
	wg.Wait() // what follows moves leaders by itself
	readable := s.readBack(ctx)
	s.compare(ctx)
	s.verify(ctx, readable)
	return ctx.Err()
}}

// streams are the R3 streams of a lab and one publisher for each.
type streams struct {
	*replicated
	system []*nats.Conn // of the system account, one a node

	mu       sync.Mutex
	sent     map[string]int           // stream → messages published
	answered map[string]int           // stream → acks and refusals
	lastAck  map[string]time.Duration // stream → when the newest ack came
	said     map[string]map[int]time.Duration
	open     map[string]map[int]time.Duration // what is not acknowledged yet → when it is to be said again
	closed   bool                             // acks count no more
}

// consumedStreams is how many of the streams have a consumer, whose Raft groups are followed as those of streams are.
const consumedStreams = 3

// again ends the subject on which what was said again is acknowledged.
const again = "again"

func openStreams(t Target, rec *Recorder) (*streams, error) {
	r, err := replicate(t, rec, "S", t.Terms.streamCount())
	if err != nil {
		return nil, err
	}
	s := &streams{replicated: r, sent: map[string]int{}, answered: map[string]int{},
		lastAck: map[string]time.Duration{},
		said:    map[string]map[int]time.Duration{}, open: map[string]map[int]time.Duration{}}
	for _, name := range s.names {
		s.said[name], s.open[name] = map[int]time.Duration{}, map[int]time.Duration{}
	}
	for _, n := range t.Nodes {
		if err := s.listen(n.Name); err != nil {
			s.close()
			return nil, err
		}
	}
	if err := s.listenToSystem(); err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

func (s *streams) close() {
	for _, nc := range s.system {
		nc.Close()
	}
	s.replicated.close()
}

// listenToSystem hears who leads the meta group, which only the system account is told.
func (s *streams) listenToSystem() error {
	account, ok := s.t.system()
	if !ok {
		return nil // the nodes' own word for it is read all the same
	}
	for _, n := range s.t.Nodes {
		nc, err := s.t.connect(n, account)
		if err != nil {
			return err
		}
		s.system = append(s.system, nc)
		if _, err := nc.Subscribe("$JS.EVENT.ADVISORY.DOMAIN.LEADER_ELECTED", func(m *nats.Msg) { s.advise(n.Name, m) }); err != nil {
			return fmt.Errorf("listening for advisories at %s: %w", n.Name, err)
		}
		if err := nc.Flush(); err != nil {
			return fmt.Errorf("listening at %s: %w", n.Name, err)
		}
	}
	return nil
}

// consume makes a consumer on the first few streams. One that cannot be made is no Raft group to be followed, and
// jetstream/placement-works' subject.
func (s *streams) consume(ctx context.Context) {
	for i := range consumedStreams {
		name := s.names[i]
		asked, cancel := context.WithTimeout(ctx, 2*time.Second) // as for a stream
		js, err := jetstream.New(s.at[s.home(i)])
		if err == nil {
			_, err = js.CreateOrUpdateConsumer(asked, name, jetstream.ConsumerConfig{Durable: "C1", AckPolicy: jetstream.AckExplicitPolicy})
		}
		cancel()
		e := Event{From: Client, Kind: "consumer", Stream: name}
		if err != nil {
			e.Kind, e.Why = "no-consumer", err.Error()
		}
		s.rec.Add(e)
	}
}

// listen lets a node's client hear acks and advisories: an isolated server tells only its own clients that quorum is
// lost.
func (s *streams) listen(node string) error {
	nc := s.at[node]
	if _, err := nc.Subscribe("$JS.EVENT.ADVISORY.>", func(m *nats.Msg) { s.advise(node, m) }); err != nil {
		return fmt.Errorf("listening for advisories at %s: %w", node, err)
	}
	if _, err := nc.Subscribe("ack."+node+".>", s.acknowledge); err != nil {
		return fmt.Errorf("listening for acks at %s: %w", node, err)
	}
	if err := nc.Flush(); err != nil {
		return fmt.Errorf("listening at %s: %w", node, err)
	}
	return nil
}

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

// publish sends to every stream five times a second, twice within what counts as a delay, without waiting for answers, so that
// a held or lost message does not hide those after it. There is no message id. What fails is said again once, as an application
// does that cannot know what became of it: at nats.go's own times, 5 s without an answer or 250 ms after a refusal.
func (s *streams) publish(ctx context.Context) {
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for {
		for i, name := range s.names {
			s.mu.Lock()
			s.sent[name]++
			seq, now := s.sent[name], s.rec.Now()
			s.said[name][seq], s.open[name][seq] = now, now+publishWait
			s.mu.Unlock()
			if err := s.say(i, seq, ""); err != nil {
				s.answer(name, seq, err.Error())
			}
		}
		s.repeat()
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

func (s *streams) say(i, seq int, more string) error {
	from, name := s.neighbour(i), s.names[i]
	return s.at[from].PublishRequest("to."+name, fmt.Sprintf("ack.%s.%s.%d%s", from, name, seq, more), []byte(strconv.Itoa(seq)))
}

// repeat says again, once and without a message id, what has failed.
func (s *streams) repeat() {
	for i, name := range s.names {
		s.mu.Lock()
		var due []int
		for seq, at := range s.open[name] {
			if at <= s.rec.Now() {
				due = append(due, seq)
				delete(s.open[name], seq)
			}
		}
		s.mu.Unlock()
		slices.Sort(due)
		for _, seq := range due {
			s.rec.Add(Event{From: Client, Kind: "retried", Stream: name, Seq: seq})
			_ = s.say(i, seq, "."+again) // it was said before, and is counted by its acks
		}
	}
}

func (s *streams) acknowledge(m *nats.Msg) {
	parts := strings.Split(m.Subject, ".") // ack.NODE.STREAM.SEQ[.again]
	if len(parts) < 4 {
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
	if parts[len(parts)-1] == again {
		s.answerAgain(parts[2], seq, why)
		return
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
		delete(s.open[stream], seq)
	} else if _, yet := s.open[stream][seq]; yet {
		s.open[stream][seq] = now + 250*time.Millisecond
	}
	s.mu.Unlock()
	e := Event{At: now, From: Client, Kind: "acked", Stream: stream, Seq: seq, Took: took}
	if refused != "" {
		e.Kind, e.Why = "refused", refused
	}
	s.rec.Add(e)
}

// answerAgain writes down the ack of what was said again: it counts as one, not for the time that publishes take.
func (s *streams) answerAgain(stream string, seq int, refused string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if refused == "" && !s.closed {
		s.rec.Add(Event{From: Client, Kind: "retry-acked", Stream: stream, Seq: seq})
	}
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

// advise writes an advisory down that tells of a Raft group.
func (s *streams) advise(node string, m *nats.Msg) {
	parts := strings.Split(strings.TrimPrefix(m.Subject, "$JS.EVENT.ADVISORY."), ".") // KIND.WHAT[.STREAM[.CONSUMER]]
	if len(parts) < 2 || parts[1] != "QUORUM_LOST" && parts[1] != "LEADER_ELECTED" {
		return
	}
	e := Event{From: Client, Kind: strings.ToLower(strings.ReplaceAll(parts[1], "_", "-")), Node: node}
	switch {
	case parts[0] == "DOMAIN":
		e.Stream, e.What = metaGroup, nameOfMeta
	case parts[0] == "STREAM" && len(parts) == 3:
		e.Stream, e.What = parts[2], nameOfStream(parts[2])
	case parts[0] == "CONSUMER" && len(parts) == 4:
		e.Stream, e.What = parts[2], nameOfConsumer(parts[3], parts[2])
	default:
		return
	}
	var body struct {
		Leader string `json:"leader"`
	}
	if json.Unmarshal(m.Data, &body) == nil {
		e.Peer = body.Leader
	}
	s.rec.Add(e)
}
