package proxies

import (
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestPlacesAreGivenInOrderOfArrival(t *testing.T) {
	for _, c := range []struct {
		what string
		does []string // "+a" arrives, "-a" leaves
		want string   // who is in, in the order of their names, then who waits in the queue's order
	}{
		{"as many as there are places get in", []string{"+a", "+b"}, "ab "},
		{"further ones wait", []string{"+a", "+b", "+c", "+d"}, "ab cd"},
		{"a place that becomes free is the longest waiting one's", []string{"+a", "+b", "+c", "+d", "-a"}, "bc d"},
		{"who leaves the queue frees no place", []string{"+a", "+b", "+c", "+d", "-c"}, "ab d"},
		{"and is not let in later", []string{"+a", "+b", "+c", "+d", "-c", "-a"}, "bd "},
		{"an empty balancer has all its places again", []string{"+a", "+b", "+c", "-a", "-b", "-c", "+d", "+e", "+f"}, "de f"},
	} {
		p := places{most: 2}
		tickets := map[string]*ticket{}
		for _, step := range c.does {
			if who, ok := strings.CutPrefix(step, "+"); ok {
				tickets[who] = &ticket{ready: make(chan struct{})}
				p.arrive(tickets[who], true)
			} else {
				p.leave(tickets[step[1:]])
			}
		}
		got := ""
		for _, who := range []string{"a", "b", "c", "d", "e", "f"} {
			if tickets[who] != nil && tickets[who].in {
				got += who
			}
		}
		got += " "
		for _, w := range p.waiting {
			for who, t := range tickets {
				if t == w {
					got += who
				}
			}
		}
		if got != c.want {
			t.Errorf("%s: got %q, want %q", c.what, got, c.want)
		}
	}
}

func TestWhatDoesNotWaitIsNotRemembered(t *testing.T) {
	p := places{most: 1}
	first, second := &ticket{ready: make(chan struct{})}, &ticket{ready: make(chan struct{})}
	if !p.arrive(first, false) || p.arrive(second, false) || len(p.waiting) > 0 {
		t.Fatalf("got %+v", p)
	}
	p.leave(first)
	if p.live != 0 || second.in {
		t.Errorf("got %+v and %+v", p, second)
	}
}

// notes are what was said about a connection's waiting and turning away.
func (l *lab) notes(conn string) []string {
	var said []string
	for _, e := range l.all() {
		if e.Conn == conn && (e.Kind == KindApplied || e.Kind == KindRefused) {
			said = append(said, e.Why+": "+e.What)
		}
	}
	return said
}

// queueUp makes a connection that waits, and waits until it does.
func (l *lab) queueUp(name, conn string) *net.TCPConn {
	l.t.Helper()
	c := l.dial(name)
	l.find(KindApplied, conn)
	return c
}

func TestConnectionsBeyondTheCapWait(t *testing.T) {
	l := start(t, with(t, "max-connections=1"), front{Front{Name: "n1"}, []string{"b1"}}, front{Front{Name: "n2"}, []string{"b2"}})
	first, server := l.connect()
	second := l.queueUp("n2", "n2#2") // the cap is the whole balancer's
	third := l.queueUp("n1", "n1#3")
	io.WriteString(third, "early words")
	expect(t, "who waits", second, silence)
	if n := len(l.accepted["b2"]) + len(l.accepted["b1"]); n > 0 {
		t.Fatalf("%d connections of those who wait reached a backend", n)
	}

	first.Close()
	server.Close()
	other := l.reached("b2")
	say(t, second, other, "my turn")
	second.Close()
	expect(t, "server", other, eof)
	other.Close()
	hears(t, l.reached("b1"), "early words")
	if got, want := l.notes("n1#3"), []string{"max-connections: waits: 1 connections are live, 1 wait before it"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	l.tells("n2#2", "applied  max-connections", "begin", "end fin client")
}

func TestConnectionsBeyondTheCapEndInTheMannerSet(t *testing.T) {
	for manner, want := range map[string][2]string{
		"close": {eof, "refused fin max-connections"},
		"reset": {rst, "refused rst max-connections"},
	} {
		t.Run(manner, func(t *testing.T) {
			l := start(t, with(t, "max-connections=2", "connection-limit="+manner))
			first, server := l.connect()
			l.connect()
			if c, err := net.Dial("tcp", l.Addr("n1")); err == nil { // a quick reset is the dial's
				expect(t, "one too many", c, want[0])
				c.Close()
			}
			l.tells("n1#3", want[1])
			if got, want := l.notes("n1#3"), "max-connections: 2 connections are live"; !slices.Equal(got, []string{want}) {
				t.Errorf("got %q, want %q", got, want)
			}
			first.Close()
			server.Close()
			l.find(KindEnd, "n1#1")
			until(t, "a free place", func() (bool, string) {
				c, err := net.Dial("tcp", l.Addr("n1"))
				if err != nil {
					return false, err.Error() // reset before the dial was over
				}
				defer c.Close()
				got := finds(c, 20*time.Millisecond)
				return got == silence, got
			})
		})
	}
}

func TestWhoHangsUpLeavesTheQueueAtOnce(t *testing.T) {
	for how, c := range map[string]struct {
		leave func(*net.TCPConn)
		story string
	}{
		"by FIN":            {func(c *net.TCPConn) { c.Close() }, "refused fin max-connections"},
		"by RST":            {func(c *net.TCPConn) { c.SetLinger(0); c.Close() }, "refused rst max-connections"},
		"after early words": {func(c *net.TCPConn) { io.WriteString(c, "hello?"); c.Close() }, "refused fin max-connections"},
	} {
		t.Run(how, func(t *testing.T) {
			l := start(t, with(t, "max-connections=1"))
			first, server := l.connect()
			second := l.queueUp("n1", "n1#2")
			third := l.queueUp("n1", "n1#3")
			c.leave(second)
			l.tells("n1#2", "applied  max-connections", c.story)
			first.Close()
			server.Close()
			say(t, third, l.reached("b1"), "my turn")
		})
	}
}

func TestAReloadHandsOnWhoWaits(t *testing.T) {
	l := start(t, with(t, "max-connections=1", "restart=reload"))
	first, server := l.connect()
	second, third := l.queueUp("n1", "n1#2"), l.queueUp("n1", "n1#3")
	if err := l.Strike(t.Context()); err != nil {
		t.Fatal(err)
	}
	other := l.reached("b1") // the new instance has a place
	say(t, second, other, "new process, new cap")
	say(t, first, server, "still here")
	fourth := l.queueUp("n1", "n1#4")
	second.Close()
	other.Close()
	last := l.reached("b1")
	say(t, third, last, "before who came after the reload")
	third.Close()
	last.Close()
	say(t, fourth, l.reached("b1"), "at last")
}

func TestWhoWaitsIsLetGoWhenTheBalancerEnds(t *testing.T) {
	for _, how := range []string{"crash", "close"} {
		t.Run(how, func(t *testing.T) {
			l := start(t, with(t, "max-connections=1", "restart=crash"))
			l.connect()
			waits := l.queueUp("n1", "n1#2")
			if how == "crash" {
				if err := l.Strike(t.Context()); err != nil {
					t.Fatal(err)
				}
				l.tells("n1#2", "applied  max-connections", "refused fin restart")
				say(t, l.dial("n1"), l.reached("b1"), "a place again")
			} else if err := l.Close(); err != nil {
				t.Fatal(err)
			}
			expect(t, "who waited", waits, eof)
		})
	}
}

func TestAStallInTheMiddleOfAQueue(t *testing.T) {
	l := start(t, with(t, "max-connections=1", "stall=300ms"))
	first, server := l.connect()
	second, third := l.queueUp("n1", "n1#2"), l.queueUp("n1", "n1#3")
	struck := make(chan error)
	go func() { struck <- l.Strike(t.Context()) }()
	stalled := l.event(KindStall)
	second.Close()
	first.Close()
	server.Close()
	if err := <-struck; err != nil {
		t.Fatal(err)
	}
	say(t, third, l.reached("b1"), "my turn")
	if left := l.find(KindRefused, "n1#2"); left.At.Before(l.event(KindResume).At) {
		t.Errorf("who left was heard of %s after the stall began, before its end", left.At.Sub(stalled.At))
	}
}

func TestManyInTheQueueAllGetTheirTurn(t *testing.T) {
	const crowd = 60
	l := start(t, with(t, "max-connections=3"))
	var clients sync.WaitGroup
	defer clients.Wait()
	for range crowd {
		c := l.dial("n1")
		clients.Go(func() {
			if got := finds(c, patience); got != "byte 'x'" {
				t.Errorf("a client finds %s", got)
			}
			c.Close()
		})
	}
	for range crowd {
		s := l.reached("b1")
		io.WriteString(s, "x")
		s.Close()
	}
}
