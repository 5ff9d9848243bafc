package assertions

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
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
	*replicated

	mu       sync.Mutex
	sent     map[string]int           // stream → messages published
	answered map[string]int           // stream → acks and refusals
	lastAck  map[string]time.Duration // stream → when the newest ack came
	said     map[string]map[int]time.Duration
	closed   bool // acks count no more
}

func openStreams(t Target, rec *Recorder) (*streams, error) {
	r, err := replicate(t, rec, "S", streamCount)
	if err != nil {
		return nil, err
	}
	s := &streams{replicated: r, sent: map[string]int{}, answered: map[string]int{},
		lastAck: map[string]time.Duration{}, said: map[string]map[int]time.Duration{}}
	for _, name := range s.names {
		s.said[name] = map[int]time.Duration{}
	}
	for _, n := range t.Nodes {
		if err := s.listen(n.Name); err != nil {
			s.close()
			return nil, err
		}
	}
	return s, nil
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
