package assertions

import "fmt"

func init() {
	register(Assertion{
		Name:    "resources/jetstream-fits-limit",
		Promise: "JetStream refuses what does not fit into a node's memory, and the node lives.",
		Explain: "Unless it is told otherwise, nats-server takes three quarters of the host's memory for streams in memory, or of GOMEMLIMIT if that is less. It does not look at the container's limit, " +
			"so that a stream in memory grows until the kernel kills the node, and what it held is gone. " +
			"A stream of one replica in memory is filled past the balancer, with messages of 16 KiB, up to as many bytes as the container has: JetStream must refuse (insufficient resources) before the kernel kills. " +
			"The report tells what JetStream believes that it may use (/jsz, max_memory). Containers of up to 512 MiB are filled. " +
			"Without --node memory nothing is promised.",
		Speaks:  []string{"memory"},
		Links:   everyLink,
		Observe: bursting,
		Judge:   judgeFits,
		Moot: func(t Terms) string {
			switch {
			case t.Limits.Memory == 0:
				return "nodes have no memory limit that JetStream could overlook: add --node memory=64MiB, with --runtime docker"
			case t.Limits.Memory > fullest:
				return fmt.Sprintf("a lab fills streams in memory up to %s, which is less than a node's %s; compare max_memory of /jsz with it yourself", inMiB(fullest), inMiB(t.Limits.Memory))
			}
			return ""
		},
		// What nodes may use is theirs, whatever stands before them.
		Absolute: true,
		Hostile:  []string{"node:memory=64MiB"},
	})
}

func judgeFits(h History) []Finding {
	if e, failed := h.First(Client, "no-stream"); failed {
		return skip("no stream could be made within 30 s, which is what other assertions judge: " + e.Why)
	}
	begun, ok := h.First(Lab, "fill-begin")
	if !ok {
		return unseen("no stream was filled")
	}
	if why := unkept(h); why != "" {
		return unseen(why)
	}
	limit := h.Terms.Limits.Memory
	measured := []Measure{mebibytes("memory_limit", limit)}
	may := int64(0)
	for _, e := range h.Kind(Server, "jetstream-may-use") {
		if e.Node == begun.Node {
			may = e.Bytes
		}
	}
	if may == 0 {
		return unseen("nobody saw what JetStream may use")
	}
	measured = append(measured, mebibytes("jetstream_may_use", may))
	believes := fmt.Sprintf("JetStream there may use %s by its own account, of a container's %s", inMiB(may), inMiB(limit))
	if e, dead := died(h, inFill); dead {
		stored := int64(0)
		if f, ok := h.First(Client, "filled"); ok {
			stored = f.Bytes
			measured = append(measured, mebibytes("stored", stored))
		}
		return []Finding{{Verdict: Unsafe, Firm: true, Measured: measured, Advice: fittingAdvice(h.Terms), Evidence: []Event{e},
			Got: fmt.Sprintf("%s, with %s in a stream in memory, all of which is lost: %s (%s)", ofMemory(e), inMiB(stored), believes, asLimited(h.Terms))}}
	}
	e, refused := h.First(Client, "refused")
	if !refused {
		return unseen("the stream was neither filled until it was refused nor until its node was killed")
	}
	measured = append(measured, mebibytes("stored", e.Bytes))
	if used, ok := usedIn(h, inFill); ok {
		measured = append(measured, mebibytes("memory_used", used.Bytes))
	}
	return held(fmt.Sprintf("%s stored %s, refused more (%s) and lives; %s", e.Node, inMiB(e.Bytes), e.Why, believes), measured...)
}
