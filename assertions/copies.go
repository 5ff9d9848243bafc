package assertions

import (
	"context"
	"crypto/sha256"
	"fmt"
	"sync"
	"time"
)

// verify lets each replica of the streams lead its stream in turn, reads everything back that it holds, and writes a
// digest of it: a leader answers from its own copy.
func (r *replicated) verify(ctx context.Context, streams []int) {
	limited, cancel := context.WithTimeout(ctx, back)
	defer cancel()
	var wg sync.WaitGroup
	turns := make(chan struct{}, verifying)
	for _, i := range streams {
		wg.Go(func() {
			turns <- struct{}{}
			defer func() { <-turns }()
			at, _ := r.site(i)
			for _, node := range at.Nodes {
				e := Event{From: Client, Kind: "copy", Stream: r.names[i], Node: node}
				var err error
				// A transfer takes a few hundredths of a second.
				if !every(limited, 50*time.Millisecond, func() bool { err = r.readCopy(limited, i, node, &e); return err == nil }) {
					e.Kind, e.Why = "no-copy", err.Error()
				}
				r.rec.Add(e)
			}
		})
	}
	wg.Wait()
}

// verifying is how many streams are verified at a time: all at once would take the processors from the labs beside.
const verifying = 4

// readCopy reads what a node's own copy of stream i holds.
func (r *replicated) readCopy(ctx context.Context, i int, node string, e *Event) error {
	asked, cancel := context.WithTimeout(ctx, 2*time.Second) // as for making a stream: better asked again
	defer cancel()
	name, by := r.names[i], r.at[r.reader(i)]
	if err := r.moveLeader(asked, by, name, node); err != nil {
		return err
	}
	all, err := r.readOne(ctx, r.reader(i), name)
	if err != nil {
		return err
	}
	if err := r.moveLeader(asked, by, name, node); err != nil {
		return fmt.Errorf("%s did not lead to the end: %w", node, err) // and what was read may be another one's copy
	}
	h := sha256.New()
	for _, m := range all {
		h.Write(m.sum[:])
	}
	e.Count, e.What = len(all), fmt.Sprintf("%x", h.Sum(nil))
	if n := len(all); n > 0 {
		e.Seq = int(all[n-1].place)
	}
	return nil
}

// recordSync writes how often the servers have what they write reach their disks.
func (r *replicated) recordSync(ctx context.Context) {
	for _, n := range r.t.Nodes {
		var v struct {
			JetStream struct {
				Config *struct {
					SyncInterval time.Duration `json:"sync_interval"`
					SyncAlways   bool          `json:"sync_always"`
				} `json:"config"`
			} `json:"jetstream"`
		}
		if ask(ctx, n, "/varz", &v) != nil || v.JetStream.Config == nil {
			continue
		}
		e := Event{From: Server, Kind: "sync", Node: n.Name, Took: v.JetStream.Config.SyncInterval, How: "interval"}
		if v.JetStream.Config.SyncAlways {
			e.Took, e.How = 0, "always"
		}
		r.rec.Add(e)
	}
}

// syncing says how often the servers sync, in the configuration's own words; "" if nobody saw.
func syncing(h History) (said string, interval time.Duration) {
	for _, e := range h.Kind(Server, "sync") {
		switch {
		case e.How == "always" && said == "":
			said = "sync_interval always"
		case e.How == "interval" && e.Took >= interval: // of several the one that risks most
			said, interval = "sync_interval "+trimmed(e.Took), e.Took
		}
	}
	return said, interval
}
