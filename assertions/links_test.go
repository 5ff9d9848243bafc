package assertions

import (
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"
)

// What is listed and says nothing is not connected, and what was heard long ago is not heard now.
func TestARollCallIsAnsweredByAllOrNamesTheDeaf(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := choir(NewRecorder())
		hears := func(v *voice, from, seq string) { c.hear(v, &nats.Msg{Subject: "say." + from, Data: []byte(seq)}) }
		rest(t.Context(), time.Second)
		if c.call(0) {
			t.Error("nobody has heard anything")
		}
		hears(c.voices[0], "n2", "0")
		hears(c.voices[2], "n2", "0")
		hears(c.voices[3], "n1", "0")
		if c.call(0) {
			t.Error("one of four is missing")
		}
		c.deaf(0)
		var deaf []hearing
		for _, e := range c.rec.Events() {
			deaf = append(deaf, hearing{e.Account, e.Node, e.Peer})
		}
		if diff := cmp.Diff([]hearing{{"A", "n1", "n2"}}, deaf, cmp.AllowUnexported(hearing{})); diff != "" {
			t.Errorf("who is deaf (-want +got):\n%s", diff)
		}
		hears(c.voices[1], "n1", "0")
		if !c.call(0) {
			t.Error("all four were heard")
		}
		if c.call(c.rec.Now() + 1) {
			t.Error("what was said before this roll-call began was taken for an answer to it")
		}
		rest(t.Context(), lately+time.Millisecond)
		if c.call(0) {
			t.Error("what was heard two seconds ago was taken for an answer")
		}
	})
}

func TestWhatIsNotConnectedHasItsMargins(t *testing.T) {
	h := History{Events: line(on(1, Server, "links-whole"), on(5, Server, "links-broken"), on(5.5, Server, "links-broken"), on(7, Server, "links-whole"),
		on(9, Server, "links-whole"), on(20, Server, "links-broken"))}
	want := []window{{secs(4.5), secs(7.5)}, {secs(19.5), endless}}
	if diff := cmp.Diff(want, unlinked(h), cmp.AllowUnexported(window{})); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	for at, in := range map[float64]bool{4.499: false, 4.5: true, 7.5: true, 7.501: false, 19.4: false, 1000: true} {
		if within(secs(at), want) != in {
			t.Errorf("at %g s: %v", at, !in)
		}
	}
	if got := unlinked(History{Events: line(on(1, Server, "links-whole"))}); len(got) > 0 {
		t.Errorf("nothing was broken: %v", got)
	}
}

func TestTheFirstBytesOfEveryFrontendAreTimed(t *testing.T) {
	says := func(what string) string {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { l.Close() })
		go func() {
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				_, _ = c.Write([]byte(what))
				c.Close()
			}
		}()
		return l.Addr().String()
	}
	target := Target{Terms: hubAndLeaves(), Doors: []string{says("INFO {\"server_id\":\"H\",\"leafnode_urls\":[]}\r\n"), says("HTTP/1.1 400 Bad Request\r\n"), says("")}}
	rec := NewRecorder()
	greet(t.Context(), target, rec)
	kinds := map[string]string{}
	for _, e := range rec.Events() {
		kinds[e.Dial] = e.Kind + " " + e.Why
	}
	want := map[string]string{target.Doors[0]: "informed ", target.Doors[1]: "uninformed it speaks HTTP (HTTP/1.1 400 Bad Request)", target.Doors[2]: "uninformed it closed the connection without a word"}
	if diff := cmp.Diff(want, kinds); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	// Where there is too little of something, the tester takes none of it.
	target.Terms.Settings = map[string]string{"source-ports": "2"}
	before := rec.Len()
	if greet(t.Context(), target, rec); rec.Len() != before {
		t.Error("took a port that leaf nodes need")
	}
}
