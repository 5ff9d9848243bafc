package assertions

import (
	"slices"
	"time"
)

// Silence is how one connection fared on which nothing moved.
type Silence struct {
	Began     time.Duration `json:"began,omitempty"`     // on the run's clock, when the last byte had moved
	Wait      time.Duration `json:"wait"`                // meant to be quiet for
	Lasted    time.Duration `json:"lasted"`              // was quiet for, until it was spoken to or ended
	AtMost    time.Duration `json:"at_most,omitempty"`   // was quiet for on its way at the most, where it ended by itself
	First     string        `json:"first"`               // who was to speak after it: client, server
	Keepalive time.Duration `json:"keepalive,omitempty"` // pause between TCP keepalive probes, 0 for none
	End       string        `json:"end"`                 // endAlive, …
	Age       time.Duration `json:"age,omitempty"`       // of the connection then
	ID        uint64        `json:"id,omitempty"`        // the server's number for it
}

// How a silence ended.
const (
	endAlive   = "alive"       // an answer came
	endFIN     = "fin"         // closed while it was quiet
	endRST     = "rst"         // reset while it was quiet
	endNextFIN = "fin-on-next" // closed when it was spoken to
	endNextRST = "rst-on-next" // reset when it was spoken to
	endSilent  = "silent"      // nothing came when it was spoken to
	endPinged  = "pinged"      // the server spoke: the silence could not be longer
)

// Idle is what quiet connections showed of an endpoint's idle limit.
type Idle struct {
	Low, High time.Duration // above Low, and at High at the latest; High is 0 where no limit was met
	Manner    string        // fin, rst, silent, rst-on-next; "" where no limit was met
	Keepalive string        // counts, ignored; "" where that was not seen
	Probe     time.Duration // pause between the probes that were sent
	Hidden    time.Duration // the longest silence that the server's own PINGs allowed; 0 where they hid nothing
	Reach     time.Duration // and the longest that they allow anybody, whose last word came at a worse time
	Mute      bool          // some server was met whose PINGs were not: these hid nothing there
	Lifetime  time.Duration // the age at which connections end, quiet or not; 0 where none was seen
	Died      bool          // busy connections ended at the same moment: that was not idleness
	Uneven    bool          // some outlived what ended others
	Ended     int           // connections that met the limit
	Survived  int           // connections that did not
	Watched   time.Duration // the longest silence of all
	Doubtful  int           // connections that the tester itself was late for, which count for nothing
	Late      time.Duration // by how much it was, for one of them, at the most
	Doubted   time.Duration // the shortest silence that one of them did not survive, as it seemed; 0 where all did
	Missed    time.Duration // the longest silence of one of them
	Precision Precision     // how near it was to be known
}

// Met reports whether there is a limit.
func (i Idle) Met() bool { return i.High > 0 }

// chance reports whether so few connections ended, and others outlived them, that it may have been anything.
func (i Idle) chance() bool {
	const few = 3 // two may share a fate by chance
	return i.Uneven && i.Ended < few
}

// IdleOf reads what quiet connections showed.
func IdleOf(h History) Idle {
	found := Idle{Precision: precisionOf(h)}
	late := h.Kind(Lab, "late")
	lost := h.Kind(Client, "control-lost")
	found.Lifetime = lifetime(slices.DeleteFunc(slices.Clone(lost), func(e Event) bool {
		return lateness(late, e.At-awaited, e.At) > beat // it was the tester who did not hear the answer
	}))
	var plain, probing []Silence
	pinging := map[string]bool{}
	for _, e := range h.Kind(Client, "rested") {
		s := *e.Silence
		if s.End != endAlive && s.End != endPinged && withControl(e, lost, found.Lifetime) {
			found.Died = found.Died || found.Lifetime == 0
			continue
		}
		if by := s.late(late, e.At); by > s.bearable(found.Precision) {
			found.doubt(s, by)
			continue
		}
		found.Watched = max(found.Watched, s.Lasted)
		if s.End == endPinged {
			pinging[e.Peer] = true
		}
		if s.Keepalive > 0 {
			probing = append(probing, s)
		} else {
			plain = append(plain, s)
		}
	}
	found.bound(plain)
	if found.Met() {
		found.Died = false // there is an answer all the same
	}
	found.probe(probing)
	found.Mute = slices.ContainsFunc(h.Kind(Client, "greeted"), func(e Event) bool { return !pinging[e.Peer] })
	return found
}

// doubt sets a connection aside.
func (i *Idle) doubt(s Silence, late time.Duration) {
	i.Doubtful, i.Late, i.Missed = i.Doubtful+1, max(i.Late, late), max(i.Missed, s.Lasted)
	if s.End != endAlive && s.End != endPinged && (i.Doubted == 0 || s.Lasted < i.Doubted) {
		i.Doubted = s.Lasted
	}
}

// reach is the longest silence that the PINGs of a server allow that broke this one: it leaves one of them out if it has
// heard something since the last, and so it is two of its intervals, which count from its first PING.
func (s Silence) reach() time.Duration {
	const soonest = 2 * time.Second // after the connect (server.go firstClientPingInterval), or after its interval if that is shorter
	if s.Lasted < 2*soonest {
		return s.Age
	}
	return max(s.Lasted, s.Age-soonest)
}

// lateness is by how much the tester was late at some time between two moments, at the most.
func lateness(late []Event, from, to time.Duration) time.Duration {
	var worst time.Duration
	for _, e := range late {
		if e.At >= from && e.At-e.Took <= to {
			worst = max(worst, e.Took)
		}
	}
	return worst
}

// late is by how much the tester was late when it mattered: where the silence began and from where it ended until that
// was written down. In between nobody has anything to do.
func (s Silence) late(late []Event, told time.Duration) time.Duration {
	over := s.Began + s.Lasted
	// What is late by no more than prompt leaves no event, and so the one that does may lie that far beside.
	return max(lateness(late, s.Began-prompt, s.Began+prompt), lateness(late, over-prompt, max(told, over)+prompt))
}

// bearable is by how much the tester may be late for a silence that counts: the precision that was asked for, since a
// PING that was read late makes the silence before it that much longer than it was; and half of what an answer is
// waited for, since a tester that sleeps through that takes a live connection for a dead one.
func (s Silence) bearable(p Precision) time.Duration { return min(p.at(s.Lasted), awaited/2) }

// precisionOf is the precision that was asked for, and the finest where nobody wrote it down.
func precisionOf(h History) Precision {
	asked, _ := h.First(Lab, "measuring")
	p, err := ParsePrecision(asked.What)
	if err != nil {
		return Precision{}
	}
	return p
}

// withControl reports whether a quiet connection ended together with a busy one, or at the age of all.
func withControl(e Event, lost []Event, lifetime time.Duration) bool {
	const together = 500 * time.Millisecond // busy connections speak four times a second
	if lifetime > 0 && e.Silence.Age > lifetime-together && e.Silence.Age < lifetime+together {
		return true
	}
	return slices.ContainsFunc(lost, func(l Event) bool {
		return e.At > l.At-together && e.At < l.At+together
	})
}

// lifetime is the age at which busy connections ended that began at different times, 0 without such.
func lifetime(lost []Event) time.Duration {
	const alike, apart = 300 * time.Millisecond, time.Second // a beat of theirs; what they began apart
	for i, a := range lost {
		for _, b := range lost[:i] {
			age, other := a.Took, b.Took
			if age-other < alike && other-age < alike && a.At-b.At >= apart {
				return max(age, other)
			}
		}
	}
	return 0
}

// bound finds the limit between the longest silence that did no harm and the shortest that did.
func (i *Idle) bound(all []Silence) {
	var most time.Duration // of a silence that was survived
	manners := map[string]int{}
	for _, s := range all {
		switch {
		case s.End == endAlive:
			i.Survived++
			most = max(most, s.Lasted)
		case s.End == endPinged:
			i.Survived++
			most, i.Hidden = max(most, s.Lasted), max(i.Hidden, s.Lasted)
			i.Reach = max(i.Reach, s.reach())
		case i.High == 0 || s.Lasted < i.High:
			i.High = s.Lasted
			fallthrough
		default:
			i.Ended++
			manners[s.End]++
		}
	}
	i.Low = most
	if !i.Met() {
		return
	}
	// The manner of most: a last rung may be asked in the very moment in which it ends.
	for m, n := range manners {
		if n > manners[i.Manner] || n == manners[i.Manner] && m < i.Manner {
			i.Manner = m
		}
	}
	if i.Manner == endFIN || i.Manner == endRST {
		i.told(all)
		return
	}
	const jitter = 50 * time.Millisecond // a balancer's timer, and ours
	i.Uneven = most > i.High+jitter
	if most >= i.High {
		i.Low = i.below(all)
	}
}

// told is the limit where connections were seen to end. Each end is seen late, and so is the last byte before it, by
// chance: half of the connections are between Low and High. Whoever was still served bounds it from below, and what
// passed since a connection's own last byte from above.
func (i *Idle) told(all []Silence) {
	var ends []time.Duration
	var most, least time.Duration
	for _, s := range all {
		switch s.End {
		case endFIN, endRST:
			ends = append(ends, s.Lasted)
			if least == 0 || s.AtMost < least {
				least = s.AtMost
			}
		case endAlive, endPinged:
			most = max(most, s.Lasted)
		}
	}
	slices.Sort(ends)
	first, last := ends[0], ends[len(ends)-1]
	i.Low, i.High = ends[len(ends)/4], ends[(3*len(ends))/4]
	if least > 0 && least >= first {
		i.Low, i.High = min(i.Low, least), min(i.High, least)
	}
	i.Uneven = most > last || last-first > max(time.Second, last/10)
	if most < last {
		i.Low, i.High = max(i.Low, most), max(i.High, most)
	}
}

// below is the longest silence that was survived among those shorter than the limit.
func (i *Idle) below(all []Silence) time.Duration {
	var low time.Duration
	for _, s := range all {
		if (s.End == endAlive || s.End == endPinged) && s.Lasted < i.High {
			low = max(low, s.Lasted)
		}
	}
	return low
}

// probe says whether connections that sent TCP keepalive probes outlived the limit.
func (i *Idle) probe(all []Silence) {
	for _, s := range all {
		i.Probe = s.Keepalive
	}
	if !i.Met() || i.Low < 2*i.Probe {
		return // no probe is sure to have been sent in time
	}
	outlived, ended := 0, 0
	for _, s := range all {
		switch {
		case s.End != endAlive && s.End != endPinged:
			ended++
		case s.Lasted > i.High+i.High/20:
			outlived++
		}
	}
	switch {
	case outlived > 0 && ended == 0:
		i.Keepalive = "counts"
	case ended > 0 && outlived == 0:
		i.Keepalive = "ignored"
	}
}
