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

// thrifty is what a server must be told so that it fits into its container: all of it together, since any one by itself leaves
// the others.
func thrifty(t Terms) Advice {
	// A server needs some 25 MiB for itself, its program's pages included, and what waits for a client is copied on its way:
	// of a container of 64 MiB a quarter is left for streams in memory, and an eighth for one client that does not read.
	store, pending, soft := unspaced(t.part(25)), unspaced(t.part(12)), unspaced(t.part(75))
	a := Advice{Target: "nats-server", Nats: map[string]string{"jetstream.max_memory_store": store, "max_pending": pending}, Node: map[string]string{"gomemlimit": soft}}
	a.Text = fmt.Sprintf("jetstream { max_memory_store: %q }, max_pending: %q, and GOMEMLIMIT=%s in its environment  # for a container of %s, at which it does not look by itself",
		store, pending, soft, unspaced(t.Limits.Memory))
	return a
}

// burstAdvice is what lets nodes outlive a burst.
func burstAdvice(t Terms) []Advice {
	if t.Limits.Memory == 0 {
		return []Advice{{Target: "nats-server", Text: "more CPU for its container: what waits, waits in memory"}}
	}
	return []Advice{thrifty(t), {Target: "client", Text: "subscribers that read at once, and what takes them long in a queue of their own"}}
}

// fittingAdvice keeps JetStream within a container's memory.
func fittingAdvice(t Terms) []Advice {
	return []Advice{thrifty(t), {Target: "client", Text: "streams in files, whose messages a node need not hold"}}
}
