package assertions

import (
	"context"
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
)

// onRoute tells the balancer's connections between nodes from the tester's own.
func onRoute(e Event) bool { return e.Front != CanaryFront && e.Front != ProbedFront }

// Canaries shows what the balancer does, without any NATS: both ends of a connection through it are in
// the tester's hand. The silent one says nothing at either end until the idle timeout has had its time,
// then speaks once. The chatting one has every byte echoed and so meets lifetimes, stalls, outages and
// restarts. What they see is written down; Proved reads it.
var Canaries = &Observation{Name: "canary", Strikes: true, Watch: func(ctx context.Context, t Target, rec *Recorder) error {
	if t.Canary == nil {
		return t.Control.Strike(ctx)
	}
	nest := &nest{accepted: make(chan net.Conn)}
	nestCtx, empty := context.WithCancel(ctx)
	var wg sync.WaitGroup
	wg.Go(func() { nest.accept(nestCtx, t.Canary.Backend) })
	defer wg.Wait()
	defer t.Canary.Backend.Close()
	defer empty()

	// Dialled one after the other, so that each meets its own far end.
	var silent []func()
	for _, c := range []struct{ name, addr string }{{"silent", t.Canary.Addr}, {"probed", t.Canary.Probed}} {
		if t.Terms.Idle == 0 || c.addr == "" {
			continue
		}
		near, far, err := nest.pair(ctx, c.addr)
		if err != nil {
			return fmt.Errorf("opening the %s canary: %w", c.name, err)
		}
		silent = append(silent, func() { keepSilent(ctx, t.Terms, rec, c.name, near, far) })
	}
	for _, watch := range silent {
		wg.Go(watch)
	}
	return chat(ctx, t, rec, nest)
}}

// nest is where the tester's own connections arrive behind the balancer.
type nest struct{ accepted chan net.Conn }

func (n *nest) accept(ctx context.Context, l net.Listener) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		select {
		case n.accepted <- c:
		case <-ctx.Done():
			c.Close()
		}
	}
}

// pair opens a connection through the balancer and returns both its ends.
func (n *nest) pair(ctx context.Context, addr string) (near, far net.Conn, err error) {
	// Five seconds: a balancer on this machine that takes longer is not forwarding.
	limited, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	near, err = (&net.Dialer{}).DialContext(limited, "tcp", addr)
	if err != nil {
		return nil, nil, err
	}
	select {
	case far = <-n.accepted:
		return near, far, nil
	case <-limited.Done():
		near.Close()
		return nil, nil, fmt.Errorf("nothing arrived behind %s: %w", addr, limited.Err())
	}
}

// keepSilent says nothing until the idle timeout and a quarter have passed, then speaks once from the
// near end, and writes down how each end found the connection to be.
func keepSilent(ctx context.Context, terms Terms, rec *Recorder, name string, near, far net.Conn) {
	defer near.Close()
	defer far.Close()
	began := time.Now()
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
	case errors.Is(err, io.EOF):
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
	near, far, err := n.pair(ctx, t.Canary.Addr)
	if err != nil {
		return fmt.Errorf("opening the chatting canary: %w", err)
	}
	var wg sync.WaitGroup
	defer wg.Wait()
	defer near.Close()
	defer far.Close()
	wg.Go(func() { _, _ = io.Copy(far, far) })
	stop := context.AfterFunc(ctx, func() { _ = near.SetDeadline(time.Now()) })
	defer stop()

	began := time.Now()
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

// Proved says which of the given settings the canaries and the balancer's own events prove to have
// taken effect, and why the others are not proved. It is pure.
func Proved(h History) (unproved []string) {
	for name, value := range h.Terms.Settings {
		prove, ok := proofs[name]
		if !ok {
			unproved = append(unproved, name+": nothing can prove it")
			continue
		}
		if why := prove(h, value); why != "" {
			unproved = append(unproved, name+"="+value+": "+why)
		}
	}
	return unproved
}

// proofs of the settings: each returns why it is not proved, or "".
var proofs = map[string]func(h History, value string) string{
	"idle-timeout":        provedIdle,
	"idle-timeout-client": provedIdle,
	"idle-timeout-server": provedIdle,
	"idle-expiry":         provedIdle,
	"idle-keepalive":      provedKeepalive,
	"max-lifetime": func(h History, _ string) string {
		e, ok := ended(h, "chatting", "near")
		return timely(e, ok, h.Terms.Lifetime, "fin")
	},
	"stall": func(h History, _ string) string {
		stalled := h.Terms.duration("stall")
		for _, e := range h.Kind(Probe, "held") {
			// The echo under way when the stall began was held for all of it, less the pace of the chat.
			if e.Took >= stalled-min(echoes, stalled/2) {
				return ""
			}
		}
		return "no byte of the canary was held for " + spoken(stalled)
	},
	"outage": func(h History, _ string) string {
		if _, ok := ended(h, "chatting", ""); !ok {
			return "the canary's connection outlived it"
		}
		if _, ok := h.First(Probe, "refused"); !ok {
			return "no connection of the canary was refused"
		}
		return cameBack(h)
	},
	"restart": func(h History, value string) string {
		_, dead := ended(h, "chatting", "")
		_, survived := h.First(Probe, "survived")
		switch {
		case value == "crash" && !dead:
			return "the canary's connection outlived the crash"
		case value == "reload" && !survived:
			return "the canary's connection did not outlive the reload"
		}
		if _, ok := h.First(Balancer, map[string]string{"crash": "crash", "reload": "reload"}[value]); !ok {
			return "the balancer did not restart"
		}
		return cameBack(h)
	},
	"frontends": func(h History, value string) string {
		behind := map[string]map[string]bool{}
		for _, e := range h.Kind(Balancer, "begin") {
			if !onRoute(e) {
				continue
			}
			if behind[e.Front] == nil {
				behind[e.Front] = map[string]bool{}
			}
			behind[e.Front][e.Backend] = true
		}
		if len(behind) == 0 {
			return "no connection crossed the balancer"
		}
		for front, backends := range behind {
			if value == "per-node" && len(backends) != 1 {
				return fmt.Sprintf("frontend %s led to %d nodes", front, len(backends))
			}
			// All nodes of a lab dial from one address, which a hash of it leads to one backend.
			if value == "shared" && h.Terms.Settings["balance"] != "source-hash" && (len(behind) != 1 || len(backends) < 2) {
				return "connections to the one frontend did not reach several nodes"
			}
		}
		return ""
	},
	"balance": func(h History, value string) string {
		reached := map[string]bool{}
		for _, e := range h.Kind(Balancer, "begin") {
			if onRoute(e) {
				reached[e.Backend] = true
			}
		}
		// Every node of a lab on one machine dials from the same address, so that a hash of it leads to one
		// backend.
		if value == "source-hash" && len(reached) != 1 {
			return fmt.Sprintf("one source address reached %d nodes", len(reached))
		}
		if value != "source-hash" && len(reached) < 2 {
			return "connections did not reach several nodes"
		}
		return ""
	},
}

func cameBack(h History) string {
	if _, ok := h.Last(Probe, "connected"); !ok {
		return "the canary never came back"
	}
	return ""
}

func ended(h History, conn, end string) (Event, bool) {
	for _, e := range h.Kind(Probe, "ended") {
		if e.Conn == conn && (e.Node == end || e.Node == "" || end == "") {
			return e, true
		}
	}
	return Event{}, false
}

// early excuses that the two ends of a connection begin at slightly different moments.
const early = 20 * time.Millisecond

// timely checks that an end came at its time: never early, and no later than a busy machine excuses.
func timely(e Event, ok bool, due time.Duration, how string) string {
	switch {
	case !ok:
		return fmt.Sprintf("the canary's connection was not ended (due after %s)", spoken(due))
	case e.How != how:
		return fmt.Sprintf("the canary's connection ended by %s, not %s", e.How, how)
	case e.Took < due-early || e.Took > due+due/4+late:
		return fmt.Sprintf("the canary's connection ended after %s, due after %s", spoken(e.Took), spoken(due))
	}
	return ""
}

func provedIdle(h History, _ string) string {
	how := h.Terms.Expiry
	if how == "fin" || how == "rst" {
		for _, end := range []string{"near", "far"} {
			e, ok := ended(h, "silent", end)
			if why := timely(e, ok, h.Terms.Idle, how); why != "" {
				return why + " at the " + end + " end"
			}
		}
		return ""
	}
	e, ok := spoke(h, "silent")
	gone := h.Filter(func(e Event) bool { return e.From == Balancer && e.Kind == "expired" && e.Front == CanaryFront })
	switch {
	case len(gone) == 0:
		return "the balancer did not end the silent canary"
	case gone[0].Took < h.Terms.Idle-early || gone[0].Took > h.Terms.Idle+h.Terms.Idle/4+late:
		return fmt.Sprintf("the balancer ended the silent canary after %s, due after %s", spoken(gone[0].Took), spoken(h.Terms.Idle))
	case !ok:
		return "the silent canary was ended before it spoke"
	case e.How != how:
		return fmt.Sprintf("what the silent canary said met %s, not %s", e.How, how)
	}
	return ""
}

func spoke(h History, conn string) (Event, bool) {
	for _, e := range h.Kind(Probe, "spoke") {
		if e.Conn == conn {
			return e, true
		}
	}
	return Event{}, false
}

func provedKeepalive(h History, value string) string {
	e, ok := spoke(h, "probed")
	alive := ok && e.How == "alive"
	_, dead := ended(h, "probed", "")
	switch {
	case !ok && !dead:
		return "nobody saw what became of the canary with keepalive probes"
	case value == "counts" && (h.Terms.Probe == 0 || h.Terms.Probe >= h.Terms.Idle):
		if alive {
			return "the canary was kept although its probes are rarer than the idle timeout"
		}
	case value == "counts" && !alive:
		return "the canary whose keepalive probes count was ended all the same"
	case value == "ignored" && alive:
		return "the canary whose keepalive probes are ignored was kept"
	}
	return ""
}
