package assertions

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// What judges read of a history of core applications.

// watchedTo returns how the applications were watched, if that came to its end: resting or working.
func watchedTo(h History) (how string, ok bool) {
	e, ok := h.Last(Lab, "watched")
	return e.Why, ok
}

// strangers are the applications that never got a connection.
func strangers(h History) []Event {
	return h.Filter(func(e Event) bool { return e.From == Client && e.Kind == "unconnected" && workload(e.App) != "" })
}

// appOf tells which application dialled from an address.
func appOf(h History) map[string]string {
	apps := map[string]string{}
	for _, e := range h.Events {
		if e.From == Client && (e.Kind == "connected" || e.Kind == "reconnected") && workload(e.App) != "" && e.Caller != "" {
			apps[e.Caller] = e.App
		}
	}
	return apps
}

// absence is one stay without a connection: when it was lost and when there was one again.
type absence struct {
	app        string
	lost, back Event
	returned   bool
	closed     bool // given up for good
}

func (a absence) took() time.Duration { return a.back.At - a.lost.At }

// absences are those of all applications, in order.
func absences(h History) []absence {
	open := map[string]int{}
	var all []absence
	for _, e := range h.Events {
		if e.From != Client || workload(e.App) == "" {
			continue
		}
		i, away := open[e.App]
		switch e.Kind {
		case "disconnected":
			open[e.App] = len(all)
			all = append(all, absence{app: e.App, lost: e})
		case "reconnected":
			if away {
				all[i].back, all[i].returned = e, true
				delete(open, e.App)
			}
		case "closed":
			if !away {
				i = len(all)
				all = append(all, absence{app: e.App, lost: e})
			}
			all[i].back, all[i].closed = e, true
			delete(open, e.App)
		}
	}
	return all
}

// severed reports whether something ended connections once, as opposed to holding them up: what was said while no
// connection could exist does not count then.
func severed(t Terms) bool {
	return slices.ContainsFunc(t.Strikes, func(s string) bool { return s != "stall" && s != "restart=reload" })
}

// excused reports whether something was said while one of those on its way had no connection and could have none.
func excused(e Event, away []absence) bool {
	for _, a := range away {
		if a.app != e.App && (workload(e.App) != asker && workload(e.App) != caller || workload(a.app) != worker) {
			continue
		}
		// Each side learns of the end a little later than the other, and interest in a subject must spread again.
		if e.At >= a.lost.At-tolerance && (!a.returned || e.At <= a.back.At+tolerance) {
			return true
		}
	}
	return false
}

// besides is the stretch in which servers may have no links to each other, whose balancers met the same event. Two that dial
// each other at once end both connections as duplicates, and try once more.
func besides(h History) []window {
	begin, struck := h.First(Lab, "strike-begin")
	over, ended := h.Last(Lab, "strike-over")
	if !struck || !ended {
		return nil
	}
	var longest time.Duration
	for _, link := range h.Terms.Beside {
		longest = max(longest, 2*linkKinds[link].retry)
	}
	if longest == 0 {
		return nil
	}
	return []window{{begin.At - tolerance, over.At + longest + tolerance}}
}

// tally is what became of all messages, or of all requests.
type tally struct {
	said, heard, twice, outOfTurn int
	lost                          []Event
	slowest                       time.Duration
}

func tallied(h History, w wording) tally {
	var t tally
	for _, e := range h.Events {
		if e.From != Client || workload(e.App) == "" {
			continue
		}
		switch e.Kind {
		case w.said:
			t.said += e.Count
		case w.heard:
			t.heard += e.Count
			t.slowest = max(t.slowest, e.Took)
		case w.unheard:
			t.lost = append(t.lost, e)
		case w.twice:
			t.twice += e.Count
		case w.late:
			t.outOfTurn += e.Count
		}
	}
	return t
}

// outage is the longest time for which one series was not heard.
func outage(lost []Event) time.Duration {
	began, last := map[string]Event{}, map[string]Event{}
	var longest time.Duration
	for _, e := range lost {
		if was, ok := last[e.App]; !ok || e.Seq != was.Seq+1 {
			began[e.App] = e
		}
		last[e.App] = e
		longest = max(longest, e.At-began[e.App].At+pace)
	}
	return longest
}

// byWorkload says whose they are: "receiver 12, speaker 3".
func byWorkload(events []Event) string {
	counts := map[string]int{}
	for _, e := range events {
		counts[workload(e.App)]++
	}
	var said []string
	for kind, n := range counts {
		said = append(said, fmt.Sprintf("%s %d", kind, n))
	}
	slices.Sort(said)
	return strings.Join(said, ", ")
}

// apps counts the applications that events are about.
func apps(events []Event) int {
	seen := map[string]bool{}
	for _, e := range events {
		seen[e.App] = true
	}
	return len(seen)
}

// cuts are the connections of applications that ended while they were watched, each once.
func cuts(h History) []Event {
	began, ok := h.First(Lab, "watching")
	if !ok {
		return nil
	}
	app := appOf(h)
	balanced, noticed := map[string][]Event{}, map[string][]Event{}
	for _, e := range h.Events {
		switch {
		case e.At < began.At:
		case idled(e) && app[e.Caller] != "":
			balanced[app[e.Caller]] = append(balanced[app[e.Caller]], e)
		case e.From == Client && (e.Kind == "disconnected") && workload(e.App) != "":
			noticed[e.App] = append(noticed[e.App], e)
		}
	}
	var all []Event
	for name, events := range noticed {
		if len(events) > len(balanced[name]) {
			balanced[name] = events // whatever ended them
		}
	}
	for _, events := range balanced {
		all = append(all, events...)
	}
	slices.SortStableFunc(all, func(a, b Event) int { return int(a.At - b.At) })
	return all
}

// rested is how many quiet spells were watched to their end.
func rested(h History) int { return len(h.Kind(Lab, "rested")) }

// shortened marks what was seen in scaled time: it is told as it was, never extrapolated.
func shortened(t Terms) string {
	if t.Factor > 1 {
		return fmt.Sprintf(", time shortened %g times", t.Factor)
	}
	return ""
}

// quietClientAdvice is the smallest change that keeps quiet clients alive.
func quietClientAdvice(t Terms) []Advice {
	var advice []Advice
	idle, usual := t.Real(t.Idle), t.Real(t.silence())
	if idle > 0 && idle < usual*5/4 {
		// A server that heard something leaves a PING out, so two intervals must fit into one idle timeout.
		if ping := (idle * 2 / 5).Truncate(100 * time.Millisecond); ping >= 500*time.Millisecond {
			text := trimmed(ping)
			advice = append(advice, pingAdvice(t, text),
				Advice{Target: "client", Text: fmt.Sprintf("a ping interval of %s (nats.go: nats.PingInterval), where the server is not yours", text),
					Client: map[string]string{"ping-interval": text}})
		}
		longer := trimmed((usual * 5 / 4).Round(time.Second))
		set := map[string]string{}
		for name := range t.Settings {
			if strings.HasPrefix(name, "idle-timeout") {
				set[name] = longer
			}
		}
		advice = append(advice, Advice{Target: "load-balancer", Text: "idle timeout of at least " + longer + " towards clients", Set: set})
	}
	if t.Lifetime > 0 {
		advice = append(advice, Advice{Target: "load-balancer", Text: "no maximum connection lifetime towards clients", Set: map[string]string{"max-lifetime": "none"}})
	}
	return advice
}

// pingAdvice is the servers' interval for the clients that cross the balancer. Websocket clients have one to themselves.
func pingAdvice(t Terms, interval string) Advice {
	if slices.Contains(t.Links, "websocket") {
		return Advice{Target: "nats-server", Text: fmt.Sprintf("websocket { ping_interval: %q }  # 2.11.12, 2.12.3; more than two of them must fit into the idle timeout", interval),
			Nats: map[string]string{"websocket.ping_interval": interval}}
	}
	return Advice{Target: "nats-server", Text: fmt.Sprintf("ping_interval: %q  # more than two of them must fit into the idle timeout", interval),
		Nats: map[string]string{"ping_interval": interval}}
}

// appAdvice is what helps applications against an event, or against what the balancer does to their connections.
func appAdvice(t Terms) []Advice {
	var advice []Advice
	for _, s := range t.Strikes {
		switch s {
		case "restart=crash":
			advice = append(advice, reloaded)
		case "stall":
			advice = append(advice, Advice{Target: "load-balancer", Text: "keep pauses (failover, live migration, overload) below 2 s"})
		case "outage":
			advice = append(advice, takenOver, everlasting)
		case "drain":
			advice = append(advice, Advice{Target: "load-balancer", Text: "drained connections left alone until the server asks its clients to go: lame duck mode moves them one by one",
				Set: map[string]string{"drain": "keep"}})
		}
	}
	advice = append(advice, clientAdvice(t)...)
	return append(advice, quietClientAdvice(t)...)
}

// everlasting is what keeps a client from giving up.
var everlasting = Advice{Target: "client", Text: "reconnect for ever (nats.go: nats.MaxReconnects(-1)): the default gives up after 60 attempts a server, about two minutes",
	Client: map[string]string{"max-reconnects": "-1"}}
