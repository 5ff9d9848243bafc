package assertions

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// chronicle is one Raft group's part of a timeline: what each node said of it, what servers told by advisories, and
// when publishers had acks.
type chronicle struct {
	group string // Raft's own name
	name  string // whose it is: "stream S1"
	views []Event
	told  []Event // advisories, each once
	acks  []time.Duration
}

// chronicles are those of a timeline, the meta group first and the others by name.
func chronicles(h History) []*chronicle {
	whose := map[string]string{metaGroup: nameOfMeta}
	for _, e := range h.Kind(Server, "group") {
		whose[e.Stream] = e.What
	}
	byName := map[string]*chronicle{}
	ids := map[string]string{} // Raft's own id of a node → its name
	for group, views := range viewsByGroup(h.Kind(Server, "raft")) {
		for _, e := range views {
			ids[e.What] = e.Node
		}
		name := cmp.Or(whose[group], "Raft group "+group)
		byName[name] = &chronicle{group: group, name: name, views: views}
	}
	for _, e := range h.Events {
		if e.From != Client {
			continue
		}
		switch e.Kind {
		case "acked":
			if c := byName[nameOfStream(e.Stream)]; c != nil {
				c.acks = append(c.acks, e.At)
			}
		case "leader-elected", "quorum-lost":
			name := cmp.Or(e.What, nameOfStream(e.Stream))
			c := byName[name]
			if c == nil { // nobody saw its members
				c = &chronicle{name: name}
				byName[name] = c
			}
			e.Peer = cmp.Or(ids[e.Peer], e.Peer)
			if !slices.ContainsFunc(c.told, func(was Event) bool { return sameAdvisory(was, e) }) {
				c.told = append(c.told, e)
			}
		}
	}
	return slices.SortedFunc(maps.Values(byName), func(a, b *chronicle) int {
		if a.name == nameOfMeta || b.name == nameOfMeta {
			return cmp.Compare(b2i(b.name == nameOfMeta), b2i(a.name == nameOfMeta))
		}
		return cmp.Compare(a.name, b.name)
	})
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

// sameAdvisory reports whether two nodes' clients heard the same one: the server repeats one for the same asset only
// after ten seconds (raft.go lostQuorumAdvInterval).
func sameAdvisory(a, b Event) bool {
	return a.Kind == b.Kind && a.Stream == b.Stream && a.What == b.What && b.At-a.At < time.Second
}

// withoutQuorum is how long a leader, or a candidate, hears of no majority before servers call the quorum lost
// (nats-server raft.go lostQuorumInterval).
const withoutQuorum = 10 * time.Second

// fate is what became of a group in a stretch of time.
type fate struct {
	*chronicle
	span          window
	before, after reign // at its ends
	terms         int   // by which it rose
	lost          string
	without       []window // no majority agreed on a leader
	unacked       window   // the longest between two acks
	unserved      time.Duration
}

// fateIn looks at a group through a stretch of time. Nothing is published in the pause.
func (c *chronicle) fateIn(span, pause window) fate {
	f := fate{chronicle: c, span: span}
	for _, r := range reigns(c.views, span.to) {
		if r.from <= span.from && r.leader != "" {
			f.before = r
		}
		if r.leader != "" {
			f.after = r
		}
		if w := r.within(span); r.leader == "" && w.length() > 0 {
			f.without = append(f.without, w)
		}
	}
	before, after := highest(c.views, span.from), highest(c.views, span.to)
	if was, seen := before[c.group]; seen {
		f.terms = int(after[c.group] - was)
	}
	f.lost = c.lostIn(span, f.without)
	dead := slices.Clone(f.without)
	for i, at := range c.acks {
		if i == 0 {
			continue
		}
		w := window{c.acks[i-1], at}
		waited := w.length() - max(0, w.within(pause).length())
		if waited > f.unacked.length() {
			f.unacked = window{at - waited, at}
		}
		if w = w.within(span); waited > tolerance && w.length() > 0 && w.within(pause).length() <= 0 {
			dead = append(dead, w)
		}
	}
	f.unserved = covered(dead)
	return f
}

// lostIn says why the group's quorum was lost, as its servers themselves see it; "" if it was not. An election alone
// is none.
func (c *chronicle) lostIn(span window, without []window) string {
	for _, e := range c.told {
		if e.Kind == "quorum-lost" && e.At >= span.from && e.At <= span.to && !c.ousted(e.At) {
			return "its servers said so"
		}
	}
	members := map[string]Event{}
	for _, e := range c.views {
		was := members[e.Node]
		members[e.Node] = e
		if e.At >= span.from && e.At <= span.to && e.How == "LEADER" && e.Why == silenced {
			return e.Node + " led and heard from no majority for 10 s"
		}
		// One that is voted out learns of a higher term; one that gives up keeps its own.
		if e.At >= span.from && e.At <= span.to && was.How == "LEADER" && e.How == "FOLLOWER" && e.Term == was.Term && e.Peer == "" {
			return e.Node + " gave the lead up"
		}
	}
	for _, w := range without {
		if w.length() >= withoutQuorum {
			return "no majority for 10 s"
		}
	}
	return ""
}

// ousted reports whether a leader of the group was voted out at about that time. It says that quorum is lost even if it heard
// the others a moment ago, for it has forgotten when (nats-server 2.15.2 raft.go, updateLeader, clears the times before
// jetstream_cluster.go asks for the quorum).
func (c *chronicle) ousted(at time.Duration) bool {
	members := map[string]Event{}
	for _, e := range c.views {
		was := members[e.Node]
		members[e.Node] = e
		// It is seen at the next look, a quarter of a second later, or on a busy machine two.
		if was.How == "LEADER" && e.How != "LEADER" && e.Term > was.Term && e.At >= at-tolerance && e.At <= at+2*tolerance {
			return true
		}
	}
	return false
}

// covered is the length of windows together, what they share counted once.
func covered(windows []window) time.Duration {
	var sum, until time.Duration
	for _, w := range slices.SortedFunc(slices.Values(windows), func(a, b window) int { return cmp.Compare(a.from, b.from) }) {
		if from := max(w.from, until); w.to > from {
			sum += w.to - from
			until = w.to
		}
	}
	return sum
}

// moved reports whether another member leads than before.
func (f fate) moved() bool {
	return f.before.leader != "" && f.after.leader != "" && f.before.leader != f.after.leader
}

// elected reports whether the group was in want of a leader at all.
func (f fate) elected() bool { return f.terms > 0 || len(f.without) > 0 }

// longest is the longest stretch without a leader.
func (f fate) longest() window {
	var longest window
	for _, w := range f.without {
		if w.length() > longest.length() {
			longest = w
		}
	}
	return longest
}

// available is for how much of the time, in percent, a majority agreed on a leader and, where something was published,
// acks came.
func (f fate) available() float64 {
	if f.span.length() <= 0 {
		return 100
	}
	return round(100 * max(0, 1-float64(f.unserved)/float64(f.span.length())))
}

// String tells the group's fate in half a sentence.
func (f fate) String() string {
	led := fmt.Sprintf("%s led in term %d", f.before.leader, f.before.term)
	switch {
	case f.before.leader == "":
		led = "nobody led"
	case f.moved():
		led += fmt.Sprintf(", then %s in term %d", f.after.leader, f.after.term)
	case f.after.term != f.before.term:
		led += fmt.Sprintf(", and again in term %d", f.after.term)
	}
	if w := f.longest(); w.length() > 0 {
		led += ", without a leader for " + spoken(w.length())
	}
	if f.lost != "" {
		led += "; " + f.lost
	}
	return fmt.Sprintf("%s (%s)", f.name, led)
}

// quorumRecord is what became of all groups in a stretch of time.
type quorumRecord struct {
	span  window
	fates []fate
}

// recordQuorum goes through the groups that keep wants, of those that were there before: a new one has no leader yet.
func recordQuorum(h History, span window, keep func(*chronicle) bool) quorumRecord {
	begin, _ := h.First(Lab, "pause-begin")
	end, _ := h.First(Lab, "pause-end")
	q := quorumRecord{span: span}
	for _, c := range chronicles(h) {
		if (len(c.views) == 0 || c.views[0].At <= span.from) && keep(c) {
			q.fates = append(q.fates, c.fateIn(span, window{begin.At, end.At}))
		}
	}
	return q
}

func (q quorumRecord) which(want func(fate) bool) []fate {
	var found []fate
	for _, f := range q.fates {
		if want(f) {
			found = append(found, f)
		}
	}
	return found
}

func (q quorumRecord) lost() []fate    { return q.which(func(f fate) bool { return f.lost != "" }) }
func (q quorumRecord) moved() []fate   { return q.which(fate.moved) }
func (q quorumRecord) elected() []fate { return q.which(fate.elected) }

// terms is by how many all groups rose together.
func (q quorumRecord) terms() int {
	sum := 0
	for _, f := range q.fates {
		sum += f.terms
	}
	return sum
}

// worst is the group to be told of: one that lost quorum before one whose leader moved, and then the one that was longest without.
func (q quorumRecord) worst() (fate, bool) {
	if len(q.fates) == 0 {
		return fate{}, false
	}
	return slices.MinFunc(q.fates, func(a, b fate) int {
		return cmp.Or(cmp.Compare(b2i(b.lost != ""), b2i(a.lost != "")), cmp.Compare(b2i(b.moved()), b2i(a.moved())),
			cmp.Compare(b.longest().length(), a.longest().length()), cmp.Compare(b.terms, a.terms), cmp.Compare(b.unserved, a.unserved))
	}), true
}

// what names which of three things happened: quorum was lost, leadership moved, or neither.
func (q quorumRecord) what() string {
	lost, moved, elected := len(q.lost()), len(q.moved()), len(q.elected())
	of := func(n int) string { return fmt.Sprintf("in %d of %s", n, plural(len(q.fates), "Raft group")) }
	worst, _ := q.worst()
	switch {
	case lost > 0 && moved > 0:
		return fmt.Sprintf("quorum lost %s, leadership moved in %d: %s", of(lost), moved, worst)
	case lost > 0:
		return fmt.Sprintf("quorum lost %s, no leadership moved: %s", of(lost), worst)
	case moved > 0:
		return fmt.Sprintf("leadership moved %s, no quorum lost: %s", of(moved), worst)
	case elected > 0:
		return fmt.Sprintf("no leadership moved and no quorum lost, but a leader was missing or elected anew %s: %s", of(elected), worst)
	case len(q.fates) == 1:
		return q.fates[0].name + " kept its leader and its quorum"
	}
	return fmt.Sprintf("all %d Raft groups kept their leader and their quorum", len(q.fates))
}

// measured are the record's numbers.
func (q quorumRecord) measured() []Measure {
	var without time.Duration
	available := 100.0
	for _, f := range q.fates {
		without, available = max(without, f.longest().length()), min(available, f.available())
	}
	return []Measure{count("raft_groups", len(q.fates), "groups"), count("groups_moved", len(q.moved()), "groups"), count("groups_without_quorum", len(q.lost()), "groups"),
		count("elections", q.terms(), "terms"), seconds("longest_without_leader", without), {Name: "availability", Value: available, Unit: "%"}}
}

const (
	// lines is how many lines of a group's timeline are quoted: what comes after them repeats itself.
	lines = 14
	// lead is how much of the time before its event a timeline shows.
	lead = 2 * time.Second
)

// timeline quotes the worst group's timeline, and the meta group's where that had no rest either. Times are the event's.
func (q quorumRecord) timeline(h History) []Moment {
	begin, _ := struck(h)
	if begin == 0 {
		begin = q.span.from
	}
	worst, ok := q.worst()
	if !ok {
		return nil
	}
	told := worst.moments(h, begin)
	for _, f := range q.fates {
		if f.name == nameOfMeta && f.name != worst.name && f.elected() {
			told = append(told, f.moments(h, begin)...)
		}
	}
	return told
}

// moments are the lines of one group's timeline.
func (f fate) moments(h History, begin time.Duration) []Moment {
	var all []Moment
	say := func(at time.Duration, format string, args ...any) {
		all = append(all, Moment{Of: f.name, At: at - begin, What: fmt.Sprintf(format, args...)})
	}
	from := min(f.span.from, begin) - lead
	if f.before.leader != "" {
		say(max(f.before.from, from), "%s leads in term %d", f.before.leader, f.before.term)
	}
	for _, e := range h.Events {
		switch {
		case e.From != Lab:
		case e.Kind == "strike-begin" && len(h.Terms.Strikes) > 0:
			say(e.At, "%s begins", strings.Join(h.Terms.Strikes, " and "))
		case e.Kind == "strike-over" && len(h.Terms.Strikes) > 0:
			say(e.At, "%s is over", strings.Join(h.Terms.Strikes, " and "))
		case e.Kind == "pause-begin":
			say(e.At, "nothing is published from here")
		case e.Kind == "pause-end":
			say(e.At, "publishing goes on")
		}
	}
	// What each node said, in the place of a vote counted: who leads is agreed on by a majority, or it is not.
	members := map[string]Event{}
	led := f.before.leader
	for _, e := range f.views {
		was := members[e.Node]
		members[e.Node] = e
		if e.At <= f.span.from || e.At > f.span.to {
			continue
		}
		if e.Why == silenced && was.Why != silenced {
			say(e.At, "%s leads in term %d and has heard from no majority for 10 s", e.Node, e.Term)
		} else if e.How != was.How || e.Term != was.Term {
			say(e.At, "%s is %s in term %d", e.Node, strings.ToLower(e.How), e.Term)
		}
		if leader, term := agreed(members); leader != led {
			led = leader
			if leader == "" {
				say(e.At, "no majority agrees on a leader")
			} else {
				say(e.At, "a majority agrees that %s leads in term %d", leader, term)
			}
		}
	}
	for _, e := range f.told {
		switch {
		case e.At <= f.span.from || e.At > f.span.to:
		case e.Kind == "quorum-lost" && f.ousted(e.At):
			say(e.At, "advisory at %s: quorum lost, from a leader that is voted out", e.Node)
		case e.Kind == "quorum-lost":
			say(e.At, "advisory at %s: quorum lost", e.Node)
		case e.Peer != "":
			say(e.At, "advisory at %s: %s elected", e.Node, e.Peer)
		}
	}
	if f.unacked.length() > tolerance {
		say(f.unacked.from, "the last ack for %s", spoken(f.unacked.length()))
		say(f.unacked.to, "acks come again")
	}
	slices.SortStableFunc(all, func(a, b Moment) int { return cmp.Compare(a.At, b.At) })
	if left := len(all) - lines; left > 0 {
		last := all[len(all)-1]
		all = append(all[:lines-1], Moment{Of: f.name, At: last.At, What: fmt.Sprintf("the last of %d more: %s", left+1, last.What)})
	}
	return all
}
