package assertions

import (
	"fmt"
	"strconv"
)

const mebibyte = 1 << 20

// inMiB prints a number of bytes as people set limits.
func inMiB(n int64) string {
	return strconv.FormatFloat(float64(int64(float64(n)/mebibyte*10+0.5))/10, 'f', -1, 64) + " MiB"
}

// unspaced prints a number of bytes as it is typed.
func unspaced(n int64) string {
	if n%mebibyte == 0 {
		return strconv.FormatInt(n/mebibyte, 10) + "MiB"
	}
	return strconv.FormatInt(n, 10) + "B"
}

func mebibytes(name string, n int64) Measure {
	return Measure{Name: name, Value: round(float64(n) / mebibyte), Unit: "MiB"}
}

// part is some hundredths of the nodes' memory, in whole MiB.
func (t Terms) part(percent int64) int64 {
	return max(1, t.Limits.Memory*percent/100/mebibyte) * mebibyte
}

// softer has the garbage collector begin before the kernel kills.
func softer(t Terms) []Advice {
	limit := unspaced(t.part(75))
	if t.Limits.Memory == 0 || t.Limits.GoMemLimit > 0 && t.Limits.GoMemLimit <= t.part(80) {
		return nil // it does
	}
	return []Advice{{Target: "nats-server", Text: "GOMEMLIMIT=" + limit + " in its environment  # three quarters of the container's memory; the rest is for what is not Go's heap",
		Node: map[string]string{"gomemlimit": limit}}}
}

// larger is a container with more memory.
func larger(t Terms) Advice {
	more := unspaced(4 * t.Limits.Memory)
	return Advice{Target: "nats-server", Text: "a container with more memory: " + more + " would be four times as much", Node: map[string]string{"memory": more}}
}

// burstAdvice is what lets nodes outlive a burst.
func burstAdvice(t Terms) []Advice {
	if t.Limits.Memory == 0 {
		return []Advice{{Target: "nats-server", Text: "more CPU for its container: what waits, waits in memory"}}
	}
	// Of what is not taken by the server itself, some 25 MiB, half is for what waits; the other half is for copies and garbage.
	pending := t.part(12)
	advice := []Advice{{Target: "nats-server", Text: fmt.Sprintf("max_pending: %q  # what may wait for one client, 64 MiB by default; beyond it the client is closed as a slow consumer", unspaced(pending)),
		Nats: map[string]string{"max_pending": unspaced(pending)}}}
	return append(append(advice, softer(t)...), larger(t))
}

// fittingAdvice keeps JetStream within a container's memory.
func fittingAdvice(t Terms) []Advice {
	// Half of the container's memory is not enough where that is 64 MiB: the server itself takes some 25 of them.
	store := unspaced(t.part(25))
	advice := []Advice{{Target: "nats-server", Text: fmt.Sprintf("jetstream { max_memory_store: %q }  # JetStream does not look at the container's limit", store),
		Nats: map[string]string{"jetstream.max_memory_store": store}}}
	return append(append(advice, softer(t)...), Advice{Target: "client", Text: "streams in files, whose messages a node need not hold"})
}
