package assertions

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"syscall"
	"time"
)

// The tester's own frontends of the balancer under test.
const (
	CanaryFront = "canary"
	ProbedFront = "canary-with-keepalive"
	SelfFront   = "canary-of-itself"
)

// balanced tells the connections that the topology has through the balancer from the tester's own.
func balanced(e Event) bool {
	return e.Front != CanaryFront && e.Front != ProbedFront && e.Front != SelfFront
}

// idled tells the connections of the topology that the balancer has ended. Who compares addresses has to ask: a port of this
// machine is used for several destinations at once, so that one of the tester's own may have the address of a client's.
func idled(e Event) bool { return e.From == Balancer && e.Kind == "expired" && balanced(e) }

// letIn tells those that it has let in, for the same reason.
func letIn(e Event) bool { return e.From == Balancer && e.Kind == "begin" && balanced(e) }

// Canaries shows what the balancer does, without any NATS: both ends of a connection through it are in
// the tester's hand. The silent one says nothing at either end until the idle timeout has had its time,
// then speaks once. The chatting one has every byte echoed and so meets lifetimes, stalls, outages and
// restarts. What they see is written down; Proved reads it.
var Canaries = &Observation{Name: "canary", Strikes: true, Watch: func(ctx context.Context, t Target, rec *Recorder) error {
	if t.Canary == nil {
		return t.Control.Strike(ctx)
	}
	nest := build(ctx, t.Canary)
	defer nest.leave()
	var wg sync.WaitGroup
	defer wg.Wait()

	// Dialled one after the other, so that each meets its own far end.
	var silent []func()
	for _, c := range []struct{ name, addr string }{{"silent", t.Canary.Addr}, {"probed", t.Canary.Probed}} {
		if t.Terms.Idle == 0 || c.addr == "" || !t.Terms.ProvesIdle() {
			continue // what is to be proved elsewhere is not waited for here
		}
		began := nest.before()
		near, far, err := nest.pair(ctx, c.addr)
		if err != nil {
			rec.Add(Event{From: Probe, Kind: "unopened", Conn: c.name, Why: err.Error()})
			continue
		}
		silent = append(silent, func() { keepSilent(ctx, t.Terms, rec, c.name, began, near, far) })
	}
	for _, watch := range silent {
		wg.Go(watch)
	}
	if t.Canary.Self != "" {
		wg.Go(func() { knockAtOneself(ctx, t) })
	}
	return chat(ctx, t, rec, nest)
},
	After: func(ctx context.Context, t Target, rec *Recorder) error {
		if t.Canary != nil {
			provoke(ctx, t, rec)
			fill(ctx, t, rec)
		}
		return nil
	}}

// nest is where the tester's own connections arrive behind the balancer.
type nest struct {
	canary   *Canary
	accepted chan net.Conn
	empty    context.CancelFunc
	within   sync.WaitGroup
}

func build(ctx context.Context, c *Canary) *nest {
	n := &nest{canary: c, accepted: make(chan net.Conn)}
	ctx, n.empty = context.WithCancel(ctx)
	n.within.Go(func() { n.accept(ctx, c.Backend) })
	return n
}

func (n *nest) accept(ctx context.Context, l *net.TCPListener) {
	for {
		c, err := l.AcceptTCP()
		if err != nil {
			return
		}
		_ = c.SetKeepAlive(false) // whatever of it matters is in the other end's hand
		select {
		case n.accepted <- c:
		case <-ctx.Done():
			c.Close()
		}
	}
}

// leave stops accepting; the listener stays, for whoever builds here next.
func (n *nest) leave() {
	n.empty()
	_ = n.canary.Backend.SetDeadline(time.Now())
	n.within.Wait()
	_ = n.canary.Backend.SetDeadline(time.Time{})
}

// before is a moment before which no timer of a connection begins that is opened now: greeting it takes time, and what the
// balancer does by then is not early.
func (n *nest) before() time.Time { return time.Now().Add(n.canary.Patience) }

// pair opens a connection through the balancer and returns both its ends, with nothing under way between them.
func (n *nest) pair(ctx context.Context, addr string) (near, far net.Conn, err error) {
	// Five seconds beyond what the balancer waits by itself: one on this machine that takes longer is not
	// forwarding.
	limited, cancel := context.WithTimeout(ctx, n.canary.Patience+5*time.Second)
	defer cancel()
	// A balancer that sees packets sees probes, so that none may come where none are meant to.
	dialler := probingDialler(0, 0)
	if addr == n.canary.Probed {
		dialler = probingDialler(n.canary.Probe, 0)
	}
	dialled, err := dialler.DialContext(limited, "tcp", addr)
	if err != nil {
		return nil, nil, err
	}
	defer func() {
		if err != nil {
			dialled.Close()
		}
	}()
	near = dialled
	if n.canary.TLS != nil {
		layer := tls.Client(dialled, n.canary.TLS)
		if err := layer.HandshakeContext(limited); err != nil {
			return nil, nil, fmt.Errorf("speaking TLS with %s: %w", addr, err)
		}
		near = layer
	}
	if len(n.canary.Knock) > 0 {
		if _, err := near.Write(n.canary.Knock); err != nil {
			return nil, nil, fmt.Errorf("knocking at %s: %w", addr, err)
		}
	}
	for {
		select {
		case far = <-n.accepted:
		case <-limited.Done():
			return nil, nil, fmt.Errorf("nothing arrived behind %s: %w", addr, limited.Err())
		}
		plain, err := n.canary.unwrap(limited, far)
		if err == nil {
			return near, plain, nil
		}
		far.Close()
		if !errors.Is(err, errSpeechless) {
			return nil, nil, fmt.Errorf("greeting behind %s: %w", addr, err)
		}
	}
}

// errSpeechless is a connection that ended before it said anything, as health checks do that connect and close.
var errSpeechless = errors.New("it ended without a word")

// unwrap takes what comes before a canary's own bytes off the far end: what the balancer puts in front of
// a connection, its TLS, and the knock.
func (c *Canary) unwrap(ctx context.Context, far net.Conn) (net.Conn, error) {
	if c.Beyond != nil {
		layer := tls.Server(far, c.Beyond)
		if err := layer.HandshakeContext(ctx); errors.Is(err, io.EOF) {
			return nil, errSpeechless
		} else if err != nil {
			return nil, fmt.Errorf("speaking TLS: %w", err)
		}
		far = layer
	}
	return far, c.skip(ctx, far)
}

// skip reads to the end of the knock.
func (c *Canary) skip(ctx context.Context, far net.Conn) error {
	if len(c.Knock) == 0 {
		return nil
	}
	deadline, _ := ctx.Deadline()
	_ = far.SetReadDeadline(deadline)
	defer far.SetReadDeadline(time.Time{})
	var seen []byte
	for one := make([]byte, 1); !bytes.HasSuffix(seen, c.Knock); seen = append(seen, one[0]) {
		if _, err := far.Read(one); err != nil {
			if len(seen) == 0 && mannerOf(err) != "" {
				return errSpeechless
			}
			return err
		}
	}
	return nil
}

// keepSilent says nothing until the idle timeout and a quarter have passed, then speaks once from the
// near end, and writes down how each end found the connection to be.
func keepSilent(ctx context.Context, terms Terms, rec *Recorder, name string, began time.Time, near, far net.Conn) {
	defer near.Close()
	defer far.Close()
	deadline := began.Add(terms.Idle + terms.Idle/4 + late)
	var wg sync.WaitGroup
	ends := make([]string, 2)
	for i, c := range []net.Conn{near, far} {
		wg.Go(func() {
			// In this order: the other way round an interruption in between is forgotten.
			_ = c.SetReadDeadline(deadline)
			stop := context.AfterFunc(ctx, func() { _ = c.SetReadDeadline(time.Now()) })
			defer stop()
			ends[i] = manner(c)
			if ends[i] != "" {
				rec.Add(Event{From: Probe, Kind: "ended", Conn: name, Node: []string{"near", "far"}[i], How: ends[i], Took: time.Since(began)})
			}
		})
	}
	wg.Wait()
	if ctx.Err() != nil || ends[0] != "" || ends[1] != "" {
		return
	}
	rec.Add(Event{From: Probe, Kind: "unended", Conn: name, Took: time.Since(began)})
	// Does what we say now arrive, draw a reset, or vanish?
	if _, err := near.Write([]byte{'?'}); err != nil {
		rec.Add(Event{From: Probe, Kind: "spoke", Conn: name, How: mannerOf(err)})
		return
	}
	soon := time.Now().Add(late)
	for i, c := range []net.Conn{near, far} {
		_ = c.SetReadDeadline(soon)
		wg.Go(func() { ends[i] = manner(c) })
	}
	wg.Wait()
	how := "silent"
	switch {
	case ends[1] == "byte":
		how = "alive"
	case ends[0] == "rst":
		how = "rst-on-next"
	case ends[0] != "" || ends[1] != "":
		how = ends[0] + "/" + ends[1]
	}
	rec.Add(Event{From: Probe, Kind: "spoke", Conn: name, How: how})
}

// late is how much later than set a busy machine may see a timer or a byte.
const late = 500 * time.Millisecond

// manner reads until something happens: byte, fin, rst, or "" for nothing by the connection's deadline.
func manner(c net.Conn) string {
	if _, err := c.Read(make([]byte, 1)); err != nil {
		return mannerOf(err)
	}
	return "byte"
}

func mannerOf(err error) string {
	var timeout net.Error
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF): // the latter: TLS was not told before
		return "fin"
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return "rst"
	case errors.As(err, &timeout) && timeout.Timeout():
		return ""
	}
	return err.Error()
}

// chat keeps a connection busy through whatever happens, and comes back after it ends.
func chat(ctx context.Context, t Target, rec *Recorder, n *nest) error {
	began := n.before()
	near, far, err := n.pair(ctx, t.Canary.Addr)
	if err != nil {
		rec.Add(Event{From: Probe, Kind: "unopened", Conn: "chatting", Why: err.Error()})
		return t.Control.Strike(ctx)
	}
	var wg sync.WaitGroup
	defer wg.Wait()
	defer near.Close()
	defer far.Close()
	wg.Go(func() { _, _ = io.Copy(far, far) })
	stop := context.AfterFunc(ctx, func() { _ = near.SetDeadline(time.Now()) })
	defer stop()

	struck := make(chan error, 1)
	over := make(chan struct{})
	go func() {
		defer close(over)
		struck <- t.Control.Strike(ctx)
	}()
	var enough time.Time // not before the event is over
	for {
		sent := time.Now()
		// A connection that answers nothing for a minute beyond the event is as good as gone.
		_ = near.SetReadDeadline(sent.Add(t.Terms.Event + time.Minute))
		_, err := near.Write([]byte{'!'})
		if err == nil {
			_, err = near.Read(make([]byte, 1))
		}
		if ctx.Err() != nil {
			return errors.Join(ctx.Err(), <-struck)
		}
		if err != nil {
			if took := time.Since(sent); took > echoes {
				// Held until the connection ended: one event may follow another at once.
				rec.Add(Event{From: Probe, Kind: "held", Conn: "chatting", Took: took})
			}
			rec.Add(Event{From: Probe, Kind: "ended", Conn: "chatting", How: mannerOf(err), Took: time.Since(began)})
			break
		}
		if took := time.Since(sent); took > min(echoes, t.Terms.duration("stall")/2) && t.Terms.Struck("stall") {
			rec.Add(Event{From: Probe, Kind: "held", Conn: "chatting", Took: took})
		}
		select {
		case <-over:
			if enough.IsZero() {
				enough = time.Now().Add(t.Terms.Lifetime + t.Terms.Lifetime/4 + late)
			}
		default:
		}
		if !enough.IsZero() && time.Now().After(enough) {
			rec.Add(Event{From: Probe, Kind: "survived", Conn: "chatting", Took: time.Since(began)})
			break
		}
		rest(ctx, echoes/5)
	}
	comeBack(ctx, t, rec, n)
	return <-struck
}

// echoes is how quickly a byte comes back on this machine unless it is held on the way; a fifth of it is
// the pace of the chat.
const echoes = 100 * time.Millisecond

// comeBack dials until a connection goes through again.
func comeBack(ctx context.Context, t Target, rec *Recorder, n *nest) {
	began, refused := time.Now(), false
	limited, cancel := context.WithTimeout(ctx, t.Terms.Event+back)
	defer cancel()
	until(limited, func() bool {
		near, far, err := n.pair(limited, t.Canary.Addr)
		if err != nil {
			if !refused && errors.Is(err, syscall.ECONNREFUSED) {
				refused = true
				rec.Add(Event{From: Probe, Kind: "refused"})
			}
			return false
		}
		near.Close()
		far.Close()
		rec.Add(Event{From: Probe, Kind: "connected", Took: time.Since(began)})
		return true
	})
}
