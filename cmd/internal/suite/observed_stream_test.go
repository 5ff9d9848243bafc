package suite

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/lbtest/lbtest/assertions"
)

// What applications that use streams were seen to meet behind real balancers.
func init() {
	const (
		clients                         = "clients-behind-lb"
		acked, lost, duplicate, resumed = "jetstream/publish-acked", "jetstream/no-acked-loss", "jetstream/no-duplicates-with-ids", "jetstream/consumer-resumes"
	)
	rows := func(set string, want []assertions.Verdict, by ...string) {
		for _, a := range by {
			more = append(more, row{name: fmt.Sprintf("streams of applications, %s: %s", set, a), topology: clients, set: set, assert: a, by: a, want: want, long: true, nightly: strings.Contains(set, "idle-timeout=20s") || strings.HasPrefix(set, "max-lifetime") || set == "restart=reload"})
		}
	}
	more = append(more, row{name: "balancer of clients killed and restarted: no acknowledged message is lost", long: true, topology: clients,
		set: "restart=crash", assert: lost, by: lost, want: isSafe, says: "acknowledged messages read back, and replicas agree"})
	// Everybody is back after ReconnectWait, as after one connection that is cut on the direct way.
	rows("restart=crash", isSafe, acked, duplicate, resumed)
	rows("restart=reload", isSafe, acked, lost, duplicate, resumed)
	rows("stall=1s", isSafe, acked, resumed)
	rows("stall=6s", isRisky, acked)
	rows("stall=6s", isSafe, lost, duplicate)
	rows("outage=5s", isRisky, acked)
	rows("outage=5s", isSafe, lost, duplicate)
	// The streams that it leads wait for an election: 4 to 9 s.
	rows("node-fault=kill", isRisky, acked)
	rows("node-fault=kill", isSafe, lost, duplicate)
	// nats.go asks for heartbeats every 5 s for push and ordered consumers, every 15 s for pull.
	rows("idle-timeout=12s", isUnsafe, resumed)
	rows("idle-timeout=20s", isSafe, resumed, lost)
	rows("idle-timeout=20s", isRisky, acked)
	// A connection that is gone without a word: publishes fail, and nobody knows why.
	rows("idle-timeout=3s idle-expiry=silent", isUnsafe, acked)
	rows("max-lifetime=5s", isRisky, acked)
	rows("max-lifetime=5s", isSafe, lost)
}

// sabotage does to a lab's streams, behind lbtest's back, what no balancer is known to do.
type sabotage func(context.Context, jetstream.JetStream) error

// TestStreamsThatAreBrokenByHandAreUnsafe breaks each promise about streams in its own way, all in one lab: on the direct
// way it is safe, and a judge that has never said no is not trusted.
func TestStreamsThatAreBrokenByHandAreUnsafe(t *testing.T) {
	broken := []struct {
		assertion, says string
		by              sabotage
	}{
		{"jetstream/no-acked-loss", "3 of ", func(ctx context.Context, js jetstream.JetStream) error {
			stream, err := js.Stream(ctx, "P4")
			if err != nil {
				return err
			}
			for seq := range uint64(3) {
				if err := stream.DeleteMsg(ctx, seq+1); err != nil {
					return err
				}
			}
			return nil
		}},
		{"jetstream/no-duplicates-with-ids", "1 message stored twice", func(ctx context.Context, js jetstream.JetStream) error {
			_, err := js.Publish(ctx, "to.P5", []byte("1")) // without the id that the publisher gave it
			return err
		}},
		{"jetstream/consumer-resumes", "(the pull consumer of P1)", func(ctx context.Context, js jetstream.JetStream) error {
			return js.DeleteConsumer(ctx, "P1", "lbtest-pull")
		}},
	}
	var judges []assertions.Assertion
	for _, b := range broken {
		judges = append(judges, judgedBy(t, b.assertion).Over("clients"))
	}
	h := watchedLab(t, "clients-behind-lb", "stall=1s", &assertions.Observation{Name: "saboteur", Aside: true, Watch: func(ctx context.Context, target assertions.Target, rec *assertions.Recorder) error {
		rec.Await(ctx, 0, func(e assertions.Event) bool { return e.Kind == "strike-over" })
		nc, err := nats.Connect(target.Nodes[0].URL, nats.UserInfo("js", "js"), nats.Timeout(30*time.Second))
		if err != nil {
			return err
		}
		defer nc.Close()
		js, err := jetstream.New(nc)
		if err != nil {
			return err
		}
		for _, b := range broken {
			if err := b.by(ctx, js); err != nil {
				return fmt.Errorf("breaking %s: %w", b.assertion, err)
			}
		}
		return nil
	}}, judges...)
	for i, b := range broken {
		if f := judges[i].Judge(h.Of(judges[i].Observe))[0]; f.Verdict != assertions.Unsafe || !strings.Contains(f.Got, b.says) {
			t.Errorf("%s: got %s: %s; want unsafe: …%s…", b.assertion, f.Verdict, f.Got, b.says)
		}
	}
}
