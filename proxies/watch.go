package proxies

import "time"

// Quiet is what a watch is told about its connection, in the balancer's own time.
type Quiet struct {
	Age    time.Duration // since forwarding began
	Client time.Duration // since the last byte was read from or written to the client
	Server time.Duration // since the last byte was read from or written to the backend
}

// watch asks its questions of a connection until it is done or none wants to be asked again. It is
// never early; it is late by what the runtime's timers are, about a millisecond.
func watch(c *clock, done <-chan struct{}, quiet func() Quiet, asks []func(Quiet) time.Duration) {
	due := make([]time.Duration, len(asks)) // in the balancer's time
	for {
		if !c.running(done) {
			return
		}
		next := time.Duration(0)
		for i, ask := range asks {
			if ask == nil {
				continue
			}
			if due[i] <= c.now() {
				wait := ask(quiet())
				if wait <= 0 {
					asks[i] = nil
					continue
				}
				due[i] = c.now() + wait
			}
			if next == 0 || due[i] < next {
				next = due[i]
			}
		}
		if next == 0 {
			return
		}
		timer := time.NewTimer(next - c.now())
		select {
		case <-timer.C:
		case <-done:
			timer.Stop()
			return
		}
	}
}
