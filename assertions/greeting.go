package assertions

import (
	"context"
	"errors"
	"io"
	"net"
	"regexp"
	"sync"
	"syscall"
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
				e.Kind, e.Why = "ungreeted", words(err, e.Took)
			} else {
				defer nc.Close()
				e.Node, e.Caller = nc.ConnectedServerName(), nc.LocalAddr()
				e.How, e.Peer = encryption(nc)
			}
			rec.Add(e)
		})
	}
	all.Wait()
	return ctx.Err()
}}

// ports are what the text of an error of Go's net package begins with: addresses, of which one is another each time.
var ports = regexp.MustCompile(`(?:read|write|dial) tcp[46]? \S+?(?:->\S+)?: `)

// words says why a connect failed, the same each time it fails for the same reason.
func words(err error, took time.Duration) string {
	switch why := failure(err); why {
	case timedOut:
		return why + " after " + spoken(took) + " waiting for INFO"
	case endOfFile, wasReset:
		return why + " " + after(took)
	default:
		return why
	}
}

// The failures that have words of our own.
const (
	timedOut  = "timeout"
	endOfFile = "end of file"
	wasReset  = "connection reset"
	refused   = "connection refused"
)

// failure is why a connect failed, without its addresses and times.
func failure(err error) string {
	var slow net.Error
	switch {
	case errors.Is(err, nats.ErrTimeout), errors.As(err, &slow) && slow.Timeout():
		return timedOut
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF): // the latter where HTTP was expected
		return endOfFile
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return wasReset
	case errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, nats.ErrNoServers):
		return refused // nats.go says that it has no servers left
	}
	return ports.ReplaceAllString(err.Error(), "")
}

// after says when something ended. Below a tenth of a second it is a matter of this machine.
func after(took time.Duration) string {
	if took < 100*time.Millisecond {
		return "at once"
	}
	return "after " + spoken(took)
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
