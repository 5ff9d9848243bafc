package suite

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	"github.com/lbtest/lbtest/proxies"
	"github.com/lbtest/lbtest/topologies"
)

// A balancer that runs elsewhere is told what to do and tells what it does, in lines of JSON:
//
//	here   order ───────► its standard input
//	here ◄─────── message its standard output: the answer to an order, or an event
//
// Answers and events keep their order, so what an order caused is known here when it is answered.
type order struct {
	ID       int
	Do       string
	Profile  *wireProfile                 `json:",omitempty"` // listen
	Fronts   []proxies.Front              `json:",omitempty"` // listen
	Backends map[string][]proxies.Backend `json:",omitempty"` // serve
	Name     string                       `json:",omitempty"` // cut: the connection; remove, restore, unplug, plug: the backend
	Of       int                          `json:",omitempty"` // cancel: the order that is to end early
	Identity *wireIdentity                `json:",omitempty"` // listen: of a balancer that ends TLS
}

// What a balancer can be told to do. The first order is listen.
const (
	doListen  = "listen"
	doServe   = "serve"
	doStrike  = "strike"
	doCancel  = "cancel"
	doCut     = "cut"
	doRemove  = "remove"
	doRestore = "restore"
	doUnplug  = "unplug"
	doPlug    = "plug"
	doHold    = "hold"    // stall, since the whole program is about to be stopped
	doRelease = "release" // it goes on
	doSwallow = "swallow" // take an address that answers nobody, until the end
	doWill    = "will"    // say how every connection ends, and nothing afterwards: the process is about to be killed
	doClose   = "close"
)

type message struct {
	ID    int               `json:",omitempty"` // of the order that is answered
	Addrs map[string]string `json:",omitempty"` // listen: by frontend
	Addr  string            `json:",omitempty"` // swallow: the address
	Done  bool              `json:",omitempty"` // cut: there was such a connection
	Lack  string            `json:",omitempty"` // will: what the process ran out of
	Error string            `json:",omitempty"`
	Event *proxies.Event    `json:",omitempty"`
}

// wireProfile is a profile as text: what a user could have typed.
type wireProfile struct {
	Name     string
	Seed     int64
	Factor   float64
	Settings []proxies.Stated
}

func wired(p proxies.Profile, factor float64) *wireProfile {
	w := &wireProfile{Name: p.Name, Seed: p.Seed, Factor: factor}
	for _, s := range p.Stated() {
		if s.Setting != "stall" { // which is done to its program
			w.Settings = append(w.Settings, s)
		}
	}
	return w
}

// profile gives the profile back, scaled.
func (w *wireProfile) profile() (proxies.Profile, error) {
	p := proxies.Profile{Name: w.Name, Seed: w.Seed}
	for _, s := range w.Settings {
		var err error
		if p, err = p.With(s.Setting, s.Value); err != nil {
			return p, err
		}
	}
	p, _ = p.SystemPorts() // what its network is set to
	return p.Scaled(w.Factor), nil
}

// talk is how a balancer that runs elsewhere is told what to do. Its methods may be called from any goroutine.
type talk struct {
	with io.ReadWriter
	done chan struct{} // closed when nothing more can be read

	mu      sync.Mutex
	last    int
	waiting map[int]chan message
	lost    error // why nothing more can be read; valid once waiting is nil
}

// newTalk begins to read what the balancer says. note is called for each event from one goroutine.
func newTalk(with io.ReadWriter, note func(proxies.Event)) *talk {
	t := &talk{with: with, done: make(chan struct{}), waiting: map[int]chan message{}}
	go t.read(note)
	return t
}

// remote is a balancer that runs elsewhere. Its methods may be called from any goroutine.
type remote struct {
	*talk
	running topologies.Running
	addrs   map[string]string
	stall   time.Duration // that an event is to bring; 0 for none
}

// openRemote has a program that was started in balancerMode open its frontends, and owns it from then
// on. note is called for each event from one goroutine.
func openRemote(ctx context.Context, running topologies.Running, o opening, note func(proxies.Event)) (*remote, error) {
	r := &remote{talk: newTalk(running, note), running: running, stall: o.profile.Duration("stall")}
	fronts := make([]proxies.Front, len(o.fronts))
	_, sysctls := o.profile.SystemPorts()
	for i, f := range o.fronts {
		f.Listen = "0.0.0.0:0" // on every network that it is on
		if sysctls != nil {
			f.Listen = fmt.Sprintf("0.0.0.0:%d", listenFrom+i) // where ports are counted, none may be lost to a listener
		}
		fronts[i] = f
	}
	identity, err := wiredIdentity(o)
	if err != nil {
		return nil, err
	}
	m, err := r.tell(ctx, order{Do: doListen, Profile: wired(o.profile, o.factor), Fronts: fronts, Identity: identity})
	if err != nil {
		return nil, err
	}
	r.addrs = map[string]string{}
	for name, addr := range m.Addrs {
		_, port, err := net.SplitHostPort(addr)
		if err != nil {
			return nil, fmt.Errorf("reading the address of frontend %s: %w", name, err)
		}
		r.addrs[name] = net.JoinHostPort(running.Addr(), port)
	}
	return r, nil
}

// listenFrom is the first port that a balancer with counted ports listens at. It has its network to itself, and 5000 and
// up are in no range that SystemPorts makes but the very largest.
const listenFrom = 5000

func (r *remote) Addr(front string) string { return r.addrs[front] }

func (t *talk) Serve(backends map[string][]proxies.Backend) error {
	_, err := t.tell(context.Background(), order{Do: doServe, Backends: backends})
	return err
}

// Strike performs the events: a stall by stopping the whole program, all others by telling it.
func (r *remote) Strike(ctx context.Context) error {
	if r.stall > 0 {
		if err := r.stand(ctx); err != nil {
			return err
		}
	}
	_, err := r.tell(ctx, order{Do: doStrike})
	return err
}

// stand has the program stand still for the time of a stall.
func (r *remote) stand(ctx context.Context) error {
	// Whatever becomes of ctx: what was held is to be released.
	if _, err := r.tell(context.Background(), order{Do: doHold}); err != nil {
		return err
	}
	over := time.NewTimer(r.stall)
	defer over.Stop()
	err := r.running.Pause()
	if err == nil {
		select {
		case <-over.C:
		case <-ctx.Done():
			err = context.Cause(ctx)
		case <-r.done: // it was killed meanwhile
		}
		err = errors.Join(err, r.running.Resume())
	}
	_, released := r.tell(context.Background(), order{Do: doRelease})
	return errors.Join(err, released)
}

func (t *talk) Cut(conn string) bool {
	m, err := t.tell(context.Background(), order{Do: doCut, Name: conn})
	return err == nil && m.Done
}

func (t *talk) Remove(backend string) error {
	_, err := t.tell(context.Background(), order{Do: doRemove, Name: backend})
	return err
}

func (t *talk) Restore(backend string) error {
	_, err := t.tell(context.Background(), order{Do: doRestore, Name: backend})
	return err
}

func (t *talk) Unplug(backend string) error {
	_, err := t.tell(context.Background(), order{Do: doUnplug, Name: backend})
	return err
}

func (t *talk) Plug(backend string) error {
	_, err := t.tell(context.Background(), order{Do: doPlug, Name: backend})
	return err
}

// swallow takes an address that leaves SYNs unanswered: as nodes dial it, and as this process does.
func (r *remote) swallow() (dialled, here string, err error) {
	m, err := r.tell(context.Background(), order{Do: doSwallow})
	if err != nil {
		return "", "", fmt.Errorf("taking an address that answers nobody: %w", err)
	}
	_, port, err := net.SplitHostPort(m.Addr)
	return net.JoinHostPort(r.running.Name(), port), net.JoinHostPort(r.running.Addr(), port), err
}

// Close lets the balancer end everything by itself, so that its last events are heard and its last
// trouble is told, and takes the program down.
func (r *remote) Close() error {
	_, err := r.tell(context.Background(), order{Do: doClose})
	err = errors.Join(err, r.running.Close())
	<-r.done
	return err
}

// tell sends an order and waits for its answer. When ctx ends, an event under way is ended early and its
// answer waited for all the same.
func (t *talk) tell(ctx context.Context, o order) (message, error) {
	answered := make(chan message, 1)
	t.mu.Lock()
	if t.waiting == nil {
		err := t.lost
		t.mu.Unlock()
		return message{}, fmt.Errorf("telling the balancer to %s: %w", o.Do, err)
	}
	t.last++
	o.ID = t.last
	t.waiting[o.ID] = answered
	err := t.sendLocked(o)
	if err != nil {
		delete(t.waiting, o.ID)
	}
	t.mu.Unlock()
	if err != nil {
		return message{}, fmt.Errorf("telling the balancer to %s: %w", o.Do, err)
	}
	ended := ctx.Done()
	for {
		select {
		case m, ok := <-answered:
			switch {
			case !ok:
				return m, fmt.Errorf("telling the balancer to %s: %w", o.Do, t.lost)
			case m.Error != "" && ctx.Err() != nil:
				return m, fmt.Errorf("%w (%s)", context.Cause(ctx), m.Error)
			case m.Error != "":
				return m, errors.New(m.Error)
			}
			return m, nil
		case <-ended:
			ended = nil
			if o.Do == doStrike {
				t.mu.Lock()
				err = t.sendLocked(order{Do: doCancel, Of: o.ID})
				t.mu.Unlock()
			} else {
				err = context.Cause(ctx)
			}
			if err != nil {
				return message{}, fmt.Errorf("telling the balancer to %s: %w", o.Do, err)
			}
		}
	}
}

// sendLocked writes one line. Orders are few and small: the pipe never fills.
func (t *talk) sendLocked(o order) error {
	line, err := json.Marshal(o)
	if err != nil {
		return err
	}
	_, err = t.with.Write(append(line, '\n'))
	return err
}

// read hands out what the balancer says until it says no more.
func (t *talk) read(note func(proxies.Event)) {
	defer close(t.done)
	said := json.NewDecoder(t.with)
	for {
		var m message
		if err := said.Decode(&m); err != nil {
			if errors.Is(err, io.EOF) {
				err = errors.New("its program has ended")
			}
			t.mu.Lock()
			t.lost = err
			for _, answered := range t.waiting {
				close(answered)
			}
			t.waiting = nil
			t.mu.Unlock()
			return
		}
		if m.Event != nil {
			note(*m.Event)
			continue
		}
		t.mu.Lock()
		if answered, ok := t.waiting[m.ID]; ok {
			delete(t.waiting, m.ID)
			answered <- m
		}
		t.mu.Unlock()
	}
}
