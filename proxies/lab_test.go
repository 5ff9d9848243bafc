package proxies

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// patience bounds every wait of these tests; only failing ones reach it. It is long for a machine that has other tests'
// processes to run as well.
const patience = 20 * time.Second

// lab is a balancer with one or more frontends, before backends that hand over what they accept.
type lab struct {
	*Balancer
	t        *testing.T
	backends map[string][]Backend
	accepted map[string]chan *net.TCPConn // by backend name

	mu     sync.Mutex
	events []Event
}

// front is a frontend's name and those of its backends.
type front struct {
	Front
	backends []string
}

var oneFront = []front{{Front{Name: "n1"}, []string{"b1"}}}

// start runs a balancer for the test; at the test's end it is closed and nothing may be left.
func start(t *testing.T, p Profile, fronts ...front) *lab {
	t.Helper()
	l := listen(t, p, fronts...)
	if err := l.Serve(l.backends); err != nil {
		t.Fatal(err)
	}
	return l
}

func listen(t *testing.T, p Profile, fronts ...front) *lab {
	t.Helper()
	if testing.Short() {
		t.Skip("uses the network")
	}
	if len(fronts) == 0 {
		fronts = oneFront
	}
	t.Cleanup(func() { goleak.VerifyNone(t) })
	l := &lab{t: t, backends: map[string][]Backend{}, accepted: map[string]chan *net.TCPConn{}}
	var named []Front
	for _, f := range fronts {
		named = append(named, f.Front)
		for _, b := range f.backends {
			l.backends[f.Name] = append(l.backends[f.Name], l.backend(b))
		}
	}
	b, err := Listen(p, named, l.note)
	if err != nil {
		t.Fatal(err)
	}
	l.Balancer = b
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Error("closing the balancer:", err)
		}
	})
	return l
}

func (l *lab) backend(name string) Backend {
	arrivals := l.accepted[name]
	if arrivals == nil {
		arrivals = make(chan *net.TCPConn, 100)
		l.accepted[name] = arrivals
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		l.t.Fatal(err)
	}
	var accepting sync.WaitGroup
	accepting.Go(func() {
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			arrivals <- c.(*net.TCPConn)
		}
	})
	l.t.Cleanup(func() {
		listener.Close()
		accepting.Wait()
		for len(arrivals) > 0 { // what nobody asked for would be closed when memory is tidied, in the middle of another test
			(<-arrivals).Close()
		}
	})
	return Backend{Name: name, Addr: listener.Addr().String()}
}

func (l *lab) note(e Event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.events = append(l.events, e)
}

// story is what happened to one connection ("" for the balancer's own), one line an event.
func (l *lab) story(conn string) []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var lines []string
	for _, e := range l.events {
		if e.Conn == conn {
			lines = append(lines, strings.TrimSpace(strings.Join([]string{e.Kind, e.How, e.Why}, " ")))
		}
	}
	return lines
}

// tells waits until a connection's story is as wanted.
func (l *lab) tells(conn string, want ...string) {
	l.t.Helper()
	until(l.t, fmt.Sprintf("%q to be told as %q", conn, want), func() (bool, string) {
		got := l.story(conn)
		return slices.Equal(got, want), fmt.Sprintf("%q", got)
	})
}

// until asks again and again, and gives up with the last answer.
func until(t *testing.T, what string, ask func() (ok bool, state string)) {
	t.Helper()
	deadline := time.After(patience)
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for {
		ok, state := ask()
		if ok {
			return
		}
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("waited %s for %s; at the end: %s", patience, what, state)
		}
	}
}

// dial connects to a frontend.
func (l *lab) dial(front string) *net.TCPConn {
	l.t.Helper()
	c, err := net.DialTimeout("tcp", l.Addr(front), patience)
	if err != nil {
		l.t.Fatal(err)
	}
	l.t.Cleanup(func() { c.Close() })
	return c.(*net.TCPConn)
}

// behind is a connection's end at its backend, whoever else reaches that, such as health checks.
func (l *lab) behind(conn string) *net.TCPConn {
	l.t.Helper()
	begun := l.find(KindBegin, conn)
	for {
		if c := l.reached(begun.Backend); c.RemoteAddr().String() == begun.LocalAddr {
			return c
		}
	}
}

// reached is the connection that a backend has accepted.
func (l *lab) reached(backend string) *net.TCPConn {
	l.t.Helper()
	select {
	case c := <-l.accepted[backend]:
		l.t.Cleanup(func() { c.Close() })
		return c
	case <-time.After(patience):
		l.t.Fatalf("nobody reached %s in %s", backend, patience)
		return nil
	}
}

// connect gives both ends of one connection through the first frontend, forwarding.
func (l *lab) connect() (client, server *net.TCPConn) {
	l.t.Helper()
	client, server = l.dial("n1"), l.reached("b1")
	say(l.t, client, server, "hello")
	return client, server
}

// say sends a text from one end and expects it at the other.
func say(t *testing.T, from io.Writer, to net.Conn, text string) {
	t.Helper()
	if _, err := io.WriteString(from, text); err != nil {
		t.Fatalf("saying %q: %v", text, err)
	}
	hears(t, to, text)
}

func hears(t *testing.T, c net.Conn, text string) {
	t.Helper()
	got := make([]byte, len(text))
	c.SetReadDeadline(time.Now().Add(patience))
	if n, err := io.ReadFull(c, got); err != nil {
		t.Fatalf("got %q and %v, want %q", got[:n], err, text)
	}
	if string(got) != text {
		t.Fatalf("got %q, want %q", got, text)
	}
}

// What an end can find when it reads.
const (
	eof     = "end of stream"
	rst     = "reset by peer"
	silence = "silence"
)

// finds reads one byte and says what came of it; silence is nothing within the time.
func finds(c net.Conn, within time.Duration) string {
	c.SetReadDeadline(time.Now().Add(within))
	var b [1]byte
	n, err := c.Read(b[:])
	switch {
	case n > 0:
		return fmt.Sprintf("byte %q", b[0])
	case err == io.EOF:
		return eof
	case errors.Is(err, syscall.ECONNRESET):
		return rst
	case errors.Is(err, os.ErrDeadlineExceeded):
		return silence
	}
	return err.Error()
}

func expect(t *testing.T, who string, c net.Conn, want string) {
	t.Helper()
	within := patience
	if want == silence {
		within = 50 * time.Millisecond
	}
	if got := finds(c, within); got != want {
		t.Errorf("%s finds %s, want %s", who, got, want)
	}
}

// with builds a profile from settings, as the command line does.
func with(t testing.TB, settings ...string) Profile {
	t.Helper()
	return add(t, Direct(), settings...)
}

func (l *lab) all() []Event {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.events)
}

// add is a profile with more settings.
func add(t testing.TB, p Profile, settings ...string) Profile {
	t.Helper()
	for _, s := range settings {
		name, value, _ := strings.Cut(s, "=")
		var err error
		if p, err = p.With(name, value); err != nil {
			t.Fatal(err)
		}
	}
	return p
}

// staged is a behaviour that puts toxics on every flow.
type staged struct {
	Balance // for the methods that do not matter
	toxics  []Toxic
}

func (s staged) Start() Policy            { return s }
func (s staged) Scaled(float64) Behaviour { return s }
func (s staged) Settings() []Setting      { return []Setting{{Name: "staged"}} }
func (s staged) Admit(f *Flow) error {
	for _, t := range s.toxics {
		for _, d := range []Direction{Up, Down} {
			if err := f.Stage(d, t); err != nil {
				return err
			}
		}
	}
	return nil
}

func withToxics(toxics ...Toxic) Profile {
	return Profile{Behaviours: []Behaviour{staged{toxics: toxics}}}
}

// apart is a behaviour that has every flow carried by goroutines of its own, as systems without a loop do.
type apart struct{ staged }

func (a apart) Start() Policy            { return a }
func (apart) Settings() []Setting        { return []Setting{{Name: "apart"}} }
func (apart) Admit(f *Flow) error        { f.apart = true; return nil }
func (a apart) Scaled(float64) Behaviour { return a }

func copying() Profile { return Profile{Behaviours: []Behaviour{apart{}}} }

// bothLanes runs a test with plain lanes, the loop where the system has one, and with toxiproxy's chains.
func bothLanes(t *testing.T, what string, test func(t *testing.T, lane Profile)) {
	t.Run(what+" in plain lane", func(t *testing.T) { test(t, Direct()) })
	t.Run(what+" in copying lane", func(t *testing.T) { test(t, copying()) })
	t.Run(what+" in toxic lane", func(t *testing.T) { test(t, withToxics(Toxic{Type: "noop"})) })
}

// event waits for the first event of a kind, of any connection.
func (l *lab) event(kind string) Event { l.t.Helper(); return l.find(kind, "") }

// find waits for the first event of a kind of one connection, or of any ("").
func (l *lab) find(kind, conn string) (found Event) {
	l.t.Helper()
	until(l.t, kind+" "+conn, func() (bool, string) {
		all := l.all()
		n := slices.IndexFunc(all, func(e Event) bool { return e.Kind == kind && (conn == "" || e.Conn == conn) })
		if n >= 0 {
			found = all[n]
		}
		return n >= 0, fmt.Sprintf("%d events", len(all))
	})
	return found
}

// dialAndEcho sends a little and waits for it to come back, whatever becomes of it: whom an expiry forgets hears nothing, and
// gives up.
func dialAndEcho(addr string) {
	c, err := net.Dial("tcp", addr)
	if err != nil {
		return
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(5 * time.Second))
	if _, err := io.WriteString(c, "echo"); err == nil {
		io.ReadFull(c, make([]byte, 4))
	}
}
