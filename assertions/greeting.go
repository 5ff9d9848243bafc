package assertions

import (
	"context"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
)

// greeters is how many applications connect side by side when connecting itself is watched: several for each
// of three nodes.
const greeters = 12

// greeting lets applications connect as they do when they start, and writes down how long that took, to which
// node it led, or with which words it failed.
var greeting = &Observation{Name: "greeting", Watch: func(ctx context.Context, t Target, rec *Recorder) error {
	var all sync.WaitGroup
	for i := range greeters {
		all.Go(func() {
			began := rec.Now()
			nc, err := t.dial(t.plain()[0], "lbtest greeter")
			e := Event{From: Client, Kind: "greeted", Seq: i, Took: rec.Now() - began}
			if err != nil {
				e.Kind, e.Why = "ungreeted", err.Error()
			} else {
				defer nc.Close()
				e.Node, e.Caller = nc.ConnectedServerName(), nc.LocalAddr()
			}
			rec.Add(e)
		})
	}
	all.Wait()
	return ctx.Err()
}}

// dial opens a connection as an application does: through the balancer, with what --client says.
func (t Target) dial(a Account, name string, more ...nats.Option) (*nats.Conn, error) {
	options := append([]nats.Option{nats.Name(name), nats.UserInfo(a.User, a.Password)}, t.Client.options...)
	return nats.Connect(urls(t.URLs), append(options, more...)...)
}

func urls(all []string) string {
	text := ""
	for i, u := range all {
		if i > 0 {
			text += ","
		}
		text += u
	}
	return text
}

// greeted returns the slowest connect and the connects that failed.
func greeted(h History) (all int, slowest time.Duration, failed []Event) {
	for _, e := range h.Events {
		switch {
		case e.From == Client && e.Kind == "greeted":
			all++
			slowest = max(slowest, e.Took)
		case e.From == Client && e.Kind == "ungreeted":
			all++
			failed = append(failed, e)
		}
	}
	return all, slowest, failed
}
