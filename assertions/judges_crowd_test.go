package assertions

import (
	"fmt"
	"testing"
	"time"
)

// A herd of six over three nodes, unless a case says otherwise.

func ofHerd(n int) func(*Event)    { return func(e *Event) { e.App = fmt.Sprint(herdApp, n) } }
func saying(w string) func(*Event) { return func(e *Event) { e.What = w } }
func onNode(n int) func(*Event)    { return node(fmt.Sprintf("n%d", n%3+1)) }
func crowdOf(n int) Terms          { t := threeNodes(); t.Clients = n; return t }
func crowdStruck(n int) Terms      { t := struckBy("restart=crash", 0); t.Clients = n; return t }
func dispersed(at float64) Event   { return on(at, Lab, "herd-over") }
func churning(n int) Event         { return on(2, Lab, "churn-begin", many(n)) }
func refusedFor(at float64) Event {
	return on(at, Balancer, "refused", why("source-ports"), saying("no port is free"))
}

// arrivingOn is clients from one number up to another that connect in so many seconds, each to the node that place says.
func arrivingOn(place func(int) int, from, to int, slowest float64) []Event {
	var all []Event
	for n := from; n < to; n++ {
		all = append(all, on(1, Client, "connected", ofHerd(n), onNode(place(n)), took(slowest)))
	}
	return all
}

func evenly(n int) int { return n }
func onOne(int) int    { return 0 }

// came is a herd that is there in so many seconds.
func came(n int, slowest float64) []Event {
	return line(arrivingOn(evenly, 0, n, slowest), on(1.9, Lab, "herd-arrived", many(n)))
}

// shutOut is clients that failed, with what they were told and when.
func shutOut(from, to int, took1 float64, told string) []Event {
	var all []Event
	for n := from; n < to; n++ {
		all = append(all, refusedFor(1), on(1.1, Client, "unconnected", ofHerd(n), took(took1), why(told)))
	}
	return all
}

// cutOff is a whole herd without its connections.
func cutOff(at float64, n int) []Event {
	var all []Event
	for i := range n {
		all = append(all, on(at, Client, "disconnected", ofHerd(i)))
	}
	return all
}

// returnedOn is clients that came back.
func returnedOn(place func(int) int, at float64, from, to int, after float64) []Event {
	var all []Event
	for n := from; n < to; n++ {
		all = append(all, on(at, Client, "reconnected", ofHerd(n), onNode(place(n)), took(after), seq(1)))
	}
	return all
}

func absent(from, to int) []Event {
	var all []Event
	for n := from; n < to; n++ {
		all = append(all, on(40, Client, "missing", ofHerd(n), why(endOfFile)))
	}
	return all
}

// churn is a herd that left and came back.
func churned(n int, after float64) []Event {
	return line(came(n, 0.01), churning(n), cutOff(3, n), returnedOn(evenly, 3+after, 0, n, after), dispersed(41))
}

// crashed is a herd that lost everything at 5 s and was back so many seconds later.
func crashed(n int, after float64) []Event {
	return line(came(n, 0.01), strike(4.9, 5), cutOff(5, n), returnedOn(evenly, 5+after, 0, n, after), dispersed(41))
}

func TestAllConnect(t *testing.T) {
	control := churned(6, 0.01)
	judgeAll(t, "ports/all-connect", []judged{
		{name: "all are there", terms: crowdOf(6), events: churned(6, 0.01), control: control, want: Safe, got: "all 6 clients connected, the slowest in 10ms",
			measured: map[string]float64{"clients": 6, "clients_unconnected": 0, "slowest_connect": 0.01}},
		{name: "half a second later than without a balancer is no cost", terms: crowdOf(6), events: line(came(6, 0.51), dispersed(9)), control: control, want: Safe, got: "all 6 clients connected, the slowest in 510ms"},
		{name: "more is, and marginal", terms: crowdOf(6), events: line(came(6, 0.511), dispersed(9)), control: control, marginal: true, want: Risky, got: "all 6 clients connected, the slowest in 511ms (control 10ms)"},
		{name: "much more is not marginal", terms: crowdOf(6), events: line(came(6, 1.01), dispersed(9)), control: control, want: Risky, got: "all 6 clients connected, the slowest in 1s (control 10ms)"},
		{name: "one that is turned away is too many", terms: crowdOf(6), events: line(came(5, 0.01), shutOut(5, 6, 0.001, endOfFile), dispersed(9)), control: control,
			want: Unsafe, got: "1 of 6 clients did not connect: end of file (source-ports: no port is free)", measured: map[string]float64{"clients": 6, "clients_unconnected": 1}},
		{name: "a second try does not undo the first", terms: crowdOf(6), control: control,
			events: line(came(5, 0.01), shutOut(5, 6, 2, timedOut), on(1.5, Client, "connected", ofHerd(5), onNode(2), took(0.9)), dispersed(9)),
			want:   Unsafe, got: "1 of 6 clients did not connect: timeout (source-ports: no port is free)", measured: map[string]float64{"clients": 6, "clients_unconnected": 1, "slowest_connect": 0.01}},
		{name: "two tries are one client", terms: crowdOf(6), events: line(came(5, 0.01), shutOut(5, 6, 2, timedOut), shutOut(5, 6, 2, timedOut), dispersed(9)), control: control,
			want: Unsafe, got: "1 of 6 clients did not connect: timeout (source-ports: no port is free)"},
		{name: "one of whom nothing is known", terms: crowdOf(7), events: churned(6, 0.01), control: control, want: Skipped, got: "what became of 1 of 7 clients was not written down"},
		{name: "a watch without an end", terms: crowdOf(6), events: came(6, 0.01), control: control, want: Skipped, got: "the clients were not watched to the end"},
		{name: "other applications are no part of the herd", terms: crowdOf(1), events: line(on(1, Client, "connected", func(e *Event) { e.App = "busy" }), on(2, Lab, "herd-arrived"), dispersed(3)), control: control,
			want: Skipped, got: "no client tried to connect"},
	})
}

func TestFullIsClear(t *testing.T) {
	control := churned(6, 0.01)
	full := func(after float64, told string) []Event {
		return line(came(4, 0.01), shutOut(4, 6, after, told), dispersed(9))
	}
	judgeAll(t, "ports/full-is-clear", []judged{
		{name: "room for all", terms: crowdOf(6), events: churned(6, 0.01), control: control, want: Safe, got: "all 6 clients found room"},
		{name: "an end of file at once", terms: crowdOf(6), events: full(0.001, endOfFile), control: control, want: Safe,
			got: "2 of 6 clients found it full and were told at once: end of file after 1ms (source-ports: no port is free)", measured: map[string]float64{"clients": 6, "clients_turned_away": 2, "clients_left_hanging": 0}},
		{name: "silence until the client gives up", terms: crowdOf(6), events: full(2, timedOut), control: control, want: Unsafe,
			got: "2 of 6 clients heard nothing until they gave up after 2s: timeout (source-ports: no port is free)", measured: map[string]float64{"clients_turned_away": 0, "clients_left_hanging": 2}},
		{name: "an error within half a second is soon enough", terms: crowdOf(6), events: full(0.51, wasReset), control: control, want: Safe,
			got: "2 of 6 clients found it full and were told at once: connection reset after 510ms (source-ports: no port is free)"},
		{name: "a wait that ends well is a cost", terms: crowdOf(6), events: line(came(6, 1.2), dispersed(9)), control: control, want: Risky,
			got: "no client was told that it had to wait: the slowest connected after 1.2s (control 10ms)"},
		{name: "nothing is known", terms: crowdOf(6), control: control, want: Skipped, got: "the clients were not watched to the end"},
	})
}

func TestRecoverAfterChurn(t *testing.T) {
	control := churned(6, 0.01)
	cut := line(came(6, 0.01), strike(4.9, 5), cutOff(5, 1), returnedOn(evenly, 7.1, 0, 1, 2.1), dispersed(41))
	elsewhere, waiting := line(came(6, 0.01), strike(4.9, 5), dispersed(41)), crowdStruck(6)
	waiting.Reconnect = 2100 * time.Millisecond
	judgeAll(t, "ports/recover-after-churn", []judged{
		{name: "the client's own pause is no cost where the control cut another link", terms: waiting, events: crashed(6, 4.1), control: elsewhere, want: Safe,
			got: "6 connections ended, the last client was back 4.1s after the event"},
		{name: "what comes on top is", terms: waiting, events: crashed(6, 4.2), control: elsewhere, marginal: true, want: Risky, got: "all 6 clients came back, the last one 4.2s after the event (control 0s)"},
		{name: "all are back", terms: crowdOf(6), events: churned(6, 0.2), control: control, want: Safe, got: "6 connections ended, the last client was back 200ms after they left",
			measured: map[string]float64{"clients": 6, "connections_lost": 6, "clients_missing": 0, "last_back_after": 0.2}},
		{name: "half a second beyond the control is no cost", terms: crowdOf(6), events: churned(6, 0.51), control: control, want: Safe, got: "6 connections ended, the last client was back 510ms after they left"},
		{name: "a try in vain costs two seconds", terms: crowdOf(6), events: churned(6, 2.1), control: control, want: Risky, got: "all 6 clients came back, the last one 2.1s after they left (control 10ms)"},
		{name: "who has no port stays away", terms: crowdOf(6), control: control,
			events: line(came(6, 0.01), churning(6), cutOff(3, 6), returnedOn(evenly, 3.1, 0, 4, 0.1), refusedFor(3.2), absent(4, 6), dispersed(41)),
			want:   Unsafe, got: "2 of 6 clients not back within 30 s after they left: end of file (source-ports: no port is free)", measured: map[string]float64{"clients_missing": 2}},
		{name: "who was not named as missing is missing all the same", terms: crowdOf(6), control: control,
			events: line(came(6, 0.01), churning(6), cutOff(3, 6), returnedOn(evenly, 3.1, 0, 5, 0.1), dispersed(41)),
			want:   Unsafe, got: "1 of 6 clients not back within 30 s after they left: " + unsaid},
		{name: "who never came cannot come back", terms: crowdOf(6), control: control, events: line(came(4, 0.01), shutOut(4, 6, 0.001, endOfFile), dispersed(9)),
			want: Unsafe, got: "2 of 6 clients did not connect in the first place: end of file (source-ports: no port is free)"},
		{name: "after a crash a second beyond one cut connection is no cost", terms: crowdStruck(6), events: crashed(6, 3.1), control: cut, want: Safe, got: "6 connections ended, the last client was back 3.1s after the event"},
		{name: "nor are two", terms: crowdStruck(6), events: crashed(6, 4.1), control: cut, want: Safe, got: "6 connections ended, the last client was back 4.1s after the event"},
		{name: "more are, and marginal", terms: crowdStruck(6), events: crashed(6, 4.2), control: cut, marginal: true, want: Risky, got: "all 6 clients came back, the last one 4.2s after the event (control 2.1s)"},
		{name: "a crash that nobody noticed was none", terms: crowdStruck(6), events: line(came(6, 0.01), strike(4.9, 5), dispersed(41)), control: cut, want: Skipped, got: "no client lost its connection"},
		{name: "a crash that forgot connections without a word", terms: crowdStruck(6), events: line(came(6, 0.01), strike(4.9, 5), cutOff(5, 2), returnedOn(evenly, 7.1, 0, 2, 2.1), dispersed(41)), control: cut,
			want: Skipped, got: "4 of 6 clients did not learn that the balancer has lost their connections, and so nobody came back whose return could be timed: quiet clients learn it at their PINGs"},
		{name: "a churn in which one did not leave", terms: crowdOf(6), events: line(came(6, 0.01), churning(6), cutOff(3, 5), returnedOn(evenly, 3.1, 0, 5, 0.1), dispersed(41)), control: control,
			want: Skipped, got: "1 of 6 clients did not leave, so that nobody saw them come back"},
		{name: "without any churn", terms: crowdOf(6), events: line(came(6, 0.01), dispersed(41)), control: control, want: Skipped, got: "nobody left, and so nobody came back"},
	})
}

func TestHerdRecovers(t *testing.T) {
	cut := line(came(12, 0.01), strike(4.9, 5), cutOff(5, 1), returnedOn(evenly, 7.1, 0, 1, 2.1), dispersed(41))
	reload := crowdOf(12)
	reload.Strikes = []string{"restart=reload"}
	judgeAll(t, "client/herd-recovers", []judged{
		{name: "all are back", terms: crowdStruck(12), events: crashed(12, 2.5), control: cut, want: Safe, got: "12 connections ended, the last client was back 2.5s after the event",
			measured: map[string]float64{"last_back_after": 2.5, "clients_on_fullest_node": 4, "clients_on_emptiest_node": 4}},
		{name: "a reload ends nothing", terms: reload, events: line(came(12, 0.01), strike(4.9, 5), dispersed(41)), control: cut, want: Safe, got: "no connection of 12 clients ended"},
		{name: "late is a cost", terms: crowdStruck(12), events: crashed(12, 12), control: cut, want: Risky, got: "all 12 clients came back, the last one 12s after the event (control 2.1s)"},
		{name: "who does not come back", terms: crowdStruck(12), events: line(came(12, 0.01), strike(4.9, 5), cutOff(5, 12), returnedOn(evenly, 7.1, 0, 9, 2.1), absent(9, 12), dispersed(41)), control: cut,
			want: Unsafe, got: "3 of 12 clients not back within 30 s after the event: end of file"},
		{name: "a herd that piles up", terms: crowdStruck(12), events: line(came(12, 0.01), strike(4.9, 5), cutOff(5, 12), returnedOn(onOne, 7.1, 0, 12, 2.1), dispersed(41)), control: cut,
			want: Risky, got: "12 connections ended, the last client was back 2.1s after the event; now all 12 clients are on n1, before 4 on n1, 4 on n2, 4 on n3"},
		{name: "one that was piled up before is another promise's", terms: crowdStruck(12), control: cut,
			events: line(arrivingOn(onOne, 0, 12, 0.01), on(1.9, Lab, "herd-arrived", many(12)), strike(4.9, 5), cutOff(5, 12), returnedOn(onOne, 7.1, 0, 12, 2.1), dispersed(41)),
			want:   Safe, got: "12 connections ended, the last client was back 2.1s after the event"},
		{name: "nobody was there", terms: crowdStruck(2), events: line(shutOut(0, 2, 0.001, endOfFile), on(1.9, Lab, "herd-arrived"), strike(4.9, 5), dispersed(9)), control: cut,
			want: Skipped, got: "no client lost its connection"},
		{name: "left alone", terms: crowdOf(6), events: line(came(4, 0.01), shutOut(4, 6, 0.001, endOfFile), dispersed(9)), control: churned(6, 0.01),
			want: Skipped, got: "2 of 6 clients did not connect in the first place, and the others were left alone"},
	})
}

func TestSpreadOverNodes(t *testing.T) {
	control := churned(12, 0.01)
	lean := func(onFirst int) func(int) int { // so many on n1, the others in turn on n2 and n3
		return func(n int) int {
			if n < onFirst {
				return 0
			}
			return 1 + n%2
		}
	}
	crowd := func(n, onFirst int) []Event {
		return line(arrivingOn(lean(onFirst), 0, n, 0.01), on(1.9, Lab, "herd-arrived", many(n)), dispersed(9))
	}
	judgeAll(t, "client/spread-over-nodes", []judged{
		{name: "even", terms: crowdOf(12), events: churned(12, 0.01), control: control, want: Safe, got: "12 clients: 4 on n1, 4 on n2, 4 on n3",
			measured: map[string]float64{"clients_on_fullest_node": 4, "clients_on_emptiest_node": 4}},
		{name: "all on one node", terms: crowdOf(12), events: line(arrivingOn(onOne, 0, 12, 0.01), on(1.9, Lab, "herd-arrived", many(12)), dispersed(9)), control: control,
			want: Risky, got: "all 12 clients are on n1; 3 nodes could share them", measured: map[string]float64{"clients_on_fullest_node": 12, "clients_on_emptiest_node": 0}},
		{name: "so few that chance may do it", terms: crowdOf(7), events: line(arrivingOn(onOne, 0, 7, 0.01), on(1.9, Lab, "herd-arrived", many(7)), dispersed(9)), control: control,
			want: Safe, got: "7 clients: 7 on n1"},
		{name: "half as many again as its share", terms: crowdOf(300), events: crowd(300, 150), control: control, want: Safe, got: "300 clients: 150 on n1, 75 on n2, 75 on n3"},
		{name: "one more", terms: crowdOf(300), events: crowd(300, 151), control: control, want: Risky, got: "151 of 300 clients are on n1; 3 nodes could share them"},
		{name: "hardly any on one of them", terms: crowdOf(300), events: crowd(300, 49), control: control, want: Risky, got: "only 49 of 300 clients are on n1; 3 nodes could share them"},
		{name: "piled up after their return", terms: crowdOf(12), events: line(came(12, 0.01), churning(12), cutOff(3, 12), returnedOn(onOne, 3.1, 0, 12, 0.1), dispersed(41)), control: control,
			want: Risky, got: "all 12 clients are on n1 after they came back; 3 nodes could share them"},
		{name: "nobody connected", terms: crowdOf(2), events: line(shutOut(0, 2, 0.001, endOfFile), on(1.9, Lab, "herd-arrived"), dispersed(9)), control: control,
			want: Skipped, got: "no client was connected, so that there was nothing to spread"},
	})
}
