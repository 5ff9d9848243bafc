package suite

import (
	"bufio"
	"context"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lbtest/lbtest/assertions"
)

// What stalls were seen to do to Raft groups: followers call elections after 4 to 9 s, leaders count as lost who hear
// nobody for 10 s.
func init() {
	const holds, meta, loss = "jetstream/quorum-holds", "jetstream/meta-leader-stable", "jetstream/no-acked-loss"
	more = append(more,
		row{name: "a stall that neither moves a leader nor loses quorum", set: "stall=1s", assert: holds, by: holds, want: isSafe, says: "kept their leader and their quorum", long: true},
		row{name: "the meta group's leader among them", set: "stall=1s", assert: meta, by: meta, want: isSafe, long: true},
		row{name: "a stall that moves leaders and loses no quorum", set: "stall=6s", assert: holds, by: holds, want: isUnsafe, says: "no quorum lost", long: true},
		row{name: "a stall that loses quorum", set: "stall=12s", assert: holds, by: holds, want: isUnsafe, says: "quorum lost in", long: true},
		row{name: "a stall that moves leaders, and every replica holds the same", set: "stall=6s", assert: loss, by: loss, want: isSafe, says: "byte for byte the same", long: true},
		row{name: "connections that end every second", set: "max-lifetime=1s", assert: "links/resync-overhead", by: "links/resync-overhead", want: isRisky, long: true},
		row{name: "a reload, which ends none", set: "restart=reload", assert: "links/resync-overhead", by: "links/resync-overhead", want: isSafe, long: true},
		row{name: "streams are made whatever a reload does", set: "restart=reload", assert: "jetstream/placement-works", by: "jetstream/placement-works", want: isSafe, long: true})
}

// logged is a line in which a server says that it leads a stream.
type logged struct {
	node, stream string
	at           time.Duration
}

// leadersLogged reads who became a stream's leader from the servers' own logs.
func leadersLogged(t *testing.T, target assertions.Target, rec *assertions.Recorder) []logged {
	t.Helper()
	var all []logged
	for _, n := range target.Nodes {
		f, err := os.Open(n.Log)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		for lines := bufio.NewScanner(f); lines.Scan(); {
			// 2026/01/02 15:04:05.000000 [INF] JetStream cluster new stream leader for 'JS > S1'
			before, stream, ok := strings.Cut(lines.Text(), "new stream leader for 'JS > ")
			if !ok {
				continue
			}
			fields := strings.Fields(before)
			at, err := time.ParseInLocation("2006/01/02 15:04:05.000000", fields[0]+" "+fields[1], time.Local)
			if err != nil {
				t.Fatalf("a line without a time: %q", lines.Text())
			}
			all = append(all, logged{n.Name, strings.TrimSuffix(stream, "'"), rec.Since(at)})
		}
	}
	return all
}

// TestLeadersAreSeenAsTheServersLogThem compares the record of quorum with the servers' own logs: each leader that a stall
// brings is in both, at the same time.
func TestLeadersAreSeenAsTheServersLogThem(t *testing.T) {
	a := judgedBy(t, "jetstream/quorum-holds")
	var servers []logged
	h := watchedLab(t, routes, "stall=12s", &assertions.Observation{Name: "reader", Aside: true, Watch: func(ctx context.Context, target assertions.Target, rec *assertions.Recorder) error {
		<-ctx.Done() // everything is over, and the nodes still run
		servers = leadersLogged(t, target, rec)
		return nil
	}}, a)
	late, _ := assertions.Starved(h)
	h = h.Of(a.Observe)
	begin, _ := h.First(assertions.Lab, "strike-begin")
	over, _ := h.First(assertions.Client, "flowing")
	streamOf := map[string]string{}
	for _, e := range h.Kind(assertions.Server, "group") {
		streamOf[e.Stream] = strings.TrimPrefix(e.What, "stream ")
	}
	was := map[string]string{} // node and group → state
	var seen []logged
	for _, e := range h.Kind(assertions.Server, "raft") {
		key := e.Node + e.Stream
		if e.How == "LEADER" && was[key] != "LEADER" && e.At > begin.At && strings.HasPrefix(streamOf[e.Stream], "S") {
			seen = append(seen, logged{e.Node, streamOf[e.Stream], e.At})
		}
		was[key] = e.How
	}
	if len(seen) == 0 {
		t.Fatalf("no leader was seen to come: %s", a.Judge(h)[0].Got)
	}
	near := time.Second + late // a look every quarter of one, on a machine that was as late as it says itself
	for _, e := range seen {
		if !isNear(servers, e, near) {
			t.Errorf("%s was seen to lead %s from %s on, which no log has", e.node, e.stream, e.at)
		}
	}
	for _, e := range servers {
		// One whose successor comes within the time between two looks may have been seen by none of them.
		brief := slices.ContainsFunc(servers, func(o logged) bool { return o.stream == e.stream && o.at > e.at && o.at-e.at < time.Second/2 })
		if e.at > begin.At && e.at < over.At-near && !brief && !isNear(seen, e, near) {
			t.Errorf("%s logs that it leads %s from %s on, which was not seen", e.node, e.stream, e.at)
		}
	}
	t.Logf("%d leaders seen, %s", len(seen), a.Judge(h)[0].Got)
}

func isNear(all []logged, e logged, near time.Duration) bool {
	for _, o := range all {
		if o.node == e.node && o.stream == e.stream && (o.at-e.at).Abs() < near {
			return true
		}
	}
	return false
}
