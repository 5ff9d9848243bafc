package proxies

// toxicLane carries a flow past toxics.
type toxicLane struct {
	flow   *Flow
	orders [2][]order // to start with
	chains [2]*chain
}

func newToxicLane(f *Flow, orders [2][]order) *toxicLane {
	return &toxicLane{flow: f, orders: orders, chains: [2]*chain{Up: newChain(f, Up), Down: newChain(f, Down)}}
}

func (l *toxicLane) start() {
	f := l.flow
	for _, d := range f.undelivered() {
		if err := l.chains[d].change(l.orders[d]); err != nil {
			f.end(Close, err.Error())
		}
		l.chains[d].start()
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.over != "" {
		l.over() // perhaps for the second time, which does nothing
	}
}

// change has other toxics in the chains from now on.
func (l *toxicLane) change(orders [2][]order) error {
	for d, c := range l.chains {
		if err := c.change(orders[d]); err != nil {
			return err
		}
	}
	return nil
}

// leave has the toxics let go of all they hold. A flow with a layer stays in the lane, without toxics: a write to TLS
// cannot be taken up again once it was interrupted, and waiting for one may take for ever.
func (l *toxicLane) leave() bool {
	f := l.flow
	for _, c := range l.chains {
		if err := c.change(nil); err != nil || c.ends() {
			return false
		}
	}
	if f.client.layer != nil || f.server.layer != nil {
		return false
	}
	for _, c := range l.chains {
		c.part(true)
	}
	f.mu.Lock()
	if f.over == "" && f.silent == "" {
		f.leaving = true
		f.client.interrupt()
		f.server.interrupt()
	}
	for f.carrying > 0 && f.over == "" && f.silent == "" {
		f.left.Wait()
	}
	f.leaving = false
	var parked []Direction
	parked, f.stopped = f.stopped, nil
	left := f.over == "" && f.silent == ""
	if left {
		f.client.uninterrupt()
		f.server.uninterrupt()
	} else {
		f.carrying += len(parked)
	}
	f.mu.Unlock()
	if left {
		return true
	}
	// It ended on the way out: who has left already comes back to see to that.
	for _, c := range l.chains {
		c.part(false)
	}
	for _, d := range parked {
		l.chains[d].start()
	}
	return false
}

// over takes the chains apart, so that bytes which wait in them do not keep the flow's goroutines.
func (l *toxicLane) over() {
	l.flow.carrying++
	go func() {
		defer l.flow.retired()
		for _, c := range l.chains {
			c.dissolve()
		}
	}()
}
