package suite

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/lbtest/lbtest/assertions"
	"github.com/lbtest/lbtest/proxies"
	"github.com/lbtest/lbtest/topologies"
)

// lab is one way of running a topology behind a balancer, and what is judged in it. It is data; run
// makes it happen.
type lab struct {
	topology topologies.Topology
	profile  proxies.Profile // unscaled
	fronts   string
	nats     []topologies.KeyValue
	factor   float64
	judged   []assertions.Assertion
	proves   map[string]string // the settings whose faults this lab proves
	cut      bool              // one connection is cut in the middle: the reference of an event's control
	starts   int
	manner   string // of expiry, where this lab is one of several that try them all
	// beside is watched as well; tests put their saboteurs there.
	beside []*assertions.Observation
}

// String names a lab in notes.
func (l lab) String() string {
	if len(l.proves) == 0 {
		return "a control of " + l.topology.Name
	}
	var settings []string
	for _, name := range slices.Sorted(maps.Keys(l.proves)) {
		settings = append(settings, name+"="+l.proves[name])
	}
	return "the lab of " + l.topology.Name + " with " + strings.Join(settings, ", ")
}

// without is the lab with those settings switched off: another lab of the scenario has them.
func (l lab) without(settings ...string) lab {
	for _, name := range settings {
		if p, err := l.profile.With(name, "none"); err == nil {
			l.profile = p
		}
	}
	return l.unproved(settings...)
}

// unproved is the lab without the duty to prove those settings.
func (l lab) unproved(settings ...string) lab {
	l.proves = maps.Clone(l.proves)
	for _, name := range settings {
		delete(l.proves, name)
	}
	return l
}

// observations are what the lab's assertions need, each once, and the canaries.
func (l lab) observations() []*assertions.Observation {
	found := []*assertions.Observation{assertions.Forming}
	for _, a := range l.judged {
		if !slices.Contains(found, a.Observe) {
			found = append(found, a.Observe)
		}
	}
	return append(append(found, assertions.Canaries, assertions.Pulse), l.beside...)
}

func (l lab) jetStream() bool {
	return slices.ContainsFunc(l.judged, func(a assertions.Assertion) bool { return a.Observe.JetStream })
}

func (l lab) quiet() bool {
	return slices.ContainsFunc(l.judged, func(a assertions.Assertion) bool { return a.Observe.Alone })
}

// weight is what a lab costs beside others: streams write to disk on three nodes.
func (l lab) weight() int64 {
	if l.jetStream() {
		return 2
	}
	return 1
}

// length estimates how long a lab takes.
func (l lab) length() time.Duration {
	t := l.terms(assertions.ClientTuning{})
	d := t.Event
	if l.quiet() {
		d += t.Watch() + assertions.Spells*t.Lull()
		if t.Expiry == "silent" && t.Idle < t.RoutePing {
			d += 2 * t.Notice() // two spells that cost messages say enough
		}
	} else {
		d += 3 * t.Lifetime
		if l.jetStream() && t.Idle > 0 {
			d += t.Lull()
		}
	}
	d = max(d, t.Idle+t.Idle/4) // the silent canary waits that long
	if l.fronts == "shared" {
		d += 45 * time.Second // it never forms, and NATS has 30 s for that
	}
	return d
}

// control is the same lab behind a balancer that does nothing. Where the lab waits, the control need
// not: without a balancer's timers there is nothing to keep apart.
func (l lab) control() lab {
	c := l
	c.profile, c.fronts, c.proves, c.starts = proxies.Direct(), "per-node", nil, 1
	c.cut = l.profile.Strikes() || l.drains()
	c.factor = 1
	if l.quiet() && !l.jetStream() {
		c.factor = timers{ping: l.routing().PingInterval}.factor(fastest)
	}
	c.judged = slices.DeleteFunc(assertions.All(), func(a assertions.Assertion) bool {
		return a.Observe.Alone != l.quiet() && !a.Observe.First || a.Observe.JetStream && !l.jetStream()
	})
	return c
}

// key is the same for labs that have the same control.
func (l lab) key() string {
	return fmt.Sprint(l.topology.Name, l.nats, l.factor, l.cut, l.quiet(), l.jetStream())
}

func (l lab) routing() topologies.Routing { return l.build(nil).Routing() }

func (l lab) build(fronts map[topologies.Front]string) topologies.Build {
	return topologies.Build{Topology: l.topology, Fronts: fronts, JetStream: l.jetStream(),
		Tuning: topologies.Tuning{Nats: l.nats, Factor: l.factor}}
}

// scaled divides a duration as the lab's clock does.
func (l lab) scaled(d time.Duration) time.Duration { return time.Duration(float64(d) / l.factor) }

func (l lab) terms(client assertions.ClientTuning) assertions.Terms {
	routing := l.routing()
	t := scenario{topology: l.topology, profile: l.profile, nats: l.nats}.timers()
	terms := assertions.Terms{
		Topology: l.topology.Name, Nodes: l.topology.Nodes(), Fronts: l.fronts,
		PoolSize: max(1, routing.PoolSize), Dedicated: len(routing.Dedicated),
		Factor: l.factor, RoutePing: l.scaled(routing.PingInterval), PingMax: routing.PingMax,
		Idle: l.scaled(t.idle), Lifetime: l.scaled(t.lifetime), Expiry: l.profile.Value("idle-expiry"), Probe: l.scaled(client.Keepalive()),
		Settings: l.proves, JetStream: l.jetStream(),
		Event: l.profile.Duration("stall") + l.profile.Duration("outage"),
	}
	if fall, err := strconv.Atoi(l.profile.Value("health-fall")); err == nil {
		terms.Found = time.Duration(fall+1) * l.scaled(l.profile.Duration("health-interval"))
	}
	for _, name := range events {
		switch value := l.profile.Value(name); {
		case value == "none" || value == "" || name == "drain":
		case name == "restart":
			terms.Strikes = append(terms.Strikes, name+"="+value)
		default:
			terms.Strikes = append(terms.Strikes, name)
		}
	}
	if l.drains() {
		terms.Strikes, terms.Event = append(terms.Strikes, "drain"), terms.Event+l.profile.Duration("drain")+removed
	}
	if l.cut {
		terms.Strikes = append(terms.Strikes, "cut")
	}
	return terms
}

// starting bounds how many labs bring up their nodes at the same time: that is what needs the CPU, and
// labs that are being watched must not be starved by it.
type starting chan struct{}

func (s starting) begin(ctx context.Context) error {
	select {
	case s <- struct{}{}:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (s starting) done() { <-s }

// run brings the lab up, lets it be watched through before, during and after, and takes it down. An
// error is lbtest's own failure; what was recorded until then is returned all the same.
func (l lab) run(ctx context.Context, rt topologies.Runtime, client assertions.ClientTuning, starts starting) (h assertions.History, err error) {
	if err := starts.begin(ctx); err != nil {
		return h, err
	}
	// Every wait in a lab has its own limit; this one only catches what should not happen, well beyond
	// all of them together.
	ctx, cancel := context.WithTimeoutCause(ctx, 2*l.length()+5*time.Minute, errors.New("the lab did not end in time"))
	defer cancel()
	started := sync.OnceFunc(starts.done)
	defer started()
	rec := assertions.NewRecorder()
	terms := l.terms(client)
	defer func() { h = rec.History(terms) }()

	names := []string{topologies.VIP}
	if l.fronts == "per-node" {
		names = l.topology.Nodes()
	}
	var who owners
	fronts := []proxies.Front{{Name: assertions.CanaryFront}, {Name: assertions.ProbedFront, Keepalive: terms.Probe},
		{Name: assertions.SelfFront, Owner: func(netip.AddrPort) string { return assertions.CanaryFront }}}
	for _, name := range names {
		front := proxies.Front{Name: name} // servers' own links send no keepalive
		if l.fronts != "per-node" {
			front.Owner = who.of // which reads through every socket of this machine
		}
		fronts = append(fronts, front)
	}
	balancer, err := opened(ctx, rt, l.topology.Nodes(), opening{l.profile, l.factor, fronts}, func(e proxies.Event) { rec.Add(translate(rec, e)) })
	if err != nil {
		return h, fmt.Errorf("opening the balancer: %w", err)
	}
	defer func() { err = errors.Join(err, ending("the balancer", balancer.Close())) }()
	nest, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.ParseIP(balancer.outside)})
	if err != nil {
		return h, fmt.Errorf("listening for the canary: %w", err)
	}
	defer nest.Close()
	health, err := net.Listen("tcp", net.JoinHostPort(balancer.outside, "0"))
	if err != nil {
		return h, fmt.Errorf("listening for the canary's health: %w", err)
	}
	defer serveHealth(health)()

	addresses := map[topologies.Front]string{}
	for _, name := range names {
		addresses[topologies.Front{Link: topologies.Routes, Name: name}] = balancer.dialled(name)
	}
	build := l.build(addresses)
	build.Behind = balancer.behind
	deployment, err := rt.Start(ctx, build)
	if err != nil {
		return h, fmt.Errorf("starting %s: %w", l.topology.Name, err)
	}
	defer func() { err = errors.Join(err, ending("the nodes", deployment.Close())) }()
	if err := deployment.Ready(ctx); err != nil {
		return h, fmt.Errorf("waiting for the nodes of %s: %w", l.topology.Name, err)
	}
	own := []proxies.Backend{{Name: assertions.CanaryFront, Addr: nest.Addr().String(), Monitor: health.Addr().String()}}
	if err := balancer.Serve(map[string][]proxies.Backend{assertions.CanaryFront: own, assertions.ProbedFront: own, assertions.SelfFront: own}); err != nil {
		return h, fmt.Errorf("opening the canaries' frontends: %w", err)
	}
	target := assertions.Target{Client: client, Terms: terms,
		Canary: &assertions.Canary{Addr: balancer.Addr(assertions.CanaryFront), Backend: nest, Health: health, Knock: knock(l.profile), Provoke: provocation(l.profile), Patience: patience(l.profile)}}
	if l.proves["idle-keepalive"] != "" {
		target.Canary.Probed = balancer.Addr(assertions.ProbedFront)
	}
	if l.proves["hairpin"] != "" && balancer.behind == nil {
		target.Canary.Self = balancer.Addr(assertions.SelfFront)
	}
	who.are(deployment.Nodes())
	for _, n := range deployment.Nodes() {
		target.Nodes = append(target.Nodes, assertions.Node{Name: n.Name(), URL: "nats://" + n.Addr(topologies.Clients),
			Monitor: n.Monitor(), Route: n.Addr(topologies.Routes)})
	}
	for _, a := range deployment.Accounts() {
		target.Accounts = append(target.Accounts, assertions.Account{Name: a.Name, User: a.User, Password: a.Password, JetStream: a.JetStream, System: a.System})
	}
	rec.Add(assertions.Event{From: assertions.Lab, Kind: "serving"})
	for i, n := range target.Nodes {
		behind := map[string][]proxies.Backend{n.Name: routesOf(target.Nodes[i : i+1])}
		if l.fronts != "per-node" {
			behind = map[string][]proxies.Backend{topologies.VIP: routesOf(target.Nodes)}
		}
		if err := balancer.Serve(behind); err != nil {
			return h, fmt.Errorf("opening the balancer for traffic: %w", err)
		}
		if l.fronts != "per-node" || i == len(target.Nodes)-1 {
			break
		}
		// By now every node has dialled every other. Let in all at once, each pair would meet as two do who
		// dial each other at the same moment: both close the other's route as a duplicate and try again
		// a second later, after the first election of a meta leader. A third of a second is three times what
		// a node's routes take; behind a hostile balancer they never come, and nobody waits for them.
		inTurn, cancel := context.WithTimeout(ctx, 300*time.Millisecond)
		assertions.AwaitRoutes(inTurn, target, n)
		cancel()
	}
	started()
	return h, watch(ctx, l.observations(), target, rec, l.event(balancer, target, rec))
}

// owners finds the node that made a connection, where the runtime can tell.
type owners struct {
	nodes atomic.Pointer[[]topologies.Node]
}

func (o *owners) are(nodes []topologies.Node) { o.nodes.Store(&nodes) }

func (o *owners) of(client netip.AddrPort) string {
	if nodes := o.nodes.Load(); nodes != nil {
		for _, n := range *nodes {
			if d, ok := n.(topologies.Dialler); ok && d.Dialled(client) {
				return n.Name()
			}
		}
	}
	return ""
}

// serveHealth answers health checks as a healthy node does, for the tester's own backend.
func serveHealth(l net.Listener) (stop func()) {
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "ok") }), ReadHeaderTimeout: 10 * time.Second}
	var serving sync.WaitGroup
	serving.Go(func() { _ = server.Serve(l) })
	return func() {
		_ = server.Close()
		_ = l.Close() // where it was never served
		serving.Wait()
	}
}

// knock is what a connection has to say before a balancer of that profile goes on with it.
func knock(p proxies.Profile) []byte {
	switch p.Value("inspection") {
	case "http":
		return []byte("GET /canary HTTP/1.1\r\nHost: lbtest\r\n\r\n")
	case "tls-hello":
		return hello()
	case "client-first":
		return []byte("canary\n")
	}
	if v := p.Value("proxy-protocol"); v != "" && v != "off" {
		return []byte("canary\n")
	}
	return nil
}

// provocation is what a balancer of that profile does not let pass unnoticed, for an inspection that waits for
// bytes which routes may never say.
func provocation(p proxies.Profile) []byte {
	for _, b := range p.Behaviours {
		i, ok := b.(proxies.Inspection)
		switch {
		case !ok || i.Limit > most:
		case i.Kind == "signature":
			if digits, isHex := strings.CutPrefix(i.Pattern, "hex:"); isHex {
				pattern, _ := hex.DecodeString(digits) // Check has seen to it
				return pattern
			}
			return []byte(i.Pattern)
		case i.Kind == "line-limit":
			return append(bytes.Repeat([]byte{'x'}, int(i.Limit)+2), '\n') // beyond the limit by more than a line's end
		case i.Kind == "hold":
			return []byte{'x'} // less than any buffer but one of a byte, which holds nothing
		}
	}
	return nil
}

// most is the longest line that the tester says to reach a limit.
const most = 16 << 20

// patience is how long such a balancer waits of its own accord.
func patience(p proxies.Profile) time.Duration {
	if p.Value("inspection") == "wait-end" {
		return p.Duration("inspection-delay")
	}
	return 0
}

// hello is the first message of any TLS client.
func hello() []byte {
	near, far := net.Pipe()
	defer near.Close()
	go func() {
		defer far.Close()
		_ = tls.Client(far, &tls.Config{ServerName: "lbtest"}).Handshake() // nobody answers; its first words are all that is wanted
	}()
	// Far more than a ClientHello has, which comes in one write.
	buf := make([]byte, 16<<10)
	n, _ := near.Read(buf)
	return buf[:n]
}

func routesOf(nodes []assertions.Node) []proxies.Backend {
	var all []proxies.Backend
	for _, n := range nodes {
		all = append(all, proxies.Backend{Name: n.Name, Addr: n.Route, Monitor: strings.TrimPrefix(n.Monitor, "http://")})
	}
	return all
}

// event is what happens once in the middle.
func (l lab) event(b balancer, t assertions.Target, rec *assertions.Recorder) func(context.Context) error {
	switch {
	case l.cut:
		return func(ctx context.Context) error {
			conn, ok := assertions.PoolRoute(ctx, t, rec, t.Nodes[0])
			if !ok || !b.Cut(conn) {
				return errors.New("cutting one route: there is none")
			}
			return nil
		}
	case l.drains():
		return func(ctx context.Context) error {
			return errors.Join(b.Strike(ctx), l.rotate(ctx, b, t.Nodes[0].Name))
		}
	case l.profile.Strikes():
		return b.Strike
	}
	return func(context.Context) error { return nil }
}

// drains reports whether what becomes of a removed backend's connections is asked.
func (l lab) drains() bool { return l.proves["drain"] != "" }

// removed is how long a backend stays out of rotation beyond its drain time: long enough for what drain ends to
// be missed and made again.
const removed = 3 * time.Second

// rotate takes a backend out of rotation, leaves it time, and puts it back.
func (l lab) rotate(ctx context.Context, b balancer, backend string) error {
	if err := b.Remove(backend); err != nil {
		return err
	}
	timer := time.NewTimer(l.profile.Duration("drain") + removed)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
	return b.Restore(backend)
}

// watch runs the observations: what others build on first, then all side by side, then the last looks.
func watch(ctx context.Context, observations []*assertions.Observation, t assertions.Target, rec *assertions.Recorder, event func(context.Context) error) error {
	strike := &strike{event: event, rec: rec, over: make(chan struct{})}
	besideCtx, enough := context.WithCancel(ctx)
	defer enough()
	var wg, beside sync.WaitGroup
	var aside error
	var side []*assertions.Observation
	for _, o := range observations {
		if o.Aside {
			beside.Go(func() {
				if err := o.Watch(besideCtx, t, rec); err != nil {
					aside = fmt.Errorf("watching %s: %w", o.Name, err)
				}
			})
		}
	}
	defer beside.Wait()
	defer enough()
	for _, o := range observations {
		switch {
		case o.First:
			if err := o.Watch(ctx, t, rec); err != nil {
				return fmt.Errorf("watching %s: %w", o.Name, err)
			}
		case !o.Aside:
			side = append(side, o)
			if o.Strikes {
				strike.awaited++
			}
		}
	}
	errs := make([]error, len(side))
	for i, o := range side {
		wg.Go(func() {
			t := t
			if o.Strikes {
				hand := &hand{strike: strike}
				defer hand.leave(ctx)
				t.Control = hand
			}
			if err := o.Watch(ctx, t, rec); err != nil {
				errs[i] = fmt.Errorf("watching %s: %w", o.Name, err)
			}
		})
	}
	wg.Wait()
	for _, o := range observations {
		if o.After != nil && ctx.Err() == nil {
			errs = append(errs, o.After(ctx, t, rec))
		}
	}
	enough()
	beside.Wait()
	return errors.Join(append(errs, aside, ctx.Err())...)
}

// strike lets an event happen once, when everybody who watches is ready for it.
type strike struct {
	event func(context.Context) error
	rec   *assertions.Recorder

	mu      sync.Mutex
	awaited int
	over    chan struct{} // closed when the event is over
	err     error         // valid then
}

// arrive counts one watcher as ready; the last one lets the event happen.
func (s *strike) arrive(ctx context.Context) {
	s.mu.Lock()
	s.awaited--
	last := s.awaited == 0
	s.mu.Unlock()
	if !last {
		return
	}
	s.rec.Add(assertions.Event{From: assertions.Lab, Kind: "strike-begin"})
	s.err = s.event(ctx)
	s.rec.Add(assertions.Event{From: assertions.Lab, Kind: "strike-over"})
	close(s.over)
}

// hand is one watcher's part in the strike.
type hand struct {
	strike  *strike
	arrived bool
}

// Strike implements assertions.Control.
func (h *hand) Strike(ctx context.Context) error {
	h.arrived = true
	h.strike.arrive(ctx)
	select {
	case <-h.strike.over:
		return h.strike.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// leave lets the others go on when a watcher ends without having been ready.
func (h *hand) leave(ctx context.Context) {
	if !h.arrived {
		h.strike.arrive(ctx)
	}
}

// translate puts what the balancer did on the lab's timeline. Addr is the connection as its acceptor
// sees it, Dial the frontend that was dialled.
func translate(rec *assertions.Recorder, e proxies.Event) assertions.Event {
	return assertions.Event{At: rec.Since(e.At), From: assertions.Balancer, Kind: e.Kind, Front: e.Front, Backend: e.Backend, Conn: e.Conn,
		Addr: e.LocalAddr, Dial: e.FrontAddr, How: strings.ToLower(e.How), Why: e.Why, What: e.What, Took: e.Age}
}

func ending(what string, err error) error {
	if err != nil {
		return fmt.Errorf("ending %s: %w", what, err)
	}
	return nil
}
