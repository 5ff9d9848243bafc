package suite

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/lbtest/lbtest/assertions"
	"github.com/lbtest/lbtest/proxies"
	"github.com/lbtest/lbtest/topologies"
)

// run brings the lab up, lets it be watched through before, during and after, and takes it down. An
// error is lbtest's own failure; what was recorded until then is returned all the same. up is called when its nodes are
// up: until then it takes more CPU than later.
func (l lab) run(ctx context.Context, rt topologies.Runtime, up func()) (h assertions.History, err error) {
	// Every wait in a lab has its own limit; this one only catches what should not happen, well beyond
	// all of them together.
	ctx, cancel := context.WithTimeoutCause(ctx, 2*l.length()+5*time.Minute, errors.New("the lab did not end in time"))
	defer cancel()
	rec := assertions.NewRecorder()
	terms := l.terms()
	var hidden []string
	defer func() {
		h = rec.History(terms)
		redact(h.Events, hidden)
	}()

	var who owners
	fronts := []proxies.Front{{Name: assertions.CanaryFront}, {Name: assertions.ProbedFront, Keepalive: terms.Probe},
		{Name: assertions.SelfFront, Owner: func(netip.AddrPort) string { return assertions.CanaryFront }}}
	for _, f := range l.frontends() {
		front := proxies.Front{Name: f.Name}
		switch {
		case !l.link().Joins():
			front.Keepalive = terms.Probe // servers' own links send none
		case l.link() == topologies.Routes && l.fronts != "per-node":
			front.Owner = who.of // which reads through every socket of this machine
		}
		fronts = append(fronts, front)
	}
	at, err := l.settle(ctx, rt)
	if err != nil {
		return h, fmt.Errorf("finding a place for the balancer: %w", err)
	}
	made, err := newSecrets(l.security, l.build(nil), at.hosts)
	if err != nil {
		return h, errors.Join(err, at.close())
	}
	hidden = made.hidden()
	profile := l.profile
	profile.Identity = made.balancer
	balancer, err := at.open(ctx, opening{profile, l.factor, fronts, made.authority}, func(e proxies.Event) { rec.Add(translate(rec, e)) })
	if err != nil {
		return h, fmt.Errorf("opening the balancer: %w", err)
	}
	defer func() { err = errors.Join(err, ending("the balancer", balancer.Close())) }()
	nest, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.ParseIP(at.outside)})
	if err != nil {
		return h, fmt.Errorf("listening for the canary: %w", err)
	}
	defer nest.Close()
	health, err := net.Listen("tcp", net.JoinHostPort(at.outside, "0"))
	if err != nil {
		return h, fmt.Errorf("listening for the canary's health: %w", err)
	}
	defer serveHealth(health)()

	addresses := map[topologies.Front]string{}
	for _, f := range l.frontends() {
		addresses[topologies.Front{Link: l.link(), Name: f.Name}] = balancer.dialled(l.link(), f.Name)
	}
	beside := balancers{balancer: balancer}
	others, err := l.openBeside(ctx, at)
	for i, other := range others {
		defer func() { err = errors.Join(err, ending("the balancer of "+string(l.neighbours[i].link), other.Close())) }()
	}
	if err != nil {
		return h, err
	}
	for i, n := range l.neighbours {
		beside.beside = append(beside.beside, others[i])
		for _, f := range l.topology.Frontends(n.link, n.fronts == "per-node") {
			addresses[topologies.Front{Link: n.link, Name: f.Name}] = others[i].dialled(n.link, f.Name)
		}
	}
	build := l.build(addresses)
	build.Behind, build.Identity, build.Logins = at.first, made.identity, made.logins
	told, leave, err := l.advertise(&build, balancer)
	defer leave()
	if err != nil {
		return h, fmt.Errorf("finding addresses past the balancer: %w", err)
	}
	deployment, err := rt.Start(ctx, build)
	if err != nil {
		return h, fmt.Errorf("starting %s: %w", l.topology.Name, err)
	}
	defer func() { err = errors.Join(err, ending("the nodes", deployment.Close())) }()
	if err := deployment.Ready(ctx); err != nil {
		return h, fmt.Errorf("waiting for the nodes of %s: %w", l.topology.Name, err)
	}
	if err := identify(ctx, deployment.Nodes(), rec); err != nil {
		return h, err
	}
	own := []proxies.Backend{{Name: assertions.CanaryFront, Addr: nest.Addr().String(), Monitor: health.Addr().String()}}
	if err := balancer.Serve(map[string][]proxies.Backend{assertions.CanaryFront: own, assertions.ProbedFront: own, assertions.SelfFront: own}); err != nil {
		return h, fmt.Errorf("opening the canaries' frontends: %w", err)
	}
	target := assertions.Target{Client: l.dialling(), Direct: l.client, Terms: terms, TLS: made.believes,
		Canary: &assertions.Canary{Addr: balancer.Addr(assertions.CanaryFront), Backend: nest, Health: health, Knock: knock(l.profile), Provoke: provocation(l.profile), Patience: patience(l.profile)}}
	target.Canary.TLS, target.Canary.Beyond = made.canary(l.security)
	if l.proves["idle-keepalive"] != "" {
		target.Canary.Probed, target.Canary.Probe = balancer.Addr(assertions.ProbedFront), terms.Probe
	}
	for _, f := range l.frontends() {
		addr := balancer.Addr(f.Name)
		if l.link().Joins() {
			target.Fronts = append(target.Fronts, addresses[topologies.Front{Link: l.link(), Name: f.Name}])
			target.Doors = append(target.Doors, addr)
			continue
		}
		target.URLs = append(target.URLs, scheme(l.link())+addr)
		target.Direct = assertions.ClientTuning{}
	}
	if l.meetsItself() && at.first == nil {
		target.Canary.Self = balancer.Addr(assertions.SelfFront)
	}
	who.are(deployment.Nodes())
	clusters := map[string]string{}
	for _, c := range l.topology.Clusters {
		for _, n := range c.Nodes {
			clusters[n] = c.Name
		}
	}
	for _, n := range deployment.Nodes() {
		target.Nodes = append(target.Nodes, assertions.Node{Name: n.Name(), Cluster: clusters[n.Name()], URL: "nats://" + n.Addr(topologies.Clients),
			Monitor: n.Monitor(), Addr: n.Addr(l.link()), Log: n.Log(), Told: told(n)})
	}
	for _, a := range deployment.Accounts() {
		target.Accounts = append(target.Accounts, made.account(a))
	}
	for i, n := range l.neighbours {
		if err := l.serve(ctx, n.link, n.fronts, beside.beside[i], deployment.Nodes(), target); err != nil {
			return h, fmt.Errorf("opening the balancer of %s for traffic: %w", n.link, err)
		}
	}
	rec.Add(assertions.Event{From: assertions.Lab, Kind: "serving"})
	if err := l.serve(ctx, l.link(), l.fronts, balancer, deployment.Nodes(), target); err != nil {
		return h, fmt.Errorf("opening the balancer for traffic: %w", err)
	}
	up()
	with := levers{beside, deployment.Nodes(), rec}
	return h, watch(ctx, l.observations(), target, rec, with, l.event(with, target, rec))
}

// scheme is how the URLs begin by which applications dial.
func scheme(link topologies.Link) string {
	if link == topologies.Websocket {
		return "ws://"
	}
	return "nats://"
}

// serve opens a link's balancer for the nodes.
func (l lab) serve(ctx context.Context, link topologies.Link, fronts string, b balancer, nodes []topologies.Node, t assertions.Target) error {
	all := l.topology.Frontends(link, fronts == "per-node")
	for i, f := range all {
		var behind []proxies.Backend
		for _, n := range nodes {
			if slices.Contains(f.Nodes, n.Name()) {
				behind = append(behind, proxies.Backend{Name: n.Name(), Addr: n.Addr(link), Monitor: strings.TrimPrefix(n.Monitor(), "http://")})
			}
		}
		if err := b.Serve(map[string][]proxies.Backend{f.Name: behind}); err != nil {
			return err
		}
		if link != topologies.Routes || fronts != "per-node" || i == len(all)-1 {
			continue
		}
		// By now every node has dialled every other. Let in all at once, each pair would meet as two do who
		// dial each other at the same moment: both close the other's route as a duplicate and try again
		// a second later, after the first election of a meta leader. A third of a second is three times what
		// a node's routes take; behind a hostile balancer they never come, and nobody waits for them.
		inTurn, cancel := context.WithTimeout(ctx, 300*time.Millisecond)
		assertions.AwaitRoutes(inTurn, t, f.Name)
		cancel()
	}
	return nil
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

// translate puts what the balancer did on the lab's timeline. Addr is the connection as its acceptor
// sees it, Dial the frontend that was dialled.
func translate(rec *assertions.Recorder, e proxies.Event) assertions.Event {
	return assertions.Event{At: rec.Since(e.At), From: assertions.Balancer, Kind: e.Kind, Front: e.Front, Backend: e.Backend, Conn: e.Conn, Caller: e.ClientAddr,
		Addr: e.LocalAddr, Dial: e.FrontAddr, How: strings.ToLower(e.How), Why: e.Why, What: e.What, Took: e.Age, Up: e.Up, Down: e.Down}
}

func ending(what string, err error) error {
	if err != nil {
		return fmt.Errorf("ending %s: %w", what, err)
	}
	return nil
}
