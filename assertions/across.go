package assertions

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
)

// The forms in which something crosses; a way is called by its form and its ends: "queue e1→west".
const (
	plainly = "plain"   // to an ordinary subscriber
	queued  = "queue"   // to a queue group, all of whose members are on the other side
	askedOf = "request" // to a group that answers, on the other side
)

const (
	// stride is how many paces are between two messages of a way: of eighteen and more ways, each sends every 100 ms, a fifth
	// of what counts as a delay.
	stride  = 2
	between = stride * pace
)

// side is what one link joins to another: a cluster, or a single leaf node.
type side struct {
	name  string
	nodes []string
}

// sides are the clusters that gateways join, or a hub and each of its leaf nodes.
func (t Terms) sides() []side {
	var all []side
	for _, g := range t.Clusters {
		if g.LeafOf == "" {
			all = append(all, side{g.Name, g.Nodes})
			continue
		}
		for _, leaf := range g.Nodes {
			all = append(all, side{leaf, []string{leaf}})
		}
	}
	return all
}

// across lets every node of each side speak to every other side through the event, in every form there is, while the
// links themselves are looked at: what is lost while there are none tells how long they take, what is lost although
// all is connected is the interest's part.
//
//	e1 ──► plain subscriber        one a way, at another node each
//	e1 ──► queue group             a member at each node of west, none elsewhere
//	e1 ──► who answers  ──► e1     a member at each node of west
var across = &Observation{Name: "across", Strikes: true, Watch: func(ctx context.Context, t Target, rec *Recorder) error {
	c, err := assemble(t, rec)
	if err != nil {
		return err
	}
	defer c.leave()
	ways, err := c.ways()
	if err != nil {
		return err
	}
	whole := wholeLinks(ctx, t, rec)
	c.talk(ctx, ways, false, 0, tuning, whole)
	for _, way := range ways {
		way.begin()
	}
	stop := followed(ctx, t, rec)
	defer stop()
	rec.Add(Event{From: Lab, Kind: "watching", Why: "across"})
	if err := c.strike(ctx, ways); err != nil {
		return err
	}
	least := 3 * time.Second // a connection is made again within about one
	if life := t.Terms.Lifetime; life > 0 {
		least = 3*life + 3*time.Second // several generations of connections
	}
	limit := least + back
	if !rec.Saw(Server, "mesh-full") {
		limit = least + between // it had its time before
	}
	if !c.talk(ctx, ways, false, least, limit, whole) && ctx.Err() == nil {
		c.unwell(ways)
		if !rec.Saw(Client, "unwell") { // all is heard, but not all is connected
			rec.Add(Event{From: Client, Kind: "unwell"})
		}
	}
	stop()
	c.settle(ctx, ways)
	if ctx.Err() == nil {
		c.conclude("across")
	}
	return ctx.Err()
}}

// ways are all there are between two sides, in every form.
func (c *troupe) ways() ([]*series, error) {
	var all []*series
	sides := c.t.Terms.sides()
	for _, to := range sides {
		if err := c.receives(to); err != nil {
			return nil, err
		}
	}
	for _, from := range sides {
		for _, to := range sides {
			for i, node := range from.nodes {
				if from.name == to.name {
					continue
				}
				some, err := c.sends(node, to, to.nodes[i%len(to.nodes)])
				if err != nil {
					return nil, fmt.Errorf("preparing what crosses from %s to %s: %w", node, to.name, err)
				}
				all = append(all, some...)
			}
		}
	}
	for _, nc := range c.partners {
		if err := nc.Flush(); err != nil {
			return nil, fmt.Errorf("preparing what crosses: %w", err)
		}
	}
	return all, nil
}

// at is the tester's client at a node.
func (c *troupe) at(node string) *nats.Conn {
	for i, n := range c.t.Nodes {
		if n.Name == node {
			return c.partners[i]
		}
	}
	return nil
}

// receives lets each node of a side have a member of the group that answers.
func (c *troupe) receives(to side) error {
	for _, node := range to.nodes {
		if _, err := c.at(node).QueueSubscribe("cross.ask."+to.name, "answers", func(m *nats.Msg) { _ = m.Respond(m.Data) }); err != nil {
			return fmt.Errorf("answering at %s: %w", node, err)
		}
	}
	return nil
}

// sends is what a node says to another side, and who hears it there.
func (c *troupe) sends(from string, to side, listener string) ([]*series, error) {
	nc := c.at(from)
	way := func(form string) string { return form + " " + from + "→" + to.name }
	said := func(form string) (*series, string) {
		s, subject := c.series(way(form), ofMessages, stride), "cross."+form+"."+from+"."+to.name
		s.say = func(seq int) error { return nc.Publish(subject, []byte(strconv.Itoa(seq))) }
		return s, subject
	}
	plain, subject := said(plainly)
	if _, err := c.at(listener).Subscribe(subject, func(m *nats.Msg) { plain.hear(number(m.Data)) }); err != nil {
		return nil, err
	}
	group, subject := said(queued)
	for _, node := range to.nodes {
		if _, err := c.at(node).QueueSubscribe(subject, "members", func(m *nats.Msg) { group.hear(number(m.Data)) }); err != nil {
			return nil, err
		}
	}
	asked := c.series(way(askedOf), ofRequests, stride)
	inbox := "cross.reply." + from + "." + to.name + "."
	asked.say = func(seq int) error {
		n := strconv.Itoa(seq)
		return nc.PublishRequest("cross.ask."+to.name, inbox+n, []byte(n))
	}
	_, err := nc.Subscribe(inbox+"*", func(m *nats.Msg) {
		seq := number([]byte(strings.TrimPrefix(m.Subject, inbox)))
		if m.Header.Get("Status") == "503" { // no responders
			asked.refuse(seq)
			return
		}
		asked.hear(seq)
	})
	return []*series{plain, group, asked}, err
}
