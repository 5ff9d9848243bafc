package assertions

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func called(a string) func(*Event)  { return func(e *Event) { e.App = a } }
func dialled(a string) func(*Event) { return func(e *Event) { e.Caller = a } }

// clientsBehind is nats.go's and nats-server's defaults.
func clientsBehind() Terms {
	t := threeNodes()
	t.Topology, t.Fronts = "clients-behind-lb", "shared"
	t.ServerPing, t.ServerPingMax, t.ClientPing, t.ClientPingMax = 2*time.Minute, 2, 2*time.Minute, 2
	t.Reconnect, t.Reconnects = 2100*time.Millisecond, 60
	return t
}

func idleClients(s float64, expiry string) Terms {
	t := clientsBehind()
	t.Idle, t.Expiry = secs(s), expiry
	t.Settings = map[string]string{"idle-timeout": fmt.Sprintf("%gs", s)}
	return t
}

func clientsStruckBy(event string, lasts float64) Terms {
	t := clientsBehind()
	t.Strikes, t.Event = []string{event}, secs(lasts)
	return t
}

func restedSpells(n int) []Event {
	var all []Event
	for i := range n {
		all = append(all, on(60+float64(i), Lab, "rested", called(fmt.Sprintf("idle-subscriber-%d", i+1)), seq(1)))
	}
	return all
}

func endedWell(at float64, how string) []Event {
	return line(on(at, Client, "well"), on(at+0.001, Lab, "watched", why(how)))
}

// carried is a series of which some were not heard, pace apart from a time on.
func carried(w wording, name string, said int, slowest float64, lost ...[]Event) []Event {
	missing := 0
	parts := []any{on(2, Client, w.said, called(name), many(said))}
	for _, l := range lost {
		missing += len(l)
		parts = append(parts, l)
	}
	return line(append(parts, on(80, Client, w.heard, called(name), many(said-missing), took(slowest)))...)
}

func unheardOf(w wording, name string, at float64, n int) []Event {
	var all []Event
	for i := range n {
		all = append(all, on(at+float64(i)*pace.Seconds(), Client, w.unheard, called(name), seq(100+i), how("lost")))
	}
	return all
}

// away is an application that loses its connection and gets another.
func awayApp(name, addr string, lost, back float64) []Event {
	return line(on(0.5, Client, "connected", called(name), dialled(addr), node("n1")), on(lost, Client, "disconnected", called(name)),
		on(back, Client, "reconnected", called(name), dialled(addr+"9"), node("n2"), seq(1), took(back-lost)))
}

func appAt(name, addr string) Event {
	return on(0.5, Client, "connected", called(name), dialled(addr), node("n1"))
}

func forgot(at float64, addr, manner string) Event {
	return on(at, Balancer, "expired", dialled(addr), how(manner), front("vip"))
}

func TestClientsStayConnectedWhenQuiet(t *testing.T) {
	quiet := func(more ...any) []Event {
		return line(append([]any{on(1, Lab, "watching"), restedSpells(5), endedWell(90, "resting")}, more...)...)
	}
	long := idleClients(125, "fin")
	judgeAll(t, "client/stays-connected-when-quiet", []judged{
		{name: "no connection that ends is safe", terms: long, events: quiet(), control: quiet(),
			want: Safe, got: "no connection ended in 5 spells of quiet", measured: map[string]float64{"cuts": 0, "watched": 89.001}},
		{name: "two healthy clients cut", terms: idleClients(50, "fin"), control: quiet(),
			events: quiet(awayApp("idle-subscriber-1", "c:1", 53, 55.1), forgot(53, "c:1", "fin"), awayApp("speaker-1", "c:2", 54, 56), forgot(54, "c:2", "fin")),
			want:   Unsafe, got: "2 healthy quiet clients cut, 2 connections (idle-subscriber 1, speaker 1)", measured: map[string]float64{"cuts": 2, "clients_cut": 2}},
		{name: "one that only the balancer knows of is cut, too", terms: idleClients(50, "silent"), control: quiet(),
			events: quiet(appAt("receiver-2", "c:1"), forgot(53, "c:1", "silent")),
			want:   Unsafe, got: "1 healthy quiet client cut, 1 connection (receiver 1)", marginal: true},
		{name: "one that nobody but the client knows of is cut, too", terms: scaledBy(idleClients(50, "fin"), 10), control: quiet(),
			events: quiet(awayApp("receiver-2", "c:1", 53, 55)),
			want:   Unsafe, got: "1 healthy quiet client cut, 1 connection (receiver 1), time shortened 10 times", marginal: true},
		{name: "applications of others, and what ended before, are nothing to this", terms: long, control: quiet(),
			events: quiet(awayApp("elsewhere", "c:1", 53, 55), forgot(53, "c:7", "fin"), awayApp("receiver-1", "c:2", 0.6, 0.7)),
			want:   Safe, got: "no connection ended in 5 spells of quiet"},
		{name: "a canary that has a client's address, to another destination, is not that client", terms: idleClients(125, "silent"), control: quiet(),
			events: quiet(appAt("receiver-2", "c:1"), on(53, Balancer, "expired", dialled("c:1"), how("silent"), front(CanaryFront))),
			want:   Safe, got: "no connection ended in 5 spells of quiet"},
		{name: "a client that is not served after the quiet", terms: long, control: quiet(),
			events: line(on(1, Lab, "watching"), restedSpells(5), on(89, Client, "unwell", called("speaker-1")), on(90, Lab, "watched", why("resting"))),
			want:   Unsafe, got: "no connection was seen to end, but speaker-1 was not served any more after it had been quiet"},
		{name: "nobody could connect", terms: long, control: quiet(), events: quiet(on(0.4, Client, "unconnected", called("worker-1"), why("nats: timeout"))),
			want: Unsafe, got: "1 application could not connect: nats: timeout", measured: map[string]float64{"unconnected": 1}},
		{name: "four spells are not enough", terms: long, control: quiet(), events: line(on(1, Lab, "watching"), restedSpells(4), endedWell(90, "resting")),
			want: Skipped, got: "4 of 5 quiet spells finished"},
		{name: "an empty history is skipped", terms: long, control: quiet(), want: Skipped, got: "the quiet clients were not watched to the end"},
	})
}

func TestClientsNoticeSilence(t *testing.T) {
	silent := idleClients(50, "silent")
	end := line(restedSpells(5), endedWell(900, "resting"))
	lost := unheardOf(ofMessages, "idle-subscriber-1", 53, 3)
	judgeAll(t, "client/notices-silence", []judged{
		{name: "a balancer that says so", terms: idleClients(50, "rst"), events: end, control: end, want: Skipped, got: "this balancer says by RST that it ends a connection"},
		{name: "nothing that ends", terms: idleClients(350, "silent"), events: end, control: end, want: Safe, got: "no connection was ended silently"},
		{name: "noticed in time by PINGs, nothing lost", terms: silent, events: line(awayApp("idle-subscriber-1", "c:1", 400, 402), forgot(52, "c:1", "silent"), end), control: end,
			want: Risky, got: "1 client connection ended silently, known to the client after 348s at the latest", measured: map[string]float64{"client_knew_after": 348, "silent_cuts": 1}},
		{name: "noticed in time, but messages lost meanwhile", terms: silent, events: line(awayApp("idle-subscriber-1", "c:1", 400, 402), forgot(52, "c:1", "silent"), lost, end), control: end,
			want: Unsafe, got: "1 client connection ended silently, known to the client after 348s at the latest; 3 messages and requests lost meanwhile", measured: map[string]float64{"lost_meanwhile": 3}},
		{name: "noticed too late", terms: silent, events: line(awayApp("idle-subscriber-1", "c:1", 500, 502), forgot(52, "c:1", "silent"), end), control: end, marginal: true,
			want: Unsafe, got: "1 client connection ended silently, known to the client after 448s at the latest, beyond the 6m in which the faster side's PINGs tell"},
		{name: "never noticed", terms: silent, events: line(appAt("receiver-1", "c:1"), forgot(52, "c:1", "rst-on-next"), end), control: end,
			want: Unsafe, got: "1 client connection ended silently; 1 never noticed, beyond the 6m in which the faster side's PINGs tell"},
		{name: "what ended was a canary that has a client's address", terms: silent, control: end, want: Safe, got: "no connection was ended silently",
			events: line(appAt("receiver-1", "c:1"), on(52, Balancer, "expired", dialled("c:1"), how("silent"), front(CanaryFront)), end)},
		{name: "not served, and nobody did it", terms: silent, events: line(restedSpells(5), on(899, Client, "unwell", called("receiver-1")), on(900, Lab, "watched")), control: end,
			want: Unsafe, got: "receiver-1 was not served any more, and nobody ended its connection"},
		{name: "nobody could connect", terms: silent, events: line(on(0.4, Client, "unconnected", called("worker-1"), why("nats: timeout")), end), control: end,
			want: Unsafe, got: "1 application could not connect: nats: timeout"},
		{name: "an empty history is skipped", terms: silent, control: end, want: Skipped, got: "the quiet clients were not watched to the end"},
	})
	pings := silent
	pings.ClientPing = 0
	if got := pings.known(); got != 6*time.Minute {
		t.Errorf("without its own PINGs a client has the server's %s", got)
	}
	pings.ClientPing = 10 * time.Second
	if got := pings.known(); got != 30*time.Second {
		t.Errorf("the faster side takes %s", got)
	}
}

func TestClientsReconnect(t *testing.T) {
	outage, crash := clientsStruckBy("outage", 5), clientsStruckBy("restart=crash", 0)
	end := endedWell(60, "working")
	control := line(awayApp("receiver-1", "c:1", 5, 7.05), end)
	judgeAll(t, "client/reconnects", []judged{
		{name: "nobody loses anything", terms: clientsStruckBy("stall", 1), events: line(appAt("receiver-1", "c:1"), strike(5, 6), end), control: control,
			want: Safe, got: "no client lost its connection"},
		{name: "back within the client's own wait", terms: crash, events: line(awayApp("receiver-1", "c:1", 5, 7.1), awayApp("speaker-1", "c:2", 5, 7), strike(5, 5), end), control: control,
			want: Safe, got: "2 lost connections made again after 2.1s at the latest, on n2 2", measured: map[string]float64{"connections_lost": 2, "reconnects": 2, "longest_reconnect": 2.1}},
		{name: "an outage counts from its end", terms: outage, events: line(awayApp("receiver-1", "c:1", 5, 11), strike(5, 10), end), control: control,
			want: Safe, got: "1 lost connection made again after 1s at the latest, on n2 1", measured: map[string]float64{"longest_reconnect": 1}},
		{name: "back before the outage was over is at once", terms: outage, events: line(awayApp("receiver-1", "c:1", 5, 9), strike(5, 10), end), control: control,
			want: Safe, got: "1 lost connection made again after 0s at the latest, on n2 1"},
		{name: "later than that is risky, and marginal", terms: crash, events: line(awayApp("receiver-1", "c:1", 5, 7.8), strike(5, 5), end), control: control, marginal: true,
			want: Risky, got: "1 lost connection made again after 2.8s at the latest, on n2 1 (the client's own wait: 2.1s)"},
		{name: "much later is risky", terms: crash, events: line(awayApp("receiver-1", "c:1", 5, 13), strike(5, 5), end), control: control,
			want: Risky, got: "1 lost connection made again after 8s at the latest, on n2 1 (the client's own wait: 2.1s)"},
		{name: "the control is its own reference", terms: crash, events: line(awayApp("receiver-1", "c:1", 5, 13), end), want: Safe, got: "1 lost connection made again after 8s at the latest, on n2 1"},
		{name: "after more than half a minute", terms: crash, events: line(awayApp("receiver-1", "c:1", 5, 36), strike(5, 5), end), control: control,
			want: Unsafe, got: "receiver-1 was connected again only after 31s"},
		{name: "not at all", terms: outage, events: line(appAt("receiver-1", "c:1"), on(5, Client, "disconnected", called("receiver-1")), strike(5, 10), end), control: control,
			want: Unsafe, got: "1 of 1 lost connection not made again within 30 s: receiver-1"},
		{name: "given up", terms: outage, events: line(appAt("receiver-1", "c:1"), on(5, Client, "disconnected", called("receiver-1")), on(9, Client, "closed", called("receiver-1")), strike(5, 10), end), control: control,
			want: Unsafe, got: "1 of 1 lost connection not made again within 30 s: receiver-1"},
		{name: "connected again, but not served", terms: crash, events: line(awayApp("receiver-1", "c:1", 5, 7.1), on(40, Client, "unwell", called("receiver-1")), on(41, Lab, "watched")), control: control,
			want: Unsafe, got: "1 of 1 lost connection made again, but receiver-1 was not served within 30 s"},
		{name: "nobody could connect", terms: crash, events: line(on(0.4, Client, "unconnected", called("worker-1"), why("nats: timeout")), end), control: control,
			want: Unsafe, got: "1 application could not connect: nats: timeout"},
		{name: "an empty history is skipped", terms: crash, control: control, want: Skipped, got: "the applications were not watched to the end"},
	})
}

func TestClientsSurviveAnOutage(t *testing.T) {
	outage := clientsStruckBy("outage", 5)
	end := endedWell(60, "working")
	control := line(awayApp("receiver-1", "c:1", 5, 7.05), strike(5, 5), end)
	forever := outage
	forever.Reconnects = -1
	judgeAll(t, "client/survives-outage", []judged{
		{name: "back", terms: outage, events: line(awayApp("receiver-1", "c:1", 5, 11), strike(5, 10), end), control: control,
			want: Safe, got: "1 client outlived it; they would give up after about 126s", measured: map[string]float64{"clients": 1, "gave_up": 0}},
		{name: "for ever", terms: forever, events: line(awayApp("receiver-1", "c:1", 5, 11), strike(5, 10), end), control: control, want: Safe, got: "1 client outlived it"},
		{name: "nothing happened to the balancer", terms: clientsStruckBy("stall", 1), events: line(appAt("receiver-1", "c:1"), strike(5, 6), end), control: control, want: Skipped, got: "the balancer was never away"},
		{name: "given up for good", terms: outage, control: control,
			events: line(awayApp("speaker-1", "c:2", 5, 11), appAt("receiver-1", "c:1"), on(5, Client, "disconnected", called("receiver-1")),
				on(9, Client, "closed", called("receiver-1"), why("nats: no servers available for connection")), strike(5, 10), end),
			want: Unsafe, got: "1 of 2 clients gave up for good after 4s: nats: no servers available for connection", measured: map[string]float64{"clients": 2, "gave_up": 1}},
		{name: "not back", terms: outage, control: control,
			events: line(appAt("receiver-1", "c:1"), on(5, Client, "disconnected", called("receiver-1")), strike(5, 10), end),
			want:   Unsafe, got: "1 of 1 client not back 30 s after the event"},
		{name: "nobody could connect", terms: outage, events: line(on(0.4, Client, "unconnected", called("worker-1"), why("nats: timeout")), end), control: control,
			want: Unsafe, got: "1 application could not connect: nats: timeout"},
		{name: "nobody saw whether they were served", terms: outage, events: line(appAt("receiver-1", "c:1"), strike(5, 10), on(60, Lab, "watched")), control: control,
			want: Skipped, got: "nobody saw whether the applications were served again"},
		{name: "an empty history is skipped", terms: outage, control: control, want: Skipped, got: "the applications were not watched through the event"},
	})
}

func TestNothingIsLostSilently(t *testing.T) {
	stall, crash, standing := clientsStruckBy("stall", 1), clientsStruckBy("restart=crash", 0), clientsBehind()
	end := endedWell(90, "working")
	run := func(slowest float64, more ...any) []Event {
		lost, rest := [][]Event{}, []any{end}
		for _, m := range more {
			if events, ok := m.([]Event); ok && len(events) > 0 && events[0].Kind == ofMessages.unheard {
				lost = append(lost, events)
				continue
			}
			rest = append(rest, m)
		}
		return line(append(rest, carried(ofMessages, "receiver-1", 400, slowest, lost...))...)
	}
	cut := awayApp("receiver-1", "c:1", 5, 7.1)
	gap := unheardOf(ofMessages, "receiver-1", 5, 42)
	control := run(0.01, cut, gap)
	together, gone := crash, run(0.01)
	together.Beside = []string{gatewayLinks}
	judgeAll(t, "core/no-silent-loss", []judged{
		{name: "servers whose links met the same event take their time", terms: together, events: run(0.01, strike(5, 5), unheardOf(ofMessages, "receiver-1", 5.5, 43)), control: gone,
			want: Risky, got: "43 messages not heard in a gap of 2.2s while no connection could exist (receiver 43; control: 0 for one cut connection)"},
		{name: "and no more than that", terms: together, events: run(0.01, strike(5, 5), unheardOf(ofMessages, "receiver-1", 5.5, 50)), control: control,
			want: Unsafe, got: "5 of 400 messages not heard although connections could exist, the longest gap 2.5s (receiver 5)"},
		{name: "all heard", terms: stall, events: run(0.9), control: control, want: Safe, got: "400 of 400 messages heard, the slowest after 900ms",
			measured: map[string]float64{"messages_lost": 0, "messages_sent": 400, "slowest_delivery": 0.9}},
		{name: "a stall of more than two seconds", terms: stall, events: run(3), control: control, want: Risky, got: "400 of 400 messages heard, but delayed up to 3s"},
		{name: "just more", terms: stall, events: run(2.2), control: control, marginal: true, want: Risky, got: "400 of 400 messages heard, but delayed up to 2.2s"},
		{name: "a stall only delays, so each message counts", terms: stall, events: run(0.9, cut, gap), control: control,
			want: Unsafe, got: "42 of 400 messages not heard although connections could exist, the longest gap 2.1s (receiver 42)", measured: map[string]float64{"longest_gap": 2.1}},
		{name: "what is lost while there is no connection does not count", terms: crash, events: run(0.1, cut, gap), control: control,
			want: Safe, got: "358 of 400 messages heard, the slowest after 100ms"},
		{name: "what a client says while it waits is late, no more than in the control", terms: crash, events: run(2.1, cut, gap), control: control,
			want: Safe, got: "358 of 400 messages heard, the slowest after 2.1s"},
		{name: "more than the control lost is risky", terms: crash, events: run(0.1, cut, unheardOf(ofMessages, "receiver-1", 5, 44), awayApp("idle-subscriber-1", "c:2", 5, 7.1), unheardOf(ofMessages, "idle-subscriber-1", 5, 41)), control: control,
			want: Risky, got: "85 messages not heard in a gap of 2.2s while no connection could exist (idle-subscriber 41, receiver 44; control: 42 for one cut connection)"},
		{name: "two that miss something are more than one that is cut", terms: crash, events: run(0.1, cut, unheardOf(ofMessages, "receiver-1", 5, 21), awayApp("receiver-2", "c:2", 5, 7.1), unheardOf(ofMessages, "receiver-2", 5, 20)), control: control,
			want: Risky, got: "41 messages not heard in a gap of 1.1s while no connection could exist (receiver 41; control: 42 for one cut connection)"},
		{name: "one message each was under way", terms: crash, events: run(0.1, cut, unheardOf(ofMessages, "receiver-1", 5, 1), awayApp("receiver-2", "c:2", 5, 7.1), unheardOf(ofMessages, "receiver-2", 5, 1)), control: control,
			want: Safe, got: "398 of 400 messages heard, the slowest after 100ms"},
		{name: "afterwards each counts", terms: crash, events: run(0.1, cut, unheardOf(ofMessages, "receiver-1", 9, 6)), control: control,
			want: Unsafe, got: "6 of 400 messages not heard although connections could exist, the longest gap 300ms (receiver 6)"},
		{name: "another's absence is no excuse", terms: crash, events: run(0.1, awayApp("idle-subscriber-1", "c:1", 5, 7.1), gap), control: control,
			want: Unsafe, got: "42 of 400 messages not heard although connections could exist, the longest gap 2.1s (receiver 42)"},
		{name: "few are marginal", terms: standing, events: run(0.1, unheardOf(ofMessages, "receiver-1", 9, 1)), control: control, marginal: true,
			want: Unsafe, got: "1 of 400 messages not heard although connections could exist, the longest gap 50ms (receiver 1)"},
		{name: "one that is never served again", terms: crash, events: line(carried(ofMessages, "receiver-1", 400, 0.1, gap), on(89, Client, "unwell", called("receiver-1")), on(90, Lab, "watched", why("working"))), control: control,
			want: Unsafe, got: "1 application not served any more within 30 s; 42 of 400 messages not heard (receiver 42)"},
		{name: "twice, and out of order", terms: standing, events: run(0.1, on(80, Client, ofMessages.twice, called("receiver-1"), many(2)), on(80, Client, ofMessages.late, called("receiver-1"), many(3))), control: control,
			want: Unsafe, got: "2 messages came twice and 3 out of order"},
		{name: "a standing delay", terms: standing, events: run(1.2), control: control, want: Risky, got: "nothing lost, but a message took 1.2s (control 10ms)"},
		{name: "a small one", terms: standing, events: run(0.4), control: control, want: Safe, got: "400 of 400 messages heard, the slowest after 400ms"},
		{name: "nobody could connect", terms: standing, events: run(0.1, on(0.4, Client, "unconnected", called("worker-1"), why("nats: timeout"))), control: control,
			want: Unsafe, got: "1 application could not connect: nats: timeout"},
		{name: "what is not written down", terms: standing, events: without(run(0.1), ofMessages.heard), control: control, want: Skipped, got: "what became of 400 of 400 messages was not written down"},
		{name: "too few quiet spells", terms: idleClients(350, "fin"), events: line(carried(ofMessages, "receiver-1", 400, 0.1), restedSpells(4), endedWell(90, "resting")), control: control,
			want: Skipped, got: "the applications were not watched to the end"},
		{name: "an empty history is skipped", terms: standing, control: control, want: Skipped, got: "no message was sent"},
	})
}

func TestRequestsAreAnswered(t *testing.T) {
	crash := clientsStruckBy("restart=crash", 0)
	end := endedWell(90, "working")
	control := line(carried(ofRequests, "caller-1", 400, 0.01), end)
	asked := func(by string, lost []Event, more ...any) []Event {
		return line(append(more, carried(ofRequests, by, 400, 0.1, lost), end)...)
	}
	refusedBy := func(name string, at float64, n int) []Event {
		all := unheardOf(ofRequests, name, at, n)
		for i := range all {
			all[i].How = "refused"
		}
		return all
	}
	judgeAll(t, "request/answered", []judged{
		{name: "all answered", terms: crash, events: asked("caller-1", nil), control: control, want: Safe, got: "400 of 400 requests answered, the slowest after 100ms"},
		{name: "swallowed by a member that is half open", terms: idleClients(50, "silent"), events: asked("caller-2", unheardOf(ofRequests, "caller-2", 20, 100)), control: control,
			want: Unsafe, got: "100 of 400 requests not answered although connections could exist, the longest gap 5s (caller 100)", measured: map[string]float64{"requests_lost": 100, "requests_refused": 0}},
		{name: "refused while all members are away", terms: crash, events: asked("caller-1", refusedBy("caller-1", 5, 40), awayApp("worker-1", "c:1", 5, 7.1)), control: control,
			want: Risky, got: "40 requests not answered in a gap of 2s while no connection could exist (caller 40; control: 0 for one cut connection)", measured: map[string]float64{"requests_refused": 40}},
		{name: "the asker's own absence excuses", terms: crash, events: asked("asker-1", unheardOf(ofRequests, "asker-1", 5, 4), awayApp("asker-1", "c:1", 5, 7.1)), control: control,
			want: Risky, got: "4 requests not answered in a gap of 200ms while no connection could exist (asker 4; control: 0 for one cut connection)"},
		{name: "one that was under way when a connection ended is what any cut may cost", terms: crash, events: asked("asker-1", unheardOf(ofRequests, "asker-1", 4.96, 1), awayApp("asker-1", "c:1", 5, 7.1)), control: control,
			want: Safe, got: "399 of 400 requests answered, the slowest after 100ms"},
		{name: "and a second one is not", terms: crash, events: asked("asker-1", unheardOf(ofRequests, "asker-1", 4.9, 2), awayApp("asker-1", "c:1", 5, 7.1)), control: control,
			want: Risky, got: "2 requests not answered in a gap of 100ms while no connection could exist (asker 2; control: 0 for one cut connection)"},
		{name: "a subscriber's does not", terms: crash, events: asked("asker-1", unheardOf(ofRequests, "asker-1", 5, 5), awayApp("receiver-1", "c:1", 5, 7.1)), control: control,
			want: Unsafe, got: "5 of 400 requests not answered although connections could exist, the longest gap 250ms (asker 5)"},
		{name: "an empty history is skipped", terms: crash, control: control, want: Skipped, got: "no request was sent"},
	})
}

func TestQuietClientsAreWatchedAsLongAsTheirSilenceLasts(t *testing.T) {
	for _, c := range []struct {
		name    string
		terms   Terms
		set     func(*Terms)
		silence float64
		atLeast float64
		atMost  float64
	}{
		{"the client's own PINGs", idleClients(125, "fin"), nil, 120, 245, 275},
		{"a timeout far below", idleClients(10, "fin"), nil, 120, 30, 42},
		{"no PINGs of the client's: two intervals of the server's", idleClients(350, "fin"), func(t *Terms) { t.ClientPing = 0 }, 240, 590, 660},
		{"a server that pings more often than the client", idleClients(350, "fin"), func(t *Terms) { t.ServerPing = 20 * time.Second }, 40, 390, 440},
		{"a lifetime ends several times", clientsBehind(), func(t *Terms) { t.Lifetime = 10 * time.Second }, 120, 26, 40},
		{"at least a moment", clientsBehind(), func(t *Terms) { t.ClientPing = time.Millisecond }, 0.001, 3, 3},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.set != nil {
				c.set(&c.terms)
			}
			if got := c.terms.silence(); got != secs(c.silence) {
				t.Errorf("silence %s", got)
			}
			if got := c.terms.slumber(); got < secs(c.atLeast) || got > secs(c.atMost) {
				t.Errorf("watched for %s, want between %gs and %gs", got, c.atLeast, c.atMost)
			}
		})
	}
}

func TestAdviceForQuietClients(t *testing.T) {
	advice := quietClientAdvice(scaledBy(idleClients(50, "fin"), 1))
	if len(advice) != 3 || advice[0].Nats["ping_interval"] != "20s" || advice[2].Set["idle-timeout"] != "150s" {
		t.Errorf("%+v", advice)
	}
	if diff := cmp.Diff([]Advice(nil), quietClientAdvice(idleClients(350, "fin"))); diff != "" {
		t.Errorf("what is patient enough needs no advice (-want +got):\n%s", diff)
	}
}

func TestASeriesCountsWhatBecomesOfIt(t *testing.T) {
	rec := NewRecorder()
	s := &series{app: "receiver-1", kinds: ofMessages, rec: rec, say: func(int) error { return nil }}
	s.next() // tunes in
	s.begin()
	for range 5 {
		s.next()
	}
	for _, heard := range []int{1, 3, 2, 3, 99, -1} {
		s.hear(heard)
	}
	s.refuse(4)
	if some, _ := s.pending(); !some {
		t.Error("the last one may yet come")
	}
	s.report()
	got := map[string]int{}
	for _, e := range rec.Events() {
		got[e.Kind+e.How] += max(e.Count, 1)
	}
	want := map[string]int{"sent": 5, "arrived": 3, "missingrefused": 1, "missinglost": 1, "arrived-twice": 1, "arrived-out-of-order": 1}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for range convincing {
		s.next()
		s.hear(s.length() - 1)
	}
	if !s.convinced(s.length()-convincing) || s.convinced(s.length()-convincing+1) || s.convinced(0) != true {
		t.Error("ten in a row are convincing, nine are not")
	}
}
