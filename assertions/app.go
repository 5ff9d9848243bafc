package assertions

import (
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
)

// app is an application's connection through the balancer. What becomes of it is written down:
//
//	connected ─► disconnected ─► reconnected ─► … ─► closed
//
// Seq counts its connections from 0; connected carries the time it took, disconnected and closed the error, reconnected
// the time since.
type app struct {
	*nats.Conn
	name string
	rec  *Recorder

	mu   sync.Mutex
	lost time.Duration // when the latest connection was, as the client noticed
	nth  int
	away bool          // between two connections
	born time.Duration // when the latest connection began
	left bool          // closed by its owner: what that leads to is no finding
}

// open connects an application as real ones do: by every frontend's URL, with nats.go's defaults and what --client
// says, and no option of the tester's besides. The error is nats.go's.
func (t Target) open(rec *Recorder, a Account, name string, more ...nats.Option) (*app, error) {
	p := &app{name: name, rec: rec}
	began := rec.Now()
	nc, err := t.dial(a, "lbtest "+name, append([]nats.Option{
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) { p.disconnected(err) }),
		nats.ReconnectHandler(p.reconnected),
		nats.ClosedHandler(func(nc *nats.Conn) { p.closed(nc.LastError()) }),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
			rec.Add(Event{From: Client, Kind: "complained", App: name, Why: err.Error()})
		}),
	}, more...)...)
	if err != nil {
		return nil, fmt.Errorf("connecting %s: %w", name, err)
	}
	p.Conn = nc
	p.mu.Lock()
	p.born = max(p.born, rec.Now())
	p.mu.Unlock()
	rec.Add(Event{From: Client, Kind: "connected", App: name, Node: nc.ConnectedServerName(), Caller: nc.LocalAddr(), Dial: nc.ConnectedAddr(),
		Took: rec.Now() - began})
	return p, nil
}

// present reports whether its latest connection was not lost, as far as it knows.
func (p *app) present() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return !p.away
}

func (p *app) disconnected(err error) {
	e := Event{From: Client, Kind: "disconnected", App: p.name}
	if err != nil {
		e.Why = err.Error()
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.left {
		return
	}
	p.lost, p.away, e.Seq = p.rec.Now(), true, p.nth
	p.rec.Add(e)
}

func (p *app) reconnected(nc *nats.Conn) {
	p.mu.Lock()
	p.nth++
	p.away, p.born = false, p.rec.Now()
	e := Event{From: Client, Kind: "reconnected", App: p.name, Node: nc.ConnectedServerName(), Caller: nc.LocalAddr(), Dial: nc.ConnectedAddr(),
		Seq: p.nth, Took: p.rec.Now() - p.lost}
	p.mu.Unlock()
	p.rec.Add(e)
}

func (p *app) closed(err error) {
	e := Event{From: Client, Kind: "closed", App: p.name}
	if err != nil {
		e.Why = err.Error()
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.left {
		return
	}
	e.Seq = p.nth
	p.rec.Add(e)
}

// connection is the number of the connection that the application has, or had last.
func (p *app) connection() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.nth
}

// leave closes the connection for its owner, which is not written down.
func (p *app) leave() {
	p.mu.Lock()
	p.left = true
	p.mu.Unlock()
	p.Close()
}

// since is when the latest connection began.
func (p *app) since() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.born
}
