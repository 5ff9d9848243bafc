package assertions

import (
	"slices"
	"strings"
	"testing"
	"time"
)

func lane(t *testing.T, p Picture, kind, of string) Lane {
	t.Helper()
	i := slices.IndexFunc(p.Lanes, func(l Lane) bool { return l.Kind == kind && strings.HasPrefix(l.Of, of) })
	if i < 0 {
		t.Fatalf("no lane %s of %q in %+v", kind, of, p.Lanes)
	}
	return p.Lanes[i]
}

// at is what a lane shows at a moment of the picture.
func (l Lane) at(s float64) string {
	for _, span := range l.Spans {
		if span.From <= secs(s) && secs(s) < span.To {
			return span.State + ": " + span.What
		}
	}
	return ""
}

// sees checks a lane at several moments.
func (l Lane) sees(t *testing.T, want map[float64]string) {
	t.Helper()
	for s, text := range want {
		if got := l.at(s); got != text {
			t.Errorf("%s at %gs: got %q, want %q", l.Of, s, got, text)
		}
	}
	for i := 1; i < len(l.Spans); i++ {
		if l.Spans[i].From < l.Spans[i-1].To {
			t.Errorf("%s: %v begins before %v has ended", l.Of, l.Spans[i], l.Spans[i-1])
		}
	}
}

func TestAPictureOfAnEventCountsFromIt(t *testing.T) {
	of := func(app, where string) func(*Event) { return func(e *Event) { e.App, e.Node = app, where } }
	raft := func(s float64, who, state, leads string, nth uint64) Event {
		return on(s, Server, "raft", node(who), stream(metaGroup), how(state), peer(leads), term(nth), many(2))
	}
	h := History{Terms: struckBy("stall", 6), Events: line(
		on(1, Balancer, "begin", conn("a"), front("n1"), backend("n1")), on(1, Balancer, "begin", conn("b"), front("n1"), backend("n1")),
		on(1, Balancer, "begin", conn("c"), front(CanaryFront), backend("canary")),
		on(1, Client, "connected", of("app", "n1")), on(1.5, Client, "acked", stream("S1")), on(9.9, Client, "acked", stream("S1")),
		raft(1, "n1", "LEADER", "n1", 1), raft(1, "n2", "FOLLOWER", "n1", 1), raft(1, "n3", "FOLLOWER", "n1", 1),
		on(10, Lab, "strike-begin"), on(10, Balancer, "stall"), on(10.1, Client, "acked", stream("S1")),
		on(12, Client, "disconnected", of("app", ""), why("EOF")), on(12, Balancer, "end", conn("a"), front("n1"), backend("n1"), how("rst"), why("cut")),
		raft(15, "n2", "CANDIDATE", "", 2), raft(15, "n1", "FOLLOWER", "", 2), raft(15, "n3", "FOLLOWER", "", 2),
		on(16, Lab, "strike-over"), on(16, Balancer, "resume"), on(16.5, Client, "acked", stream("S1")),
		on(17, Client, "reconnected", of("app", "n2")), on(17, Balancer, "begin", conn("d"), front("n1"), backend("n1")),
		raft(17, "n2", "LEADER", "n2", 2), raft(17, "n1", "FOLLOWER", "n2", 2), raft(17, "n3", "FOLLOWER", "n2", 2),
		on(19, Client, "complained", of("app", "")), on(60, Client, "read", stream("S1")),
	)}
	quoted := h.Kind(Server, "raft")[3:5]
	p := Draw(h, []Finding{{Evidence: quoted}, {Evidence: quoted[:1]}})
	if p.Since != "stall" || p.From != secs(-2) || p.To != secs(9) {
		t.Errorf("it counts from %q, from %s to %s", p.Since, p.From, p.To)
	}
	lane(t, p, LaneBalancer, "load balancer").sees(t, map[float64]string{-1: "", 1: "less: holds all bytes and new connections", 6.1: ""})
	lane(t, p, LaneLink, "to n1").sees(t, map[float64]string{-1: "fine: 2 connections", 3: "less: 1 of 2 connections", 8: "fine: 2 connections"})
	lane(t, p, LaneClient, "app").sees(t, map[float64]string{-1: "fine: connected to n1", 3: "gone: without a connection: EOF", 8: "fine: connected to n2"})
	lane(t, p, LaneClient, "publish acks").sees(t, map[float64]string{0.05: "fine: acks come", 3: "gone: no ack for 6.4s"})
	lane(t, p, LaneLeader, nameOfMeta).sees(t, map[float64]string{-1: "fine: n1 leads (term 1)", 5.5: "gone: no leader", 8: "fine: n2 leads (term 2)"})
	if marks := lane(t, p, LaneEvidence, "evidence").Marks; len(marks) != 2 || marks[0].Event != quoted[0].ID || marks[1].Event != quoted[1].ID {
		t.Errorf("the evidence is %+v, want each event once", marks)
	}
	if slices.ContainsFunc(p.Lanes, func(l Lane) bool { return strings.Contains(l.Of, "canary") && l.Kind == LaneLink }) {
		t.Error("the tester's own connections stand among the users'")
	}
}

func TestAPictureOfQuietSpellsShowsAllOfThem(t *testing.T) {
	h := History{Terms: idleFor(5, "silent"), Events: line(
		on(1, Balancer, "begin", conn("a"), front("n1"), backend("n1")), on(1, Balancer, "begin", conn("c"), front(CanaryFront), backend("canary")),
		on(2, Lab, "quiet-begin", seq(1)), on(6, Balancer, "expired", conn("c"), front(CanaryFront), how("silent"), why("idle-timeout"), took(5)),
		on(7, Balancer, "expired", conn("a"), front("n1"), backend("n1"), how("silent"), why("idle-timeout"), took(5)),
		on(8, Lab, "quiet-end", seq(1)), on(8, Client, "said", seq(1)), on(8.1, Client, "unheard", seq(1)), on(8.2, Client, "unheard", seq(2)),
		on(9, Client, "heard", seq(3), took(2)), on(12, Lab, "watched"), on(20, Balancer, "end", conn("a"), front("n1"), backend("n1"), how("fin"), why("close")),
	)}
	p := Draw(h, []Finding{{Evidence: h.Kind(Client, "unheard")}})
	if p.Since != "" || p.From != 0 || p.To != secs(12) {
		t.Errorf("it counts from %q, from %s to %s", p.Since, p.From, p.To)
	}
	lane(t, p, LaneLab, "the lab").sees(t, map[float64]string{1: "", 5: "quiet: quiet spell 1", 9: ""})
	// A connection that a balancer has forgotten is gone, though both ends still hold it.
	lane(t, p, LaneLink, "to n1").sees(t, map[float64]string{3: "fine: 1 connection", 11: "gone: no connection"})
	lane(t, p, LaneClient, "messages").sees(t, map[float64]string{8.12: "gone: messages are lost", 9.02: "less: messages arrive late"})
	if marks := lane(t, p, LaneCanary, "canary").Marks; len(marks) != 1 || marks[0].What != "idle-timeout ends it after 5s (silent)" {
		t.Errorf("the canary's marks are %+v", marks)
	}
}

func TestAPictureStaysSmall(t *testing.T) {
	var events []Event
	for i := range 20000 {
		at := float64(i) / 100
		events = append(events, on(at, Balancer, "begin", conn(spoken(secs(at))), front("n1"), backend("n1")),
			on(at+0.005, Balancer, "end", conn(spoken(secs(at))), front("n1"), backend("n1"), how("rst"), why("idle-timeout")),
			on(at, Client, "disconnected", func(e *Event) { e.App = spoken(time.Duration(i%50) * time.Second) }))
	}
	p := Draw(History{Terms: idleFor(5, "fin"), Events: line(events)}, nil)
	size := 0
	for _, l := range p.Lanes {
		size += len(l.Spans) + len(l.Marks)
	}
	if size > 2000 || len(p.Lanes) > 20 {
		t.Errorf("%d lanes hold %d spans and marks", len(p.Lanes), size)
	}
}

func TestAPictureOfNothingIsNone(t *testing.T) {
	if p := Draw(History{}, nil); len(p.Lanes) != 0 {
		t.Errorf("got %+v", p)
	}
}
