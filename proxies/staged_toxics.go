package proxies

import (
	"cmp"
	"errors"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// StagedToxic is a toxic and its place at a frontend.
type StagedToxic struct {
	Toxic
	Name      string // "" for the type and the direction, such as latency_downstream
	Direction Direction
	Toxicity  float64 // the chance, from 0 to 1, that a connection gets it; drawn once for each
}

// called is the name it goes by.
func (s StagedToxic) called() string { return cmp.Or(s.Name, s.Type+"_"+streams[s.Direction]) }

// frontToxics is the toxics of a frontend's connections, besides those of their policies.
type frontToxics struct {
	now      atomic.Pointer[[]chanced]
	adapting sync.WaitGroup // flows that are being changed
}

// chanced is a toxic that a connection may get.
type chanced struct {
	order
	direction Direction
	toxicity  float64
}

// SetToxics has the connections of a frontend, the live ones and those to come, pass these toxics behind those
// of the profile, and none of an earlier call. No byte is lost or changed by that, but where a toxic itself
// drops them: on being taken away, timeout ends the connections it was on, as toxiproxy documents it. Errors
// leave everything as it was. It waits for the live connections to have changed, for at most a
// second: a connection whose TLS its peer does not read, or that stands in a stall, changes when it moves again.
func (b *Balancer) SetToxics(front string, toxics []StagedToxic) error {
	d := b.door(front)
	if d == nil {
		return fmt.Errorf("setting toxics: there is no frontend %q", front)
	}
	all := make([]chanced, 0, len(toxics))
	var names []string
	taken := map[string]bool{}
	for _, t := range toxics {
		name := t.called()
		o, err := ordered("set "+name, t.Toxic) // never a name that a policy's toxic has
		switch {
		case err != nil:
			return fmt.Errorf("setting toxics of frontend %s: %w", front, err)
		case taken[name]:
			return fmt.Errorf("setting toxics of frontend %s: two are called %q", front, name)
		case t.Direction != Up && t.Direction != Down:
			return fmt.Errorf("setting toxics of frontend %s: %s has the direction %d", front, name, t.Direction)
		case !(t.Toxicity >= 0 && t.Toxicity <= 1):
			return fmt.Errorf("setting toxics of frontend %s: %s has the toxicity %v; allowed is 0 (no connection) to 1 (all)", front, name, t.Toxicity)
		}
		taken[name] = true
		names = append(names, fmt.Sprintf("%s %s %s", name, t.Type, o.attributes))
		all = append(all, chanced{order: o, direction: t.Direction, toxicity: t.Toxicity})
	}
	b.mu.Lock()
	if b.closed {
		b.mu.Unlock()
		return errors.New("setting toxics: the balancer is closed")
	}
	d.toxics.now.Store(&all)
	d.toxics.adapting.Add(1) // before Close, which waits for it
	b.mu.Unlock()

	b.note(Event{At: time.Now(), Kind: KindToxics, Front: front, What: cmp.Or(strings.Join(names, ", "), none)})
	var changed sync.WaitGroup
	for _, f := range b.flows(front) {
		changed.Go(f.adapt)
	}
	done := make(chan struct{})
	go func() {
		defer d.toxics.adapting.Done()
		changed.Wait()
		close(done)
	}()
	timer := time.NewTimer(adaptFor)
	defer timer.Stop()
	select {
	case <-done:
	case <-timer.C:
	}
	return nil
}

// adaptFor is how long SetToxics waits: a thousand connections take some 50 ms.
const adaptFor = time.Second

// orders are the toxics that a flow is to have now.
func (f *Flow) orders() (all [2][]order) {
	for d := range all {
		all[d] = append(all[d], f.staged[d]...)
	}
	if f.toxics == nil || f.toxics.now.Load() == nil {
		return all
	}
	for _, c := range *f.toxics.now.Load() {
		if f.drawn(c.name) < c.toxicity {
			all[c.direction] = append(all[c.direction], c.order)
		}
	}
	return all
}

// drawn is the number from 0 to 1 that chance gives a connection for a toxic: the same in each run with that seed,
// and however often the toxic is changed.
func (f *Flow) drawn(toxic string) float64 {
	h := fnv.New64a()
	h.Write([]byte(f.id + " " + toxic))
	return rand.New(rand.NewPCG(uint64(f.chance), h.Sum64())).Float64()
}

// adapt brings a flow that is forwarded to the toxics that it is to have by now.
func (f *Flow) adapt() {
	f.adapting.Lock()
	defer f.adapting.Unlock()
	f.mu.Lock()
	now, ends := f.lane, f.over != "" || f.silent != ""
	f.mu.Unlock()
	if now == nil || ends {
		return // one that is not forwarded yet chooses its lane when it is
	}
	orders := f.orders()
	wanted := len(orders[Up])+len(orders[Down]) > 0
	toxic, passes := now.(*toxicLane)
	switch {
	case passes && wanted:
		if err := toxic.change(orders); err != nil {
			f.end(Close, err.Error())
		}
	case passes:
		f.change(f.loops.lane(f))
	case wanted:
		f.change(newToxicLane(f, orders))
	}
}
