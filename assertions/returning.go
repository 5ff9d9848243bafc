package assertions

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
)

// returner is the application that goes away and comes back.
const returner = "returner"

// returning lets an application connect, lose its connection, and come back by every address that it knows: those it
// was given and those that the servers gossip. Each time the servers are asked whom they believe it to be.
//
//	presented ─► connected ─► identified ─► [event] ─► (reconnected ─► identified) … ─► unreturned … ─► returned
//
// Unreturned is an address (Dial) that did not let it in when its turn came, and why.
var returning = &Observation{Name: "returning", Strikes: true, Watch: func(ctx context.Context, t Target, rec *Recorder) error {
	a := t.plain()[0]
	rec.Add(Event{From: Client, Kind: "presented", App: returner, Account: a.id(), How: a.Shown, What: a.print()})
	walk, began := &walk{rec: rec}, rec.Now()
	app, err := t.open(rec, a, returner, nats.ReconnectToServer(walk.next), nats.MaxReconnects(-1))
	if err != nil {
		rec.Add(Event{From: Client, Kind: "unconnected", App: returner, Why: words(err, rec.Now()-began)})
		return t.Control.Strike(ctx)
	}
	defer app.Close()
	identify(ctx, t, rec, 0)
	if err := t.Control.Strike(ctx); err != nil {
		return err
	}
	came := 0
	for ; came < 2 || came <= len(app.Servers()); came++ { // each address once, and the first one again
		if !walk.comesBack(ctx, t, app) {
			break
		}
	}
	walk.explain(t)
	rec.Add(Event{From: Client, Kind: "returned", App: returner, Count: came})
	return ctx.Err()
},
	Takes: func(Terms) time.Duration { return 5 * time.Second },
}

// comesBack takes an application's connection away, and waits until it has another.
func (w *walk) comesBack(ctx context.Context, t Target, app *app) bool {
	limited, cancel := context.WithTimeout(ctx, back)
	defer cancel()
	place := w.rec.Len()
	if err := app.ForceReconnect(); err != nil {
		return false // it was closed for good, which is on the timeline
	}
	e, ok := w.rec.Await(limited, place, func(e Event) bool {
		return e.From == Client && e.App == returner && (e.Kind == "reconnected" || e.Kind == "closed")
	})
	if !ok || e.Kind == "closed" {
		return false
	}
	w.arrived()
	identify(ctx, t, w.rec, e.Seq)
	return true
}

// identify asks the servers who the returner is, on its connection of that number.
func identify(ctx context.Context, t Target, rec *Recorder, nth int) {
	limited, cancel := context.WithTimeout(ctx, 2*time.Second) // a server that has answered a client knows it
	defer cancel()
	until(limited, func() bool {
		for _, n := range t.Nodes {
			var c connz
			if ask(limited, n, "/connz?auth=true&limit=4096", &c) != nil {
				continue // a node that is gone knows nobody
			}
			for _, conn := range c.Connections {
				if conn.Name != "lbtest "+returner {
					continue
				}
				e := Event{From: Server, Kind: "identified", App: returner, Seq: nth, Node: n.Name, Account: conn.Account, How: conn.User}
				if len(conn.Peers) > 0 {
					e.What, e.Peer = conn.Peers[0].Print, conn.Peers[0].Subject
				}
				rec.Add(e)
				return true
			}
		}
		return false
	})
}

// walk leads a client to one address after another.
type walk struct {
	rec *Recorder

	mu     sync.Mutex
	latest string   // the address that was gone for latest
	in     bool     // whether it let the client in
	failed []string // those that did not, each once
}

// breath keeps a client that nobody lets in from knocking all the time.
const breath = 50 * time.Millisecond

// next implements nats.ReconnectToServerHandler: the address after the latest one, in the order of the pool.
func (w *walk) next(pool []nats.Server, _ nats.ServerInfo) (*nats.Server, time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.latest != "" && !w.in && !slices.Contains(w.failed, w.latest) {
		w.failed = append(w.failed, w.latest)
	}
	at := 0
	for i, s := range pool {
		if s.URL.Host == w.latest {
			at = (i + 1) % len(pool)
		}
	}
	w.latest, w.in = pool[at].URL.Host, false
	return &pool[at], breath
}

func (w *walk) arrived() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.in = true
}

// explain notes why addresses did not let the client in. nats.go keeps to itself why a reconnect failed, so each is
// dialled anew.
func (w *walk) explain(t Target) {
	w.mu.Lock()
	failed := slices.Clone(w.failed)
	w.mu.Unlock()
	for _, addr := range failed {
		began := w.rec.Now()
		nc, err := t.at(addr).dial(t.plain()[0], "lbtest "+returner+" again")
		e := Event{From: Client, Kind: "unreturned", App: returner, Dial: addr, Why: "it did so later"}
		var certificate *tls.CertificateVerificationError
		switch {
		case err == nil:
			nc.Close()
		case errors.As(err, &certificate):
			e.How, e.Why = wrongCertificate, certificate.Err.Error()
		case errors.Is(err, nats.ErrTLS), errors.Is(err, nats.ErrSecureConnWanted), errors.Is(err, nats.ErrSecureConnRequired):
			e.How, e.Why = wrongTLS, err.Error()
		default:
			e.Why = words(err, w.rec.Now()-began)
		}
		w.rec.Add(e)
	}
}

// at is the same target at an address that its clients were told of. For a bare address a client expects the name
// of its first server.
func (t Target) at(addr string) Target {
	if host, _, err := net.SplitHostPort(addr); err == nil && net.ParseIP(host) != nil && t.TLS != nil && len(t.URLs) > 0 {
		if first, err := url.Parse(t.URLs[0]); err == nil {
			t.TLS = t.TLS.Clone()
			t.TLS.ServerName = first.Hostname()
		}
	}
	t.URLs = []string{"nats://" + addr}
	return t
}

// What TLS can have against an address.
const (
	wrongCertificate = "certificate" // it was shown and not believed
	wrongTLS         = "tls"         // there was no handshake
)

// belief is whom a server took a client for.
type belief struct{ account, user, certificate string }

func (e Event) belief() belief { return belief{e.Account, e.How, e.What} }

// against says how a server's belief differs from what the client presented; "" if it does not.
func (b belief) against(presented belief, of Event) string {
	switch {
	case b.user != presented.user:
		return fmt.Sprintf("user %s in place of %s", orNobody(b.user), presented.user)
	case b.account != presented.account && !(b.account == "" && presented.account == "$G"): // the global account goes unnamed
		return fmt.Sprintf("account %s in place of %s", orNobody(b.account), presented.account)
	case b.certificate != presented.certificate && b.certificate == "":
		return "no certificate of a client's"
	case b.certificate != presented.certificate:
		return "the certificate of " + of.Peer
	}
	return ""
}

func orNobody(name string) string {
	if name == "" {
		return "nobody"
	}
	return name
}
