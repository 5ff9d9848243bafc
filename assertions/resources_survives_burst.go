package assertions

import "fmt"

func init() {
	register(Assertion{
		Name:    "resources/survives-burst",
		Promise: "A burst of traffic, for a subscriber that stands still for a moment, ends no node.",
		Explain: "A client of the tester's subscribes past the balancer and stops reading, and another publishes to it as many bytes as a node has memory (256 MiB at the most). " +
			"What a client does not read waits in the server, up to max_pending (64 MiB); then the server closes it as a slow consumer, which keeps this promise. " +
			"A Go program without GOMEMLIMIT lets garbage grow to as much again as is alive, so that a container of 64 MiB may be killed for half a burst. " +
			"The kernel's kill is what the engine reports of the container (OOMKilled, exit status 137); a node that takes nothing for 5 s and has all its memory in use stands still, which ends in that kill or in a failed probe. A burst of which something has neither arrived nor been given up 30 s later breaks the promise as well. " +
			"Without --node memory or --node cpus nothing is promised.",
		Speaks:  []string{"memory", "cpus"},
		Links:   everyLink,
		Observe: bursting,
		Judge:   judgeBurst,
		Moot: func(t Terms) string {
			if t.Limits.Memory == 0 && t.Limits.CPUs == 0 {
				return "nodes have no limit that a burst could meet: add --node memory=64MiB, with --runtime docker"
			}
			return ""
		},
		// What nodes may use is theirs, whatever stands before them.
		Absolute: true,
		Hostile:  []string{"node:memory=64MiB"},
	})
}

// everyLink is the kinds of connections that may be balanced, for promises that depend on none.
var everyLink = []string{"clients", "websocket", "routes", "gateways", "leafnodes"}

func judgeBurst(h History) []Finding {
	_, begun := h.First(Lab, "burst-begin")
	sent, ok := h.First(Client, "burst")
	if !ok || !begun {
		return unseen("no burst was sent")
	}
	if why := unkept(h); why != "" {
		return unseen(why)
	}
	measured := []Measure{mebibytes("burst", sent.Bytes), seconds("burst_took", sent.Took)}
	if used, ok := usedIn(h, inBurst); ok {
		measured = append(measured, mebibytes("memory_used", used.Bytes))
		if h.Terms.Limits.CPUs > 0 {
			measured = append(measured, count("throttled", used.Count, "periods"))
		}
	}
	unsafe := Finding{Verdict: Unsafe, Measured: measured, Advice: burstAdvice(h.Terms), Firm: true}
	if e, dead := died(h, inBurst); dead {
		unsafe.Got = fmt.Sprintf("%s: %s %s were not enough for a burst of up to %s for a subscriber that stood still",
			ofMemory(e), inMiB(h.Terms.Limits.Memory), asLimited(h.Terms), inMiB(sent.Bytes))
		unsafe.Evidence = []Event{e}
		return []Finding{unsafe}
	}
	if e, late := h.First(Client, "untaken"); late {
		return unseen(fmt.Sprintf("%s did not take the burst, though it has not all the memory that it may have: %s in %s", e.Node, inMiB(e.Bytes), spoken(sent.Took)))
	}
	if e, late := h.First(Client, "unarrived"); late {
		unsafe.Got, unsafe.Evidence = fmt.Sprintf("%s of a burst of %s had arrived 30 s after it, and the rest neither had nor was given up", inMiB(e.Bytes), inMiB(sent.Bytes)), []Event{e}
		return []Finding{unsafe}
	}
	if e, slow := h.First(Client, "slow"); slow {
		return held(fmt.Sprintf("%s lives after a burst of %s; it closed the subscriber that stood still as a slow consumer, %s of it delivered", e.Node, inMiB(sent.Bytes), inMiB(e.Bytes)), measured...)
	}
	e, arrived := h.First(Client, "arrived")
	if !arrived {
		return unseen("nobody saw what became of the burst")
	}
	return held(fmt.Sprintf("%s lives after a burst of %s, all of which arrived within %s", e.Node, inMiB(sent.Bytes), spoken(e.Took)), measured...)
}

// ofMemory says how a node went for want of memory.
func ofMemory(e Event) string {
	if e.How == "stuck" {
		return fmt.Sprintf("%s stood still at its memory limit, where it read its own program from the disk again and again (%d pages), until it was ended", e.Node, e.Count)
	}
	return fmt.Sprintf("the kernel killed %s for want of memory", e.Node)
}

// died is the end of a node for want of memory while something was done.
func died(h History, when string) (Event, bool) {
	for _, e := range h.Kind(Lab, "exhausted") {
		if e.Why == when {
			return e, true
		}
	}
	return Event{}, false
}

// usedIn is what a node used when something had been done.
func usedIn(h History, when string) (Event, bool) {
	for _, e := range h.Kind(Server, "used") {
		if e.Why == when && e.Bytes > 0 {
			return e, true
		}
	}
	return Event{}, false
}

// unlimited says why it is not known that nodes were kept to their memory limit, or "".
func unkept(h History) string {
	want := h.Terms.Limits.Memory
	if want == 0 {
		return ""
	}
	limited := h.Kind(Server, "limited")
	if len(limited) == 0 {
		return "nobody saw what the kernel keeps nodes to"
	}
	for _, e := range limited {
		if e.Bytes > want || e.Bytes < want-want/100 { // in whole pages
			return fmt.Sprintf("the kernel keeps %s to %s, not to %s", e.Node, inMiB(e.Bytes), inMiB(want))
		}
	}
	return ""
}

// asLimited says what the servers' garbage collector was told.
func asLimited(t Terms) string {
	if t.Limits.GoMemLimit == 0 {
		return "without GOMEMLIMIT"
	}
	return "with GOMEMLIMIT=" + unspaced(t.Limits.GoMemLimit)
}
