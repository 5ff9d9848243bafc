package assertions

import (
	"bufio"
	"context"
	"net"
	"slices"
	"sync"
	"time"
)

// greet dials every frontend, as servers do, says nothing, and waits for the first bytes of the server behind it: a
// leaf node waits 1 s for them (leafnodes.remotes.first_info_timeout).
func greet(ctx context.Context, t Target, rec *Recorder) {
	if slices.ContainsFunc(families, func(f family) bool { return f.fills && t.Terms.Settings[f.settings[0]] != "" }) {
		return // the tester must not take what there is too little of
	}
	var all sync.WaitGroup
	for _, door := range t.Doors {
		all.Go(func() {
			// What takes longer than five seconds beyond the balancer's own wait does not come.
			limited, cancel := context.WithTimeout(ctx, t.patience()+5*time.Second)
			defer cancel()
			began := time.Now()
			line, err := spokenAt(limited, door)
			e := Event{From: Client, Kind: "informed", Dial: door, Took: time.Since(began)}
			switch {
			case ctx.Err() != nil:
				return
			case infoOf(line) == nil:
				e.Kind, e.Why = "uninformed", unread(line, err, e.Took)
			}
			rec.Add(e)
		})
	}
	all.Wait()
}

// patience is how long the balancer itself waits before it forwards anything.
func (t Target) patience() time.Duration {
	if t.Canary == nil {
		return 0
	}
	return t.Canary.Patience
}

// spokenAt is the first line that comes from an address to one who says nothing.
func spokenAt(ctx context.Context, addr string) ([]byte, error) {
	c, err := (&net.Dialer{}).DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	deadline, _ := ctx.Deadline()
	_ = c.SetReadDeadline(deadline)
	stop := context.AfterFunc(ctx, func() { _ = c.SetReadDeadline(time.Now()) })
	defer stop()
	return firstLine(bufio.NewReader(c))
}
