package assertions

import "testing"

func TestTheNodeWhoseLossCostsMost(t *testing.T) {
	at := func(app, node string) Event { return Event{From: Client, Kind: "connected", App: app, Node: node} }
	gone := func(app string) Event { return Event{From: Client, Kind: "disconnected", App: app} }
	for _, c := range []struct {
		name   string
		events []Event
		want   string
	}{
		{"nobody is connected", nil, ""},
		{"the one that most are connected to", []Event{at("publisher-1", "n1"), at("publisher-2", "n2"), at("worker-1", "n2")}, "n2"},
		{"that of most receivers, however many others are elsewhere", []Event{at("publisher-1", "n1"), at("worker-1", "n1"), at("worker-2", "n1"), at("receiver-1", "n1"),
			at("receiver-2", "n3"), at("receiver-3", "n3")}, "n3"},
		{"of two alike the one of most applications", []Event{at("receiver-1", "n1"), at("receiver-2", "n2"), at("asker-1", "n2")}, "n2"},
		{"where they are now", []Event{at("receiver-1", "n1"), at("receiver-2", "n1"), gone("receiver-1"), gone("receiver-2"), at("receiver-1", "n2")}, "n2"},
		{"a connection that has ended already is nowhere", []Event{at("receiver-1", ""), at("receiver-2", ""), at("receiver-3", "n2")}, "n2"},
	} {
		rec := NewRecorder()
		for _, e := range c.events {
			rec.Add(e)
		}
		if got, ok := BusiestNode(rec); got != c.want || ok != (c.want != "") {
			t.Errorf("%s: %q, %v; want %q", c.name, got, ok, c.want)
		}
	}
}
