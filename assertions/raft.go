package assertions

import (
	"context"
	"slices"
	"sync"
	"time"
)

// metaGroup is Raft's own name of the group that places streams and consumers.
const metaGroup = "_meta_"

// sampleRaft looks at every node's Raft groups four times a second until the context ends and writes a
// change of leader, state or term as it is seen, and once what each group belongs to. It returns once it has stopped.
func sampleRaft(ctx context.Context, t Target, rec *Recorder) {
	names := map[string]string{} // Raft's own id of a node → its name
	last := map[[2]string]Event{}
	named := map[string]bool{}
	asked := 0
	// A quarter of a second tells leaderless windows from the seconds that an election takes.
	tick := time.NewTicker(250 * time.Millisecond)
	defer tick.Stop()
	for ctx.Err() == nil {
		unknown := false
		for _, e := range lookAtRaft(ctx, t, rec, names) {
			key := [2]string{e.Node, e.Stream}
			was := last[key]
			if was.Term != e.Term || was.How != e.How || was.Peer != e.Peer || was.Why != e.Why {
				last[key] = e
				rec.Add(e)
			}
			unknown = unknown || !named[e.Stream]
		}
		// Whose group one is, is asked when a new one is seen. Some, of what is deleted meanwhile, nobody knows.
		if asked++; unknown && asked%4 == 1 {
			for _, e := range lookAtGroups(ctx, t) {
				if !named[e.Stream] {
					named[e.Stream] = true
					rec.Add(e)
				}
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
						e := Event{At: at, From: Server, Kind: "raft", Node: n.Name, Stream: group, How: g.State, Peer: g.Leader, Term: g.Term, Count: g.Quorum, What: g.ID}
						heard := 1 + len(g.Peers)
						for _, p := range g.Peers {
							// A new leader has not heard anybody yet.
							if silent, err := time.ParseDuration(p.LastSeen); err == nil && silent >= withoutQuorum {
								heard--
							}
						}
						if g.State == "LEADER" && heard < g.Quorum {
							e.Why = silenced
						}
						seen = append(seen, e)
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

// silenced is what becomes of a leader that heard from no majority for as long as servers themselves allow.
const silenced = "silenced"

// lookAtGroups asks every node which stream or consumer its Raft groups belong to.
func lookAtGroups(ctx context.Context, t Target) []Event {
	account, _ := t.jetStream()
	found := []Event{{From: Server, Kind: "group", Stream: metaGroup, What: nameOfMeta}}
	for _, n := range t.Nodes {
		var j jsz
		if ask(ctx, n, "/jsz?streams=true&consumers=true&raft=true&acc="+account.id(), &j) != nil {
			continue
		}
		for _, a := range j.Accounts {
			for _, st := range a.Streams {
				found = append(found, Event{From: Server, Kind: "group", Stream: st.Group, What: nameOfStream(st.Name)})
				for _, c := range st.ConsumerGroups {
					found = append(found, Event{From: Server, Kind: "group", Stream: c.Group, What: nameOfConsumer(c.Name, st.Name)})
				}
			}
		}
	}
	return slices.DeleteFunc(found, func(e Event) bool { return e.Stream == "" }) // of one replica, which has no group
}

// What groups are called in reports.
const nameOfMeta = "the meta group"

func nameOfStream(stream string) string             { return "stream " + stream }
func nameOfConsumer(consumer, stream string) string { return "consumer " + consumer + " of " + stream }

// window is a stretch of time.
type window struct{ from, to time.Duration }

func (w window) length() time.Duration { return w.to - w.from }

// within is what of the window lies in another one; its length is not positive if nothing does.
func (w window) within(o window) window { return window{max(w.from, o.from), min(w.to, o.to)} }

// reign is a stretch of time in which a majority of a group's members agreed on a leader that thinks it is one, or, with
// leader "", on none.
type reign struct {
	window
	leader string
	term   uint64
}

// reigns puts together what a group's members said of it until then. They follow each other without a gap; those
// that take no time are left out.
func reigns(views []Event, to time.Duration) []reign {
	members := map[string]Event{}
	var all []reign
	for _, e := range views {
		if e.At > to {
			break
		}
		members[e.Node] = e
		leader, term := agreed(members)
		if n := len(all); n > 0 {
			if all[n-1].leader == leader && all[n-1].term == term {
				continue
			}
			all[n-1].to = e.At
			if all[n-1].length() == 0 {
				all = all[:n-1]
			}
		}
		if n := len(all); n > 0 && all[n-1].leader == leader && all[n-1].term == term {
			all[n-1].to = to
			continue
		}
		all = append(all, reign{window{e.At, to}, leader, term})
	}
	return all
}

// agreed is the leader that a majority of the members follows, itself included.
func agreed(members map[string]Event) (leader string, term uint64) {
	votes, quorum := map[string]int{}, 0
	for _, m := range members {
		votes[m.Peer]++
		quorum = max(quorum, m.Count)
	}
	for name, m := range members {
		if m.How == "LEADER" && votes[name] >= quorum {
			return name, m.Term
		}
	}
	return "", 0
}

func viewsByGroup(events []Event) map[string][]Event {
	views := map[string][]Event{}
	for _, e := range events {
		if e.Kind == "raft" {
			views[e.Stream] = append(views[e.Stream], e)
		}
	}
	return views
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
