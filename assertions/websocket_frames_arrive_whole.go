package assertions

import (
	"fmt"
	"slices"

	"github.com/dustin/go-humanize"
)

func init() {
	register(Assertion{
		Name:    "websocket/frames-arrive-whole",
		Promise: "Messages of all sizes come through a websocket whole, in both directions, compressed or not.",
		Explain: "After the upgrade a balancer has only bytes to pass on, and websockets bring frames of their own into them: up to the server's largest message in one, masked towards the server, compressed if both " +
			"sides agreed to. A box that looks for text in them, cuts lines, keeps what fills no buffer or has room for small frames only changes or ends what it does not understand. Two clients, one with " +
			"compression, exchange messages of one byte up to max_payload with the tester, one after the other; each has to arrive as it was sent, within 30 s.",
		Speaks:  speaks([]string{"inspection", "inspection-delay", "inspection-verdict", "inspection-pattern", "inspection-limit"}, ofCarrying),
		Links:   []string{"websocket"},
		Observe: framing,
		Judge:   judgeFrames,
		// Longer than INFO, so that it is the frames that break and not the greeting.
		Hostile: []string{"inspection=line-limit", "inspection-limit=8192"},
	})
}

func judgeFrames(h History) []Finding {
	whole := h.Kind(Client, "framed")
	broken := h.Filter(func(e Event) bool { return e.From == Client && (e.Kind == "garbled" || e.Kind == "unframed") })
	cut := h.Filter(func(e Event) bool { return e.From == Client && e.Kind == "disconnected" && e.Why != "" })
	slowest, usual := slowestOf(whole), slowestOf(h.control().Kind(Client, "framed"))
	apps := map[string]bool{}
	for _, e := range whole {
		apps[e.App] = true
	}
	all := len(whole) + len(broken)
	measured := []Measure{count("messages_sent", all, "messages"), count("messages_broken", len(broken), "messages"), seconds("slowest_delivery", slowest),
		count("connections_ended", len(cut), "connections")}
	switch {
	case len(broken) > 0 && broken[0].Count == 0:
		return []Finding{{Verdict: Unsafe, Got: fmt.Sprintf("a client never connected: %s", broken[0].Why), Measured: measured, Evidence: sample(broken), Advice: socketAdvice(h.Terms)}}
	case len(broken) > 0:
		return []Finding{{Verdict: Unsafe, Got: fmt.Sprintf("%d of %s did not come through whole, the smallest of them %s (%s)",
			len(broken), plural(all, "message"), humanize.IBytes(smallestOf(broken)), broken[0].Why), Measured: measured, Evidence: sample(broken), Advice: socketAdvice(h.Terms)}}
	case len(whole) < 2*lettersEach || len(apps) < 2:
		return unseen(fmt.Sprintf("what became of %d of %s was not written down", max(0, 2*lettersEach-len(whole)), plural(2*lettersEach, "message")))
	case len(cut) > 0:
		return []Finding{{Verdict: Risky, Got: fmt.Sprintf("all messages came through, but %s ended meanwhile: %s", plural(len(cut), "connection"), cut[0].Why),
			Measured: measured, Evidence: sample(cut), Advice: socketAdvice(h.Terms)}}
	case slowest > usual+tolerance:
		return []Finding{{Verdict: Risky, Got: fmt.Sprintf("all messages came through, but one took %s (control %s)", spoken(slowest), spoken(usual)),
			Measured: measured, Beyond: slowest - usual - tolerance, Once: true, Advice: socketAdvice(h.Terms)}}
	}
	return held(fmt.Sprintf("all %d messages of up to %s came through whole, the slowest in %s", len(whole), humanize.IBytes(largestOf(whole)), spoken(slowest)), measured...)
}

func smallestOf(events []Event) uint64 { return uint64(slices.MinFunc(events, bySize).Count) }
func largestOf(events []Event) uint64  { return uint64(slices.MaxFunc(events, bySize).Count) }

func bySize(a, b Event) int { return a.Count - b.Count }
