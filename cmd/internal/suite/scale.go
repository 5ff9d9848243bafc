package suite

import (
	"fmt"
	"math"
	"strconv"
	"time"
)

// timers are the durations of a scenario that a time factor divides, unscaled.
type timers struct {
	idle     time.Duration   // the shortest idle timeout, 0 for none
	lifetime time.Duration   // 0 for none
	pings    []time.Duration // effective intervals of what keeps the balanced links from being quiet
	greeting time.Duration   // the servers' own first ping after a connection begins, which is not scaled
	chatter  time.Duration   // what servers say on that link by themselves at the least that often, which is not scaled either; 0 for nothing
	patience time.Duration   // how long the balancer itself waits before it forwards, which is not scaled; 0 for not at all
}

const (
	// fastest is as far as waiting is shortened.
	fastest = 100
	// apart is how far an idle timeout and a ping interval must stay from each other, scaled. The contract
	// asks for 250 ms; a machine that starts other labs at the same time is late by up to 200.
	apart = 500 * time.Millisecond
	// firstPing is nats-server's first PING on a route, 1 s and up to a fifth after it begins, firstPingToClient that on a
	// client's connection, 2 s and up to a fifth (server.go firstPingInterval, firstClientPingInterval). They are not
	// scaled, so a scaled idle timeout must not undercut them where the real one does not.
	firstPing         = 1300 * time.Millisecond
	firstPingToClient = 2600 * time.Millisecond
	// statistics is how often a server tells the others of its cluster and of all clusters that gateways join about itself
	// (events.go statsHBInterval): a gateway is not quiet for longer.
	statistics = 10 * time.Second
	// rarest is the shortest ping interval that a lab runs with, unless the user's own is shorter: three
	// of them unanswered close a route, and a busy machine may be late by one.
	rarest = 600 * time.Millisecond
	// remade is nats-server's unscaled second for making a route again and the time to use it: a scaled
	// lifetime must leave room for it.
	remade = 3 * time.Second
)

// factor is how far time may be shortened for these timers: at most wanted, and never so far that the
// order of two timers, scaled or not, could change.
func (t timers) factor(wanted float64) float64 {
	f := wanted
	lower := func(d, least time.Duration) { f = math.Min(f, d.Seconds()/least.Seconds()) }
	for _, ping := range t.pings {
		lower(ping, max(rarest, t.patience)) // servers miss the pings of a connection that the balancer has not forwarded yet
		if t.idle > 0 {
			lower((t.idle - ping).Abs(), apart)
		}
	}
	if t.idle > 0 {
		lower(t.idle, t.greeting)
	}
	if t.idle >= t.chatter && t.chatter > 0 && t.idle <= t.pings[0]+apart {
		return 1 // what keeps the link from being quiet in real time would be too rare
	}
	if t.lifetime > 0 {
		lower(t.lifetime, remade)
	}
	// Tenths are enough, and read better.
	return math.Max(1, math.Floor(f*10)/10)
}

// waits reports whether there is anything that a factor could shorten.
func (t timers) waits() bool { return t.idle > 0 || t.lifetime > 0 }

// parseScale reads --time-scale: how much is wanted at the most.
func parseScale(s string) (wanted float64, err error) {
	if s == "" || s == "auto" {
		return fastest, nil
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil || math.IsNaN(f) || math.IsInf(f, 0) || f < 1 {
		return 0, fmt.Errorf("--time-scale %q: want auto or a number from 1 up that divides idle timeouts, lifetimes and ping intervals; 1 is real time", s)
	}
	return f, nil
}
