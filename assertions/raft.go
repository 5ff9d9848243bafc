package assertions

import (
	"context"
	"slices"
	"sync"
	"time"
)

// sampleRaft looks at every node's Raft groups four times a second until the context ends and writes a
// change of leader, state or term as it is seen. It returns once it has stopped.
func sampleRaft(ctx context.Context, t Target, rec *Recorder) {
	names := map[string]string{} // Raft's own id of a node → its name
	last := map[[2]string]Event{}
	// A quarter of a second tells leaderless windows from the seconds that an election takes.
	tick := time.NewTicker(250 * time.Millisecond)
	defer tick.Stop()
	for ctx.Err() == nil {
		for _, e := range lookAtRaft(ctx, t, rec, names) {
			key := [2]string{e.Node, e.Stream}
			was := last[key]
			if was.Term != e.Term || was.How != e.How || was.Peer != e.Peer {
				last[key] = e
				rec.Add(e)
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
		}
	}
}

func lookAtRaft(ctx context.Context, t Target, rec *Recorder, names map[string]string) []Event {
	var mu sync.Mutex
	var wg sync.WaitGroup
	var seen []Event
	for _, n := range t.Nodes {
		for _, a := range t.Accounts {
			if !a.System && !a.JetStream {
				continue
			}
			wg.Go(func() {
				var r raftz
				if ask(ctx, n, "/raftz?acc="+a.id(), &r) != nil {
					return // paused, or no group yet
				}
				at := rec.Now()
				mu.Lock()
				defer mu.Unlock()
				for _, groups := range r {
					for group, g := range groups {
						names[g.ID] = n.Name
						seen = append(seen, Event{At: at, From: Server, Kind: "raft", Node: n.Name, Stream: group,
							How: g.State, Peer: g.Leader, Term: g.Term, Count: g.Quorum})
					}
				}
			})
		}
	}
	wg.Wait()
	for i, e := range seen {
		if name, ok := names[e.Peer]; ok {
			seen[i].Peer = name
		}
	}
	return seen
}

// window is a stretch of time.
type window struct{ from, to time.Duration }

func (w window) length() time.Duration { return w.to - w.from }

// leaderless returns, for each Raft group, the stretches of [from, to] in which no majority of its
// members agreed on a leader that thinks it is one.
func leaderless(events []Event, from, to time.Duration) map[string][]window {
	type member struct {
		state, leader string
		quorum        int
	}
	groups := map[string]map[string]member{}
	open := map[string]time.Duration{}
	found := map[string][]window{}
	agreed := func(members map[string]member) bool {
		votes, quorum := map[string]int{}, 0
		for _, m := range members {
			votes[m.leader]++
			quorum = max(quorum, m.quorum)
		}
		for name, m := range members {
			if m.state == "LEADER" && votes[name] >= quorum {
				return true
			}
		}
		return false
	}
	for _, e := range events {
		if e.Kind != "raft" || e.At > to {
			continue
		}
		if groups[e.Stream] == nil {
			groups[e.Stream] = map[string]member{}
		}
		groups[e.Stream][e.Node] = member{e.How, e.Peer, e.Count}
		began, isOpen := open[e.Stream]
		switch ok := agreed(groups[e.Stream]); {
		case !ok && !isOpen:
			open[e.Stream] = e.At
		case ok && isOpen:
			if e.At > from {
				found[e.Stream] = append(found[e.Stream], window{max(began, from), e.At})
			}
			delete(open, e.Stream)
		}
	}
	for group, began := range open {
		if to > from {
			found[group] = append(found[group], window{max(began, from), to})
		}
	}
	return found
}

// highest returns the highest term of each group that was seen before a moment.
func highest(events []Event, before time.Duration) map[string]uint64 {
	terms := map[string]uint64{}
	for _, e := range events {
		if e.Kind == "raft" && e.At <= before {
			terms[e.Stream] = max(terms[e.Stream], e.Term)
		}
	}
	return terms
}

func longest(windows map[string][]window) (group string, w window) {
	groups := make([]string, 0, len(windows))
	for g := range windows {
		groups = append(groups, g)
	}
	slices.Sort(groups)
	for _, g := range groups {
		for _, candidate := range windows[g] {
			if candidate.length() > w.length() {
				group, w = g, candidate
			}
		}
	}
	return group, w
}
