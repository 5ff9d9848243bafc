package assertions

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
)

// herding connects as many clients as the operator expects, side by side, and then lets all of them lose their
// connections: by the event, or, where nothing happens to the balancer, each by its own restart.
//
//	arrive ……… │ event, or leave and come back ……… │ all back, or 30 s
var herding = &Observation{Name: "herd", Own: true, Crowd: true, Strikes: true, Takes: herdTakes, Watch: func(ctx context.Context, t Target, rec *Recorder) error {
	h := &herd{target: t, rec: rec}
	h.arrive(ctx)
	defer h.leave()
	rec.Add(Event{From: Lab, Kind: "herd-arrived", Count: len(h.members)})
	if err := t.Control.Strike(ctx); err != nil {
		return err
	}
	switch {
	case len(t.Terms.Strikes) > 0:
		h.gather(ctx)
	case len(h.members) == t.Terms.Clients:
		h.churn(ctx)
		h.gather(ctx)
	}
	// Those who found no room have said enough: a restart of the others would only take their ports away.
	rec.Add(Event{From: Lab, Kind: "herd-over"})
	return ctx.Err()
}}

// arrival is the pause between the first steps of two clients: 500 a second, which two cores bear on top of the nodes,
// so that nobody times out for want of CPU. A thousand take two seconds, as long as a client's own timeout.
const arrival = 2 * time.Millisecond

// unsettled is how long a crowd on this machine has for noticing that its connections have ended: what takes
// milliseconds, a thousand times.
const unsettled = time.Second

// herdTakes is the arrival, as long a churn, and a reconnect of good two seconds.
func herdTakes(t Terms) time.Duration {
	return 2*time.Duration(t.Clients)*arrival + unsettled + 3*time.Second
}

// herdApp begins the names of a herd's applications.
const herdApp = "herd "

// herd is many clients that do nothing but stay connected.
type herd struct {
	target Target
	rec    *Recorder

	mu      sync.Mutex
	members []*member
}

// member is one of a herd.
type member struct {
	*app

	mu  sync.Mutex
	why string // its latest attempt to come back failed
}

// arrive lets all clients connect side by side, and then those who could not once more, one after another: a rate lets
// them in so, a limit does not. One that fails twice more ends it; the turns of those who have given up may cost the
// first of them his.
func (h *herd) arrive(ctx context.Context) {
	came := make([]bool, h.target.Terms.Clients)
	var all sync.WaitGroup
	for i := range came {
		if ctx.Err() != nil {
			break
		}
		all.Go(func() { came[i] = h.connect(i) })
		rest(ctx, arrival)
	}
	all.Wait()
	for i := range came {
		if ctx.Err() != nil || !came[i] && !h.connect(i) && !h.connect(i) {
			return
		}
	}
}

// connect reports whether a client of that number connected.
func (h *herd) connect(i int) bool {
	m := &member{}
	name := fmt.Sprint(herdApp, i)
	began := h.rec.Now()
	app, err := h.target.open(h.rec, h.target.plain()[0], name, nats.ReconnectErrHandler(func(_ *nats.Conn, err error) {
		m.mu.Lock()
		defer m.mu.Unlock()
		m.why = failure(err)
	}))
	if err != nil {
		h.rec.Add(Event{From: Client, Kind: "unconnected", App: name, Took: h.rec.Now() - began, Why: failure(err)})
		return false
	}
	m.app = app
	h.mu.Lock()
	defer h.mu.Unlock()
	h.members = append(h.members, m)
	return true
}

// churn lets each client end its connection and make another at once, as a restart of all applications does.
func (h *herd) churn(ctx context.Context) {
	h.rec.Add(Event{From: Lab, Kind: "churn-begin", Count: len(h.members)})
	for _, m := range h.members {
		if err := m.ForceReconnect(); err != nil {
			h.rec.Add(Event{From: Client, Kind: "complained", App: m.name, Why: err.Error()})
		}
		rest(ctx, arrival)
	}
}

// gather waits until all are back, and names those who are not.
func (h *herd) gather(ctx context.Context) {
	rest(ctx, unsettled)
	limited, cancel := context.WithTimeout(ctx, back-unsettled)
	defer cancel()
	until(limited, func() bool {
		for _, m := range h.members {
			if !m.present() && !m.IsClosed() {
				return false
			}
		}
		return true
	})
	for _, m := range h.members {
		if !m.present() {
			h.rec.Add(Event{From: Client, Kind: "missing", App: m.name, Why: m.failed()})
		}
	}
}

// failed says why a client's latest attempt failed: nats.go calls its handler where no connection came about, and keeps
// the error where one did but its greeting failed.
func (m *member) failed() string {
	if err := m.LastError(); err != nil {
		return failure(err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.why
}

// leave ends all connections; that is no part of what is watched.
func (h *herd) leave() {
	for _, m := range h.members {
		m.SetDisconnectErrHandler(nil)
		m.SetClosedHandler(nil)
		m.Close()
	}
}
