package assertions

import (
	"context"
	"net"
	"sync"
	"time"
)

// watched is a socket that notes when bytes move on it, and how reading it ended. What moves inside of TLS moves here.
type watched struct {
	net.Conn
	began time.Time
	moved chan struct{} // something came; holds one
	over  chan struct{} // closed when reading has ended

	mu    sync.Mutex
	last  time.Time     // a byte moved, in either direction
	wrote time.Time     // the last byte that went
	gap   time.Duration // before what came last
	end   farewell
}

// farewell is how reading a socket ended.
type farewell struct {
	how   string        // fin, rst, or what else; "" while it has not
	quiet time.Duration // since a byte had moved, as far as this side knows
	most  time.Duration // since a byte had gone: the other side's last came later
}

// watchedDialer makes such sockets and keeps the last one.
type watchedDialer struct {
	ctx       context.Context
	within    time.Duration
	keepalive time.Duration // 0: no probes
	made      *watched
}

// Dial is what nats.go calls.
func (d *watchedDialer) Dial(network, address string) (net.Conn, error) {
	dialer := net.Dialer{Timeout: d.within, KeepAlive: -1}
	if d.keepalive > 0 {
		// As many as it takes: a kernel that gives up would end the connection by itself.
		dialer.KeepAliveConfig = net.KeepAliveConfig{Enable: true, Idle: d.keepalive, Interval: d.keepalive, Count: 1000}
		dialer.KeepAlive = 0
	}
	c, err := dialer.DialContext(d.ctx, network, address)
	if err != nil {
		return nil, err
	}
	now := time.Now()
	d.made = &watched{Conn: c, began: now, last: now, wrote: now, moved: make(chan struct{}, 1), over: make(chan struct{})}
	return d.made, nil
}

// Read notes when bytes come, and the end.
func (w *watched) Read(b []byte) (int, error) {
	n, err := w.Conn.Read(b)
	now := time.Now()
	w.mu.Lock()
	defer w.mu.Unlock()
	if n > 0 {
		w.gap, w.last = now.Sub(w.last), now
		select {
		case w.moved <- struct{}{}:
		default:
		}
	}
	if err != nil && w.end.how == "" {
		if how := mannerOf(err); how != "" { // "" for a deadline of the client's
			w.end = farewell{how, now.Sub(w.last), now.Sub(w.wrote)}
			close(w.over)
		}
	}
	return n, err
}

// Write notes when bytes go.
func (w *watched) Write(b []byte) (int, error) {
	w.mu.Lock()
	w.last = time.Now()
	w.wrote = w.last
	w.mu.Unlock()
	return w.Conn.Write(b)
}

// quietSince is when the last byte moved.
func (w *watched) quietSince() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.last
}

// pause is how long nothing had moved before what came last.
func (w *watched) pause() time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.gap
}

// finish is how reading ended.
func (w *watched) finish() farewell {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.end
}
