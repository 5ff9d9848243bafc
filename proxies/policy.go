package proxies

import (
	"context"
	"math/rand/v2"
)

// Policy is a behaviour's state in one running instance of a balancer. It may also be a Chooser, a
// Striker, a Chancer, or an io.Closer, which is closed when its instance ends.
type Policy interface {
	// Admit sees every connection after its backend has answered and before a byte is forwarded. It
	// may set watches and stage toxics; an error refuses the connection and becomes the event's Why.
	Admit(*Flow) error
}

// Chooser is a Policy that picks the backend of a new connection.
type Chooser interface {
	// Choose answers with an index into the choice's backends. Calls do not overlap.
	Choose(Choice) int
}

// Choice is what a Chooser may look at.
type Choice struct {
	Front    string
	Client   string // the client's IP address, without the port
	Backends []Backend
	Active   []int // connections each backend has at this moment, dials under way included
}

// Striker is a Policy with an event that happens once, when asked for.
type Striker interface {
	// Strike performs the event and returns when it is over. A cancelled context ends it early, with
	// everything as after the event.
	Strike(context.Context, *Balancer) error
}

// Chancer is a Policy that takes chances, all from the generator it is given at its start.
type Chancer interface{ Chance(*rand.Rand) }

// admitsAll is for policies that have nothing to say about a single connection.
type admitsAll struct{}

func (admitsAll) Admit(*Flow) error { return nil }
