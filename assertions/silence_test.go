package assertions

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// hushed is one quiet connection of a hand-written history: how long it was quiet and how that ended.
func hushed(lasted float64, end string, more ...func(*Event)) Event {
	d := secs(lasted)
	return on(lasted+1, Client, "rested", append([]func(*Event){func(e *Event) {
		e.Silence = &Silence{Lasted: d, AtMost: d + time.Millisecond, End: end, Age: d + time.Second}
	}}, more...)...)
}

// precise is the precision that somebody asked for, and starvedBy what the tester was itself.
func precise(precision string) Event { return on(0, Lab, "measuring", whatOf(precision)) }
func starvedBy(at, by float64) Event { return on(at, Lab, "late", took(by)) }

func began(at float64) func(*Event) {
	return func(e *Event) { e.Silence.Began = secs(at); e.At += secs(at) }
}

func aged(d float64) func(*Event) { return func(e *Event) { e.Silence.Age = secs(d) } }

func probes(e *Event) { e.Silence.Keepalive = time.Second }

// lost is the end of a busy connection.
func lost(at, age float64) Event { return on(at, Client, "control-lost", took(age)) }

func TestTheIdleLimitIsWhatQuietConnectionsShow(t *testing.T) {
	const s = time.Second
	for _, c := range []struct {
		name   string
		events []Event
		want   Idle
	}{
		{"none was met", []Event{hushed(5, endAlive), hushed(9, endAlive)}, Idle{Low: 9 * s, Survived: 2, Watched: 9 * s}},
		{"ended by FIN", []Event{hushed(2, endAlive), hushed(3, endFIN), hushed(3, endFIN), hushed(3, endFIN)},
			Idle{Low: 3 * s, High: 3 * s, Manner: "fin", Survived: 1, Ended: 3, Watched: 3 * s}},
		{"seen late and early", []Event{hushed(2.9, endFIN), hushed(3, endFIN), hushed(3, endFIN), hushed(3.2, endFIN)},
			Idle{Low: 2901 * s / 1000, High: 2901 * s / 1000, Manner: "fin", Ended: 4, Watched: 3200 * s / 1000}},
		{"without a word, between two rungs", []Event{hushed(2, endAlive), hushed(3, endSilent), hushed(4, endSilent)},
			Idle{Low: 2 * s, High: 3 * s, Manner: "silent", Survived: 1, Ended: 2, Watched: 4 * s}},
		{"reset when spoken to, probes do not help", []Event{hushed(2, endAlive), hushed(3, endNextRST), hushed(4, endNextRST, probes)},
			Idle{Low: 2 * s, High: 3 * s, Manner: "rst-on-next", Keepalive: "ignored", Probe: s, Survived: 1, Ended: 1, Watched: 4 * s}},
		{"probes keep it", []Event{hushed(2, endAlive), hushed(3, endSilent), hushed(4, endAlive, probes)},
			Idle{Low: 2 * s, High: 3 * s, Manner: "silent", Keepalive: "counts", Probe: s, Survived: 1, Ended: 1, Watched: 4 * s}},
		{"a limit below two probes tells nothing of them", []Event{hushed(1, endAlive), hushed(1.5, endSilent), hushed(2, endAlive, probes)},
			Idle{Low: s, High: 1500 * s / 1000, Manner: "silent", Probe: s, Survived: 1, Ended: 1, Watched: 2 * s}},
		{"the server speaks", []Event{hushed(3, endAlive), hushed(4, endPinged), hushed(4.1, endPinged)},
			Idle{Low: 4100 * s / 1000, Hidden: 4100 * s / 1000, Reach: 4100 * s / 1000, Survived: 3, Watched: 4100 * s / 1000}},
		{"some outlive it", []Event{hushed(2, endAlive), hushed(3, endSilent), hushed(5, endAlive)},
			Idle{Low: 2 * s, High: 3 * s, Manner: "silent", Uneven: true, Survived: 2, Ended: 1, Watched: 5 * s}},
		{"the endpoint went away", []Event{hushed(2, endAlive), hushed(3, endFIN), hushed(3, endRST), lost(4.2, 4.2), lost(4.2, 2.7)},
			Idle{Low: 2 * s, Survived: 1, Died: true, Watched: 2 * s}},
		{"late in the middle of a silence, where nobody has anything to do", []Event{hushed(5, endAlive), hushed(9, endFIN), starvedBy(3, 0.5), starvedBy(7.5, 0.5)},
			Idle{Low: 9 * s, High: 9 * s, Manner: "fin", Survived: 1, Ended: 1, Watched: 9 * s}},
		{"late where a silence ends", []Event{hushed(5, endAlive), hushed(9, endFIN), starvedBy(9.2, 0.3)},
			Idle{Low: 5 * s, Survived: 1, Doubtful: 1, Late: 300 * time.Millisecond, Doubted: 9 * s, Missed: 9 * s, Watched: 5 * s}},
		{"late where a silence that was survived ends: a PING might have come unread", []Event{hushed(5, endAlive), hushed(9, endAlive), starvedBy(9.1, 0.3)},
			Idle{Low: 5 * s, Survived: 1, Doubtful: 1, Late: 300 * time.Millisecond, Missed: 9 * s, Watched: 5 * s}},
		{"late where one begins", []Event{hushed(5, endAlive), hushed(9, endSilent, began(4)), starvedBy(4.1, 0.3)},
			Idle{Low: 5 * s, Survived: 1, Doubtful: 1, Late: 300 * time.Millisecond, Doubted: 9 * s, Missed: 9 * s, Watched: 5 * s}},
		{"late by less than the precision", []Event{precise("5%"), hushed(5, endAlive), hushed(9, endFIN), starvedBy(9.2, 0.3)},
			Idle{Low: 9 * s, High: 9 * s, Manner: "fin", Survived: 1, Ended: 1, Watched: 9 * s, Precision: Precision{Share: 0.05}}},
		{"late by less than a coarse precision, and yet by half of what an answer is waited for", []Event{precise("50%"), hushed(5, endAlive), hushed(9, endSilent), starvedBy(9.9, 1.1)},
			Idle{Low: 5 * s, Survived: 1, Doubtful: 1, Late: 1100 * time.Millisecond, Doubted: 9 * s, Missed: 9 * s, Watched: 5 * s, Precision: Precision{Share: 0.5}}},
		{"busy connections that ended because the tester did not hear", []Event{hushed(2, endAlive), lost(5, 5), starvedBy(5, 1.9), lost(6.5, 5), starvedBy(6.5, 1.4)},
			Idle{Low: 2 * s, Survived: 1, Watched: 2 * s}},
		{"an age, and not a silence", []Event{hushed(2, endAlive), hushed(4, endFIN), lost(5, 5), lost(6.5, 5)},
			Idle{Low: 2 * s, Survived: 1, Lifetime: 5 * s, Watched: 2 * s}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if d := cmp.Diff(c.want, IdleOf(History{Events: c.events})); d != "" {
				t.Errorf("want -, got +:\n%s", d)
			}
		})
	}
}

func TestTheNextSilencesNarrowTheAnswer(t *testing.T) {
	const s = time.Second
	ladder := Depth{MaxWait: 60 * s, Precision: Precision{Share: 0.02}, Mode: ModeLadder}
	halving := Depth{MaxWait: 60 * s, Precision: Precision{Time: s}, Mode: ModeBisect}
	for _, c := range []struct {
		name  string
		depth Depth
		known Idle
		want  []time.Duration
	}{
		{"no limit, nothing more", ladder, Idle{Low: 60 * s}, nil},
		{"near enough", ladder, Idle{Low: 49 * s, High: 50 * s}, nil},
		{"a ladder between two rungs", ladder, Idle{Low: 40 * s, High: 44 * s}, []time.Duration{40*s + 4*s/5, 40*s + 8*s/5, 40*s + 12*s/5, 40*s + 16*s/5}},
		{"halved", halving, Idle{Low: 40 * s, High: 44 * s}, []time.Duration{42 * s}},
		{"doubled until one meets it", halving, Idle{Low: 8 * s}, []time.Duration{16 * s}},
		{"but not beyond what was allowed", halving, Idle{Low: 40 * s}, []time.Duration{60 * s}},
		{"the end of doubling", halving, Idle{Low: 60 * s}, nil},
		{"what was late is waited for once more", Depth{MaxWait: 60 * s, Mode: ModeLadder}, Idle{Low: 50 * s, Doubtful: 2, Doubted: 55 * s}, []time.Duration{53069 * s / 1000, 60 * s}},
		{"what was late and answered all the same", ladder, Idle{Low: 60 * s, Doubtful: 2}, nil},
		{"halving goes on where it was late", halving, Idle{Low: 8 * s, Doubtful: 1}, []time.Duration{16 * s}},
		{"what PINGs hide stays hidden", halving, Idle{Low: 40 * s, Hidden: 40 * s}, nil},
		{"no answer can be narrowed", ladder, Idle{Low: 20 * s, High: 44 * s, Uneven: true}, nil},
		{"an endpoint that died", ladder, Idle{Died: true, Low: s, High: 44 * s}, nil},
	} {
		if d := cmp.Diff(c.want, c.depth.next(c.known)); d != "" {
			t.Errorf("%s: want -, got +:\n%s", c.name, d)
		}
	}
	first := ladder.first()
	if len(first) != ladderRungs || first[0] != shortest || first[len(first)-1] != ladder.MaxWait {
		t.Errorf("the ladder is %v", first)
	}
	for i := range first[1:] {
		if first[i] >= first[i+1] {
			t.Errorf("rung %d is %s, the next %s", i, first[i], first[i+1])
		}
	}
	if told, silent := ladder.Takes(); told < ladder.MaxWait || silent < told || silent > 3*ladder.MaxWait {
		t.Errorf("a ladder takes %s or %s", told, silent)
	}
	if told, silent := halving.Takes(); told < 2*halving.MaxWait || silent < told {
		t.Errorf("halving takes %s or %s", told, silent)
	}
}

func TestPrecisionsAreRead(t *testing.T) {
	for text, want := range map[string]string{"2%": "2%", "0.5%": "0.5%", "100ms": "100ms", "1m": "1m0s"} {
		if p, err := ParsePrecision(text); err != nil || p.String() != want {
			t.Errorf("%s: %s, %v", text, p, err)
		}
	}
	for _, text := range []string{"", "2", "%", "0%", "60%", "NaN%", "1ms", "-1s", "fast"} {
		if _, err := ParsePrecision(text); err == nil || !strings.Contains(err.Error(), "--precision") {
			t.Errorf("%q: %v", text, err)
		}
	}
	for _, d := range []Depth{{MaxWait: 0, Mode: ModeLadder}, {MaxWait: 48 * time.Hour, Mode: ModeLadder}, {MaxWait: time.Minute, Mode: "guess"}} {
		if d.Check() == nil {
			t.Errorf("%+v was accepted", d)
		}
	}
}

func TestIdleConnectionsAreJudgedByWhatWasSeen(t *testing.T) {
	const stays, notices = "client/stays-connected-when-quiet", "client/notices-silence"
	in := on(0, Client, "greeted")
	for _, c := range []struct {
		name, check string
		events      []Event
		want        Verdict
		says        string
	}{
		{"cut by FIN", stays, []Event{in, hushed(29, endAlive), hushed(30, endFIN)}, Unsafe, "ends after 30s of silence, by FIN; a client's PING comes each 120s"},
		{"cut by FIN, and told", notices, []Event{in, hushed(30, endFIN)}, Skipped, "says by FIN"},
		{"long enough", stays, []Event{in, hushed(290, endAlive), hushed(300, endRST)}, Safe, "3m0s before"},
		{"hardly enough", stays, []Event{in, hushed(120, endAlive), hushed(125, endSilent)}, Unsafe, "between 2m0s and 2m5s"},
		{"a little more", stays, []Event{in, hushed(123, endAlive), hushed(125, endSilent)}, Risky, "hardly above"},
		{"none up to a PING's time and its margin", stays, []Event{in, hushed(133, endAlive)}, Safe, "survived 2m13s"},
		{"none up to a PING's time", stays, []Event{in, hushed(130, endAlive)}, Skipped, "survived 2m10s of silence, and a client's PING comes each 120s: --max-wait 132s and more tells"},
		{"not waited for long enough", stays, []Event{in, hushed(30, endAlive)}, Skipped, "--max-wait"},
		{"the server speaks sooner", stays, []Event{in, precise("2%"), hushed(20, endPinged)}, Safe, "at least 20s: the server itself speaks"},
		{"the server speaks sooner, and to others later than was tried", stays, []Event{in, precise("2%"), hushed(20, endPinged, aged(24))}, Skipped, "at least 20s: then a server's own PINGs break the silence, and hide what is above; a last word at a worse time makes it 22s"},
		{"one of two servers speaks sooner", stays, []Event{in, on(0, Client, "greeted", peer("B")), precise("2%"), hushed(20, endPinged)}, Skipped, "not each server was heard to PING"},
		{"the server speaks beyond a PING's time", stays, []Event{in, hushed(238, endPinged, aged(242))}, Safe, "survived 3m58s"},
		{"the server speaks sooner, and no word of what is above", notices, []Event{in, precise("2%"), hushed(20, endPinged, aged(24))}, Skipped, "at least 20s"},
		{"late at the connection that ended", stays, []Event{in, precise("2%"), hushed(30, endAlive), hushed(60, endFIN), starvedBy(61.9, 1.9)}, Skipped, "up to 1.9s late itself at the beginning or the end of 1 quiet connection"},
		{"late at one that was spoken to too late", stays, []Event{in, precise("2%"), hushed(30, endAlive), hushed(133, endAlive), starvedBy(134, 3)}, Skipped, "too busy to tell"},
		{"late there, and not at a longer one", stays, []Event{in, precise("2%"), hushed(133, endAlive), starvedBy(134, 3), hushed(140, endAlive)}, Safe, "survived 2m20s"},
		{"late at one that ended, and others of that silence lived on", stays, []Event{in, precise("2%"), hushed(60, endFIN), starvedBy(62, 2), hushed(140, endAlive)}, Skipped, "too busy to tell"},
		{"late at one, and another of that silence lived on", stays, []Event{in, precise("2%"), hushed(100, endAlive), starvedBy(102, 3), hushed(100, endAlive, began(60))}, Skipped, "--max-wait 132s"},
		{"late, and the boundary between what is known", stays, []Event{in, precise("2%"), hushed(100, endAlive), hushed(130, endAlive), starvedBy(132, 3), hushed(140, endSilent)}, Skipped, "too busy to tell"},
		{"late, and far below the boundary", stays, []Event{in, precise("2%"), hushed(30, endAlive), hushed(33, endSilent), starvedBy(34, 1), hushed(40, endSilent, began(60))}, Unsafe, "between 30s and 40s"},
		{"kept by Go's probes", stays, []Event{in, hushed(58, endAlive), hushed(60, endSilent), hushed(70, endAlive, probes)}, Risky, "clients in other languages may send none"},
		{"and never silent for these", notices, []Event{in, hushed(58, endAlive), hushed(60, endSilent), hushed(70, endAlive, probes)}, Safe, "does not let happen"},
		{"forgotten", notices, []Event{in, hushed(58, endAlive), hushed(60, endSilent)}, Unsafe, "knows after up to 6m"},
		{"reset on use", notices, []Event{in, hushed(58, endAlive), hushed(60, endNextRST)}, Unsafe, "hears nothing for up to 120s"},
		{"forgotten beyond a PING's time", notices, []Event{in, hushed(230, endAlive), hushed(240, endSilent)}, Safe, "does not let happen"},
		{"nothing ended", notices, []Event{in, hushed(140, endAlive)}, Safe, "no connection ended without a word in 2m20s"},
		{"nothing ended, and nobody waited", notices, []Event{in, hushed(30, endAlive)}, Skipped, "no connection ended without a word in 30s of silence, and a client's PING comes each 120s"},
		{"an age", stays, []Event{in, hushed(4, endFIN), lost(5, 5), lost(6.5, 5)}, Unsafe, "age of 5s, busy ones as well"},
		{"one of many", stays, []Event{in, hushed(2, endAlive), hushed(3, endSilent), hushed(5, endAlive), hushed(6, endAlive)}, Skipped, "may have been anything"},
		{"it died", stays, []Event{in, hushed(3, endFIN), lost(4.2, 4.2), lost(4.2, 2.7)}, Skipped, "the endpoint went away"},
		{"nobody in", stays, nil, Skipped, nobodyIn},
		{"no quiet one came about", stays, []Event{in, on(1, Client, "unrested", func(e *Event) { e.Why = "timeout" })}, Skipped, "came about: timeout"},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, check := range DeepChecks() {
				if check.Name != c.check {
					continue
				}
				f := check.Judge(History{Events: c.events})[0]
				if f.Verdict != c.want || !strings.Contains(f.Got, c.says) {
					t.Errorf("%s: %s; want %s: %s", f.Verdict, f.Got, c.want, c.says)
				}
				if f.Verdict == Unsafe && len(f.Advice) == 0 {
					t.Error("no advice")
				}
			}
		})
	}
}

func TestALimitThatIsNotKnownSaysWhy(t *testing.T) {
	for _, c := range []struct {
		idle Idle
		want string
	}{
		{Idle{}, ""}, // nothing was measured yet
		{Idle{Doubtful: 3, Late: 400 * time.Millisecond}, "not known: 3 silences set aside, for which this machine was up to 400ms late itself"},
		{Idle{Survived: 1, Low: 5 * time.Second, Doubtful: 1, Late: 400 * time.Millisecond},
			"none up to 5s; 1 more set aside, for which this machine was up to 400ms late itself"},
	} {
		if got := c.idle.limitFact(); got != c.want {
			t.Errorf("got %q, want %q", got, c.want)
		}
	}
}

func TestWhatAStandInSawIsTold(t *testing.T) {
	accepted := func(at float64, far FarEnd) Event {
		return on(at, Server, "accepted", func(e *Event) { e.Far = &far })
	}
	events := []Event{
		hushed(3, endFIN, func(e *Event) { e.Seq, e.Peer, e.Silence.ID, e.Caller = 1, "A", 7, "198.51.100.7:1" }),
		accepted(0, FarEnd{ID: 7, Server: "A", From: "10.0.0.5:999", Header: "v2 198.51.100.7:1", First: "CONNECT", Name: "lbtest validate", End: "fin", Quiet: 3 * time.Second}),
		accepted(1, FarEnd{ID: 8, Server: "A", From: "10.0.0.5:1000", End: "rst"}), accepted(3, FarEnd{ID: 9, Server: "A", From: "10.0.0.5:1001", End: "rst"}),
		accepted(5, FarEnd{ID: 10, Server: "A", From: "10.0.0.5:1002", End: "rst"}),
	}
	got := map[string]string{}
	for _, f := range DeepFacts(History{Events: events}) {
		got[f.Name] = f.Value
	}
	for name, want := range map[string]string{
		"behind it": "1 connection came from 10.0.0.5 (1 port), none from the address and port it left here with", "PROXY header": "v2 on every connection, such as 198.51.100.7:1",
		"far ends": "the server's side saw 1 FIN, after 3s to 3s", "health checks": "3 visits of a connect from 10.0.0.5, ended by RST, each 2s", "idle limit": "connections end after 3s of silence, by FIN",
		"margins": "clients (nats.go's PING each 120s) -1m57s",
	} {
		if !strings.Contains(got[name], want) {
			t.Errorf("%s: got %q, want %q", name, got[name], want)
		}
	}
	if p := PostureOf(History{Events: events}); p.Header != "v2" {
		t.Errorf("header %q", p.Header)
	}
}
