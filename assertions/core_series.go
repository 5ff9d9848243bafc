package assertions

import (
	"sync"
	"time"
)

const (
	// pace is the pause between two messages of one series: an outage is known to that precision. It is twice
	// that of the chorus, since more series are under way at the same time.
	pace = 50 * time.Millisecond
	// convincing is how many messages in a row, half a second of them, must be heard to believe that all is well.
	convincing = 10
)

// wording are the kinds of events in which a series is written down: each message is said, and heard or unheard.
type wording struct{ said, heard, unheard, twice, late string }

var (
	ofMessages = wording{"sent", "arrived", "missing", "arrived-twice", "arrived-out-of-order"}
	ofRequests = wording{"asked", "answered", "unanswered", "answered-twice", ""} // several answer, in no order
)

// series is numbered messages, or numbered requests and their replies, that cross an application's connection.
type series struct {
	app   string // whose connection, or who asks
	kinds wording
	rec   *Recorder
	every int // says something at every so many paces; 0 is only when it is woken
	say   func(seq int) error

	mu        sync.Mutex
	sayings   []utterance
	counted   int           // the number of the first that counts; those before it only tuned in
	newest    int           // the highest number that was heard
	latest    time.Duration // when anything was heard last
	twice     int
	outOfTurn int
}

// utterance is one message, or one request.
type utterance struct {
	at, took time.Duration // took is 0 while it is unheard
	refused  bool          // the server itself answered a request: nobody is there to do so
}

// next says the next one. What a client does not take is something that nobody hears.
func (s *series) next() {
	s.mu.Lock()
	seq := len(s.sayings)
	s.sayings = append(s.sayings, utterance{at: s.rec.Now()})
	s.mu.Unlock()
	_ = s.say(seq)
}

func (s *series) hear(seq int) {
	now := s.rec.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	if seq < 0 || seq >= len(s.sayings) {
		return
	}
	switch m := &s.sayings[seq]; {
	case m.took > 0:
		s.twice++
		return
	case seq < s.newest:
		s.outOfTurn++
		fallthrough
	default:
		m.took, s.latest = max(now-m.at, 1), now
		s.newest = max(s.newest, seq)
	}
}

func (s *series) refuse(seq int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if seq >= 0 && seq < len(s.sayings) {
		s.sayings[seq].refused, s.latest = true, s.rec.Now()
	}
}

// begin counts from here on.
func (s *series) begin() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.counted, s.twice, s.outOfTurn = len(s.sayings), 0, 0
}

// convinced reports whether enough of what was said since a number was heard without a gap, and whatever was said
// after that may still be under way: it has had no more time than those took.
func (s *series) convinced(from int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	last := len(s.sayings) - 1
	for last >= from && s.sayings[last].took == 0 {
		last--
	}
	if last-convincing+1 < from {
		return false
	}
	var usual time.Duration
	for _, m := range s.sayings[last-convincing+1 : last+1] {
		if m.took == 0 {
			return false
		}
		usual = max(usual, m.took)
	}
	return last == len(s.sayings)-1 || s.rec.Now()-s.sayings[last+1].at <= usual+pace
}

// pending reports whether something is unheard that may yet come, and when anything was heard last.
func (s *series) pending() (some bool, latest time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, m := range s.sayings[s.counted:] {
		if m.took == 0 && !m.refused {
			return true, s.latest
		}
	}
	return false, s.latest
}

// length is the number of the next one.
func (s *series) length() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.sayings)
}

// report writes down what became of everything that counts: how many were said and heard, each that was not, and how
// many came twice or after a later one.
func (s *series) report() {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := s.sayings[s.counted:]
	if len(all) == 0 {
		return
	}
	e := Event{At: all[0].at, From: Client, Kind: s.kinds.said, App: s.app, Count: len(all)}
	s.rec.Add(e)
	heard, slowest := 0, time.Duration(0)
	for i, m := range all {
		if m.took > 0 {
			heard, slowest = heard+1, max(slowest, m.took)
			continue
		}
		missing := Event{At: m.at, From: Client, Kind: s.kinds.unheard, App: s.app, Seq: i + 1, How: "lost"}
		if m.refused {
			missing.How = "refused"
		}
		s.rec.Add(missing)
	}
	for kind, n := range map[string]int{s.kinds.twice: s.twice, s.kinds.late: s.outOfTurn} {
		if n > 0 && kind != "" {
			s.rec.Add(Event{From: Client, Kind: kind, App: s.app, Count: n})
		}
	}
	if heard > 0 {
		s.rec.Add(Event{At: s.latest, From: Client, Kind: s.kinds.heard, App: s.app, Count: heard, Took: slowest})
	}
}
