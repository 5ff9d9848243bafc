package proxies

import (
	"context"
	"math/rand/v2"
)

// Policy is a behaviour's state in one running instance of a balancer. A connection meets the policies
// in phases, and within a phase in the order of the table of settings:
//
//	accepted  ─► Arrive   nothing is read yet; may wait                  connection caps and rates
//	          ─► Unwrap   the client's bytes as they are on the wire     ClientHello inspection, then the balancer's own TLS
//	          ─► Inspect  the client's bytes without the balancer's TLS  inspection
//	          ─► choose   among the backends that are in rotation        Chooser
//	          ─► Route    a backend is chosen, not dialled               hairpin, source ports
//	          ─► dial
//	          ─► Greet    the backend has answered                       PROXY header, TLS towards the backend
//	          ─► Admit    before the first byte is forwarded             watches, filters, toxics
//
// Towards the backend the layers are put on the other way round: Greet goes through the policies in reverse,
// so that a PROXY header precedes the TLS handshake, as all real balancers send it.
// Admit is every policy's; the other phases are optional interfaces. All of them may take their time,
// and block nobody but their own connection; their context ends with the instance. An error turns the
// connection away: a *Refusal says how and why, any other error ends both sides by FIN.
// A Policy may also be a Chooser, a Runner, a Striker, a Chancer, an Heir, or an io.Closer, which is closed when
// its instance has ended.
type Policy interface {
	Admit(*Flow) error
}

// The optional phases. See Policy.
type (
	Gate interface {
		Arrive(context.Context, *Flow) error
	}
	Unwrapper interface {
		Unwrap(context.Context, *Flow) error
	}
	Inspector interface {
		Inspect(context.Context, *Flow) error
	}
	Router interface {
		Route(context.Context, *Flow) error
	}
	Greeter interface {
		Greet(context.Context, *Flow) error
	}
)

// Refusal turns a connection away for a setting's sake.
type Refusal struct {
	How     Ending // Close, Reset, or Vanish: the client is left with an open connection on which nothing ever comes
	Setting string
	What    string // a phrase for the event, such as "10 connections are live"
}

func (r *Refusal) Error() string { return r.Setting + ": " + r.What }

// Chooser is a Policy that picks the backend of a new connection.
type Chooser interface {
	// Choose answers with an index into the choice's backends. Calls do not overlap.
	Choose(Choice) int
}

// Choice is what a Chooser may look at. Backends that are down or removed are not in it.
type Choice struct {
	Front    string
	Client   string // the client's IP address, without the port
	Backends []Backend
	Active   []int // connections each backend has at this moment, dials under way included
}

// Runner is a Policy that works on its own, such as a health check.
type Runner interface {
	// Run is called once the instance takes connections, in a goroutine that the instance waits for; it
	// returns when the context ends.
	Run(context.Context, *Pool)
}

// Striker is a Policy with an event that happens once, when asked for.
type Striker interface {
	// Strike performs the event and returns when it is over. A cancelled context ends it early, with
	// everything as after the event.
	Strike(context.Context, *Balancer) error
}

// Chancer is a Policy that takes chances, all from the generator it is given at its start.
type Chancer interface{ Chance(*rand.Rand) }

// Heir is a Policy that remembers what outlives a restart or a reload, such as resting ports.
type Heir interface {
	// Inherit is called before the instance takes connections, with the policy of the same type that the
	// instance before it had. That one may still be in use, by the connections of a reload.
	Inherit(Policy)
}

// admitsAll is for policies that have nothing to say about a single connection.
type admitsAll struct{}

func (admitsAll) Admit(*Flow) error { return nil }
